//! What a header list says about a call, concluded once however many calls carry the list.

use super::{Codec, ContentType, parse_timeout};
use crate::header::{Field, Text};

/// What a header list says about a call. A field whose name is unknown may be any of these, so what was not found is
/// *unknown* when there is such a field, and *absent* when there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderFacts {
    /// Who sends such a list, by its pseudo-header fields.
    pub role: Role,
    /// Whether it makes its stream a call.
    pub rpc: Rpc,
    /// `:path`, as sent.
    pub path: HeaderValue<Text>,
    /// `:status`.
    pub http_status: HeaderValue<u16>,
    /// `grpc-status`, as a number.
    pub grpc_status: HeaderValue<u32>,
    /// `grpc-encoding`.
    pub encoding: HeaderValue<Text>,
    /// `grpc-timeout` in nanoseconds.
    pub timeout_ns: Option<u64>,
    /// `content-type`, by what it says about the stream.
    pub content_type: HeaderValue<Carrier>,
}

/// What a content type says about a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// gRPC; `json`: its messages are JSON.
    Grpc {
        /// `application/grpc+json`.
        json: bool,
    },
    /// gRPC-Web.
    GrpcWeb {
        /// `application/grpc-web-text`: everything is in base64.
        text: bool,
    },
    /// Something else.
    Other,
}

impl Carrier {
    fn of(value: &[u8]) -> Self {
        match ContentType::parse(value) {
            ContentType::Grpc(codec) => Self::Grpc { json: codec == Codec::Json },
            ContentType::GrpcWeb(_) => Self::GrpcWeb { text: false },
            ContentType::GrpcWebText(_) => Self::GrpcWeb { text: true },
            _ => Self::Other,
        }
    }
}

/// Something looked for among header fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HeaderValue<T> {
    /// It is not among them.
    #[default]
    Absent,
    /// It may be among those whose names are unknown, or its value is unknown.
    Unknown,
    /// It is this.
    Known(T),
}

impl<T> HeaderValue<T> {
    /// What was found, if anything.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            _ => None,
        }
    }
}

/// Who sends a header list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// A client: it has request pseudo-header fields.
    Request,
    /// A server: it has `:status`.
    Response,
    /// It has neither: trailers, or they are unknown.
    #[default]
    Neither,
}

/// Whether a header list makes its stream a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rpc {
    /// It has a gRPC content type, or a field that only gRPC has.
    Yes,
    /// Its content type is another one, or it has none.
    No,
    /// Its content type is unknown.
    #[default]
    Unknown,
}

impl HeaderFacts {
    /// What `fields` say.
    pub fn of(fields: &[Field]) -> Self {
        let mut facts = Self::default();
        let mut unknown_names = false;
        for field in fields {
            match field.name.known() {
                Some(name) => facts.field(name, &field.value),
                None => unknown_names = true,
            }
        }
        if unknown_names {
            facts.doubt();
        }
        facts.rpc = match &facts.content_type {
            _ if facts.rpc == Rpc::Yes => Rpc::Yes,
            HeaderValue::Known(Carrier::Grpc { .. } | Carrier::GrpcWeb { .. }) => Rpc::Yes,
            HeaderValue::Known(_) | HeaderValue::Absent => Rpc::No,
            HeaderValue::Unknown => Rpc::Unknown,
        };
        facts
    }

    fn field(&mut self, name: &[u8], value: &Text) {
        match name {
            b":method" | b":scheme" | b":authority" => self.role = Role::Request,
            b":path" => {
                self.role = Role::Request;
                self.path = found(value, |_| Some(value.clone()));
            }
            b":status" => {
                self.role = Role::Response;
                self.http_status = found(value, number);
            }
            b"content-type" => self.content_type = found(value, |v| Some(Carrier::of(v))),
            b"grpc-status" => {
                self.rpc = Rpc::Yes;
                self.grpc_status = found(value, number);
            }
            b"grpc-encoding" => {
                self.rpc = Rpc::Yes;
                self.encoding = found(value, |_| Some(value.clone()));
            }
            b"grpc-timeout" => {
                self.rpc = Rpc::Yes;
                let timeout = value.known().and_then(parse_timeout);
                self.timeout_ns = timeout.and_then(|timeout| u64::try_from(timeout.as_nanos()).ok());
            }
            // Envoy and others send `grpc-` fields of their own on anything; these are gRPC's.
            b"grpc-message" | b"grpc-accept-encoding" | b"grpc-status-details-bin" => self.rpc = Rpc::Yes,
            _ => {}
        }
    }

    /// There are fields whose names are unknown: what was not found may be among them.
    fn doubt(&mut self) {
        doubt(&mut self.path);
        doubt(&mut self.http_status);
        doubt(&mut self.grpc_status);
        doubt(&mut self.encoding);
        doubt(&mut self.content_type);
    }
}

fn doubt<T>(found: &mut HeaderValue<T>) {
    if matches!(found, HeaderValue::Absent) {
        *found = HeaderValue::Unknown;
    }
}

/// What is made of a known value; one of which nothing can be made is unknown.
fn found<T>(value: &Text, of: impl FnOnce(&[u8]) -> Option<T>) -> HeaderValue<T> {
    value.known().and_then(of).map_or(HeaderValue::Unknown, HeaderValue::Known)
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
