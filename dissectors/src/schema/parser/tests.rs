//! Files as other compilers read them, and every kind of mistake.

use super::file::parse;
use super::message::MAX_NESTING;
use crate::schema::testing::{descriptors, same_as_reflected};
use crate::schema::{Cardinality, Kind, Schema};

/// The schema of `text`, which has no diagnostics.
fn read(text: &str) -> Schema {
    let (schema, diagnostics) = Schema::from_source(text);
    assert!(diagnostics.is_empty(), "{}", diagnostics[0]);
    schema
}

/// `text` is read by this parser, and by another compiler whose descriptors are linked here: all three agree.
fn agrees(text: &str) {
    let set = descriptors(text);
    same_as_reflected(&read(text), &set);
    let (schema, diagnostics) = Schema::from_descriptors(&set).unwrap();
    assert!(diagnostics.is_empty(), "{}", diagnostics[0]);
    same_as_reflected(&schema, &set);
}

fn wrong(text: &str) -> String {
    parse("a.proto", text).expect_err("this text is wrong").to_string()
}

#[test]
fn proto3_as_another_compiler_reads_it() {
    agrees(
        r#"
        // A comment; "not a string".
        syntax = 'proto' "3";
        package acme.shop.v1;
        import public "google/protobuf/any.proto";
        import "google/protobuf/wrappers.proto";
        import "google/protobuf/descriptor.proto";
        option go_package = "example.com/x;y";
        option java_multiple_files = true;
        extend google.protobuf.FieldOptions { Note note = 50001; repeated string tag = 50002; }
        message Note { string text = 1; map<string, double> more = 2; }
        message All {
          option deprecated = true;
          reserved 100 to 110, 200, 300 to max; reserved "old", 'older';
          double a_double = 1; float a_float = 2; int32 an_int32 = 3; int64 an_int64 = 4;
          uint32 a_uint32 = 5; uint64 a_uint64 = 6; sint32 a_sint32 = 7; sint64 a_sint64 = 8;
          fixed32 a_fixed32 = 9; fixed64 a_fixed64 = 10; sfixed32 an_sfixed32 = 0xB; sfixed64 an_sfixed64 = 014;
          bool a_bool = 13; string a_string = 14; bytes some_bytes = 15;
          repeated int32 packed = 16; repeated int32 plain = 17 [packed = false]; repeated string words = 18;
          optional int32 maybe = 19; optional Inner maybe_inner = 20;
          map<int32, string> by_number = 21; map<bool, Inner> by_flag = 22; map<string, Colour> colour_of_thing = 23;
          oneof choice { string left = 24; Inner right = 25 [deprecated = true]; Colour neither = 26; }
          google.protobuf.Any any = 27; .google.protobuf.StringValue text = 28;
          string renamed = 29 [json_name = "other-Name", (note) = { text: "a # b" more { key: "x" value: 1.5f } # c
             }, (tag) = "1", (tag) = '2', jstype = JS_NORMAL];
          string _odd__name_ = 30; string Name2x = 31; repeated Colour colours = 32;
          message Inner { All outer = 1; Deep deep = 2; message Deep { Inner inner = 1; Colour colour = 2; } }
          enum Colour { option allow_alias = true; NONE = 0; RED = 1; ROUGE = 1 [deprecated = true]; MINUS = -5; }
          // Fields that are called as keywords are.
          string message = 40; string syntax = 41; string stream = 42; bool optional = 43; int32 map = 44; Inner rpc = 45;
        };
        message Empty {}
        service Shop {
          option deprecated = false;
          rpc Get(All) returns (All.Inner);
          rpc Put(stream All.Inner) returns (.acme.shop.v1.Empty) { option idempotency_level = IDEMPOTENT; };
          rpc Both(stream google.protobuf.Any) returns (stream Empty) {}
        }
        "#,
    );
}

