//! Descriptors that no compiler makes, and those that several make alike.

use super::names::MAX_WARNINGS;
use crate::schema::descriptor::{self, field_type, label};
use crate::schema::descriptor::{EnumValue, File, FileSet, MessageOptions};
use crate::schema::testing::descriptors;
use crate::schema::{Cardinality, Kind, Schema, WellKnown};
use prost::Message as _;

fn field(name: &str, number: i32, r#type: i32, type_name: Option<&str>) -> descriptor::Field {
    descriptor::Field {
        name: Some(name.into()),
        number: Some(number),
        label: Some(label::OPTIONAL),
        r#type: Some(r#type),
        type_name: type_name.map(Into::into),
        ..Default::default()
    }
}

fn message(name: &str, field: Vec<descriptor::Field>) -> descriptor::Message {
    descriptor::Message { name: Some(name.into()), field, ..Default::default() }
}

fn file(name: &str, message_type: Vec<descriptor::Message>) -> File {
    File { name: Some(name.into()), syntax: Some("proto3".into()), message_type, ..Default::default() }
}

/// The table of these files, and the texts of the diagnostics.
fn linked(files: Vec<File>) -> (Schema, Vec<String>) {
    let (schema, diagnostics) = Schema::from_descriptors(&FileSet { file: files }.encode_to_vec()).unwrap();
    (schema, diagnostics.iter().map(ToString::to_string).collect())
}

fn fields(schema: &Schema, name: &str) -> Vec<(u32, Cardinality)> {
    schema[schema.message(name).unwrap()].fields.iter().map(|f| (f.number, f.cardinality)).collect()
}

#[test]
fn what_no_compiler_makes_is_left_out_and_said() {
    let (schema, diagnostics) = linked(vec![file(
        "a.proto",
        vec![message(
            "M",
            vec![
                field("zero", 0, 9, None),
                field("large", 1 << 29, 9, None),
                field("", 2, 9, None),
                field("odd", 3, 99, None),
                field("gone", 4, field_type::MESSAGE, Some(".x.Gone")),
                field("first", 5, 9, None),
                field("second", 5, 5, None),
                field("enumeration", 6, field_type::ENUM, Some(".M")),
                field("long", 7, 9, Some(&"x".repeat(9))),
                field(&"n".repeat(600), 8, 9, None),
            ],
        )],
    )]);
    assert_eq!(fields(&schema, "M"), [(5, Cardinality::Implicit), (7, Cardinality::Implicit)]);
    assert_eq!(&*schema[schema.message("M").unwrap()].fields[0].name, "first");
    let at = "descriptor set: a.proto: warning:";
    let long = "n".repeat(40);
    assert_eq!(
        diagnostics,
        [
            format!("{at} `M.zero` has the number 0, which no field can have: it is left out"),
            format!("{at} `M.large` has the number 536870912, which no field can have: it is left out"),
            format!("{at} a field in `M` has no name: it is left out"),
            format!("{at} the full name of a field is longer than 512 bytes: `{long}…` is left out"),
            format!("{at} `M` has two fields of one number: the first is used"),
            format!("{at} a type has no name: the field `M.odd` is shown as unknown"),
            format!("{at} type `x.Gone` is not defined in any schema file: the field `M.gone` is shown as unknown"),
            format!("{at} type `M` is not defined in any schema file: the field `M.enumeration` is shown as unknown"),
        ]
    );
}

#[test]
fn a_map_is_one_only_if_its_entry_is() {
    let entry = |name: &str, fields| descriptor::Message {
        options: Some(MessageOptions { map_entry: Some(true), ..Default::default() }),
        ..message(name, fields)
    };
    let map = |name: &str, number, entry: &str| descriptor::Field {
        label: Some(label::REPEATED),
        ..field(name, number, field_type::MESSAGE, Some(entry))
    };
    let (schema, diagnostics) = linked(vec![file(
        "a.proto",
        vec![
            message("M", vec![map("good", 1, ".Good"), map("odd", 2, ".Odd"), map("half", 3, ".Half")]),
            entry("Good", vec![field("key", 1, 9, None), field("value", 2, 9, None)]),
            entry("Odd", vec![field("key", 1, 12, None), field("value", 2, 9, None)]),
            entry("Half", vec![field("key", 1, 9, None), field("value", 2, field_type::MESSAGE, Some(".Gone"))]),
        ],
    )]);
    assert_eq!(fields(&schema, "M"), [(1, Cardinality::Map), (2, Cardinality::Repeated)]);
    assert_eq!(diagnostics.len(), 1, "{diagnostics:?}");
}

