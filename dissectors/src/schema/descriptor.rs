//! Descriptors: the part of `google/protobuf/descriptor.proto` that decoding needs, as prost messages of our own.
//!
//! The parser of `.proto` text makes these, and descriptor sets are decoded into these; [`link`](super::link) turns
//! both into the table. They are our own because `prost_types` drops `edition`, `features` and `debug_redact`, and
//! because everything else (comments, source positions, other options) is then skipped rather than built.
//! Enumerations are plain numbers, so that an unknown value is a value. Decoding is bounded by prost's limit of 100
//! nested messages.

use prost::Message as ProstMessage;

/// Bytes that are no `google.protobuf.FileDescriptorSet`.
#[derive(Debug, thiserror::Error)]
#[error("not a descriptor set: {0}")]
pub struct DescriptorSetError(#[from] prost::DecodeError);

/// The files of an encoded descriptor set.
pub(super) fn decode(set: &[u8]) -> Result<Vec<File>, DescriptorSetError> {
    Ok(FileSet::decode(set)?.file)
}

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
    #[prost(message, repeated, tag = "6")]
    pub(crate) extension: Vec<Field>,
    #[prost(message, optional, tag = "7")]
    pub(crate) options: Option<MessageOptions>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) oneof_decl: Vec<Oneof>,
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
