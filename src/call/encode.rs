//! Protobuf messages from JSON (<https://protobuf.dev/programming-guides/json/>), by a schema.

use std::fmt::Write as _;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rpcshark_dissectors::schema::{Cardinality, Field, Kind, Message, MessageIx, Schema, WellKnown};
use serde_json::{Map, Value};

/// Why JSON is not a message of a type: where, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{cause}", if path.is_empty() { String::new() } else { format!("{path}: ") })]
pub(crate) struct EncodeError {
    path: String,
    cause: String,
}

/// How deep messages may be nested, as in Google's implementations.
const MAX_DEPTH: u32 = 100;

/// Base64 of either alphabet, with padding or without, as Google's parsers accept it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The bytes of `value`, a message of type `ix`.
///
/// # Errors
///
/// If the type has no such field, or a value does not fit its field.
pub(crate) fn encode(schema: &Schema, ix: MessageIx, value: &Value) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    let mut job = Job { schema, path: Vec::new() };
    match job.message(&schema[ix], value, &mut out, 0) {
        Ok(()) => Ok(out),
        Err(cause) => Err(EncodeError { path: job.path.concat().trim_start_matches('.').to_owned(), cause }),
    }
}

struct Job<'s> {
    schema: &'s Schema,
    /// Where we are: `.items`, `[2]`, … It stays where an error is.
    path: Vec<String>,
}

type Done = Result<(), String>;

