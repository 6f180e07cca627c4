//! Fields of header blocks: metadata, trailers, and every header field of HTTP/2 by its name.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::call::STATUSES;
use super::{FieldSpec, Flow, Get, Visit};
use crate::filter::value::{Item, Names, Type, Value};
use crate::grpc::is_binary;
use crate::store::{End, Framing, Protocol};
use crate::view::{CallView, FrameView, HeaderView, HeadersView, Known};

/// Fields of header blocks.
pub(super) static FIELDS: &[FieldSpec] = &[
    FieldSpec {
        name: "rpc.metadata.<name>",
        ty: Type::Text,
        help: "Metadata that the client or the server sent; bytes if the name ends in -bin",
        get: Get::Header(Headers::Metadata),
    },
    FieldSpec {
        name: "rpc.trailer.<name>",
        ty: Type::Text,
        help: "Metadata in the trailers; bytes if the name ends in -bin",
        get: Get::Header(Headers::Trailers),
    },
    one("http2.headers.path", Type::Text, "Value of :path"),
    one("http2.headers.method", Type::Text, "Value of :method"),
    one("http2.headers.status", Type::Unsigned, "Value of :status"),
    one("http2.headers.authority", Type::Text, "Value of :authority"),
    one("http2.headers.scheme", Type::Text, "Value of :scheme"),
    one("http2.headers.content_type", Type::Text, "Value of content-type"),
    one("http2.headers.user_agent", Type::Text, "Value of user-agent"),
    one("http2.headers.grpc_status", Type::Enum(Names::Fixed(STATUSES)), "Value of grpc-status"),
    one("http2.headers.<name>", Type::Text, "Value of any header field; _ stands for -"),
    FieldSpec {
        name: "http2.header.name",
        ty: Type::Text,
        help: "Name of a header field",
        get: Get::Either(call_names, frame_names),
    },
    FieldSpec {
        name: "http2.header.value",
        ty: Type::Text,
        help: "Value of a header field",
        get: Get::Either(call_values, frame_values),
    },
];

const fn one(name: &'static str, ty: Type, help: &'static str) -> FieldSpec {
    FieldSpec { name, ty, help, get: Get::Header(Headers::Http2) }
}

/// Which header fields are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::filter) enum Headers {
    /// What the application sent before the messages, in both directions.
    Metadata,
    /// What the application sent after the messages.
    Trailers,
    /// Every field of every HTTP/2 header block.
    Http2,
}

/// The name of a header field, as a filter writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::filter) struct HeaderName {
    headers: Headers,
    name: Box<[u8]>,
    /// Values are whole numbers.
    numeric: bool,
}

const CONTINUE: Flow = ControlFlow::Continue(());

impl HeaderName {
    /// The header field that the field `rest` of a family means; `ty`: what its values are.
    pub(in crate::filter) fn new(headers: Headers, rest: &str, ty: Type) -> Self {
        let name: Vec<u8> = rest.bytes().map(|byte| byte.to_ascii_lowercase()).collect();
        Self { headers, name: name.into(), numeric: ty.is_whole() }
    }

    /// Whether frames have the fields: those of metadata and trailers are the call's.
    pub(in crate::filter) const fn is_of_frames(&self) -> bool {
        matches!(self.headers, Headers::Http2)
    }

    /// Whether the values are binary by the name.
    pub(in crate::filter) fn is_binary(&self) -> bool {
        self.headers != Headers::Http2 && is_binary(&self.name)
    }

    /// Visits the values on a call.
    pub(in crate::filter) fn on_call(&self, call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
        match self.headers {
            Headers::Metadata => {
                match call.request_headers() {
                    Some(headers) => self.among(headers.metadata(), visit)?,
                    None => visit(Item::Unknown)?,
                }
                match call.response_headers() {
                    Some(headers) => self.among(headers.metadata(), visit),
                    None if is_response_begin_lost(call) => visit(Item::Unknown),
                    None => CONTINUE,
                }
            }
            Headers::Trailers => match call.trailers() {
                Some(trailers) => self.among(trailers.metadata(), visit),
                None if call.end() == Some(End::Gap) => visit(Item::Unknown),
                None => CONTINUE,
            },
            Headers::Http2 => all_of(call).try_for_each(|headers| self.among(headers.fields(), visit)),
        }
    }

