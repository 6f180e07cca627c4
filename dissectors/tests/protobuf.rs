//! Decoding protobuf, held against other implementations.
//!
//! `protobuf/cases.txt` was made with Google's Python protobuf; here, and on messages made at random, prost-reflect is the
//! other opinion.

#![allow(clippy::unwrap_used)] // helpers of tests are tests

use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use prost_reflect::{DescriptorPool, DynamicMessage};
use rpcshark_dissectors::protobuf::{JsonPrinter, fits, raw, tree};
use rpcshark_dissectors::schema::{Cardinality, Kind, MessageIx, Schema, WellKnown};

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
    let mut printer = JsonPrinter::new();
    let mut count = 0;
    let mut wrong = Vec::new();
    for line in include_str!("protobuf/cases.txt").lines().filter(|line| !line.starts_with('#')) {
        let [name, hex, expected] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let mut out = Vec::new();
        let findings = printer.print(&schema, schema.message(name).unwrap(), &unhex(hex), &mut out);
        // Some cases hold varints that are longer than they need to be, on purpose.
        assert!(findings.notes.iter().all(|note| note.kind == "pb-overlong"), "{name} {hex}");
        let got = String::from_utf8(out).unwrap();
        if got != expected {
            wrong.push(format!("{name} {hex}\n   want {expected}\n   got  {got}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 140, "{count}");
}

/// Numbers at the edges, and others.
const EDGES: [u64; 12] =
    [0, 1, 2, 127, 300, 1 << 31, u32::MAX as u64, (1 << 53) + 1, 1 << 63, u64::MAX, 0x3ff8 << 48, 0x3f80_0000];

/// A message of a type, in any order, with fields twice and packed or not: what it holds is chosen by `choices`.
fn build(schema: &Schema, message: MessageIx, choices: &mut impl Iterator<Item = u64>, depth: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let fields = &schema[message].fields;
    let mut choose = || choices.next().unwrap_or_default();
    let count = if depth > 6 || fields.is_empty() { 0 } else { choose() % 7 };
    for _ in 0..count {
        let mut choose = || choices.next().unwrap_or_default();
        let field = &fields[choose() as usize % fields.len()];
        let (way, number) = (choose(), choose());
        let number = if way & 1 == 0 { EDGES[number as usize % EDGES.len()] } else { number };
        // It brings nanoseconds that are out of range into it.
        let number = match (schema[message].well_known, field.number) {
            (Some(WellKnown::Timestamp), 2) => number % 1_000_000_000,
            (Some(WellKnown::Duration), 2) => 0,
            _ => number,
        };
        let tag =
            |wire: u32, out: &mut Vec<u8>| prost::encoding::encode_varint(u64::from(field.number << 3 | wire), out);
        let content = match field.kind {
            Kind::Message(inner) | Kind::Group(inner) => build(schema, inner, choices, depth + 1),
            Kind::String if schema[message].well_known == Some(WellKnown::FieldMask) => b"a_b.c".to_vec(),
            Kind::String => "añ\"€zb".chars().take(number as usize % 7).collect::<String>().into_bytes(),
            Kind::Bytes => number.to_le_bytes()[..number as usize % 9].to_vec(),
            // It leaves out a negative zero, which is not a default.
            Kind::Double if number == 1 << 63 => vec![0; 8],
            Kind::Float if number as u32 == 1 << 31 => vec![0; 4],
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => number.to_le_bytes().to_vec(),
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => (number as u32).to_le_bytes().to_vec(),
            _ => {
                let mut varint = Vec::new();
                prost::encoding::encode_varint(number, &mut varint);
                varint
            }
        };
        let wire = match field.kind {
            Kind::Message(_) | Kind::String | Kind::Bytes => 2,
            Kind::Group(_) => 3,
            _ if field.cardinality == Cardinality::Repeated && way & 2 == 0 => 2,
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => 1,
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => 5,
            _ => 0,
        };
        tag(wire, &mut out);
        if wire == 2 {
            prost::encoding::encode_varint(content.len() as u64, &mut out);
        }
        out.extend(content);
        if wire == 3 {
            tag(4, &mut out);
        }
    }
    out
}

fn choices() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(any::<u64>(), 0..400)
}

/// The schemas of this test and what both make of them.
fn with_both<T>(test: impl FnOnce(&Schema, &DescriptorPool) -> T) -> T {
    thread_local! {
        static BOTH: (Schema, DescriptorPool) = (schema(), DescriptorPool::decode(descriptors().as_slice()).unwrap());
    }
    BOTH.with(|(schema, pool)| test(schema, pool))
}

const TYPES: [&str; 9] = [
    "cases.Scalars",
    "cases.Optionals",
    "cases.Lists",
    "cases.Nested",
    "cases.Maps",
    "cases.Choice",
    "cases.WellKnown",
    "old.Old",
    "old.Set",
];

/// Where prost-reflect prints a message, the values are equal. (It keeps unknown numbers of closed enumerations: not `old`.)
#[test]
fn json_is_as_prost_reflect_prints_it() {
    let mut compared = 0;
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() });
    let result = with_both(|schema, pool| {
        let compared = std::cell::Cell::from_mut(&mut compared);
        runner.run(&(choices(), 0..TYPES.len() - 2), |(choices, at)| {
            let name = TYPES[at];
            let message = schema.message(name).unwrap();
            let bytes = build(schema, message, &mut choices.into_iter(), 0);
            let mut json = Vec::new();
            let findings = JsonPrinter::new().print(schema, message, &bytes, &mut json);
            prop_assert_eq!(findings.notes, []);
            let got: serde_json::Value = serde_json::from_slice(&json).unwrap();
            let theirs = DynamicMessage::decode(pool.get_message_by_name(name).unwrap(), bytes.as_slice()).unwrap();
            if let Ok(expected) = serde_json::to_value(theirs) {
                prop_assert!(same(&got, &expected), "{name}\n bytes {bytes:02x?}\n ours   {got}\n theirs {expected}");
                compared.set(compared.get() + 1);
            }
            Ok(())
        })
    });
    result.unwrap();
    assert!(compared > 1000, "{compared}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Cut at any place, for any type: JSON that can be read, and no panic anywhere.
    #[test]
    fn bytes_that_do_not_fit_are_no_harm(choices in choices(), of in 0..TYPES.len(), cut in 0.0..1.0f64, flip: u64) {
        with_both(|schema, _| {
            let mut bytes = build(schema, schema.message(TYPES[of]).unwrap(), &mut choices.into_iter(), 0);
            bytes.truncate((bytes.len() as f64 * cut) as usize);
            if !bytes.is_empty() {
                let at = flip as usize % bytes.len();
                bytes[at] ^= (flip >> 56) as u8;
            }
            for name in TYPES {
                let message = schema.message(name).unwrap();
                let mut json = Vec::new();
                let findings = JsonPrinter::new().print(schema, message, &bytes, &mut json);
                serde_json::from_slice::<serde_json::Value>(&json).unwrap();
                json.clear();
                findings.unknown.write_json(&bytes, &mut json, &mut rpcshark_dissectors::json::keep);
                serde_json::from_slice::<serde_json::Value>(&json).unwrap();
                fits(schema, message, &bytes);
                tree::tree(schema, message, &bytes, tree::TreeOptions { limit: 100, hide_redacted: false });
            }
            let mut json = Vec::new();
            raw::write_json(&bytes, &mut json);
            serde_json::from_slice::<serde_json::Value>(&json).unwrap();
        });
    }
}

/// Equal as JSON values; numbers as the doubles that they stand for, to a few units in the last place of a `float`.
fn same(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    use serde_json::Value;
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || (a.as_f64().unwrap() as f32) == (b.as_f64().unwrap() as f32),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        // In a wrapper or a Value it prints these as null.
        (Value::String(a), Value::Null) => ["NaN", "Infinity", "-Infinity"].contains(&a.as_str()),
        (a, b) => a == b,
    }
}
