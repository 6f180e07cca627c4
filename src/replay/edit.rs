//! Changing requests before they are sent, and taking values from answers for them.
//!
//! A message is edited on the wire: only the fields that are named are written anew, all others keep their bytes, unknown ones too.

use std::cell::RefCell;
use std::collections::HashMap;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use prost::encoding::encode_varint;
use rpcshark_dissectors::protobuf::wire::{Field as WireField, Fields, Value};
use rpcshark_dissectors::schema::{Cardinality, Field, Kind, MessageIx, Schema};
use tokio::sync::Notify;

use super::safety::matches;

/// What stands for a recorded value that was captured under a name, if anything does.
pub(crate) type LiveValues<'a> = &'a dyn Fn(&str, &[u8]) -> Option<Vec<u8>>;

/// What is changed in requests, and what is taken from answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edits {
    /// Changes, in order.
    pub(crate) changes: Vec<Change>,
    /// Values that are taken from answers.
    pub(crate) captures: Vec<Capture>,
    /// Messages that are sent in place of recorded ones, before any changes: by the number of the call and that of the message in
    /// its request, from 0.
    pub(crate) messages: HashMap<(u32, u32), Bytes>,
}

/// A change of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// `package.Service/Method`, with `*` for any characters.
    method: String,
    place: Place,
    action: Action,
}

/// What is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// A field of the messages, by the names on the way to it.
    Field(Vec<String>),
    /// A field of the metadata.
    Metadata(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Set(String),
    /// The live value that was captured under this name in place of the recorded one.
    Captured(String),
    Drop,
}

/// A value that is taken from answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Capture {
    /// Its name.
    pub(crate) name: String,
    /// `package.Service/Method` or only `Method`, with `*` for any characters.
    method: String,
    path: Vec<String>,
}

/// A change of metadata.
pub(crate) enum MetadataChange<'a> {
    /// It has this value.
    Set(&'a str, &'a str),
    /// It is not sent.
    Drop(&'a str),
}

impl Change {
    /// Reads `Service/Method.request.path=value`, or `Service/Method.metadata.name=value`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn set(text: &str) -> Result<Self, String> {
        let (place, value) =
            text.split_once('=').ok_or_else(|| format!("--set {text}: it is Service/Method.request.field=value"))?;
        let (method, place) = parse_place(place).map_err(|why| format!("--set {text}: {why}"))?;
        let captured = value.strip_prefix("{{").and_then(|value| value.strip_suffix("}}"));
        let action = match captured {
            Some(name) => Action::Captured(name.trim().to_owned()),
            None => Action::Set(value.to_owned()),
        };
        Ok(Self { method, place, action })
    }

    /// Reads `Service/Method.request.path`, or `Service/Method.metadata.name`.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn drop(text: &str) -> Result<Self, String> {
        let (method, place) = parse_place(text).map_err(|why| format!("--drop {text}: {why}"))?;
        Ok(Self { method, place, action: Action::Drop })
    }
}

fn parse_place(text: &str) -> Result<(String, Place), String> {
    let slash = text.find('/').ok_or("there is no Service/Method in it")?;
    let dot = text[slash..].find('.').ok_or("there is no field in it")? + slash;
    let (method, rest) = (&text[..dot], &text[dot + 1..]);
    let place = if let Some(path) = rest.strip_prefix("request.") {
        Place::Field(parse_path(path)?)
    } else if let Some(name) = rest.strip_prefix("metadata.").filter(|name| !name.is_empty()) {
        Place::Metadata(name.to_ascii_lowercase())
    } else {
        return Err("behind the method stands .request.FIELD or .metadata.NAME".to_owned());
    };
    Ok((method.to_owned(), place))
}

fn parse_path(path: &str) -> Result<Vec<String>, String> {
    let path: Vec<String> = path.split('.').map(str::to_owned).collect();
    match path.iter().any(String::is_empty) {
        true => Err("a name in it is empty".to_owned()),
        false => Ok(path),
    }
}

