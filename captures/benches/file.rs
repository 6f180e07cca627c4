//! How fast packets are found in captures.

use std::hint::black_box;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use divan::Bencher;
use divan::counter::BytesCount;
use rpcshark_captures::file::{Batch, CaptureReader, OpenOptions};

fn main() {
    divan::main();
}

/// As many packets as are asked of a reading at once.
const BATCH: usize = 4096;

/// A pcap of a quarter of a million packets of the sizes that calls of a key-value store make.
fn pcap() -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(0xa1b2_c3d4_u32.to_le_bytes()); // magic
    bytes.extend([2, 0, 4, 0]); // version
    bytes.extend([0; 8]); // reserved
    bytes.extend(262_144_u32.to_le_bytes()); // snap length
    bytes.extend(1_u32.to_le_bytes()); // Ethernet
    for (n, data) in packets() {
        bytes.extend((1_700_000_000 + n / 1000).to_le_bytes()); // seconds
        bytes.extend((n % 1000 * 1000).to_le_bytes()); // microseconds
        bytes.extend((data.len() as u32).to_le_bytes()); // captured length
        bytes.extend((data.len() as u32).to_le_bytes()); // original length
        bytes.extend(data);
    }
    bytes
}

/// The same packets in pcapng.
fn pcapng() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let len = (body.len().next_multiple_of(4) as u32 + 12).to_le_bytes();
        bytes.extend(kind.to_le_bytes());
        bytes.extend(len);
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(len);
    };
    block(0x0a0d_0d0a, b"\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff");
    block(1, b"\x01\0\0\0\0\0\x04\0"); // Ethernet
    for (n, data) in packets() {
        let time = (1_700_000_000_000_000 + u64::from(n) * 1_000).to_le_bytes();
        let len = (data.len() as u32).to_le_bytes();
        block(6, &[&[0; 4], &time[4..], &time[..4], &len, &len, &*data].concat());
    }
    bytes
}

fn packets() -> impl Iterator<Item = (u32, Vec<u8>)> {
    (0..250_000).map(|n: u32| (n, vec![n as u8; 66 + n.wrapping_mul(2_654_435_761) as usize % 400]))
}

/// Puts `bytes` into a file that goes away with what is given back.
fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    file.write_all(bytes).expect("a temporary file can be written");
    file
}

fn read(mut reading: CaptureReader) -> u64 {
    let mut batch = Batch::default();
    let mut sum = 0;
    while reading.next_batch_into(BATCH, &mut batch).expect("the capture can be read") {
        for index in 0..batch.len() {
            sum += black_box(batch.packet(index)).data.len() as u64;
        }
    }
    sum
}

fn read_paths(paths: &[&Path]) -> u64 {
    let paths: Vec<PathBuf> = paths.iter().map(|&path| path.to_owned()).collect();
    read(CaptureReader::open(&paths, &OpenOptions::default()).expect("the capture can be opened"))
}

#[divan::bench]
fn pcap_file(bencher: Bencher<'_, '_>) {
    let bytes = pcap();
    let file = file(&bytes);
    bencher.counter(BytesCount::new(bytes.len())).bench(|| read_paths(&[file.path()]));
}

#[divan::bench]
fn pcapng_file(bencher: Bencher<'_, '_>) {
    let bytes = pcapng();
    let file = file(&bytes);
    bencher.counter(BytesCount::new(bytes.len())).bench(|| read_paths(&[file.path()]));
}

#[divan::bench]
fn two_files_merged(bencher: Bencher<'_, '_>) {
    let (a, b) = (pcap(), pcapng());
    let files = [file(&a), file(&b)];
    let paths = [files[0].path(), files[1].path()];
    bencher.counter(BytesCount::new(a.len() + b.len())).bench(|| read_paths(&paths));
}

#[divan::bench]
fn pipe(bencher: Bencher<'_, '_>) {
    let bytes = pcap();
    bencher.counter(BytesCount::new(bytes.len())).with_inputs(|| bytes.clone()).bench_values(|bytes| {
        read(CaptureReader::from_reader(Box::new(Cursor::new(bytes)), "pipe").expect("the capture can be opened"))
    });
}

#[divan::bench]
fn zstd(bencher: Bencher<'_, '_>) {
    let bytes = pcap();
    let packed = zstd::encode_all(&*bytes, 1).expect("bytes can be compressed");
    bencher.counter(BytesCount::new(bytes.len())).with_inputs(|| packed.clone()).bench_values(|packed| {
        read(CaptureReader::from_reader(Box::new(Cursor::new(packed)), "pipe").expect("the capture can be opened"))
    });
}