#[test]
fn proto2_as_another_compiler_reads_it() {
    agrees(
        r#"
        package old;
        message Base {
          required string id = 1; optional int32 count = 2 [default = -7]; repeated int32 plain = 3;
          repeated int32 dense = 4 [packed = true, deprecated = true]; optional double limit = 5 [default = inf];
          repeated group Result = 6 { optional string url = 1; repeated group Part = 2 { optional bytes raw = 1; } }
          oneof which { string name = 7; group Thing = 8 { optional bool yes = 1; } }
          optional Kind kind = 9 [default = SECOND];
          map<string, Base> children = 10;
          enum Kind { SECOND = 2; FIRST = 1; }
          extensions 100 to 199, 1000 to max;
          message Nested { extend Base { optional Nested nested = 100; } }
        }
        extend Base { optional string extra = 101; repeated sint64 numbers = 102 [packed = true];
          repeated group More = 103 { optional int32 x = 1; } }
        message Set { option message_set_wire_format = true; extensions 4 to max; }
        "#,
    );
    let schema = read("message S { option message_set_wire_format = true; extensions 4 to max; }");
    assert!(schema[schema.message("S").unwrap()].message_set);
}

#[test]
fn names_are_resolved_from_the_innermost_scope_outwards() {
    agrees(
        r#"
        syntax = "proto3";
        package a.b.a;
        message X { Y y = 1; a.Y z = 2; .a.b.a.Y w = 3; X.Y v = 4; message Y { X x = 1; Y y = 2; b.a.Z z = 3; } }
        message Y {}
        message Z {}
        "#,
    );
}

#[test]
fn editions_set_what_syntax_did() {
    let schema = read(
        r#"
        edition = "2023";
        package e;
        option features.field_presence = IMPLICIT;
        option features = { repeated_field_encoding: EXPANDED, utf8_validation: NONE };
        message M {
          int32 implicit = 1;
          int32 explicit = 2 [features.field_presence = EXPLICIT, default = 5];
          int32 required = 3 [features.field_presence = LEGACY_REQUIRED];
          repeated int32 expanded = 4;
          repeated int32 packed = 5 [features.repeated_field_encoding = PACKED];
          string any_bytes = 6;
          string checked = 7 [features.utf8_validation = VERIFY];
          M plain = 8;
          M delimited = 9 [features.message_encoding = DELIMITED];
          map<string, M> children = 10 [features.utf8_validation = VERIFY];
          reserved gone, also_gone;
        }
        message Inherits {
          option features.message_encoding = DELIMITED;
          M group = 1; map<int32, M> no_group = 2; Open open = 3; Closed closed = 4;
          message In { option features.field_presence = EXPLICIT; bool b = 1; M group = 2; }
        }
        enum Open { ZERO = 0; }
        enum Closed { option features.enum_type = CLOSED; ONE = 1; }
        "#,
    );
    let m = &schema[schema.message("e.M").unwrap()];
    let explicit: Vec<bool> = m.fields.iter().map(|f| f.cardinality == Cardinality::Explicit).collect();
    assert_eq!(explicit, [false, true, true, false, false, false, false, true, true, false]);
    assert_eq!((m.fields[3].packed, m.fields[4].packed), (false, true));
    assert_eq!((m.fields[5].utf8, m.fields[6].utf8), (false, true));
    assert!(matches!(m.fields[7].kind, Kind::Message(_)) && matches!(m.fields[8].kind, Kind::Group(_)));
    let Kind::Message(entry) = m.fields[9].kind else { panic!() };
    assert!(schema[entry].fields[0].utf8, "the feature of a map field holds for its key");
    let inherits = &schema[schema.message("e.Inherits").unwrap()];
    assert!(matches!(inherits.fields[0].kind, Kind::Group(_)));
    let Kind::Message(entry) = inherits.fields[1].kind else { panic!("a map field is not a group") };
    assert!(matches!(schema[entry].fields[1].kind, Kind::Message(_)), "nor is its value");
    let inner = &schema[schema.message("e.Inherits.In").unwrap()];
    assert_eq!(inner.fields[0].cardinality, Cardinality::Explicit);
    assert!(matches!(inner.fields[1].kind, Kind::Group(_)));
    let closed = schema.enums.iter().filter(|e| e.name.starts_with("e.")).map(|e| e.closed).collect::<Vec<_>>();
    assert_eq!(closed, [false, true]);
}