impl FromStr for Capture {
    type Err = String;

    /// Reads `name=Service/Method.response.path`; `Method` alone stands for that of any service.
    fn from_str(text: &str) -> Result<Self, String> {
        let form = "it is name=Method.response.field";
        let (name, rest) = text.split_once('=').ok_or(form)?;
        let (method, path) = rest.split_once(".response.").ok_or(form)?;
        if name.is_empty() || method.is_empty() {
            return Err(form.to_owned());
        }
        let method = if method.contains('/') { method.to_owned() } else { format!("*/{method}") };
        Ok(Self { name: name.to_owned(), method, path: parse_path(path)? })
    }
}

impl Capture {
    /// Whether the answers of a method have it.
    pub(crate) fn is_of(&self, method: &str) -> bool {
        matches(&self.method, method)
    }

    /// Its values in an answer, as text: strings and bytes as they are, numbers in decimal.
    pub(crate) fn values(&self, schema: &Schema, ix: MessageIx, message: &[u8]) -> Vec<Vec<u8>> {
        let mut values = Vec::new();
        find(schema, ix, message, &self.path, &mut values);
        values
    }
}

impl Edits {
    /// Whether requests of a method are changed.
    pub(crate) fn change_messages_of(&self, method: &str) -> bool {
        self.changes.iter().any(|change| matches!(change.place, Place::Field(_)) && matches(&change.method, method))
    }

    /// Whether the request of this call has a message that is sent in place of a recorded one.
    pub(crate) fn replace_messages_of(&self, no: u32) -> bool {
        self.messages.keys().any(|&(call, _)| call == no)
    }

    /// Changes of the metadata of a method's requests.
    pub(crate) fn metadata_of<'a>(&'a self, method: &'a str) -> impl Iterator<Item = MetadataChange<'a>> {
        self.changes.iter().filter(|change| matches(&change.method, method)).filter_map(|change| {
            match (&change.place, &change.action) {
                (Place::Metadata(name), Action::Set(value)) => Some(MetadataChange::Set(name, value)),
                (Place::Metadata(name), _) => Some(MetadataChange::Drop(name)),
                (Place::Field(_), _) => None,
            }
        })
    }

    /// Names of captures that requests of a method use in a field, with the recorded values there.
    pub(crate) fn uses(&self, method: &str, schema: &Schema, ix: MessageIx, message: &[u8]) -> Vec<(&str, Vec<u8>)> {
        let mut uses = Vec::new();
        for change in self.changes.iter().filter(|change| matches(&change.method, method)) {
            if let (Place::Field(path), Action::Captured(name)) = (&change.place, &change.action) {
                let mut values = Vec::new();
                find(schema, ix, message, path, &mut values);
                uses.extend(values.into_iter().map(|value| (name.as_str(), value)));
            }
        }
        uses
    }

    /// A request as it is sent. `live`: what stands for a recorded value that was captured under a name, if anything does.
    ///
    /// # Errors
    ///
    /// Why it cannot be changed.
    pub(crate) fn apply(
        &self,
        method: &str,
        schema: &Schema,
        ix: MessageIx,
        message: &[u8],
        live: LiveValues<'_>,
    ) -> Result<Vec<u8>, String> {
        let mut bytes = message.to_vec();
        for change in self.changes.iter().filter(|change| matches(&change.method, method)) {
            if let Place::Field(path) = &change.place {
                bytes = edit(schema, ix, &bytes, path, &change.action, live, 0)?;
            }
        }
        Ok(bytes)
    }

