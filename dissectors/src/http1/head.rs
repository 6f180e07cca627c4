//! The head of a request or a response: everything up to the empty line (RFC 9112 §2.1).

use std::sync::Arc;

use rpcshark_captures::Data;

use super::reader::State;
use crate::grpc::binary_values;
use crate::header::Field;
use crate::rpc::{HeaderFacts, field};
use crate::store::Protocol;
use crate::{Arrival, FirstByte};

/// A head, while it is read.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) bytes: Vec<u8>,
    pub(super) first: FirstByte,
    pub(super) last: Arrival,
}

/// A head longer than this offers nothing that is looked for: servers refuse heads of more than some KiB.
pub(super) const MAX_HEAD: usize = 1 << 16;

impl Head {
    /// Reads on. True: the head is complete, and `data` is what follows it.
    pub(super) fn read(&mut self, data: &mut Data<'_>) -> bool {
        // RFC 9112 §2.2: empty lines before a request are skipped.
        if self.bytes.is_empty() {
            let blank = data.bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            *data = data.skip(blank);
            if data.bytes.is_empty() {
                return false;
            }
            self.first = FirstByte::from(&*data);
        }
        self.last = Arrival::from(&*data);
        let before = self.bytes.len();
        self.bytes.extend_from_slice(data.bytes);
        let from = before.saturating_sub(END.len());
        let rest = self.bytes.get(from..).unwrap_or_default();
        match memchr::memmem::find(rest, END).map(|at| from + at + END.len()) {
            Some(end) => {
                self.bytes.truncate(end);
                *data = data.skip(end - before);
                true
            }
            None => {
                *data = data.skip(data.bytes.len());
                false
            }
        }
    }
}

pub(super) const END: &[u8] = b"\r\n\r\n";

/// The fields of a head, names in lower case.
pub(super) fn fields(head: &[u8]) -> impl Iterator<Item = (Vec<u8>, &[u8])> {
    let lines = head.split(|&b| b == b'\n').skip(1);
    lines.filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at(colon);
        Some((name.to_ascii_lowercase(), value.get(1..)?.trim_ascii()))
    })
}

/// Whether a head names `h2c` among what it upgrades to (RFC 9110 §7.8: a list, in one field or several).
pub(super) fn offers_h2c(head: &[u8]) -> bool {
    let lists = fields(head).filter(|(name, _)| name == b"upgrade").map(|(_, value)| value);
    lists.flat_map(|list| list.split(|&byte| byte == b',')).any(|name| name.trim_ascii().eq_ignore_ascii_case(b"h2c"))
}

/// The state after a head whose message has a body; `None` where it has none.
pub(super) fn body_of(head: &[u8]) -> Option<State> {
    let mut length = None;
    for (name, value) in fields(head) {
        match &*name {
            // RFC 9112 §6.3: Transfer-Encoding overrides Content-Length.
            b"transfer-encoding" if value.to_ascii_lowercase().ends_with(b"chunked") => {
                return Some(State::ChunkSize { size: 0, in_digits: true });
            }
            b"content-length" => length = content_length(value),
            _ => {}
        }
    }
    length.filter(|&length| length > 0).map(State::Body)
}

/// RFC 9110 §8.6: digits. Several that are equal, as a list, count as one.
fn content_length(value: &[u8]) -> Option<u64> {
    let mut lengths = value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let first = lengths.next()?;
    if first.is_empty() || !first.iter().all(u8::is_ascii_digit) || lengths.any(|other| other != first) {
        return None;
    }
    std::str::from_utf8(first).ok()?.parse().ok()
}

/// The status of a response.
pub(super) fn status_of(head: &[u8]) -> Option<u16> {
    let line = head.split(|&byte| byte == b'\r').next()?.strip_prefix(b"HTTP/1.")?;
    std::str::from_utf8(line.split(|&byte| byte == b' ').nth(1)?).ok()?.parse().ok()
}

/// The request as the header list that HTTP/2 would have sent (RFC 7540 §8.1.2.3), without what only HTTP/1 has.
pub(super) fn request_fields(head: &[u8]) -> Arc<[Field]> {
    let mut line = head.split(|&b| b == b'\r').next().unwrap_or_default().split(|&b| b == b' ');
    let method = line.next().unwrap_or_default();
    let path = without_authority(line.next().unwrap_or_default());
    let host = fields(head).find(|(name, _)| name == b"host").map_or(&b""[..], |(_, value)| value);
    let pseudo: [(&[u8], &[u8]); 4] =
        [(b":method", method), (b":scheme", b"http"), (b":path", path), (b":authority", host)];
    let pseudo = pseudo.into_iter().map(|(name, value)| field(name, value));
    let others = fields(head).filter(|(name, _)| !CONNECTION_FIELDS.contains(&name.as_slice()));
    pseudo.chain(others.map(|(name, value)| field(&name, value))).collect()
}

/// The path of a target in absolute form, as clients send it to proxies (RFC 9112 §3.2.2).
fn without_authority(target: &[u8]) -> &[u8] {
    let rest = [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| target.strip_prefix(scheme));
    let path = rest.and_then(|rest| rest.get(memchr::memchr(b'/', rest)?..));
    path.unwrap_or(target)
}

/// The response as the header list that HTTP/2 would have sent, without what only HTTP/1 has.
pub(super) fn response_fields(status: u16, head: &[u8]) -> Arc<[Field]> {
    let status = std::iter::once(field(b":status", status.to_string().as_bytes()));
    let others = fields(head).filter(|(name, _)| !CONNECTION_FIELDS.contains(&name.as_slice()));
    status.chain(others.map(|(name, value)| field(&name, value))).collect()
}

/// Whether a request is a call. Those of gRPC itself need HTTP/2.
pub(super) fn is_call(fields: &[Field]) -> bool {
    HeaderFacts::of(fields).carrier().is_some_and(|carrier| carrier.protocol != Protocol::Grpc)
}

/// The payload of the SETTINGS frame that the request carries (RFC 7540 §3.2.1); empty where that is not base64.
pub(super) fn http2_settings(head: &[u8]) -> Vec<u8> {
    let value = fields(head).find(|(name, _)| name == b"http2-settings").map(|(_, value)| value);
    value.and_then(|value| binary_values(value).next().flatten()).unwrap_or_default()
}

/// Fields that are about the HTTP/1 connection (RFC 9113 §8.2.2), or stand as pseudo-header fields already.
const CONNECTION_FIELDS: &[&[u8]] =
    &[b"connection", b"upgrade", b"http2-settings", b"host", b"keep-alive", b"transfer-encoding"];

/// Whether a head has a field called `name`, in lower case.
pub(super) fn has_field(head: &[u8], name: &[u8]) -> bool {
    fields(head).any(|(field, _)| field == name)
}
