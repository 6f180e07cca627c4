//! The same paths through bodies that are JSON: fields by the names of the schema or of JSON, values in protobuf's JSON form.

use std::borrow::Cow;
use std::ops::ControlFlow;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{BodyPath, Leaf, MapKey, PathStep, Reach, default_value, message_ix};
use crate::filter::fields::{Flow, Visit};
use crate::filter::value::{Item, Names, Value};
use crate::json::Json;
use crate::schema::{Cardinality, Field, Kind, MessageIx, Schema, WellKnown};

/// What is called for each message that is found; with `None` where it cannot be read.
pub(in crate::filter) type VisitJson<'v> = dyn FnMut(Option<Json<'_>>) -> Flow + 'v;

impl BodyPath {
    /// Visits the values that `json`, a message of the path's type, has at the path. `hide`: what lies in a field that is
    /// marked `debug_redact` is hidden.
    pub(in crate::filter) fn walk_json(
        &self,
        schema: &Schema,
        json: Json<'_>,
        hide: bool,
        visit: &mut Visit<'_>,
    ) -> Flow {
        match self.steps.iter().position(|step| step.redact).filter(|_| hide) {
            None => self.json_level(schema, json, &self.steps, visit),
            Some(marked) => self.json_level(schema, json, &self.steps[..=marked], &mut |item| {
                visit(match item {
                    Item::Value(value) => Item::Hidden(value.as_bytes().map_or(0, <[u8]>::len)),
                    other => other,
                })
            }),
        }
    }

    /// Goes on from a message.
    fn json_level(&self, schema: &Schema, json: Json<'_>, steps: &[PathStep], visit: &mut Visit<'_>) -> Flow {
        let Some((step, rest)) = steps.split_first() else { return visit(Item::Value(Value::Present)) };
        let Some(message) = schema.messages.get(step.message.0 as usize) else { return visit(Item::Unknown) };
        match message.well_known {
            None => {}
            // A wrapper is written as its value.
            Some(WellKnown::Wrapper) => return self.json_found(schema, json, step, rest, visit),
            // The JSON forms of these types have no fields.
            Some(_) => return visit(Item::Unknown),
        }
        let Some(field) = message.field(step.number).filter(|_| json.is_object()) else { return visit(Item::Unknown) };
        let Some(value) = member(json, field) else {
            return match step.cardinality {
                Cardinality::Implicit if message_ix(step.kind).is_none() => {
                    visit(Item::Value(default_value(step.kind)))
                }
                _ => ControlFlow::Continue(()),
            };
        };
        match (step.cardinality, &step.key) {
            // An array where the schema has one value: the message is of another type, and names its fields itself.
            (Cardinality::Repeated | Cardinality::Explicit | Cardinality::Implicit, _) if value.is_array() => {
                value.elements().try_for_each(|element| self.json_found(schema, element, step, rest, visit))
            }
            (Cardinality::Map, Some(key)) => {
                let Some((value_step, rest)) = rest.split_first() else {
                    return visit(Item::Value(Value::Present));
                };
                let name = match key {
                    MapKey::Text(text) => String::from_utf8_lossy(text),
                    MapKey::Whole(number) if is_bool_key(schema, step) => Cow::Owned((*number != 0).to_string()),
                    MapKey::Whole(number) => Cow::Owned(number.to_string()),
                };
                match value.member([&name, &name]) {
                    Some(entry) => self.json_found(schema, entry, value_step, rest, visit),
                    None => ControlFlow::Continue(()),
                }
            }
            (Cardinality::Map, None) => value.members().try_for_each(|(name, value)| match rest.split_first() {
                None => visit(Item::Value(Value::Present)),
                Some((step, _)) if step.number == 1 => visit(key_value(step.kind, &name)),
                Some((step, rest)) => self.json_found(schema, value, step, rest, visit),
            }),
            _ => self.json_found(schema, value, step, rest, visit),
        }
    }