    /// Whether all fields that are named are in the schema, for the methods that are sent.
    ///
    /// # Errors
    ///
    /// Which one is not.
    pub(crate) fn check(
        &self,
        method: &str,
        schema: &Schema,
        request: MessageIx,
        response: MessageIx,
    ) -> Result<(), String> {
        for change in self.changes.iter().filter(|change| matches(&change.method, method)) {
            if let Place::Field(path) = &change.place {
                let leaf = leaf(schema, request, path)?;
                if let Action::Set(text) = &change.action {
                    encode(schema, leaf, text.as_bytes())?;
                }
                if let Action::Captured(name) = &change.action
                    && !self.captures.iter().any(|capture| capture.name == *name)
                {
                    return Err(format!("--set uses {{{{{name}}}}}, and no --capture has that name"));
                }
            }
        }
        for capture in self.captures.iter().filter(|capture| capture.is_of(method)) {
            leaf(schema, response, &capture.path)?;
        }
        Ok(())
    }
}

/// The field that a path leads to.
fn leaf<'s>(schema: &'s Schema, ix: MessageIx, path: &[String]) -> Result<&'s Field, String> {
    let (name, rest) = path.split_first().ok_or("the path is empty")?;
    let message = &schema[ix];
    let field = field(schema, ix, name).ok_or_else(|| format!("{} has no field {name}", message.name))?;
    match (rest, field.kind) {
        ([], Kind::Message(_) | Kind::Group(_)) => {
            Err(format!("{} is a message; name one of its fields", field.full_name))
        }
        ([], _) => Ok(field),
        (_, Kind::Message(inner)) if field.cardinality != Cardinality::Map => leaf(schema, inner, rest),
        _ => Err(format!("nothing can be named below {}", field.full_name)),
    }
}

fn field<'s>(schema: &'s Schema, ix: MessageIx, name: &str) -> Option<&'s Field> {
    schema[ix].fields.iter().find(|field| *field.name == *name || *field.json_name == *name)
}

/// Collects the values that a path leads to.
fn find(schema: &Schema, ix: MessageIx, message: &[u8], path: &[String], values: &mut Vec<Vec<u8>>) {
    let Some((name, rest)) = path.split_first() else { return };
    let Some(field) = field(schema, ix, name) else { return };
    for wire in Fields::new(message).flatten().filter(|wire| wire.number == field.number) {
        match (rest.is_empty(), field.kind, wire.value) {
            (false, Kind::Message(inner), Value::Bytes(bytes)) => find(schema, inner, bytes, rest, values),
            (true, ..) if values.len() < MAX_VALUES => values.extend(decode(field, wire.value)),
            _ => {}
        }
    }
}

/// Values that are taken of one message.
const MAX_VALUES: usize = 10_000;

/// Nesting of messages that is followed, as deep as a path can be.
const MAX_DEPTH: usize = 100;

fn edit(
    schema: &Schema,
    ix: MessageIx,
    message: &[u8],
    path: &[String],
    action: &Action,
    live: LiveValues<'_>,
    depth: usize,
) -> Result<Vec<u8>, String> {
    let (name, rest) = path.split_first().ok_or("the path is empty")?;
    let field = field(schema, ix, name).ok_or_else(|| format!("{} has no field {name}", schema[ix].name))?;
    if depth > MAX_DEPTH {
        return Err("it is nested too deep".to_owned());
    }
    let mut out = Vec::with_capacity(message.len() + 16);
    let mut done = false;
    for wire in Fields::new(message) {
        let wire = wire.map_err(|broken| format!("a message of it {}", broken.cause.text()))?;
        let raw = message.get(wire.at as usize..wire.end as usize).unwrap_or_default();
        if wire.number != field.number {
            // Of a oneof only the member that is set now may be there.
            let replaced = matches!(action, Action::Set(_)) && field.oneof.is_some() && {
                schema[ix].field(wire.number).is_some_and(|other| other.oneof == field.oneof)
            };
            if !replaced {
                out.extend_from_slice(raw);
            }
            continue;
        }
        match (rest.is_empty(), field.kind, wire.value) {
            (false, Kind::Message(inner), Value::Bytes(bytes)) => {
                let inner = edit(schema, inner, bytes, rest, action, live, depth + 1)?;
                put_bytes(field.number, &inner, &mut out);
            }
            (false, ..) => return Err(format!("{} is not a message there", field.full_name)),
            (true, ..) => match action {
                Action::Drop => {}
                Action::Set(_) if done => {}
                Action::Set(text) => out.extend(encode(schema, field, text.as_bytes())?),
                Action::Captured(name) => out.extend(captured(schema, field, &wire, raw, name, live)?),
            },
        }
        done = true;
    }
    if !done && let Action::Set(text) = action {
        match (rest.is_empty(), field.kind) {
            (true, _) => out.extend(encode(schema, field, text.as_bytes())?),
            (false, Kind::Message(inner)) => {
                let inner = edit(schema, inner, &[], rest, action, live, depth + 1)?;
                put_bytes(field.number, &inner, &mut out);
            }
            (false, _) => return Err(format!("{} is not a message", field.full_name)),
        }
    }
    Ok(out)
}

