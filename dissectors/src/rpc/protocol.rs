//! What one protocol is to the calls that it carries.

use std::fmt;

use super::facts::{Content, HeaderFacts, HeaderValue};
use super::media_type::MediaType;
use crate::connect::PathMessage;
use crate::header::{Coded, Field, Octets, Text};
use crate::store::{End, Protocol};

/// Every protocol that carries calls over HTTP, in the order in which they are tried.
pub(crate) static PROTOCOLS: &[&dyn RpcProtocol] =
    &[&crate::grpc::Grpc, &crate::grpc_web::GrpcWeb, &crate::connect::Connect];

/// One protocol that carries calls over HTTP.
pub(crate) trait RpcProtocol: Sync + fmt::Debug {
    /// What its calls are called.
    fn protocol(&self) -> Protocol;

    /// How a header list says that the stream carries a call of this protocol. `None`: it does not say so.
    fn carrier(&self, headers: &Headers<'_>) -> Option<Carrier>;

    /// How the body of a response is read. `request`: what the request said, if that is known.
    fn response_form(&self, request: Option<Carrier>, response: &HeaderFacts) -> Form {
        let _ = request;
        match response.content {
            HeaderValue::Known(Content::Rpc(carrier)) => carrier.form,
            // Another content type, or an HTTP error without one: for example an error page.
            HeaderValue::Known(_) => Form::Opaque,
            HeaderValue::Absent if response.http_status.known().is_some_and(|&status| status != 200) => Form::Opaque,
            HeaderValue::Absent | HeaderValue::Unknown => request.map_or(Form::Prefixed, |carrier| carrier.form),
        }
    }

    /// The flag of the frame that holds the trailers, among prefixed messages. 0: no frame does.
    fn end_flag(&self) -> u8 {
        0
    }

    /// The trailers that a frame at the end of a body stands for. What is wrong with it, if it cannot be read.
    fn trailers(&self, frame: &[u8]) -> Result<Vec<Field>, &'static str> {
        let _ = frame;
        Ok(Vec::new())
    }

    /// How a call ends whose response has ended without trailers, neither in HTTP nor in its body. `head`: the response's
    /// header list. `error`: the body, decompressed, if its form was [`Form::Error`].
    fn ending(&self, head: &[Field], error: Option<&[u8]>) -> Option<Ending> {
        let _ = (head, error);
        None
    }

    /// The message that a path holds.
    fn message_in_path(&self, path: &[u8]) -> Option<PathMessage> {
        let _ = path;
        None
    }

    /// Whether a header field of this name is the protocol's own and not the application's, besides gRPC's.
    fn is_own_field(&self, name: &[u8]) -> bool {
        let _ = name;
        false
    }

    /// Whether header blocks after the body end the call, as in gRPC.
    fn has_trailer_blocks(&self) -> bool {
        true
    }
}

/// The end of a response, as trailers.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) trailers: Vec<Field>,
    pub(crate) end: End,
}

impl Protocol {
    /// The protocol's implementation. ttrpc has its own parser.
    pub(crate) fn over_http(self) -> Option<&'static dyn RpcProtocol> {
        PROTOCOLS.iter().copied().find(|rpc| rpc.protocol() == self)
    }
}

/// How a stream carries a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// The protocol.
    pub protocol: Protocol,
    /// How a body holds messages.
    pub form: Form,
}

/// How a body holds messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Each behind a prefix of five bytes: flags, length.
    Prefixed,
    /// The same in base64.
    Base64,
    /// The body is one message.
    Whole,
    /// The message is in the path, and there is no body.
    InPath,
    /// The body says how the call failed.
    Error,
    /// The body is something else, for example an error page.
    Opaque,
}

/// The fields of a header list, by name.
pub(crate) struct Headers<'a> {
    fields: &'a [Field],
}

impl<'a> Headers<'a> {
    pub(crate) const fn new(fields: &'a [Field]) -> Self {
        Self { fields }
    }

    /// The value of the first field called `name`, if both are known.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.fields.iter().find(|field| field.name.is(name))?.value.known()
    }

    pub(crate) fn media_type(&self) -> Option<MediaType<'a>> {
        self.get(b"content-type").map(MediaType::parse)
    }
}

/// `content-encoding`: how a body as a whole is compressed, if it is.
pub(crate) fn body_encoding<'a>(mut fields: impl Iterator<Item = &'a Field>) -> Option<&'a Text> {
    let encoding = fields.find(|field| field.name.is(b"content-encoding"))?;
    Some(&encoding.value).filter(|name| !name.is(b"identity"))
}

/// A field that is not compressed.
pub(crate) fn field(name: &[u8], value: &[u8]) -> Field {
    Field {
        name: Text::Known(Octets::copied(name)),
        value: Text::Known(Octets::copied(value)),
        coded: Coded::Literal,
        name_huffman: false,
        value_huffman: false,
        index: None,
        span: 0..0,
        value_span: 0..0,
    }
}