#[test]
fn only_what_looks_like_a_well_known_type_is_one() {
    let named = |name: &str, fields| File {
        package: Some("google.protobuf".into()),
        ..file(name, vec![message(name, fields)])
    };
    let (schema, _) = linked(vec![
        named("Timestamp", vec![field("seconds", 1, 9, None), field("nanos", 2, 5, None)]),
        named("Empty", vec![field("x", 1, 9, None)]),
        named("Struct", vec![]),
    ]);
    let known = |name: &str| schema[schema.message(name).unwrap()].well_known;
    assert_eq!(known("google.protobuf.Timestamp"), None);
    assert_eq!(known("google.protobuf.Empty"), None);
    assert_eq!(known("google.protobuf.Struct"), None);
    assert_eq!(known("google.protobuf.Duration"), Some(WellKnown::Duration));
    let all = Schema::builtin();
    let known = |name: &str| all[all.message(&format!("google.protobuf.{name}")).unwrap()].well_known.is_some();
    for name in ["Any", "Timestamp", "Duration", "FieldMask", "Struct", "Value", "ListValue", "Empty"]
        .iter()
        .chain(&["DoubleValue", "FloatValue", "Int64Value", "UInt64Value", "Int32Value"])
        .chain(&["UInt32Value", "BoolValue", "StringValue", "BytesValue"])
    {
        assert!(known(name), "{name}");
    }
}

#[test]
fn editions_not_known_here_leave_their_file_out() {
    let edition = |number| File {
        syntax: Some("editions".into()),
        edition: Some(number),
        ..file("e.proto", vec![message("E", vec![])])
    };
    let (schema, diagnostics) = linked(vec![edition(9999), file("a.proto", vec![message("A", vec![])])]);
    assert!(schema.message("E").is_none() && schema.message("A").is_some());
    assert_eq!(
        diagnostics,
        ["descriptor set: e.proto: warning: edition 9999 is not known here: known are 2023 and 2024"]
    );
    assert!(linked(vec![edition(1001)]).1.is_empty());
}

#[test]
fn enums_keep_the_first_alias_and_their_default() {
    let values = [("B", 7), ("A", -1), ("A2", -1), ("C", 7)];
    let value = |&(name, number): &(&str, i32)| EnumValue { name: Some(name.into()), number: Some(number) };
    let (schema, _) = linked(vec![File {
        enum_type: vec![descriptor::Enum {
            name: Some("E".into()),
            value: values.iter().map(value).collect(),
            ..Default::default()
        }],
        syntax: None,
        ..file("a.proto", vec![])
    }]);
    let made = schema.enums.iter().find(|e| &*e.name == "E").unwrap();
    assert_eq!(made.values, [(-1, "A".into()), (7, "B".into())]);
    assert_eq!((made.default, made.closed), (7, true));
}