/// A field whose recorded values have live ones in their place.
fn captured(
    schema: &Schema,
    field: &Field,
    wire: &WireField<'_>,
    raw: &[u8],
    name: &str,
    live: LiveValues<'_>,
) -> Result<Vec<u8>, String> {
    let values = decode(field, wire.value);
    if values.iter().all(|value| live(name, value).is_none()) {
        return Ok(raw.to_vec());
    }
    let mut out = Vec::new();
    for value in values {
        let value = live(name, &value).unwrap_or(value);
        out.extend(encode(schema, field, &value)?);
    }
    Ok(out)
}

/// The values of a field as text. Packed fields have several.
fn decode(field: &Field, value: Value<'_>) -> Vec<Vec<u8>> {
    let number = |value: Value<'_>| -> Option<Vec<u8>> {
        let text = match (field.kind, value) {
            (Kind::Int32 | Kind::Enum(_), Value::Varint(bits)) => (bits as i32).to_string(),
            (Kind::Int64, Value::Varint(bits)) => bits.cast_signed().to_string(),
            (Kind::Uint32, Value::Varint(bits)) => (bits as u32).to_string(),
            (Kind::Uint64, Value::Varint(bits)) => bits.to_string(),
            (Kind::Sint32 | Kind::Sint64, Value::Varint(bits)) => {
                ((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed()).to_string()
            }
            (Kind::Bool, Value::Varint(bits)) => (bits != 0).to_string(),
            (Kind::Fixed32, Value::Fixed32(bits)) => bits.to_string(),
            (Kind::Sfixed32, Value::Fixed32(bits)) => bits.cast_signed().to_string(),
            (Kind::Fixed64, Value::Fixed64(bits)) => bits.to_string(),
            (Kind::Sfixed64, Value::Fixed64(bits)) => bits.cast_signed().to_string(),
            (Kind::Float, Value::Fixed32(bits)) => f32::from_bits(bits).to_string(),
            (Kind::Double, Value::Fixed64(bits)) => f64::from_bits(bits).to_string(),
            _ => return None,
        };
        Some(text.into_bytes())
    };
    match (field.kind, value) {
        (Kind::String | Kind::Bytes, Value::Bytes(bytes)) => vec![bytes.to_vec()],
        (Kind::Message(_) | Kind::Group(_), _) => Vec::new(),
        // The elements of a packed field stand as in fields of their own, without tags.
        (_, Value::Bytes(packed)) => {
            let mut tagged = Vec::new();
            let mut rest = packed;
            let mut values = Vec::new();
            while !rest.is_empty() && values.len() < MAX_VALUES {
                tagged.clear();
                tagged.push(1 << 3 | wire_type(field.kind));
                tagged.extend_from_slice(rest.get(..rest.len().min(10)).unwrap_or_default());
                let Some(Ok(first)) = Fields::new(&tagged).next() else { break };
                values.extend(number(first.value));
                rest = rest.get(first.end as usize - 1..).unwrap_or_default();
            }
            values
        }
        (_, value) => number(value).into_iter().collect(),
    }
}

