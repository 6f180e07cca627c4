//! gRPC-Web as one of the protocols that carry calls over HTTP.

use crate::header::Field;
use crate::rpc::{Carrier, Form, Headers, RpcProtocol, field};
use crate::store::Protocol;

/// gRPC-Web.
#[derive(Debug)]
pub(crate) struct GrpcWeb;

/// The flag of a frame that holds trailers (PROTOCOL-WEB.md: the most significant bit).
pub(super) const TRAILERS: u8 = 0x80;

/// Fields of a trailers frame that are kept.
const MAX_TRAILER_FIELDS: usize = 1024;

impl RpcProtocol for GrpcWeb {
    fn protocol(&self) -> Protocol {
        Protocol::GrpcWeb
    }

    fn carrier(&self, headers: &Headers<'_>) -> Option<Carrier> {
        let media = headers.media_type()?;
        let form = if media.is("application/grpc-web") {
            Form::Prefixed
        } else if media.is("application/grpc-web-text") {
            Form::Base64
        } else {
            return None;
        };
        // A preflight has the content type of the request it asks for in other fields, but some clients add it here, too.
        if headers.get(b":method").is_some_and(|method| method != b"POST") {
            return None;
        }
        Some(Carrier { protocol: Protocol::GrpcWeb, form })
    }

    fn end_flag(&self) -> u8 {
        TRAILERS
    }

    /// `name: value` lines, names in lower case.
    fn trailers(&self, frame: &[u8]) -> Result<Vec<Field>, &'static str> {
        let fields = frame.split(|&byte| byte == b'\n').filter_map(|line| {
            let colon = memchr::memchr(b':', line)?;
            let (name, value) = line.split_at(colon);
            Some(field(&name.trim_ascii().to_ascii_lowercase(), value.get(1..)?.trim_ascii()))
        });
        Ok(fields.take(MAX_TRAILER_FIELDS).collect())
    }
}