/// What a compiler with editions makes of `editions.proto`.
#[test]
fn editions_are_read_alike_from_text_and_from_a_compilers_set() {
    let text = include_str!("../testdata/editions.proto");
    let set = include_bytes!("../testdata/editions.binpb");
    let (from_text, diagnostics) = Schema::from_source(text);
    assert!(diagnostics.is_empty(), "{}", diagnostics[0]);
    let (from_set, diagnostics) = Schema::from_descriptors(set).unwrap();
    assert!(diagnostics.is_empty(), "{}", diagnostics[0]);
    let mut count = 0;
    for message in from_set.messages.iter().filter(|m| m.name.starts_with("ed.")) {
        let other = &from_text[from_text.message(&message.name).unwrap()];
        assert_eq!(message.fields.len(), other.fields.len());
        for (a, b) in message.fields.iter().zip(&other.fields) {
            let kind = |schema: &Schema, kind| match kind {
                Kind::Message(ix) => format!("message {}", schema[ix].name),
                Kind::Group(ix) => format!("group {}", schema[ix].name),
                Kind::Enum(ix) => format!("enum {} {}", schema[ix].name, schema[ix].closed),
                other => format!("{other:?}"),
            };
            assert_eq!(kind(&from_set, a.kind), kind(&from_text, b.kind), "{}", a.full_name);
            assert_eq!(
                (a.number, &a.json_name, a.cardinality, a.packed, a.oneof, a.utf8, a.redact),
                (b.number, &b.json_name, b.cardinality, b.packed, b.oneof, b.utf8, b.redact),
                "{}",
                a.full_name
            );
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
    let fields = &from_set[from_set.message("ed.Fields").unwrap()];
    let shape: Vec<_> = fields.fields.iter().take(10).map(|f| (f.cardinality, f.packed, f.utf8)).collect();
    let (implicit, explicit, repeated) = (Cardinality::Implicit, Cardinality::Explicit, Cardinality::Repeated);
    assert_eq!(
        shape,
        [
            (implicit, false, false),
            (explicit, false, false),
            (explicit, false, false),
            (explicit, false, false),
            (repeated, false, false),
            (repeated, true, false),
            (implicit, false, false),
            (implicit, false, true),
            (explicit, false, false),
            (explicit, false, false),
        ]
    );
    assert!(matches!(fields.fields[8].kind, Kind::Group(_)));
    assert!(matches!(fields.fields[9].kind, Kind::Message(_)));
}

#[test]
fn a_set_cut_anywhere_or_changed_anywhere_is_read_or_refused() {
    let whole = descriptors(
        "syntax = \"proto3\"; package p; message M { map<string, M> m = 1; oneof o { E e = 2; } optional M n = 3; }
         enum E { Z = 0; } service S { rpc R(stream M) returns (M); }",
    );
    for cut in 0..whole.len() {
        let _ = Schema::from_descriptors(&whole[..cut]);
        for flip in [0x01, 0x08, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[cut] ^= flip;
            let _ = Schema::from_descriptors(&changed);
        }
    }
}

#[test]
fn not_everything_is_said_about_a_file_full_of_mistakes() {
    let gone = |n: i32| field(&format!("f{n}"), n, field_type::MESSAGE, Some(&format!(".gone.G{n}")));
    let bad = |n: i32| field(&format!("b{n}"), -n, 9, None);
    let (_, diagnostics) = linked(vec![
        file("a.proto", vec![message("M", (1..1000).map(gone).collect())]),
        file("b.proto", vec![message("N", (1..1000).map(bad).collect())]),
    ]);
    assert_eq!(diagnostics.len(), 2 * MAX_WARNINGS);
    assert_eq!(diagnostics.iter().filter(|diagnostics| diagnostics.ends_with("which is not shown")).count(), 2);
}

#[test]
fn deep_and_cyclic_sets_are_bounded() {
    let mut deep = message("M", vec![]);
    for _ in 0..95 {
        deep = descriptor::Message { nested_type: vec![deep], ..message("M", vec![]) };
    }
    let (schema, _) = linked(vec![file("a.proto", vec![deep.clone()])]);
    assert!(schema.message("M.M.M").is_some());
    for _ in 0..50 {
        deep = descriptor::Message { nested_type: vec![deep], ..message("M", vec![]) };
    }
    assert!(Schema::from_descriptors(&FileSet { file: vec![file("a.proto", vec![deep])] }.encode_to_vec()).is_err());

    let cycle = |name: &str, other: &str| File {
        dependency: vec![other.into(), name.into()],
        public_dependency: vec![0, 1, 7, -1],
        ..file(name, vec![message(&name[..1], vec![field("f", 1, field_type::MESSAGE, Some("b"))])])
    };
    let (schema, diagnostics) = linked(vec![cycle("a.proto", "b.proto"), cycle("b.proto", "a.proto")]);
    assert_eq!(diagnostics, [""; 0]);
    assert_eq!(fields(&schema, "a").len(), 1);
}

proptest::proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let _ = Schema::from_descriptors(&bytes);
    }
}
