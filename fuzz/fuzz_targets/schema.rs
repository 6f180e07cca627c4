//! A `.proto` text, or a descriptor set.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rpcshark_dissectors::schema::Schema;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        Schema::from_source(text);
    }
    let _ = Schema::from_descriptors(bytes);
});