impl<'s> Job<'s> {
    fn message(&mut self, message: &'s Message, value: &Value, out: &mut Vec<u8>, depth: u32) -> Done {
        if depth > MAX_DEPTH {
            return Err(format!("messages are nested more than {MAX_DEPTH} deep"));
        }
        match message.well_known {
            None | Some(WellKnown::Empty) => self.members(message, object(value, &message.name)?, out, depth),
            Some(WellKnown::Any) => self.any(object(value, &message.name)?, out, depth),
            Some(WellKnown::Timestamp) => {
                let text = string(value)?;
                let time: jiff::Timestamp = text.parse().map_err(|_| format!("{text} is not a time (RFC 3339)"))?;
                let nanos = time.as_nanosecond();
                write_time(nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000), out);
                Ok(())
            }
            Some(WellKnown::Duration) => {
                let text = string(value)?;
                let nanos = duration(text).ok_or_else(|| format!("{text} is not a duration (1.5s)"))?;
                write_time(nanos / 1_000_000_000, nanos % 1_000_000_000, out);
                Ok(())
            }
            Some(WellKnown::FieldMask) => {
                for path in string(value)?.split(',').filter(|path| !path.is_empty()) {
                    write_bytes(1, snake_case(path).as_bytes(), out);
                }
                Ok(())
            }
            Some(WellKnown::Wrapper) => match message.field(1) {
                Some(field) => self.value(field, value, out, depth),
                None => Ok(()),
            },
            Some(WellKnown::Struct) => {
                let entries: Map<String, Value> =
                    [("fields".to_owned(), Value::Object(object(value, &message.name)?.clone()))].into_iter().collect();
                self.members(message, &entries, out, depth)
            }
            Some(WellKnown::ListValue) => {
                let values = value.as_array().ok_or("an array is expected")?;
                let values: Map<String, Value> =
                    [("values".to_owned(), Value::Array(values.clone()))].into_iter().collect();
                self.members(message, &values, out, depth)
            }
            Some(WellKnown::Value) => {
                // google.protobuf.Value: null_value = 1, number_value = 2, string_value = 3, bool_value = 4, struct_value = 5,
                // list_value = 6.
                let number = match value {
                    Value::Null => {
                        write_varint(1 << 3, out);
                        write_varint(0, out);
                        return Ok(());
                    }
                    Value::Number(_) => 2,
                    Value::String(_) => 3,
                    Value::Bool(_) => 4,
                    Value::Object(_) => 5,
                    Value::Array(_) => 6,
                };
                match message.field(number) {
                    Some(field) => self.value(field, value, out, depth),
                    None => Ok(()),
                }
            }
        }
    }

    fn members(&mut self, message: &'s Message, members: &Map<String, Value>, out: &mut Vec<u8>, depth: u32) -> Done {
        let mut oneofs: Vec<(u32, &str)> = Vec::new();
        for (name, value) in members {
            let field = message.fields.iter().find(|field| *field.json_name == **name || *field.name == **name);
            let Some(field) = field else {
                let mut cause = format!("{} has no field {name}", message.name);
                let names: Vec<&str> = message.fields.iter().map(|field| &*field.name).collect();
                if !names.is_empty() && names.len() <= 20 {
                    let _ = write!(cause, "; it has {}", names.join(", "));
                }
                return Err(cause);
            };
            self.path.push(format!(".{name}"));
            // null stands for no value, but for those types that have one.
            let is_none = value.is_null() && !takes_null(self.schema, field.kind);
            if !is_none {
                if let Some(oneof) = field.oneof {
                    if let Some((_, other)) = oneofs.iter().find(|(set, _)| *set == oneof) {
                        return Err(format!("only one of {other} and {name} can be set"));
                    }
                    oneofs.push((oneof, name));
                }
                self.field(field, value, out, depth)?;
            }
            self.path.pop();
        }
        Ok(())
    }

    fn field(&mut self, field: &'s Field, value: &Value, out: &mut Vec<u8>, depth: u32) -> Done {
        match field.cardinality {
            Cardinality::Implicit | Cardinality::Explicit => self.value(field, value, out, depth),
            Cardinality::Repeated => {
                for (at, element) in value.as_array().ok_or("an array is expected")?.iter().enumerate() {
                    self.path.push(format!("[{at}]"));
                    if element.is_null() && !takes_null(self.schema, field.kind) {
                        return Err("null is not a value of a list".to_owned());
                    }
                    self.value(field, element, out, depth)?;
                    self.path.pop();
                }
                Ok(())
            }
            Cardinality::Map => {
                let Kind::Message(entry) = field.kind else { return Ok(()) };
                let entry = &self.schema[entry];
                let (Some(key_field), Some(value_field)) = (entry.field(1), entry.field(2)) else { return Ok(()) };
                for (key, value) in object(value, "a map")? {
                    self.path.push(format!("[\"{key}\"]"));
                    let mut bytes = Vec::new();
                    let key = match key_field.kind {
                        Kind::Bool => match key.as_str() {
                            "true" => Value::Bool(true),
                            "false" => Value::Bool(false),
                            _ => return Err(format!("{key} is not a key of this map")),
                        },
                        _ => Value::String(key.clone()),
                    };
                    self.value(key_field, &key, &mut bytes, depth)?;
                    self.value(value_field, value, &mut bytes, depth)?;
                    write_bytes(field.number, &bytes, out);
                    self.path.pop();
                }
                Ok(())
            }
        }
    }

    /// Tag and value of one value of a field.
    fn value(&mut self, field: &'s Field, value: &Value, out: &mut Vec<u8>, depth: u32) -> Done {
        let number = field.number;
        let varint = |bits: u64, out: &mut Vec<u8>| {
            write_varint(u64::from(number) << 3, out);
            write_varint(bits, out);
        };
        match field.kind {
            Kind::Message(ix) => {
                let mut bytes = Vec::new();
                self.message(&self.schema[ix], value, &mut bytes, depth + 1)?;
                write_bytes(number, &bytes, out);
            }
            Kind::Group(ix) => {
                write_varint(u64::from(number) << 3 | 3, out);
                self.message(&self.schema[ix], value, out, depth + 1)?;
                write_varint(u64::from(number) << 3 | 4, out);
            }
            Kind::String => write_bytes(number, string(value)?.as_bytes(), out),
            Kind::Bytes => {
                let text: String = string(value)?
                    .chars()
                    .map(|c| match c {
                        '-' => '+',
                        '_' => '/',
                        c => c,
                    })
                    .collect();
                let bytes = BASE64.decode(text).map_err(|_| "bytes are written in base64".to_owned())?;
                write_bytes(number, &bytes, out);
            }
            Kind::Bool => varint(u64::from(value.as_bool().ok_or("true or false is expected")?), out),
            Kind::Double => {
                write_varint(u64::from(number) << 3 | 1, out);
                out.extend(float(value)?.to_le_bytes());
            }
            Kind::Float => {
                let wide = float(value)?;
                if wide.is_finite() && wide.abs() > f64::from(f32::MAX) {
                    return Err(format!("{value} does not fit a float"));
                }
                write_varint(u64::from(number) << 3 | 5, out);
                out.extend((wide as f32).to_le_bytes());
            }
            Kind::Enum(ix) => {
                let declared = &self.schema[ix];
                let named = value.as_str().map(|name| {
                    let found = declared.values.iter().find(|(_, known)| **known == *name);
                    found.map(|&(number, _)| number).ok_or_else(|| {
                        let names: Vec<&str> = declared.values.iter().take(20).map(|(_, name)| &**name).collect();
                        format!("{} has no value {name}; it has {}", declared.name, names.join(", "))
                    })
                });
                let bits = match (named, value) {
                    (Some(number), _) => number?,
                    (None, Value::Null) => 0,
                    (None, _) => integer(value, i128::from(i32::MIN), i128::from(i32::MAX))? as i32,
                };
                varint(i64::from(bits) as u64, out);
            }
            Kind::Int32 => varint(integer(value, i32::MIN.into(), i32::MAX.into())? as i64 as u64, out),
            Kind::Int64 => varint(integer(value, i64::MIN.into(), i64::MAX.into())? as i64 as u64, out),
            Kind::Uint32 => varint(integer(value, 0, u32::MAX.into())? as u64, out),
            Kind::Uint64 => varint(integer(value, 0, u64::MAX.into())? as u64, out),
            Kind::Sint32 | Kind::Sint64 => {
                let (least, most) = match field.kind {
                    Kind::Sint32 => (i32::MIN.into(), i32::MAX.into()),
                    _ => (i64::MIN.into(), i64::MAX.into()),
                };
                let number = integer(value, least, most)? as i64;
                varint((number << 1 ^ number >> 63) as u64, out);
            }
            Kind::Fixed32 | Kind::Sfixed32 => {
                let bits = match field.kind {
                    Kind::Fixed32 => integer(value, 0, u32::MAX.into())? as u32,
                    _ => integer(value, i32::MIN.into(), i32::MAX.into())? as i32 as u32,
                };
                write_varint(u64::from(number) << 3 | 5, out);
                out.extend(bits.to_le_bytes());
            }
            Kind::Fixed64 | Kind::Sfixed64 => {
                let bits = match field.kind {
                    Kind::Fixed64 => integer(value, 0, u64::MAX.into())? as u64,
                    _ => integer(value, i64::MIN.into(), i64::MAX.into())? as i64 as u64,
                };
                write_varint(u64::from(number) << 3 | 1, out);
                out.extend(bits.to_le_bytes());
            }
        }
        Ok(())
    }

    fn any(&mut self, members: &Map<String, Value>, out: &mut Vec<u8>, depth: u32) -> Done {
        if members.is_empty() {
            return Ok(());
        }
        let url = members.get("@type").and_then(Value::as_str).ok_or("an Any needs its type in @type")?;
        let name = url.rsplit('/').next().unwrap_or(url);
        let ix = self.schema.message(name).ok_or_else(|| format!("the schema has no message {name}"))?;
        let message = &self.schema[ix];
        let mut bytes = Vec::new();
        match message.well_known {
            None | Some(WellKnown::Empty) => {
                let rest: Map<String, Value> =
                    members.iter().filter(|(name, _)| *name != "@type").map(|(n, v)| (n.clone(), v.clone())).collect();
                self.members(message, &rest, &mut bytes, depth + 1)?;
            }
            // Types with a form of their own are in `value`.
            Some(_) => {
                let value = members.get("value").ok_or_else(|| format!("an Any of {name} has its value in value"))?;
                self.message(message, value, &mut bytes, depth + 1)?;
            }
        }
        write_bytes(1, url.as_bytes(), out);
        write_bytes(2, &bytes, out);
        Ok(())
    }
}

