//! Decoding protobuf, held against other implementations.
//!
//! `protobuf/cases.txt` was made with Google's Python protobuf; here, and on messages made at random, prost-reflect is the
//! other opinion.

#![allow(clippy::unwrap_used)] // helpers of tests are tests

use std::path::Path;

use rpcshark_dissectors::protobuf::Printer;
use rpcshark_dissectors::schema::Schema;

fn descriptors() -> Vec<u8> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/protobuf");
    let mut compiler = protox::Compiler::new([&dir]).unwrap();
    compiler.include_imports(true);
    compiler.open_files([dir.join("cases.proto"), dir.join("old.proto")]).unwrap();
    compiler.encode_file_descriptor_set()
}

fn schema() -> Schema {
    let (schema, said) = Schema::from_descriptors(&descriptors()).unwrap();
    assert!(said.is_empty(), "{said:?}");
    schema
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn json_is_as_googles_python_prints_it() {
    let schema = schema();
    let mut printer = Printer::new();
    let mut count = 0;
    let mut wrong = Vec::new();
    for line in include_str!("protobuf/cases.txt").lines().filter(|line| !line.starts_with('#')) {
        let [name, hex, expected] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let mut out = Vec::new();
        let findings = printer.print(&schema, schema.message(name).unwrap(), &unhex(hex), &mut out);
        assert_eq!(findings.notes, [], "{name} {hex}");
        let got = String::from_utf8(out).unwrap();
        if got != expected {
            wrong.push(format!("{name} {hex}\n   want {expected}\n   got  {got}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 140, "{count}");
}
