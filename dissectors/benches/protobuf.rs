//! What it costs to look at a message: walking it, printing it as JSON, guessing at it, and the same by prost-reflect.
//!
//! The message is a nested order of 214 bytes, whose JSON has about 500.

#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::ops::ControlFlow;

use divan::Bencher;
use divan::counter::BytesCount;
use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use rpcshark_dissectors::protobuf::{JsonPrinter, fits, raw, tree, walk};
use rpcshark_dissectors::schema::{MessageIx, Schema};

const SCHEMA: &str = r#"
    syntax = "proto3";
    package bench;
    enum Status { UNSPECIFIED = 0; OPEN = 1; SHIPPED = 2; }
    message Money { string currency = 1; int64 units = 2; int32 nanos = 3; }
    message Item { string sku = 1; uint32 quantity = 2; Money price = 3; double weight = 4; repeated int32 shelves = 5; bool gift = 6; }
    message Address { string street = 1; string city = 2; string country = 3; fixed64 place = 4; }
    message Order {
      string order_id = 1; int64 customer_number = 2; Status status = 3; repeated Item items = 4; Address ship_to = 5;
      map<string, string> labels = 6; bytes signature = 7; sint64 created_at_micros = 8; float discount = 9;
      Money total = 10; repeated string notes = 11;
    }
"#;

const ORDER: &str = r#"{
    "orderId": "order-000042", "customerNumber": "9876543210", "status": "SHIPPED",
    "items": [
        {"sku": "sku-1000", "quantity": 3, "price": {"currency": "EUR", "units": "19", "nanos": 990000000}, "weight": 1.25, "shelves": [4, 7, 300]},
        {"sku": "sku-2000", "quantity": 1, "price": {"currency": "EUR", "units": "5"}, "gift": true}
    ],
    "shipTo": {"street": "Long Street 5", "city": "Zurich", "country": "CH", "place": "123456789"},
    "labels": {"tenant": "t1", "zone": "eu"}, "signature": "AAECAwQFBgcICQ==", "createdAtMicros": "1700000000123456",
    "discount": 0.15, "total": {"currency": "EUR", "units": "64", "nanos": 970000000}, "notes": ["ring twice"]
}"#;

struct Sample {
    schema: Schema,
    message: MessageIx,
    descriptor: MessageDescriptor,
    bytes: Vec<u8>,
}

fn sample() -> Sample {
    let dir = std::env::temp_dir().join(format!("rpcshark-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("bench.proto");
    std::fs::write(&file, SCHEMA).unwrap();
    let set = protox::compile([&file], [&dir]).unwrap().encode_to_vec();
    std::fs::remove_dir_all(&dir).unwrap();
    let pool = DescriptorPool::decode(set.as_slice()).unwrap();
    let descriptor = pool.get_message_by_name("bench.Order").unwrap();
    let mut json = serde_json::Deserializer::from_str(ORDER);
    let bytes = DynamicMessage::deserialize(descriptor.clone(), &mut json).unwrap().encode_to_vec();
    let (schema, _) = Schema::from_descriptors(&set).unwrap();
    let message = schema.message("bench.Order").unwrap();
    Sample { schema, message, descriptor, bytes }
}

#[divan::bench(sample_size = 500)]
fn walk_every_field(bencher: Bencher<'_, '_>) {
    let sample = sample();
    bencher.counter(BytesCount::of_slice(&sample.bytes)).bench(|| {
        let mut sum = 0;
        let _ = walk(&sample.schema, sample.message, black_box(&sample.bytes), |step| {
            sum += step.wire.as_ref().map_or(0, |field| field.value_at);
            ControlFlow::Continue(())
        });
        sum
    });
}

#[divan::bench(sample_size = 500)]
fn json(bencher: Bencher<'_, '_>) {
    let sample = sample();
    let mut printer = JsonPrinter::new();
    let mut out = Vec::new();
    bencher.counter(BytesCount::of_slice(&sample.bytes)).bench_local(|| {
        out.clear();
        printer.print(&sample.schema, sample.message, black_box(&sample.bytes), &mut out);
        out.len()
    });
    let json = serde_json::from_slice::<serde_json::Value>(&out).unwrap();
    assert_eq!(json, serde_json::from_str::<serde_json::Value>(ORDER).unwrap());
}

#[divan::bench(sample_size = 500)]
fn raw_guess(bencher: Bencher<'_, '_>) {
    let sample = sample();
    let mut out = Vec::new();
    bencher.counter(BytesCount::of_slice(&sample.bytes)).bench_local(|| {
        out.clear();
        raw::write_json(black_box(&sample.bytes), &mut out);
        out.len()
    });
}

#[divan::bench(sample_size = 500)]
fn fits_type(bencher: Bencher<'_, '_>) {
    let sample = sample();
    bencher
        .counter(BytesCount::of_slice(&sample.bytes))
        .bench(|| fits(&sample.schema, sample.message, black_box(&sample.bytes)));
}

#[divan::bench(sample_size = 500)]
fn tree_of_all(bencher: Bencher<'_, '_>) {
    let options = tree::TreeOptions { limit: 1000, hide_redacted: true };
    let sample = sample();
    bencher
        .counter(BytesCount::of_slice(&sample.bytes))
        .bench(|| tree::tree(&sample.schema, sample.message, black_box(&sample.bytes), options));
}

#[divan::bench(sample_size = 500)]
fn prost_reflect_decode(bencher: Bencher<'_, '_>) {
    let sample = sample();
    bencher
        .counter(BytesCount::of_slice(&sample.bytes))
        .bench(|| DynamicMessage::decode(sample.descriptor.clone(), black_box(sample.bytes.as_slice())).unwrap());
}

#[divan::bench(sample_size = 500)]
fn prost_reflect_decode_and_json(bencher: Bencher<'_, '_>) {
    let sample = sample();
    let mut out = Vec::new();
    bencher.counter(BytesCount::of_slice(&sample.bytes)).bench_local(|| {
        out.clear();
        let bytes = black_box(sample.bytes.as_slice());
        let message = DynamicMessage::decode(sample.descriptor.clone(), bytes).unwrap();
        serde_json::to_writer(&mut out, &message).unwrap();
        out.len()
    });
}

fn main() {
    let sample = sample();
    println!("{} bytes, {} bytes of JSON", sample.bytes.len(), {
        let mut out = Vec::new();
        JsonPrinter::new().print(&sample.schema, sample.message, &sample.bytes, &mut out);
        out.len()
    });
    divan::main();
}