/// Whether null is a value of this type.
fn takes_null(schema: &Schema, kind: Kind) -> bool {
    match kind {
        Kind::Message(ix) => schema[ix].well_known == Some(WellKnown::Value),
        Kind::Enum(ix) => &*schema[ix].name == "google.protobuf.NullValue",
        _ => false,
    }
}

fn object<'v>(value: &'v Value, what: &str) -> Result<&'v Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("an object is expected for {what}"))
}

fn string(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "a string is expected".to_owned())
}

/// A whole number, as a number or a string.
fn integer(value: &Value, least: i128, most: i128) -> Result<i128, String> {
    let number = match value {
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), ..) => Some(i128::from(number)),
            (_, Some(number), _) => Some(i128::from(number)),
            // 1e3 is a whole number, too.
            (.., Some(number)) if number.fract() == 0.0 && number.abs() < 1e18 => Some(number as i128),
            _ => None,
        },
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if (least..=most).contains(&number) => Ok(number),
        Some(number) => Err(format!("{number} does not fit: the type goes from {least} to {most}")),
        None => Err("a whole number is expected".to_owned()),
    }
}

fn float(value: &Value) -> Result<f64, String> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        },
        _ => None,
    }
    .ok_or_else(|| "a number is expected".to_owned())
}

/// A duration in seconds with up to nine decimals: `-1.5s`.
fn duration(text: &str) -> Option<i128> {
    let number = text.strip_suffix('s')?;
    let (sign, number) = number.strip_prefix('-').map_or((1, number), |number| (-1, number));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 12 || fraction.len() > 9 || !digits(whole) || !digits(fraction) {
        return None;
    }
    let nanos: i128 = format!("{fraction:0<9}").parse().ok()?;
    Some(sign * (whole.parse::<i128>().ok()? * 1_000_000_000 + nanos))
}

