//! What it costs to read a strace log, from its text to events: `cargo bench -p rpcshark-captures --bench streams`.

use std::io::Cursor;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use rpcshark_captures::file::{Batch, CaptureReader};
use rpcshark_captures::streams::{Events, Streams};

/// Calls a round.
const CALLS: usize = 2_000;

fn main() {
    divan::main();
}

/// `-xx`: every byte as a number.
#[divan::bench(args = [100, 4096])]
fn hexadecimal(bencher: Bencher<'_, '_>, bytes: usize) {
    run(bencher, &format!("\"{}\"", "\\x2f".repeat(bytes)), bytes);
}

/// Without `-x`: half of the bytes as letters, half as numbers.
#[divan::bench(args = [100, 4096])]
fn escapes(bencher: Bencher<'_, '_>, bytes: usize) {
    run(bencher, &format!("\"{}\"", "a\\0b\\377".repeat(bytes / 4)), bytes);
}

fn run(bencher: Bencher<'_, '_>, string: &str, bytes: usize) {
    let mut log = String::new();
    for call in 0..CALLS {
        log += &format!("5 1700000000.{call:06} write(3<UNIX-STREAM:[1->2]>, {string}, {bytes}) = {bytes}\n");
    }
    let log = log.into_bytes();
    bencher.counter(BytesCount::new(log.len())).bench(|| {
        let input = Box::new(Cursor::new(log.clone()));
        let Ok(mut reading) = CaptureReader::from_reader(input, "log") else { return };
        let mut streams = Streams::new(reading.files());
        let (mut batch, mut events) = (Batch::default(), Events::default());
        while reading.next_batch_into(4096, &mut batch).is_ok_and(|more| more) {
            for index in 0..batch.len() {
                let _ = streams.packet(&batch.packet(index), &mut events);
            }
            black_box(&events);
            events.clear();
        }
    });
}