#[test]
fn edition_2024_is_read_as_far_as_decoding_needs_it() {
    let schema = read(
        "edition = \"2024\"; import option \"not/there.proto\";
         export message A { local enum E { Z = 0; } E e = 1; A export = 2; message local {} local l = 3; }
         local enum F { Y = 0; }",
    );
    assert_eq!(schema[schema.message("A").unwrap()].fields.len(), 3);
}

#[test]
fn debug_redact_and_idempotency_are_taken_over() {
    let schema = read(
        "syntax = \"proto3\"; message A { string secret = 1 [debug_redact = true]; string open = 2; }
         service S { rpc R(A) returns (A) { option idempotency_level = NO_SIDE_EFFECTS; option (x.y).z = { a: 1 }; } }",
    );
    let fields = &schema[schema.message("A").unwrap()].fields;
    assert_eq!((fields[0].redact, fields[1].redact), (true, false));
    assert_eq!(schema.method("S", "R").unwrap().idempotency, 1);
}

#[test]
fn what_is_wrong_is_said_with_line_and_caret() {
    assert_eq!(
        wrong("syntax = \"proto3\";\nmessage A {\n  string name = 1\n}\n"),
        "a.proto:4:1: error: expected `;`, found `}`\n 4 | }\n   | ^"
    );
    assert_eq!(
        wrong("syntax = \"proto4\";"),
        "a.proto:1:10: error: syntax `proto4` is not known here\n 1 | syntax = \"proto4\";\n   |          ^^^^^^^^\n  \
         known are syntax proto2 and proto3, and editions 2023 and 2024"
    );
    assert_eq!(
        wrong("syntax = \"proto3\";\nmessage A { map<Foo, string> m = 1; }"),
        "a.proto:2:17: error: `Foo` cannot be a key: keys are integers, bool or string\n \
         2 | message A { map<Foo, string> m = 1; }\n   |                 ^^^"
    );
}

#[test]
fn every_kind_of_mistake_has_its_message() {
    let p3 = |rest: &str| format!("syntax = \"proto3\"; {rest}");
    let e = |rest: &str| format!("edition = \"2023\"; {rest}");
    for (text, expected) in [
        (
            p3("messag A {}"),
            "expected `message`, `enum`, `service`, `extend`, `import`, `package` or `option`, found `messag`",
        ),
        (p3("message {}"), "expected the message's name, found `{`"),
        (p3("message A {"), "expected a field or `}`, found the end of the file"),
        (p3("message A { string = 1; }"), "expected the field's name, found `=`"),
        (p3("message A { string a = 0; }"), "a field's number is between 1 and 536870911"),
        (p3("message A { string a = 536870912; }"), "a field's number is between 1 and 536870911"),
        (p3("message A { string a = -1; }"), "expected the field's number, found `-`"),
        (p3("message A { string a = 1 [x]; }"), "expected `=`, found `]`"),
        (p3("message A { string a = 1 [x = ]; }"), "expected the option's value, found `]`"),
        (p3("message A { string a = 1 [x = 1; }"), "expected `,` or `]`, found `;`"),
        (p3("message A { string a = 1 [(x) = { y: 1 ]; }"), "the brackets in this value do not match"),
        (p3("option (x) = { y: 1;"), "this `{` is not closed"),
        (p3("message A { required string a = 1; }"), "proto3 has no `required`"),
        (p3("message A { oneof a { repeated string b = 1; } }"), "a field in a oneof has no label"),
        (
            p3("message A { repeated map<string, string> b = 1; }"),
            "a map field stands alone in a message: no label, not in a oneof, no extension",
        ),
        (
            p3("message A { repeated group B = 1 {} }"),
            "groups are proto2 only; in editions `features.message_encoding = DELIMITED`",
        ),
        (p3("option features.enum_type = OPEN;"), "features need `edition = \"2023\";`"),
        (p3("enum A { B = 2147483648; }"), "the number of an enum's value is between -2147483648 and 2147483647"),
        (p3("enum A { B; }"), "expected `=`, found `;`"),
        (p3("service A { rpc B(string) returns (C); }"), "`string` is not a message type"),
        (p3("service A { rpc B(C) return (C); }"), "expected `returns`, found `return`"),
        (p3("service A { int32 b = 1; }"), "expected `rpc`, `option` or `}`, found `int32`"),
        (
            p3("import \"../a.proto\";"),
            "an import is a path below an import root: without `..`, `.`, `\\` and empty parts",
        ),
        (p3("import a.proto;"), "expected a string, found `a`"),
        (p3("package a; package b;"), "a file has one `package` only"),
        (p3("syntax = \"proto3\";"), "this must be the first statement of the file"),
        (p3("message A { string a = 1 [json_name = \"b]; }"), "this string does not end on its line"),
        (p3("/* message"), "this comment does not end"),
        ("message A { string a = 1; }".into(), "expected `optional`, `required` or `repeated`"),
        ("message A { optional group a = 1 {} }".into(), "a group's name begins with a capital letter"),
        ("edition = \"1999\";".into(), "edition `1999` is not known here"),
        ("export message A {}".into(), "`export` and `local` came with edition 2024"),
        (
            e("message A { optional string a = 1; }"),
            "editions have no `optional`: a field has presence unless a feature takes it",
        ),
        (e("option features.enum_type = AJAR;"), "`AJAR` is not a value of the feature `enum_type`"),
    ] {
        let diagnostics = parse("a.proto", &text).expect_err(&text);
        assert_eq!(diagnostics.message, expected, "{text}");
        assert!(diagnostics.spot.is_some(), "{text}");
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "message A {".repeat(depth), "}".repeat(depth));
    assert!(parse("a.proto", &nested(MAX_NESTING)).is_ok());
    assert_eq!(parse("a.proto", &nested(100_000)).unwrap_err().message, "messages are nested deeper than 31 levels");
    let aggregate = format!("option (a) = {}1{};", "{ b ".repeat(100_000), "}".repeat(100_000));
    assert!(parse("a.proto", &aggregate).is_ok());
}

