//! Header blocks of one direction: each with its length before it; length 255 stands for lost ones.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rpcshark_dissectors::http2::hpack::Decoder;

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, mut rest)) = bytes.split_first() else { return };
    let mut decoder = Decoder::new(first & 1 == 0);
    while let Some((&len, tail)) = rest.split_first() {
        if len == u8::MAX {
            decoder.new_epoch();
            rest = tail;
            continue;
        }
        let (block, tail) = tail.split_at(usize::from(len).min(tail.len()));
        decoder.decode(block);
        rest = tail;
    }
});