fn write_time(seconds: i128, nanos: i128, out: &mut Vec<u8>) {
    for (number, part) in [(1_u64, seconds), (2, nanos)] {
        if part != 0 {
            write_varint(number << 3, out);
            write_varint(part as i64 as u64, out);
        }
    }
}

/// A path of a FieldMask in JSON is camelCase.
fn snake_case(path: &str) -> String {
    let mut out = String::new();
    for c in path.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn write_varint(bits: u64, out: &mut Vec<u8>) {
    prost::encoding::encode_varint(bits, out);
}

fn write_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    write_varint(u64::from(number) << 3 | 2, out);
    write_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpcshark_dissectors::protobuf::JsonPrinter;

    const SCHEMA: &str = r#"
        syntax = "proto3";
        package t;
        import "google/protobuf/any.proto";
        import "google/protobuf/duration.proto";
        import "google/protobuf/field_mask.proto";
        import "google/protobuf/struct.proto";
        import "google/protobuf/timestamp.proto";
        import "google/protobuf/wrappers.proto";
        enum State { NONE = 0; OPEN = 1; }
        message M {
          int32 a = 1; sint64 b = 2; fixed32 c = 3; sfixed64 d = 4; bool e = 5; string f_g = 6; bytes h = 7; double i = 8; float j = 9;
          State k = 10; M n = 11; repeated int32 o = 12; repeated M p = 13; map<string, M> q = 14; map<int32, string> r = 15;
          map<bool, State> s = 16; oneof choice { string t = 17; M u = 18; }
          google.protobuf.Any v = 19; google.protobuf.Timestamp w = 20; google.protobuf.Duration x = 21;
          google.protobuf.FieldMask y = 22; google.protobuf.Struct z = 23; google.protobuf.Value aa = 24;
          google.protobuf.Int64Value bb = 25; uint64 cc = 26;
        }
    "#;

    fn printed(json: &str) -> Result<String, String> {
        let (schema, said) = Schema::from_source(SCHEMA);
        assert!(said.is_empty(), "{said:?}");
        let ix = schema.message("t.M").unwrap();
        let bytes = encode(&schema, ix, &serde_json::from_str(json).unwrap()).map_err(|error| error.to_string())?;
        let mut out = Vec::new();
        let found = JsonPrinter::new().print(&schema, ix, &bytes, &mut out);
        assert!(found.notes.is_empty() && found.unknown.is_empty(), "{json}: {:?}", found.notes);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_is_encoded_is_printed_as_it_was() {
        for json in [
            "{}",
            r#"{"a":-1,"b":"-9223372036854775808","c":4294967295,"d":"-5","e":true,"fG":"ü","h":"AAH/","i":1.5,"j":"NaN","k":"OPEN"}"#,
            r#"{"n":{"n":{"a":1}},"o":[1,0,-2],"p":[{},{"a":2}],"q":{"":{},"x":{"a":1}},"r":{"-1":"a","7":""},"s":{"true":"OPEN"}}"#,
            r#"{"t":"x","v":{"@type":"x/t.M","a":1},"w":"1969-12-31T23:59:59.500Z","x":"-1.500s","y":"a,bC.d"}"#,
            r#"{"v":{"@type":"x/google.protobuf.Duration","value":"1s"},"u":{"a":1},"k":7,"cc":"18446744073709551615"}"#,
            r#"{"z":{"a":null,"b":[1.0,"x",{"c":true}],"d":{}},"aa":null,"bb":"5"}"#,
            r#"{"aa":[true]}"#,
        ] {
            let mut json: Value = serde_json::from_str(json).unwrap();
            let mut got: Value = serde_json::from_str(&printed(&json.to_string()).unwrap()).unwrap();
            json.sort_all_objects();
            got.sort_all_objects();
            assert_eq!(got, json);
        }
        // What may be written in other ways.
        for (json, expected) in [
            (r#"{"f_g":"x","a":"7","cc":3,"k":1}"#, r#"{"a":7,"fG":"x","k":"OPEN","cc":"3"}"#),
            (r#"{"a":1e2,"h":"_w","i":"2.5","n":null,"o":null}"#, r#"{"a":100,"h":"/w==","i":2.5}"#),
        ] {
            assert_eq!(printed(json).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_does_not_fit_is_reported_with_its_place() {
        for (json, cause) in [
            (r#"{"x1":1}"#, "t.M has no field x1"),
            (r#"{"n":{"p":[{},{"a":1.5}]}}"#, "n.p[1].a: a whole number is expected"),
            (r#"{"a":2147483648}"#, "a: 2147483648 does not fit"),
            (r#"{"cc":-1}"#, "cc: -1 does not fit"),
            (r#"{"k":"OPENED"}"#, "k: t.State has no value OPENED; it has NONE, OPEN"),
            (r#"{"t":"x","u":{}}"#, "u: only one of t and u can be set"),
            (r#"{"q":{"k":{"e":1}}}"#, "q[\"k\"].e: true or false is expected"),
            (r#"{"s":{"yes":"OPEN"}}"#, "s[\"yes\"]: yes is not a key"),
            (r#"{"w":"yesterday"}"#, "w: yesterday is not a time"),
            (r#"{"x":"1"}"#, "x: 1 is not a duration"),
            (r#"{"v":{"@type":"x/t.Q"}}"#, "v: the schema has no message t.Q"),
            (r#"{"h":"*"}"#, "h: bytes are written in base64"),
            (r#"{"o":[null]}"#, "o[0]: null is not a value of a list"),
            ("[]", "an object is expected for t.M"),
        ] {
            let error = printed(json).unwrap_err();
            assert!(error.starts_with(cause), "{json}: {error}");
        }
    }
}