#[test]
fn any_text_gives_a_file_or_a_message() {
    let whole = "edition = \"2023\"; import \"a/b.proto\"; package p; option features.enum_type = CLOSED;\n\
        message M { map<string, M> m = 1; oneof o { M a = 2 [json_name = 'x\\n']; } enum E { A = -1; } extensions 4 to max; }\n\
        extend M { repeated .p.M e = 5 [(o).p = { q: [1, 2] }]; } service S { rpc R(stream M) returns (M) {} } // \u{e9}";
    assert!(parse("a.proto", whole).is_ok());
    for cut in 0..whole.len() {
        for rest in [whole.get(..cut), whole.get(cut..)].into_iter().flatten() {
            if let Err(diagnostics) = parse("a.proto", rest) {
                assert!(diagnostics.spot.is_some() && !diagnostics.to_string().is_empty());
            }
            Schema::from_source(rest);
        }
        if let (Some(head), Some(tail)) = (whole.get(..cut), whole.get(cut + 1..)) {
            Schema::from_source(&format!("{head}{tail}"));
        }
    }
}

proptest::proptest! {
    #[test]
    fn random_tokens_never_panic(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..60)) {
        Schema::from_source(&words.join(" "));
    }

    #[test]
    fn random_text_never_panics(text in "\\PC{0,200}") {
        Schema::from_source(&text);
    }
}

const WORDS: &[&str] = &[
    "syntax = \"proto3\";",
    "edition = \"2023\";",
    "message",
    "enum",
    "service",
    "rpc",
    "returns",
    "stream",
    "extend",
    "oneof",
    "map<",
    "int32",
    "string",
    "optional",
    "repeated",
    "group",
    "A",
    "B",
    "a",
    ".",
    ",",
    ";",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "<",
    ">",
    "=",
    "1",
    "2",
    "-",
    "0x",
    "\"x\"",
    "'",
    "option",
    "features",
    "import \"a\";",
    "package",
    "reserved",
    "extensions",
    "to",
    "max",
    "//",
    "/*",
    "*/",
    "\n",
    "#",
];
