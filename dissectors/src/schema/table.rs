//! The compiled table of a schema: everything that decoding asks for, an index away.

use std::sync::OnceLock;

use hashbrown::HashMap;

/// Messages, enumerations and services by index and by name.
///
/// Names are full protobuf names without a leading dot: `acme.shop.v1.Order`.
#[derive(Debug, Default)]
pub struct Schema {
    /// Every message type, map entries too.
    pub messages: Vec<Message>,
    /// Every enumeration.
    pub enums: Vec<Enum>,
    /// Every service.
    pub services: Vec<Service>,
    pub(crate) message_names: HashMap<Box<str>, MessageIx>,
    pub(crate) service_names: HashMap<Box<str>, u32>,
    pub(crate) marks_fields: OnceLock<bool>,
}

/// An index into [`Schema::messages`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageIx(pub u32);

/// An index into [`Schema::enums`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnumIx(pub u32);

/// An index into [`Message::fields`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldIx(pub u32);

/// A message type.
#[derive(Debug)]
pub struct Message {
    /// Full name.
    pub name: Box<str>,
    /// Its fields and the extensions known for it, sorted by number.
    pub fields: Vec<Field>,
    /// Full names of its oneofs, without the synthetic ones of proto3 `optional`.
    pub oneofs: Vec<Box<str>>,
    /// Whether it is the entry of a map field: `fields` are then `key` (1) and `value` (2).
    pub map_entry: bool,
    /// `message_set_wire_format`.
    pub message_set: bool,
    /// The type's own JSON form, if it is one of those that have one.
    pub well_known: Option<WellKnown>,
}

/// A field of a message, or an extension of it.
#[derive(Debug)]
pub struct Field {
    /// Field number.
    pub number: u32,
    /// Name as in the schema; for an extension its full name.
    pub name: Box<str>,
    /// Name in JSON: camelCase or as the schema sets it; for an extension `[full.name]`.
    pub json_name: Box<str>,
    /// The same as written in JSON: in quotes, escaped, with the colon.
    pub json_key: Box<[u8]>,
    /// Full name: of the message and the field, or of the extension.
    pub full_name: Box<str>,
    /// What a value is.
    pub kind: Kind,
    /// How many values there are.
    pub cardinality: Cardinality,
    /// Whether the schema asks for the packed form (both forms are read).
    pub packed: bool,
    /// Index into [`Message::oneofs`], if the field is in one.
    pub oneof: Option<u32>,
    /// Strings must be UTF-8 (proto3, and editions where `utf8_validation` is VERIFY).
    pub utf8: bool,
    /// The option `debug_redact`.
    pub redact: bool,
}

/// How many values a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// One; the default value counts as absent (proto3 without `optional`).
    Implicit,
    /// One, and presence is known: proto2, proto3 `optional`, oneof members, messages.
    Explicit,
    /// Any number.
    Repeated,
    /// Any number, by key; the field's kind is the entry message.
    Map,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `double`
    Double,
    /// `float`
    Float,
    /// `int32`
    Int32,
    /// `int64`
    Int64,
    /// `uint32`
    Uint32,
    /// `uint64`
    Uint64,
    /// `sint32`
    Sint32,
    /// `sint64`
    Sint64,
    /// `fixed32`
    Fixed32,
    /// `fixed64`
    Fixed64,
    /// `sfixed32`
    Sfixed32,
    /// `sfixed64`
    Sfixed64,
    /// `bool`
    Bool,
    /// `string`
    String,
    /// `bytes`
    Bytes,
    /// An enumeration.
    Enum(EnumIx),
    /// A message, length-delimited.
    Message(MessageIx),
    /// A message between start and end group tags.
    Group(MessageIx),
}

impl Kind {
    /// The name of a scalar type, as `.proto` files write it; `None` for enumerations, messages and groups.
    pub const fn scalar_name(self) -> Option<&'static str> {
        Some(match self {
            Self::Double => "double",
            Self::Float => "float",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Sint32 => "sint32",
            Self::Sint64 => "sint64",
            Self::Fixed32 => "fixed32",
            Self::Fixed64 => "fixed64",
            Self::Sfixed32 => "sfixed32",
            Self::Sfixed64 => "sfixed64",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Enum(_) | Self::Message(_) | Self::Group(_) => return None,
        })
    }
}

/// An enumeration.
#[derive(Debug)]
pub struct Enum {
    /// Full name.
    pub name: Box<str>,
    /// Names by number, sorted by number; of aliases the first one declared.
    pub values: Vec<(i32, Box<str>)>,
    /// The other aliases (`allow_alias`), in the order of the schema.
    pub aliases: Vec<(i32, Box<str>)>,
    /// The default: the first value declared.
    pub default: i32,
    /// Closed (proto2): numbers that it does not have are unknown fields.
    pub closed: bool,
}

/// A service.
#[derive(Debug)]
pub struct Service {
    /// Full name.
    pub name: Box<str>,
    /// Its methods in the order of the schema.
    pub methods: Vec<Method>,
}

/// A method of a service.
#[derive(Debug)]
pub struct Method {
    /// Bare name.
    pub name: Box<str>,
    /// Request type.
    pub input: MessageIx,
    /// Response type.
    pub output: MessageIx,
    /// Whether the client sends a stream.
    pub client_streaming: bool,
    /// Whether the server sends a stream.
    pub server_streaming: bool,
    /// `idempotency_level`: 0 unknown, 1 no side effects, 2 idempotent.
    pub idempotency: u8,
}

/// A message type with a JSON form of its own (<https://protobuf.dev/programming-guides/json/>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // named as the types are
pub enum WellKnown {
    Any,
    Timestamp,
    Duration,
    FieldMask,
    Struct,
    Value,
    ListValue,
    /// The nine wrappers: `DoubleValue` to `BytesValue`.
    Wrapper,
    Empty,
}

impl Schema {
    /// Whether any field is marked `debug_redact`.
    pub fn marks_fields(&self) -> bool {
        *self.marks_fields.get_or_init(|| self.messages.iter().flat_map(|message| &message.fields).any(|f| f.redact))
    }

    /// The message type `name` (full, without a leading dot).
    pub fn message(&self, name: &str) -> Option<MessageIx> {
        self.message_names.get(name).copied()
    }

    /// The service `name` (full, without a leading dot).
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.service_names.get(name).and_then(|&at| self.services.get(at as usize))
    }

    /// The method `method` of the service `service`.
    pub fn method(&self, service: &str, method: &str) -> Option<&Method> {
        self.service(service)?.methods.iter().find(|m| &*m.name == method)
    }
}

impl std::ops::Index<MessageIx> for Schema {
    type Output = Message;

    fn index(&self, at: MessageIx) -> &Message {
        &self.messages[at.0 as usize]
    }
}

impl std::ops::Index<EnumIx> for Schema {
    type Output = Enum;

    fn index(&self, at: EnumIx) -> &Enum {
        &self.enums[at.0 as usize]
    }
}

impl Message {
    /// The field `number`, if it is known.
    pub fn field(&self, number: u32) -> Option<&Field> {
        // Numbers mostly run from 1 without holes: look there first.
        let guess = (number as usize).wrapping_sub(1);
        match self.fields.get(guess) {
            Some(field) if field.number == number => Some(field),
            _ => self.fields.binary_search_by_key(&number, |f| f.number).ok().map(|at| &self.fields[at]),
        }
    }
}

impl Enum {
    /// The name of `number`, if it has one.
    pub fn value_name(&self, number: i32) -> Option<&str> {
        self.values.binary_search_by_key(&number, |&(n, _)| n).ok().map(|at| &*self.values[at].1)
    }
}
