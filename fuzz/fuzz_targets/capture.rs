//! A file of any format.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use rpcshark_captures::file::CaptureReader;
use rpcshark_captures::streams::{Events, Streams};
use rpcshark_captures::{Defragmenter, Peeled, peel, peel_datagram};

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut reading) = CaptureReader::from_reader(Box::new(Cursor::new(bytes.to_vec())), "fuzzed") else { return };
    let mut streams = Streams::new(reading.files());
    let mut events = Events::default();
    let mut defragmenter = Defragmenter::default();
    while let Ok(Some(batch)) = reading.next_batch(64) {
        for index in 0..batch.len() {
            let packet = batch.packet(index);
            if Streams::takes(packet.link) {
                let _ = streams.packet(&packet, &mut events);
            }
            if let Peeled::Fragment(fragment) = peel(packet.link, packet.data, packet.original_len)
                && let Some(datagram) = defragmenter.push(&packet, &fragment)
            {
                let _ = peel_datagram(&datagram);
            }
        }
        events.clear();
    }
    streams.finish(&mut events);
});
