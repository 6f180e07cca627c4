//! Descriptors: the part of `google/protobuf/descriptor.proto` that decoding needs, as prost messages of our own.
//!
//! The parser of `.proto` text makes these, and descriptor sets are decoded into these; [`link`](super::link) turns
//! both into the table. They are our own because `prost_types` drops `edition`, `features` and `debug_redact`, and
//! because everything else (comments, source positions, other options) is then skipped rather than built.
//! Enumerations are plain numbers, so that an unknown value is a value. Decoding is bounded by prost's limit of 100
//! nested messages.

use prost::Message as ProstMessage;

use crate::protobuf::wire::{Fields, Value};

/// How many files a descriptor set may have: the largest public trees have some 10,000.
pub(super) const MAX_FILES: usize = 50_000;

/// How many definitions (messages, fields, enum values, methods and the like) a schema may have. The largest public trees
/// have some hundred thousand. Two bytes of a descriptor set can define an empty message, which takes a hundred times as
/// much memory, so definitions are counted before they are decoded.
pub(super) const MAX_DEFINITIONS: usize = 1_000_000;

/// Why bytes are not used as a `google.protobuf.FileDescriptorSet`.
#[derive(Debug, thiserror::Error)]
pub enum DescriptorSetError {
    /// They are not an encoded descriptor set.
    #[error("not a descriptor set: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// The set has more files than the limit.
    #[error("this descriptor set has more than {MAX_FILES} files")]
    TooManyFiles,
    /// The set has more definitions than the limit.
    #[error("this descriptor set has more than {MAX_DEFINITIONS} messages, fields and other definitions")]
    TooManyDefinitions,
}

/// The files of an encoded descriptor set, and how many definitions they have.
pub(super) fn decode(set: &[u8]) -> Result<(Vec<File>, usize), DescriptorSetError> {
    let mut count = Count::default();
    count.message(set, Shape::Set);
    if count.files > MAX_FILES {
        return Err(DescriptorSetError::TooManyFiles);
    }
    if count.definitions > MAX_DEFINITIONS {
        return Err(DescriptorSetError::TooManyDefinitions);
    }
    Ok((FileSet::decode(set)?.file, count.definitions))
}

/// Whether `bytes` look like an encoded descriptor set: nothing but files, of which the first begins with its name. Text
/// does not: a set begins with a line feed, the length of a file and another line feed.
pub fn is_descriptor_set(bytes: &[u8]) -> bool {
    let mut files = Fields::new(bytes);
    let Some(Ok(first)) = files.next() else { return false };
    let (1, Value::Bytes(first)) = (first.number, first.value) else { return false };
    let named = match Fields::new(first).next() {
        Some(Ok(name)) => matches!((name.number, name.value), (1, Value::Bytes(name)) if is_name(name)),
        _ => false,
    };
    named && files.take(MAX_FILES).all(|file| matches!(file, Ok(field) if field.number == 1))
}

fn is_name(bytes: &[u8]) -> bool {
    !bytes.is_empty() && std::str::from_utf8(bytes).is_ok_and(|name| !name.chars().any(char::is_control))
}

/// Counts definitions without decoding them.
#[derive(Default)]
struct Count {
    files: usize,
    definitions: usize,
    depth: usize,
}

/// The descriptors in which definitions stand.
#[derive(Clone, Copy)]
enum Shape {
    Set,
    File,
    Message,
    Enum,
    Service,
    Leaf,
}

impl Count {
    fn message(&mut self, bytes: &[u8], shape: Shape) {
        // Prost refuses what is nested deeper than this, so nobody needs to know how much is in there.
        if self.depth == MAX_NESTING {
            return;
        }
        self.depth += 1;
        for field in Fields::new(bytes).flatten() {
            if self.files > MAX_FILES || self.definitions > MAX_DEFINITIONS {
                break;
            }
            let inner = match (shape, field.number) {
                (Shape::Set, 1) => Shape::File,
                (Shape::File, 4) | (Shape::Message, 3) => Shape::Message,
                (Shape::File, 5) | (Shape::Message, 4) => Shape::Enum,
                (Shape::File, 6) => Shape::Service,
                (Shape::File, 3 | 7) | (Shape::Message, 2 | 6 | 8) | (Shape::Enum | Shape::Service, 2) => Shape::Leaf,
                _ => continue,
            };
            match inner {
                Shape::File => self.files += 1,
                _ => self.definitions += 1,
            }
            if let (Value::Bytes(bytes), Shape::File | Shape::Message | Shape::Enum | Shape::Service) =
                (field.value, inner)
            {
                self.message(bytes, inner);
            }
        }
        self.depth -= 1;
    }
}

/// As prost limits the nesting of messages.
const MAX_NESTING: usize = 100;

/// `FileDescriptorSet`
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct FileSet {
    #[prost(message, repeated, tag = "1")]
    pub(crate) file: Vec<File>,
}

/// `FileDescriptorProto`
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct File {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) package: Option<String>,
    #[prost(string, repeated, tag = "3")]
    pub(crate) dependency: Vec<String>,
    #[prost(int32, repeated, packed = "false", tag = "10")]
    pub(crate) public_dependency: Vec<i32>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) message_type: Vec<Message>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) enum_type: Vec<Enum>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) service: Vec<Service>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) extension: Vec<Field>,
    #[prost(message, optional, tag = "8")]
    pub(crate) options: Option<FileOptions>,
    #[prost(string, optional, tag = "12")]
    pub(crate) syntax: Option<String>,
    #[prost(int32, optional, tag = "14")]
    pub(crate) edition: Option<i32>,
}

