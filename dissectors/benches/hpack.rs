//! How long header blocks take: repeated, steady, and first ones.

use divan::Bencher;
use divan::counter::BytesCount;
use rpcshark_dissectors::http2::hpack::Decoder;

fn main() {
    divan::main();
}

/// An 11-field gRPC request whose fields are all inserted.
fn first_block() -> Vec<u8> {
    let mut block = vec![0x83, 0x86]; // POST, http
    let literals: [(&[u8], &[u8]); 9] = [
        (b":path", b"/acme.shop.v1.Orders/PlaceOrder"),
        (b":authority", b"orders.example.com:443"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
        (b"user-agent", b"grpc-go/1.76.0"),
        (b"grpc-timeout", b"999570u"),
        (b"grpc-accept-encoding", b"gzip"),
        (b"x-tenant", b"t1"),
        (b"x-region", b"eu-central-1"),
    ];
    for (name, value) in literals {
        block.extend([0x40, name.len() as u8]);
        block.extend(name);
        block.push(value.len() as u8);
        block.extend(value);
    }
    block
}

/// The next request: eight indexed fields, and three Huffman-coded literals that change from call to call, one of them a
/// token of 76 bytes as sent.
fn steady_block() -> Vec<u8> {
    let mut block = vec![0x83, 0x86];
    block.extend([0xbe, 0xbf, 0xc0, 0xc1, 0xc2, 0xc3]);
    // Codes of five bits and of eight, so that their mean is near that of tokens: "a" 00011, "X" 1111 1100.
    for coded in [12, 76, 15] {
        let bytes = (0..coded / 13 + 1).flat_map(|_| {
            // a X a X a X a X: 52 bits and so on; written as 13 bytes for 16 characters.
            let mut bits = 0u128;
            for _ in 0..8 {
                bits = bits << 13 | 0b0_0011_1111_1100;
            }
            bits.to_be_bytes().into_iter().skip(3)
        });
        let bytes: Vec<u8> = bytes.take(coded / 13 * 13).collect();
        block.extend([0x0f, 46, 0x80 | bytes.len() as u8]); // without indexing, name of entry 61
        block.extend(bytes);
    }
    block
}

#[divan::bench]
fn repeated(bencher: Bencher<'_, '_>) {
    let mut decoder = Decoder::new(true);
    assert!(decoder.decode(&first_block()).complete);
    let block = [0x83, 0x86, 0xbe, 0xbf, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6];
    bencher.bench_local(|| decoder.decode(divan::black_box(&block)));
}

#[divan::bench]
fn steady(bencher: Bencher<'_, '_>) {
    let mut decoder = Decoder::new(true);
    assert!(decoder.decode(&first_block()).complete);
    let block = steady_block();
    let expected = decoder.decode(&block);
    assert!(expected.complete && expected.faults.is_empty(), "{expected:?}");
    // One byte changes, so that no block is the one before.
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    for entry in 0..32u8 {
        let mut other = block.clone();
        let at = 8;
        other[at + 1] = 15 + entry; // another static name
        blocks.push(other);
    }
    let mut at = 0;
    bencher.counter(BytesCount::new(block.len())).bench_local(|| {
        at = (at + 1) % blocks.len();
        decoder.decode(divan::black_box(&blocks[at]))
    });
}

#[divan::bench]
fn first(bencher: Bencher<'_, '_>) {
    let block = first_block();
    bencher.bench_local(|| Decoder::new(true).decode(divan::black_box(&block)));
}

/// The independent decoder that the tests use, on the same block.
#[divan::bench(sample_count = 10)]
fn steady_elsewhere(bencher: Bencher<'_, '_>) {
    let mut decoder = hpack::Decoder::new();
    decoder.decode(&first_block()).expect("a valid block");
    let block = steady_block();
    bencher.bench_local(|| decoder.decode(divan::black_box(&block)));
}
