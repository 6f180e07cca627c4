//! A message: the first byte chooses the type.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rpcshark_dissectors::protobuf::{Printer, fits, raw, tree};
use rpcshark_dissectors::schema::{MessageIx, Schema};

fuzz_target!(|bytes: &[u8]| {
    let schema = Schema::builtin();
    let Some((&first, message)) = bytes.split_first() else { return };
    let ty = MessageIx(u32::from(first) % schema.messages.len() as u32);
    let mut json = Vec::new();
    Printer::new().print(&schema, ty, message, &mut json);
    fits(&schema, ty, message);
    tree::tree(&schema, ty, message, 1000);
    tree::raw_tree(message, 1000);
    raw::write_json(message, &mut json);
});
