//! Connect as one of the protocols that carry calls over HTTP.

use super::end;
use super::query::PathMessage;
use crate::header::Field;
use crate::rpc::{Carrier, Codec, Content, Ending, Form, HeaderFacts, Headers, MediaType, RpcProtocol, field};
use crate::store::{End, Protocol};

/// Connect.
#[derive(Debug)]
pub(crate) struct Connect;

/// The flag of the frame that ends the response of a stream.
const END_STREAM: u8 = 0x02;

/// What fields of a unary response begin with that gRPC would send as trailers.
const TRAILER: &[u8] = b"trailer-";

impl RpcProtocol for Connect {
    fn protocol(&self) -> Protocol {
        Protocol::Connect
    }

    fn carrier(&self, headers: &Headers<'_>) -> Option<Carrier> {
        let protocol = Protocol::Connect;
        let whole = Carrier { protocol, form: Form::Whole };
        let stream = |media: &MediaType<'_>| {
            let is_stream = media.is("application/connect") && media.codec != Codec::Unsaid;
            is_stream.then_some(Carrier { protocol, form: Form::Prefixed })
        };
        let Some(method) = headers.get(b":method") else {
            // Unary responses look like any others: the request says what they are.
            return headers.media_type().as_ref().and_then(stream);
        };
        if method == b"GET" {
            PathMessage::parse(headers.get(b":path")?)?;
            return Some(Carrier { protocol, form: Form::InPath });
        }
        let media = headers.media_type().filter(|_| method == b"POST")?;
        let has_version = headers.get(b"connect-protocol-version").is_some();
        match stream(&media) {
            Some(stream) => Some(stream),
            // Other programs post JSON, too.
            None if media.is("application/json") => has_version.then_some(whole),
            None if media.is("application/proto") => Some(whole),
            // Another codec.
            None => (has_version && media.is_application()).then_some(whole),
        }
    }

    fn response_form(&self, request: Option<Carrier>, response: &HeaderFacts) -> Form {
        let content = response.content.known().copied();
        if let Some(Content::Rpc(carrier)) = content {
            return carrier.form;
        }
        let has_failed = response.http_status.known().is_some_and(|&status| status != 200);
        let is_unary = request.is_none_or(|carrier| matches!(carrier.form, Form::Whole | Form::InPath));
        match has_failed {
            true if content == Some(Content::Json) => Form::Error,
            false if is_unary && content != Some(Content::Other) => Form::Whole,
            _ => Form::Opaque,
        }
    }

    fn end_flag(&self) -> u8 {
        END_STREAM
    }

    fn trailers(&self, frame: &[u8]) -> Result<Vec<Field>, &'static str> {
        end::of_stream(frame).ok_or("it is not a JSON object")
    }

    fn ending(&self, head: &[Field], error: Option<&[u8]>) -> Option<Ending> {
        let mut trailers = match error {
            Some(body) => end::of_error(body)?,
            None => vec![field(b"grpc-status", b"0")],
        };
        trailers.extend(head.iter().filter_map(|sent| {
            let name = sent.name.known()?.strip_prefix(TRAILER)?;
            Some(Field { value: sent.value.clone(), ..field(name, b"") })
        }));
        Some(Ending { trailers, end: End::Response })
    }

    fn has_trailer_blocks(&self) -> bool {
        false
    }

    fn message_in_path(&self, path: &[u8]) -> Option<PathMessage> {
        PathMessage::parse(path)
    }

    fn is_own_field(&self, name: &[u8]) -> bool {
        let http = matches!(name, b"content-encoding" | b"accept-encoding" | b"content-length" | b"accept");
        http || name.starts_with(b"connect-") || name.starts_with(TRAILER)
    }
}