    /// A value of the field at `step`: the walk continues inside of it, or is at its end.
    fn json_found(
        &self,
        schema: &Schema,
        json: Json<'_>,
        step: &PathStep,
        rest: &[PathStep],
        visit: &mut Visit<'_>,
    ) -> Flow {
        if !rest.is_empty() {
            return self.json_level(schema, json, rest, visit);
        }
        let value = match self.leaf {
            Leaf::Message => Some(Value::Present),
            Leaf::Timestamp => json.as_string().and_then(|text| timestamp(&text)).map(Value::Time),
            Leaf::Duration => json.as_string().and_then(|text| duration(&text)).map(Value::Duration),
            Leaf::Scalar => scalar(schema, step.kind, json),
        };
        visit(value.map_or(Item::Unknown, Item::Value))
    }
}

impl Reach {
    /// Visits every message of the target type in `json`, a message of type `at`.
    pub(in crate::filter) fn find_json(
        &self,
        schema: &Schema,
        at: MessageIx,
        json: Json<'_>,
        visit: &mut VisitJson<'_>,
    ) -> Flow {
        if at == self.target {
            visit(Some(json))?;
        }
        let Some(message) = schema.messages.get(at.0 as usize).filter(|_| self.from(at)) else {
            return ControlFlow::Continue(());
        };
        match message.well_known {
            None => {}
            Some(WellKnown::Any) => {
                return match any_type(schema, json) {
                    Some(of) => self.find_json(schema, of, json, visit),
                    None => ControlFlow::Continue(()),
                };
            }
            Some(_) => return ControlFlow::Continue(()),
        }
        if !json.is_object() {
            return visit(None);
        }
        for field in &message.fields {
            let (Some(of), Some(value)) = (message_ix(field.kind), member(json, field)) else { continue };
            match field.cardinality {
                Cardinality::Repeated if !value.is_array() => visit(None)?,
                Cardinality::Repeated => {
                    value.elements().try_for_each(|element| self.find_json(schema, of, element, visit))?;
                }
                Cardinality::Map => {
                    let entry = schema.messages.get(of.0 as usize).and_then(|entry| entry.field(2));
                    let Some(of) = entry.and_then(|value| message_ix(value.kind)) else { continue };
                    value.members().try_for_each(|(_, value)| self.find_json(schema, of, value, visit))?;
                }
                Cardinality::Implicit | Cardinality::Explicit => self.find_json(schema, of, value, visit)?,
            }
        }
        ControlFlow::Continue(())
    }
}

/// The member of `json` that is `field`; `null` is none.
fn member<'t>(json: Json<'t>, field: &Field) -> Option<Json<'t>> {
    json.member([&field.json_name, &field.name]).filter(|value| !value.is_null())
}

/// The type of the message that an Any in JSON form holds.
fn any_type(schema: &Schema, json: Json<'_>) -> Option<MessageIx> {
    let url = json.member(["@type", "@type"])?.as_string()?;
    schema.message(url.rsplit('/').next()?)
}

/// Whether the keys of a map are booleans.
fn is_bool_key(schema: &Schema, step: &PathStep) -> bool {
    let entry = message_ix(step.kind).and_then(|at| schema.messages.get(at.0 as usize));
    entry.and_then(|entry| entry.field(1)).is_some_and(|key| key.kind == Kind::Bool)
}

/// The key of a map entry.
fn key_value(kind: Kind, name: &str) -> Item<'static> {
    let value = match kind {
        Kind::String => Some(Value::owned(name.to_owned())),
        Kind::Bool => name.parse().ok().map(Value::Bool),
        _ => name.parse().ok().map(Value::Int),
    };
    value.map_or(Item::Unknown, Item::Value)
}

/// Both alphabets of base64, with padding or without it.
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// A scalar in protobuf's JSON form; `None` where the value does not have the form of its type.
fn scalar<'t>(schema: &Schema, kind: Kind, json: Json<'t>) -> Option<Value<'t>> {
    let string = || json.as_string();
    let number = || json.as_number().map(Cow::Borrowed).or_else(string);
    Some(match kind {
        Kind::String => match string()? {
            Cow::Borrowed(text) => Value::text(text),
            Cow::Owned(text) => Value::owned(text),
        },
        Kind::Bytes => {
            let text = string()?;
            Value::Bytes(Cow::Owned(STANDARD.decode(&*text).or_else(|_| URL_SAFE.decode(&*text)).ok()?))
        }
        Kind::Bool => Value::Bool(json.as_bool()?),
        Kind::Double | Kind::Float => Value::Float(match &*number()? {
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            text => text.parse().ok()?,
        }),
        Kind::Enum(at) => Value::Int(match string() {
            Some(name) => Names::Schema(at).exact_number(schema, &name)?,
            None => whole(json.as_number()?)?,
        }),
        Kind::Message(_) | Kind::Group(_) => Value::Present,
        _ => Value::Int(whole(&number()?)?),
    })
}