const fn wire_type(kind: Kind) -> u8 {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => 1,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => 5,
        Kind::String | Kind::Bytes | Kind::Message(_) => 2,
        Kind::Group(_) => 3,
        _ => 0,
    }
}

/// A field with the value that `text` stands for: numbers in decimal, enumerations by name or number, bytes as base64 unless they come
/// from a capture.
fn encode(schema: &Schema, field: &Field, value: &[u8]) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(value).ok();
    let wrong = || format!("{} cannot have this value", field.full_name);
    let mut out = Vec::new();
    let mut bits: Option<u64> = None;
    fn parse<T: FromStr>(text: Option<&str>) -> Option<T> {
        text?.parse().ok()
    }
    match field.kind {
        Kind::String if text.is_some() => put_bytes(field.number, value, &mut out),
        Kind::Bytes => {
            let decoded = BASE64_STANDARD.decode(value).unwrap_or_else(|_| value.to_vec());
            put_bytes(field.number, &decoded, &mut out);
        }
        Kind::Int32 => bits = parse::<i32>(text).map(|value| i64::from(value).cast_unsigned()),
        Kind::Int64 => bits = parse::<i64>(text).map(i64::cast_unsigned),
        Kind::Uint32 => bits = parse::<u32>(text).map(u64::from),
        Kind::Uint64 => bits = parse::<u64>(text),
        Kind::Sint32 => bits = parse::<i32>(text).map(|value| zigzag(i64::from(value))),
        Kind::Sint64 => bits = parse::<i64>(text).map(zigzag),
        Kind::Bool => bits = parse::<bool>(text).map(u64::from),
        Kind::Enum(ix) => {
            let by_name = text.and_then(|text| schema[ix].values.iter().find(|(_, name)| **name == *text));
            let number = by_name.map(|&(number, _)| number).or_else(|| parse::<i32>(text));
            bits = number.map(|number| i64::from(number).cast_unsigned());
        }
        Kind::Float => put_fixed(field.number, 5, &parse::<f32>(text).ok_or_else(wrong)?.to_le_bytes(), &mut out),
        Kind::Double => put_fixed(field.number, 1, &parse::<f64>(text).ok_or_else(wrong)?.to_le_bytes(), &mut out),
        Kind::Fixed32 => put_fixed(field.number, 5, &parse::<u32>(text).ok_or_else(wrong)?.to_le_bytes(), &mut out),
        Kind::Sfixed32 => put_fixed(field.number, 5, &parse::<i32>(text).ok_or_else(wrong)?.to_le_bytes(), &mut out),
        Kind::Fixed64 => put_fixed(field.number, 1, &parse::<u64>(text).ok_or_else(wrong)?.to_le_bytes(), &mut out),
        Kind::Sfixed64 => put_fixed(field.number, 1, &parse::<i64>(text).ok_or_else(wrong)?.to_le_bytes(), &mut out),
        Kind::String | Kind::Message(_) | Kind::Group(_) => return Err(wrong()),
    }
    if out.is_empty() {
        let bits = bits.ok_or_else(wrong)?;
        encode_varint(u64::from(field.number) << 3, &mut out);
        encode_varint(bits, &mut out);
    }
    Ok(out)
}

const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

fn put_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_varint(u64::from(number) << 3 | 2, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_fixed(number: u32, wire_type: u64, bytes: &[u8], out: &mut Vec<u8>) {
    encode_varint(u64::from(number) << 3 | wire_type, out);
    out.extend_from_slice(bytes);
}

/// Recorded values of answers, and the live ones in their place.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    values: RefCell<HashMap<(String, Vec<u8>), Live>>,
    /// Something in it has changed.
    pub(crate) changed: Notify,
}

#[derive(Clone, Debug)]
enum Live {
    /// The call with this index in the plan will bring it.
    From(u32),
    Is(Vec<u8>),
    /// The call that should have brought it did not.
    Missing(u32),
}