    /// Visits the values on a frame.
    pub(in crate::filter) fn on_frame(&self, frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
        match frame.headers().filter(|_| frame.framing() == Framing::Http2) {
            Some(headers) => self.among(headers.fields(), visit),
            None => CONTINUE,
        }
    }

    fn among<'h>(&self, mut headers: impl Iterator<Item = HeaderView<'h>>, visit: &mut Visit<'_>) -> Flow {
        headers.try_for_each(|header| match header.name() {
            Known::Seen(name) | Known::Guessed(name) if !self.means(name) => CONTINUE,
            Known::Seen(_) | Known::Guessed(_) => self.value(header, visit),
            // It may be the one that is asked for.
            _ => visit(Item::Unknown),
        })
    }

    /// Whether `name` is meant: `content_type` and `content-type` are the same, and so are `path` and `:path`.
    fn means(&self, name: &[u8]) -> bool {
        let name = match self.headers {
            Headers::Http2 => name.strip_prefix(b":").unwrap_or(name),
            _ => name,
        };
        let same =
            |a: u8, b: u8| a == b.to_ascii_lowercase() || self.headers == Headers::Http2 && a == b'_' && b == b'-';
        name.len() == self.name.len() && self.name.iter().zip(name).all(|(&a, &b)| same(a, b))
    }

    fn value(&self, header: HeaderView<'_>, visit: &mut Visit<'_>) -> Flow {
        match header.value() {
            Known::Seen(value) | Known::Guessed(value) if self.numeric => {
                let number = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse::<u64>().ok());
                number.map_or(CONTINUE, |number| visit(Item::Value(Value::int(number))))
            }
            Known::Seen(value) | Known::Guessed(value) => match header.binary_values().filter(|_| self.is_binary()) {
                Some(mut values) => values.try_for_each(|bytes| match bytes {
                    Some(bytes) => visit(Item::Value(Value::Bytes(Cow::Owned(bytes)))),
                    None => visit(Item::Value(Value::Bytes(Cow::Borrowed(value)))),
                }),
                None => visit(Item::Value(Value::Text(Cow::Borrowed(value)))),
            },
            Known::Hidden { len } => visit(Item::Hidden(len)),
            Known::Absent => CONTINUE,
            Known::Unknown => visit(Item::Unknown),
        }
    }
}

/// Whether a response has begun, and its header block is not in the capture.
fn is_response_begin_lost(call: &CallView<'_>) -> bool {
    call.protocol() != Protocol::Ttrpc
        && (call.trailers().is_some() && !call.is_trailers_only() || call.totals().responses > 0)
}

/// Every header list of an HTTP/2 call.
fn all_of<'a>(call: &CallView<'a>) -> impl Iterator<Item = HeadersView<'a>> {
    let lists = match call.protocol() {
        Protocol::Ttrpc => [None; 4],
        _ => [call.request_headers(), call.response_headers(), call.trailers(), call.late_trailers()],
    };
    lists.into_iter().flatten()
}

fn visit_known(known: Known<&[u8]>, visit: &mut Visit<'_>) -> Flow {
    match known {
        Known::Seen(text) | Known::Guessed(text) => visit(Item::Value(Value::Text(Cow::Borrowed(text)))),
        Known::Hidden { len } => visit(Item::Hidden(len)),
        Known::Absent => CONTINUE,
        Known::Unknown => visit(Item::Unknown),
    }
}

fn call_names(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    all_of(call).flat_map(HeadersView::fields).try_for_each(|header| visit_known(header.name(), visit))
}

fn call_values(call: &CallView<'_>, visit: &mut Visit<'_>) -> Flow {
    all_of(call).flat_map(HeadersView::fields).try_for_each(|header| visit_known(header.value(), visit))
}

fn frame_headers(frame: FrameView<'_>) -> impl Iterator<Item = HeaderView<'_>> {
    frame.headers().filter(|_| frame.framing() == Framing::Http2).into_iter().flat_map(HeadersView::fields)
}

fn frame_names(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    frame_headers(frame).try_for_each(|header| visit_known(header.name(), visit))
}

fn frame_values(frame: FrameView<'_>, visit: &mut Visit<'_>) -> Flow {
    frame_headers(frame).try_for_each(|header| visit_known(header.value(), visit))
}