/// A whole number, which may be written as `1.0` or `1e3`.
fn whole(text: &str) -> Option<i128> {
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        // Below 2^53 every whole number is exact.
        (number.fract() == 0.0 && number.abs() < 9.0e15).then_some(number as i128)
    })
}

/// Nanoseconds since 1970 of `2026-01-31T12:00:00.5Z`.
fn timestamp(text: &str) -> Option<i128> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_nanosecond)
}

/// Nanoseconds of `1.5s`.
fn duration(text: &str) -> Option<i128> {
    let text = text.strip_suffix('s')?;
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |text| (-1, text));
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(seconds) || !is_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanos: i128 = format!("{fraction:0<9}").parse().ok()?;
    Some(sign * (seconds.parse::<i128>().ok()?.checked_mul(1_000_000_000)? + nanos))
}

#[cfg(test)]
mod tests {
    use super::super::{Part, resolve};
    use super::*;
    use crate::filter::value::Type;
    use crate::schema::testing::compile;

    const PROTO: &str = r#"
        syntax = "proto3";
        package t;
        import "google/protobuf/any.proto";
        import "google/protobuf/duration.proto";
        import "google/protobuf/timestamp.proto";
        import "google/protobuf/wrappers.proto";
        enum State { NONE = 0; OPEN = 1; }
        message Item { string stock_key = 1; repeated int32 sizes = 2; optional int32 rank = 3; }
        message Order {
            int64 id = 1; repeated Item items = 2; map<string, Item> parts = 3; map<bool, string> names = 4; State state = 5;
            bytes blob = 6; google.protobuf.Timestamp at = 7; google.protobuf.Duration took = 8; google.protobuf.Int64Value limit = 9;
            double price = 10; bool paid = 11; string secret = 12 [debug_redact = true]; google.protobuf.Any any = 13;
        }
    "#;