/// Where the live value for a recorded one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No answer of the recording has it: it is sent as recorded.
    Nowhere,
    /// It is still to come.
    Coming,
    /// Here.
    Here(Vec<u8>),
    /// The call with this index did not bring it.
    Missing(u32),
}

impl Captured {
    /// An answer of the recording has a value. Of several answers the first is the one that brings it.
    pub(crate) fn expect(&self, name: &str, recorded: Vec<u8>, call: u32) {
        self.values.borrow_mut().entry((name.to_owned(), recorded)).or_insert(Live::From(call));
    }

    /// A call is over: `values` are the recorded and the live values of one capture in its answers, side by side. Gives
    /// those that it brought.
    pub(crate) fn bring(
        &self,
        name: &str,
        call: u32,
        recorded: Vec<Vec<u8>>,
        live: Vec<Vec<u8>>,
    ) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut values = self.values.borrow_mut();
        let mut live = live.into_iter();
        let mut brought = Vec::new();
        for recorded in recorded {
            let live = live.next();
            let Some(entry) = values.get_mut(&(name.to_owned(), recorded.clone())) else { continue };
            if !matches!(entry, Live::From(from) if *from == call) {
                if let (Live::Is(known), Some(_)) = (&*entry, live) {
                    brought.push((recorded, known.clone()));
                }
                continue;
            }
            *entry = match live {
                Some(live) => {
                    brought.push((recorded, live.clone()));
                    Live::Is(live)
                }
                None => Live::Missing(call),
            };
        }
        self.changed.notify_waiters();
        brought
    }

    /// The live value for a recorded one, for the request of the call with the index `call`. What only this call or a later one
    /// brings is not waited for.
    pub(crate) fn find(&self, name: &str, recorded: &[u8], call: u32) -> Found {
        match self.values.borrow().get(&(name.to_owned(), recorded.to_vec())) {
            None => Found::Nowhere,
            Some(Live::From(from) | Live::Missing(from)) if *from >= call => Found::Nowhere,
            Some(Live::From(_)) => Found::Coming,
            Some(Live::Is(value)) => Found::Here(value.clone()),
            Some(Live::Missing(call)) => Found::Missing(*call),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        Schema::from_source(
            r#"syntax = "proto3"; package t;
            enum E { ZERO = 0; ONE = 1; }
            message In { string id = 1; repeated sint32 n = 2; }
            message M { string id = 1; In in = 2; repeated In many = 3; E e = 4; oneof o { int32 a = 5; string b = 6; } bytes raw = 7; double d = 8; }
            service S { rpc Get(M) returns (M); }"#,
        )
        .0
    }

    fn apply(changes: &[Change], message: &[u8]) -> Result<Vec<u8>, String> {
        let schema = schema();
        let ix = schema.message("t.M").ok_or("no type")?;
        let edits = Edits { changes: changes.to_vec(), captures: Vec::new(), messages: HashMap::new() };
        edits.check("t.S/Get", &schema, ix, ix)?;
        edits.apply("t.S/Get", &schema, ix, message, &|_, _| None)
    }

    fn set(text: &str) -> Change {
        Change::set(text).expect("a change")
    }

    #[test]
    fn only_the_named_field_changes_and_unknown_ones_are_kept() {
        // 1: "x", unknown 99: 7, 2: { 1: "y", 98: "?" }
        let message = b"\x0a\x01x\x98\x06\x07\x12\x07\x0a\x01y\x92\x06\x01?";
        let edited = apply(&[set("t.S/Get.request.in.id=zz")], message);
        assert_eq!(edited.as_deref(), Ok(&b"\x0a\x01x\x98\x06\x07\x12\x08\x0a\x02zz\x92\x06\x01?"[..]));
        let dropped = apply(&[Change::drop("t.S/*.request.id").expect("a change")], message);
        assert_eq!(dropped.as_deref(), Ok(&b"\x98\x06\x07\x12\x07\x0a\x01y\x92\x06\x01?"[..]));
    }

    #[test]
    fn what_is_not_there_is_added() {
        assert_eq!(apply(&[set("t.S/Get.request.in.id=z")], b"").as_deref(), Ok(&b"\x12\x03\x0a\x01z"[..]));
        assert_eq!(apply(&[set("t.S/Get.request.e=ONE")], b"").as_deref(), Ok(&b"\x20\x01"[..]));
        assert_eq!(apply(&[set("t.S/Get.request.in.n=-2")], b"").as_deref(), Ok(&b"\x12\x02\x10\x03"[..]));
        // The other member of the oneof goes.
        assert_eq!(apply(&[set("t.S/Get.request.b=q")], b"\x28\x05").as_deref(), Ok(&b"\x32\x01q"[..]));
        assert_eq!(apply(&[set("other.S/Get.request.b=q")], b"\x28\x05").as_deref(), Ok(&b"\x28\x05"[..]));
    }

    #[test]
    fn wrong_changes_are_refused() {
        for text in ["t.S/Get.request.nope=1", "t.S/Get.request.in=1", "t.S/Get.request.e=TWO", "t.S/Get.request.a=x"] {
            assert!(apply(&[set(text)], b"").is_err(), "{text}");
        }
        for text in ["t.S/Get.request.id", "t.S.request.id=1", "t.S/Get.response.id=1", "t.S/Get.request..a=1"] {
            assert!(Change::set(text).is_err(), "{text}");
        }
        // A message that is not one is never sent.
        assert!(apply(&[set("t.S/Get.request.id=1")], b"\x0a\x09x").is_err());
    }

    #[test]
    fn captured_values_take_the_place_of_recorded_ones() {
        let schema = schema();
        let ix = schema.message("t.M").expect("a type");
        let capture: Capture = "user=Create.response.id".parse().expect("a capture");
        assert!(capture.is_of("t.S/Create") && !capture.is_of("t.S/CreateAll"));
        let captured = Captured::default();
        captured.expect("user", b"x".to_vec(), 3);
        assert_eq!(captured.find("user", b"x", 9), Found::Coming);
        assert_eq!(captured.find("user", b"y", 9), Found::Nowhere);
        let live = capture.values(&schema, ix, b"\x0a\x04live");
        assert_eq!(captured.bring("user", 3, vec![b"x".to_vec()], live), [(b"x".to_vec(), b"live".to_vec())]);
        let edits = Edits {
            changes: vec![set("t.S/Get.request.many.id={{user}}")],
            captures: vec![capture],
            messages: HashMap::new(),
        };
        let find = |name: &str, recorded: &[u8]| match captured.find(name, recorded, 9) {
            Found::Here(value) => Some(value),
            _ => None,
        };
        // Two elements; the value of the second is not one that was captured.
        let message = b"\x1a\x03\x0a\x01x\x1a\x03\x0a\x01y";
        assert_eq!(edits.uses("t.S/Get", &schema, ix, message), [("user", b"x".to_vec()), ("user", b"y".to_vec())]);
        let sent = edits.apply("t.S/Get", &schema, ix, message, &find);
        assert_eq!(sent.as_deref(), Ok(&b"\x1a\x06\x0a\x04live\x1a\x03\x0a\x01y"[..]));
        captured.expect("user", b"z".to_vec(), 4);
        captured.bring("user", 4, vec![b"z".to_vec()], Vec::new());
        assert_eq!(captured.find("user", b"z", 9), Found::Missing(4));
    }

    #[test]
    fn packed_numbers_are_read() {
        let schema = schema();
        let capture: Capture = "n=Get.response.in.n".parse().expect("a capture");
        let ix = schema.message("t.M").expect("a type");
        // in { n: [-1, 300, 1] }
        let values = capture.values(&schema, ix, b"\x12\x06\x12\x04\x01\xd8\x04\x02");
        assert_eq!(values, [b"-1".to_vec(), b"300".to_vec(), b"1".to_vec()]);
    }
}
