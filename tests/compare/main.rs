//! Messages that are made at random, compared by us and by protobuf's own MessageDifferencer in C++.
//!
//! Runs where a C++ compiler and libprotobuf are installed.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rpcshark_dissectors::compare::{Comparer, Rules};
use rpcshark_dissectors::schema::{Cardinality, Kind, MessageIx, Schema, WellKnown};
use rpcshark_dissectors::view::Permit;

use support::environment;
use support::random::Random;
use support::skip::skip;

/// Pairs of messages that are compared in each mode.
const PAIRS: usize = 3000;

/// The modes of the oracle, and the same as rules.
const MODES: [&str; 4] = ["equal", "equivalent", "set", "approximate"];

/// Numbers of fields that no type has.
const UNKNOWN: [u64; 2] = [100, 101];

fn rules(mode: &str) -> Rules {
    let mut rules = Rules::default();
    match mode {
        "equivalent" => {
            rules.set_equivalent(true);
            // There, and only there, the library skips all unknown fields. We do not: they may be what changed.
            UNKNOWN.iter().for_each(|number| rules.ignore(&format!("**.{number}")).unwrap());
        }
        "set" => rules.unordered("**").unwrap(),
        "approximate" => rules.float("1%,0.5").unwrap(),
        _ => {}
    }
    rules
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compare")
}

fn descriptors() -> Vec<u8> {
    let mut compiler = protox::Compiler::new([here()]).unwrap();
    compiler.include_imports(true);
    compiler.open_file(here().join("all.proto")).unwrap();
    compiler.encode_file_descriptor_set()
}

/// The oracle, compiled into `directory`; none where that cannot be done here.
fn oracle(directory: &Path) -> Option<PathBuf> {
    let program = directory.join("oracle");
    let built = Command::new("g++")
        .args(["-std=c++17", "-O0", "-o"])
        .arg(&program)
        .arg(here().join("oracle.cc"))
        .args(["-lprotobuf", "-lpthread"])
        .output();
    match built {
        Ok(built) if built.status.success() => Some(program),
        Ok(built) => {
            let said = String::from_utf8_lossy(&built.stderr);
            let missing = said.contains("google/protobuf") || said.contains("-lprotobuf");
            assert!(missing, "the oracle does not compile: {said}");
            skip(format_args!("libprotobuf-dev is not installed"));
            None
        }
        Err(_) => {
            skip(format_args!("g++ is not installed"));
            None
        }
    }
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A message: fields of its type in any order, some twice, some numbers packed, and unknown fields. Few values, so that equal
/// messages occur.
fn build(schema: &Schema, ix: MessageIx, random: &mut Random, depth: u32) -> Vec<u8> {
    let message = &schema[ix];
    let mut out = Vec::new();
    if message.well_known == Some(WellKnown::Any) {
        let content = build(schema, schema.message("all.Inner").unwrap(), random, depth + 1);
        out.extend([10, 11]);
        out.extend(b"x/all.Inner");
        out.push(18);
        varint(content.len() as u64, &mut out);
        out.extend(content);
        return out;
    }
    for _ in 0..if depth > 3 { 0 } else { random.below(4) } {
        if random.below(12) == 0 {
            // A field that the type does not have.
            varint(UNKNOWN[random.below(UNKNOWN.len())] << 3, &mut out);
            varint(random.below(2) as u64, &mut out);
            continue;
        }
        let field = &message.fields[random.below(message.fields.len())];
        let number = [0, 1, 2, u64::MAX, 1 << 33][random.below(5)];
        let floats = [0.0, 1.0, 1.005, 1.4, 100.0, 101.0, 102.0, f64::NAN, f64::INFINITY, -1.0];
        let float = floats[random.below(floats.len())];
        let content = match field.kind {
            Kind::Message(inner) | Kind::Group(inner) => build(schema, inner, random, depth + 1),
            Kind::String | Kind::Bytes => b"ab"[..random.below(3)].to_vec(),
            Kind::Double => float.to_le_bytes().to_vec(),
            Kind::Float => (float as f32).to_le_bytes().to_vec(),
            Kind::Fixed64 | Kind::Sfixed64 => number.to_le_bytes().to_vec(),
            Kind::Fixed32 | Kind::Sfixed32 => (number as u32).to_le_bytes().to_vec(),
            Kind::Enum(_) => vec![random.below(3) as u8],
            _ => {
                let mut content = Vec::new();
                varint(number, &mut content);
                content
            }
        };
        let packed = field.cardinality == Cardinality::Repeated && random.below(2) == 0;
        let wire = match field.kind {
            Kind::Message(_) | Kind::String | Kind::Bytes => 2,
            _ if packed => 2,
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => 1,
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => 5,
            _ => 0,
        };
        varint(u64::from(field.number << 3 | wire), &mut out);
        if wire == 2 {
            varint(content.len() as u64, &mut out);
        }
        out.extend(content);
    }
    out
}

/// A message and another one that is often equal to it: the same fields in another order, one changed, added or removed.
fn pair(schema: &Schema, ix: MessageIx, random: &mut Random) -> [Vec<u8>; 2] {
    let mut pieces: Vec<Vec<u8>> = (0..random.below(6)).map(|_| build(schema, ix, random, 0)).collect();
    let first = pieces.concat();
    match random.below(4) {
        0 => {}
        1 if pieces.len() > 1 => pieces.swap(0, 1),
        2 if !pieces.is_empty() => {
            let at = random.below(pieces.len());
            pieces[at] = build(schema, ix, random, 0);
        }
        _ => pieces.push(build(schema, ix, random, 0)),
    }
    [first, pieces.concat()]
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".to_owned();
    }
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
fn messages_are_equal_where_message_differencer_finds_them_equal() {
    let directory = environment::temporary();
    let Some(oracle) = oracle(directory.path()) else { return };
    let set = descriptors();
    std::fs::write(directory.path().join("all.bin"), &set).unwrap();
    let (schema, said) = Schema::from_descriptors(&set).unwrap();
    assert!(said.is_empty(), "{said:?}");
    let ix = schema.message("all.All").unwrap();
    let mut random = Random::new(7);
    let pairs: Vec<[Vec<u8>; 2]> = (0..PAIRS).map(|_| pair(&schema, ix, &mut random)).collect();
    let mut input = String::new();
    for mode in MODES {
        for [a, b] in &pairs {
            writeln!(input, "{mode} all.All {} {}", hex(a), hex(b)).unwrap();
        }
    }
    let mut child = Command::new(oracle)
        .arg(directory.path().join("all.bin"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input.as_bytes()).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success());
    let output = String::from_utf8(output.stdout).unwrap();
    let mut verdicts = output.lines();
    let mut wrong = Vec::new();
    let mut equal = 0;
    for mode in MODES {
        let rules = rules(mode);
        let comparer = Comparer::new(&rules, Permit::to_compare());
        for [a, b] in &pairs {
            let expected = verdicts.next().unwrap();
            let found = comparer.compare_messages(&schema, ix, a, b, false);
            let got = if found.count() == 0 { "equal" } else { "differ" };
            equal += usize::from(got == "equal");
            assert_ne!(expected, "?", "the oracle reads it: {} {}", hex(a), hex(b));
            if got != expected {
                wrong.push(format!("{mode}: {expected}: {} {}: {:?}", hex(a), hex(b), found.differences.first()));
            }
        }
    }
    assert!(equal > MODES.len() * PAIRS / 10 && equal < MODES.len() * PAIRS * 9 / 10, "{equal}");
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        MODES.len() * PAIRS,
        wrong[..wrong.len().min(10)].join("\n")
    );
}
