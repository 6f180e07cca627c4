//! What a header list says about a call, concluded once however many calls carry the list.

use super::media_type::MediaType;
use super::protocol::{Carrier, Form, Headers, PROTOCOLS};
use crate::grpc::parse_timeout;
use crate::header::{Field, Octets, Text};
use crate::store::Protocol;

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
    /// `grpc-encoding`, or what Connect has instead for streams.
    pub encoding: HeaderValue<Text>,
    /// The timeout in nanoseconds.
    pub timeout_ns: Option<u64>,
    /// What the stream carries.
    pub content: HeaderValue<Content>,
}

/// What a stream carries, by its content type and other fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A call.
    Rpc(Carrier),
    /// `application/json`.
    Json,
    /// Some other `application/…`.
    Application,
    /// Something else, for example a page.
    Other,
}

impl Content {
    /// How it carries a call, if it does.
    pub const fn carrier(self) -> Option<Carrier> {
        match self {
            Self::Rpc(carrier) => Some(carrier),
            _ => None,
        }
    }

    fn of(value: &[u8]) -> Self {
        match MediaType::parse(value) {
            media if media.is("application/json") => Self::Json,
            media if media.is_application() => Self::Application,
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
        facts.find_carrier(fields);
        if unknown_names {
            facts.doubt();
        }
        facts.rpc = match &facts.content {
            _ if facts.rpc == Rpc::Yes => Rpc::Yes,
            HeaderValue::Known(Content::Rpc(_)) => Rpc::Yes,
            HeaderValue::Known(_) | HeaderValue::Absent => Rpc::No,
            HeaderValue::Unknown => Rpc::Unknown,
        };
        facts
    }

    /// Asks the protocols whether they know such a list.
    fn find_carrier(&mut self, fields: &[Field]) {
        match self.content {
            HeaderValue::Unknown => return,
            // A call in a GET request has no content type.
            HeaderValue::Absent if self.role != Role::Request => return,
            HeaderValue::Known(_) | HeaderValue::Absent => {}
        }
        let headers = Headers::new(fields);
        let Some(carrier) = PROTOCOLS.iter().find_map(|protocol| protocol.carrier(&headers)) else { return };
        self.content = HeaderValue::Known(Content::Rpc(carrier));
        // What follows the path is not a part of the method's name.
        if carrier.protocol != Protocol::Grpc
            && let HeaderValue::Known(Text::Known(path)) = &self.path
            && let Some(end) = memchr::memchr(b'?', path)
        {
            self.path = HeaderValue::Known(Text::Known(Octets::copied(path.get(..end).unwrap_or_default())));
        }
    }

    /// Whether the call's one request message is in the path.
    pub fn is_in_path(&self) -> bool {
        self.carrier().is_some_and(|carrier| carrier.form == Form::InPath)
    }

    /// How the stream carries a call, if it is known to do so.
    pub fn carrier(&self) -> Option<Carrier> {
        self.content.known().and_then(|content| content.carrier())
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
            b"content-type" => self.content = found(value, |value| Some(Content::of(value))),
            b"grpc-status" => {
                self.rpc = Rpc::Yes;
                self.grpc_status = found(value, number);
            }
            b"grpc-encoding" => {
                self.rpc = Rpc::Yes;
                self.encoding = found(value, |_| Some(value.clone()));
            }
            b"connect-content-encoding" => self.encoding = found(value, |_| Some(value.clone())),
            b"connect-timeout-ms" => {
                self.timeout_ns =
                    value.known().and_then(number::<u64>).and_then(|millis| millis.checked_mul(1_000_000));
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
        doubt(&mut self.content);
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
    // A sign is not a digit, though `parse` accepts one.
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