/// `FileOptions`
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct FileOptions {
    #[prost(message, optional, tag = "50")]
    pub(crate) features: Option<Features>,
}

/// `FeatureSet`: what editions set where `syntax` did.
#[derive(Clone, Copy, PartialEq, ProstMessage)]
pub(crate) struct Features {
    #[prost(int32, optional, tag = "1")]
    pub(crate) field_presence: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) enum_type: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) repeated_field_encoding: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub(crate) utf8_validation: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    pub(crate) message_encoding: Option<i32>,
}

/// `DescriptorProto`
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct Message {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) field: Vec<Field>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) nested_type: Vec<Message>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) enum_type: Vec<Enum>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) extension_range: Vec<ExtensionRange>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) extension: Vec<Field>,
    #[prost(message, optional, tag = "7")]
    pub(crate) options: Option<MessageOptions>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) oneof_decl: Vec<Oneof>,
}

/// `DescriptorProto.ExtensionRange`
#[derive(Clone, Copy, PartialEq, ProstMessage)]
pub(crate) struct ExtensionRange {
    #[prost(int32, optional, tag = "1")]
    pub(crate) start: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) end: Option<i32>,
}

/// `MessageOptions`
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct MessageOptions {
    #[prost(bool, optional, tag = "1")]
    pub(crate) message_set_wire_format: Option<bool>,
    #[prost(bool, optional, tag = "7")]
    pub(crate) map_entry: Option<bool>,
    #[prost(message, optional, tag = "12")]
    pub(crate) features: Option<Features>,
}

/// `FieldDescriptorProto`
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct Field {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) extendee: Option<String>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) number: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub(crate) label: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    pub(crate) r#type: Option<i32>,
    #[prost(string, optional, tag = "6")]
    pub(crate) type_name: Option<String>,
    #[prost(message, optional, tag = "8")]
    pub(crate) options: Option<FieldOptions>,
    #[prost(int32, optional, tag = "9")]
    pub(crate) oneof_index: Option<i32>,
    #[prost(string, optional, tag = "10")]
    pub(crate) json_name: Option<String>,
    #[prost(bool, optional, tag = "17")]
    pub(crate) proto3_optional: Option<bool>,
    /// Where the source names the type: a byte offset, set by the parser. No number of descriptor.proto's; in a
    /// descriptor set, which has no text to point into, it is not looked at.
    #[prost(uint32, optional, tag = "536870911")]
    pub(crate) at: Option<u32>,
}

/// `FieldOptions`
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct FieldOptions {
    #[prost(bool, optional, tag = "2")]
    pub(crate) packed: Option<bool>,
    #[prost(bool, optional, tag = "16")]
    pub(crate) debug_redact: Option<bool>,
    #[prost(message, optional, tag = "21")]
    pub(crate) features: Option<Features>,
}

/// `OneofDescriptorProto`
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct Oneof {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub(crate) options: Option<OneofOptions>,
}

/// `OneofOptions`
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct OneofOptions {
    #[prost(message, optional, tag = "1")]
    pub(crate) features: Option<Features>,
}

/// `EnumDescriptorProto`
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct Enum {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) value: Vec<EnumValue>,
    #[prost(message, optional, tag = "3")]
    pub(crate) options: Option<EnumOptions>,
}

/// `EnumValueDescriptorProto`
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct EnumValue {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) number: Option<i32>,
}

/// `EnumOptions`
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct EnumOptions {
    #[prost(bool, optional, tag = "2")]
    pub(crate) allow_alias: Option<bool>,
    #[prost(message, optional, tag = "7")]
    pub(crate) features: Option<Features>,
}

/// `ServiceDescriptorProto`
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct Service {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) method: Vec<Method>,
}

/// `MethodDescriptorProto`
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct Method {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) input_type: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub(crate) output_type: Option<String>,
    #[prost(message, optional, tag = "4")]
    pub(crate) options: Option<MethodOptions>,
    #[prost(bool, optional, tag = "5")]
    pub(crate) client_streaming: Option<bool>,
    #[prost(bool, optional, tag = "6")]
    pub(crate) server_streaming: Option<bool>,
    /// Where the source names the types, as [`Field::at`].
    #[prost(uint32, optional, tag = "536870910")]
    pub(crate) input_at: Option<u32>,
    #[prost(uint32, optional, tag = "536870911")]
    pub(crate) output_at: Option<u32>,
}

/// `MethodOptions`
#[derive(Clone, PartialEq, ProstMessage)]
pub(crate) struct MethodOptions {
    #[prost(int32, optional, tag = "34")]
    pub(crate) idempotency_level: Option<i32>,
}

/// `FieldDescriptorProto.Label`
pub(crate) mod label {
    pub(crate) const OPTIONAL: i32 = 1;
    pub(crate) const REQUIRED: i32 = 2;
    pub(crate) const REPEATED: i32 = 3;
}

/// `FieldDescriptorProto.Type`
pub(crate) mod field_type {
    pub(crate) const GROUP: i32 = 10;
    pub(crate) const MESSAGE: i32 = 11;
    pub(crate) const ENUM: i32 = 14;
}