    const JSON: &str = r#"{"id": "9007199254740993", "items": [{"stockKey": "a", "sizes": [1, 2.0]}, {"stock_key": "b\u00fc", "rank": 0}],
        "parts": {"k": {"stockKey": "v"}, "l": {}}, "names": {"true": "yes"}, "state": "OPEN", "blob": "AP-_", "secret": "hunter2",
        "at": "1970-01-01T00:00:02.000000005Z", "took": "-1.5s", "limit": "7", "price": "NaN", "paid": true,
        "any": {"@type": "type.googleapis.com/t.Item", "stockKey": "c"}}"#;

    fn values(path: &[Part<'_>], json: &str, hide: bool) -> Vec<Item<'static>> {
        let schema = compile(PROTO);
        let path = resolve(&schema, schema.message("t.Order").unwrap(), path).unwrap();
        let mut found = Vec::new();
        let _ = path.walk_json(&schema, Json::new(json.as_bytes()).unwrap(), hide, &mut |item| {
            found.push(match item {
                Item::Value(value) => Item::Value(crate::filter::program::into_owned(value)),
                Item::Hidden(len) => Item::Hidden(len),
                Item::Unknown => Item::Unknown,
            });
            ControlFlow::Continue(())
        });
        found
    }

    fn text(text: &str) -> Item<'static> {
        Item::Value(Value::owned(text.to_owned()))
    }

    const fn int(number: i128) -> Item<'static> {
        Item::Value(Value::Int(number))
    }

    #[test]
    fn values_have_the_types_of_the_schema() {
        use Part::{Key, Name};
        let of = |path: &[Part<'_>]| values(path, JSON, false);
        assert_eq!(of(&[Name("id")]), [int(9_007_199_254_740_993)], "64-bit numbers are strings");
        assert_eq!(of(&[Name("items"), Name("stock_key")]), [text("a"), text("bü")]);
        assert_eq!(of(&[Name("items"), Name("stockKey")]), [text("a"), text("bü")]);
        assert_eq!(of(&[Name("items"), Name("sizes")]), [int(1), int(2)]);
        assert_eq!(of(&[Name("items"), Name("rank")]), [int(0)], "absent in the first one");
        assert_eq!(of(&[Name("parts"), Key("k"), Name("stock_key")]), [text("v")]);
        assert_eq!(of(&[Name("parts"), Key("l"), Name("stock_key")]), [text("")], "implicit presence");
        assert_eq!(of(&[Name("parts"), Key("m"), Name("stock_key")]), []);
        assert_eq!(of(&[Name("parts"), Name("key")]), [text("k"), text("l")]);
        assert_eq!(of(&[Name("parts"), Name("value"), Name("stock_key")]), [text("v"), text("")]);
        assert_eq!(of(&[Name("names"), Key("true")]), [text("yes")]);
        assert_eq!(of(&[Name("names"), Name("key")]), [Item::Value(Value::Bool(true))]);
        assert_eq!(of(&[Name("state")]), [int(1)]);
        assert_eq!(of(&[Name("blob")]), [Item::Value(Value::Bytes(Cow::Borrowed(&[0, 0xff, 0xbf])))]);
        assert_eq!(of(&[Name("at")]), [Item::Value(Value::Time(2_000_000_005))]);
        assert_eq!(of(&[Name("took")]), [Item::Value(Value::Duration(-1_500_000_000))]);
        assert_eq!(of(&[Name("limit")]), [int(7)]);
        assert_eq!(of(&[Name("paid")]), [Item::Value(Value::Bool(true))]);
        assert!(matches!(of(&[Name("price")])[..], [Item::Value(Value::Float(price))] if price.is_nan()));
        assert_eq!(of(&[Name("any")]), [Item::Value(Value::Present)]);
    }

    #[test]
    fn what_is_not_there_is_absent_or_its_default_and_what_does_not_fit_is_unknown() {
        use Part::Name;
        assert_eq!(values(&[Name("id")], "{}", false), [int(0)]);
        assert_eq!(values(&[Name("limit")], r#"{"limit": null}"#, false), []);
        assert_eq!(values(&[Name("items"), Name("rank")], "{}", false), []);
        assert_eq!(values(&[Name("id")], r#"{"id": "x"}"#, false), [Item::Unknown]);
        assert_eq!(values(&[Name("id")], r#"{"id": 1.5}"#, false), [Item::Unknown]);
        assert_eq!(values(&[Name("state")], r#"{"state": "CLOSED"}"#, false), [Item::Unknown]);
        assert_eq!(values(&[Name("at")], r#"{"at": 5}"#, false), [Item::Unknown]);
        assert_eq!(values(&[Name("at"), Name("seconds")], JSON, false), [Item::Unknown]);
        assert_eq!(values(&[Name("id")], "[1]", false), [Item::Unknown]);
        assert_eq!(values(&[Name("secret")], JSON, true), [Item::Hidden(7)]);
    }

    #[test]
    fn messages_are_found_wherever_they_are() {
        let schema = compile(PROTO);
        let [order, item] = ["t.Order", "t.Item"].map(|name| schema.message(name).unwrap());
        let reach = Reach::of(&schema, item);
        let path = resolve(&schema, item, &[Part::Name("stock_key")]).unwrap();
        assert_eq!(path.ty, Type::Text);
        let mut found = Vec::new();
        let _ = reach.find_json(&schema, order, Json::new(JSON.as_bytes()).unwrap(), &mut |json| {
            path.walk_json(&schema, json.unwrap(), false, &mut |item| {
                found.push(match item {
                    Item::Value(Value::Text(text)) => String::from_utf8(text.into_owned()).unwrap(),
                    other => format!("{other:?}"),
                });
                ControlFlow::Continue(())
            })
        });
        assert_eq!(found, ["a", "bü", "v", "", "c"]);
    }
}
