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
/// token of 76 bytes as sent. 126 bytes in all.
fn steady_block() -> Vec<u8> {
    let mut block = vec![0x83, 0x86, 0xbe, 0xbf, 0xc0, 0xc1, 0xc2, 0xc3];
    let literals = [
        // "999570u"
        "7df7db7416ff",
        // "Bearer " and a random token
        "ba51d85b142d3a7d3fbf3e4bdee8c64b7a72d33c77e7373e3551df3d9e65e52bdd33d30d157300bab2df092a9f0e6c2ef47acddf\
         b901fad74fc4b35fed7a31c9d0bafb72a1cbf8539bad77bf",
        // "00-4bf92f3577b34da6a3ce929d0e0e4736-01"
        "00166a395f14acb6ebb1b2d483706c90af89f9005015a759716007",
    ];
    for coded in literals {
        let digits: Vec<u8> = coded.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
        block.extend([0x0f, 46, 0x80 | (digits.len() / 2) as u8]); // without indexing, name of entry 61
        block.extend(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]));
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
        other[9] = 15 + entry; // another name
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
