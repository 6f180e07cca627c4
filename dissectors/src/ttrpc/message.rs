//! What Request and Response frames hold: ttrpc's own protobuf messages, read where they lie.
//!
//! ```text
//! Request  { string service = 1; string method = 2; bytes payload = 3; int64 timeout_nano = 4; repeated KeyValue metadata = 5; }
//! Response { google.rpc.Status status = 1; bytes payload = 2; }
//! KeyValue { string key = 1; string value = 2; }
//! ```
//!
//! Bytes may be missing from them: a value that is cut by a hole has its place all the same when its length is there,
//! and what follows it is read.

use std::ops::Range;

use smallvec::SmallVec;

use super::parts::Contents;
use crate::Cursor;
use crate::header::{Coded, Field as HeaderField, Octets, Text, UnknownEntry};
use crate::protobuf::wire::{Broken, Cause, Fields, Value, varint};
use crate::rpc::{HeaderFacts, HeaderValue, Role, Rpc};

/// A Request, as far as it can be read.
#[derive(Debug, Default)]
pub(super) struct Request<'a> {
    pub(super) service: Option<&'a [u8]>,
    pub(super) method: Option<&'a [u8]>,
    /// Where in the frame's data the payload lies.
    pub(super) payload: Option<Range<u32>>,
    /// Where the payload's field begins, with its tag.
    payload_at: u32,
    pub(super) timeout_nano: Option<i64>,
    pub(super) metadata: SmallVec<[(&'a [u8], &'a [u8]); 4]>,
    /// Why the rest of it cannot be read.
    pub(super) fault: Option<Fault>,
}

/// A Response, as far as it can be read.
#[derive(Debug, Default)]
pub(super) struct Response<'a> {
    /// The bytes of the `google.rpc.Status`.
    pub(super) status: Option<&'a [u8]>,
    pub(super) payload: Option<Range<u32>>,
    pub(super) fault: Option<Fault>,
}

/// Why a message cannot be read, or not to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Bytes of it are missing, or too many to be read.
    Missing,
    /// It is not the protobuf message that it should be.
    Wrong(&'static str),
}

/// Metadata pairs that are read of one Request: more than any peer sends, and each costs memory.
const MAX_METADATA: usize = 1024;

impl<'a> Request<'a> {
    pub(super) fn read(contents: &Contents<'a>) -> Self {
        let mut this = Self::default();
        let mut own = None;
        let walked = walk(contents, |number, at, item| match (number, item) {
            (1, Item::Value(Value::Bytes(bytes), _)) => this.service = Some(bytes),
            (2, Item::Value(Value::Bytes(bytes), _)) => this.method = Some(bytes),
            (3, Item::Value(Value::Bytes(_), range) | Item::Cut(range)) => {
                (this.payload, this.payload_at) = (Some(range), at);
            }
            (4, Item::Value(Value::Varint(nanos), _)) => this.timeout_nano = Some(nanos.cast_signed()),
            (5, Item::Value(Value::Bytes(bytes), _)) => match key_value(bytes) {
                Ok(pair) if this.metadata.len() < MAX_METADATA => this.metadata.push(pair),
                Ok(_) => own = Some(Fault::Wrong("more metadata than is read")),
                Err(fault) => own = Some(fault),
            },
            (1 | 2 | 5, Item::Cut(_)) => own = Some(Fault::Missing),
            _ => {}
        });
        let text = |bytes: Option<&[u8]>| bytes.is_none_or(|bytes| std::str::from_utf8(bytes).is_ok());
        let utf8 = text(this.service) && text(this.method);
        let wrong_text = (!utf8).then_some(Fault::Wrong("a name is not UTF-8"));
        let nameless = this.service.is_none() && this.method.is_none();
        let nameless = nameless.then_some(Fault::Wrong("it names no service and no method"));
        this.fault = walked.or(own).or(wrong_text).or(nameless);
        this
    }

    /// Whether nothing of it makes sense: then it is not what its frame says, or not in the clear.
    pub(super) fn is_opaque(&self) -> bool {
        let utf8 = |name: Option<&[u8]>| name.is_some_and(|name| std::str::from_utf8(name).is_ok());
        self.fault.is_some() && !utf8(self.service)
    }

    /// The bytes of what it says besides its payload, in two parts; `None` where not all of it can be read.
    pub(super) fn besides(&self, contents: &Contents<'a>) -> Option<[&'a [u8]; 2]> {
        let bytes = contents.beginning();
        if self.fault.is_some() || bytes.len() != contents.length as usize {
            return None;
        }
        match &self.payload {
            None => Some([bytes, &[]]),
            Some(payload) => Some([bytes.get(..self.payload_at as usize)?, bytes.get(payload.end as usize..)?]),
        }
    }

    /// What it says besides its payload, in the form of header fields: the pseudo field `:path`, `ttrpc-timeout-nano`,
    /// then the metadata in order.
    pub(super) fn fields(&self) -> Vec<HeaderField> {
        // A missing method gives no field, since encoders omit an empty one.
        let named = self.method.is_some() || self.fault.is_none();
        let path = self.service.filter(|_| named).map(|service| {
            let path = [b"/", service, b"/", self.method.unwrap_or_default()].concat();
            field(Octets::fixed(PATH), &path)
        });
        let timeout = self.timeout_nano.map(|nanos| {
            let mut digits = itoa::Buffer::new();
            field(Octets::fixed(TIMEOUT), digits.format(nanos).as_bytes())
        });
        let metadata = self.metadata.iter().map(|(key, value)| field(Octets::copied(key), value));
        // What could not be read may have held more.
        let unknown =
            self.fault.map(|_| HeaderField { name: UNKNOWN, value: UNKNOWN, ..field(Octets::fixed(b""), b"") });
        path.into_iter().chain(timeout).chain(metadata).chain(unknown).collect()
    }
}

const PATH: &[u8] = b":path";
const TIMEOUT: &[u8] = b"ttrpc-timeout-nano";
const UNKNOWN: Text = Text::Unknown(UnknownEntry { epoch: 0, number: 0 });

/// What [`Request::fields`] say about a call.
pub(super) fn facts(fields: &[HeaderField]) -> HeaderFacts {
    let mut facts = HeaderFacts { role: Role::Request, rpc: Rpc::Yes, ..HeaderFacts::default() };
    let before_metadata = fields.get(..own_fields(fields.iter())).unwrap_or_default();
    for field in before_metadata {
        match field.value.as_str().map(str::parse) {
            _ if field.name.is(PATH) => facts.path = HeaderValue::Known(field.value.clone()),
            // Implementations take 0 for no limit, and a negative one for a limit that has passed.
            Some(Ok(0_i64)) => {}
            Some(Ok(nanos)) => facts.timeout_ns = Some(u64::try_from(nanos).unwrap_or(0)),
            _ => {}
        }
    }
    if facts.path == HeaderValue::Absent {
        facts.path = HeaderValue::Unknown;
    }
    facts
}

/// How many fields of a ttrpc call's list of request headers are ttrpc's own: `:path` and `ttrpc-timeout-nano`, before the
/// metadata.
pub fn own_fields<'f>(fields: impl Iterator<Item = &'f HeaderField>) -> usize {
    let mut fields = fields.peekable();
    [PATH, TIMEOUT].into_iter().filter(|name| fields.next_if(|field| field.name.is(name)).is_some()).count()
}

fn field(name: Octets, value: &[u8]) -> HeaderField {
    HeaderField {
        name: Text::Known(name),
        value: Text::Known(Octets::copied(value)),
        coded: Coded::Literal,
        name_huffman: false,
        value_huffman: false,
        index: None,
        span: 0..0,
        value_span: 0..0,
    }
}

impl<'a> Response<'a> {
    pub(super) fn read(contents: &Contents<'a>) -> Self {
        let mut this = Self::default();
        let mut own = None;
        let mut others = false;
        let walked = walk(contents, |number, _, item| match (number, item) {
            (1, Item::Value(Value::Bytes(bytes), _)) => this.status = Some(bytes),
            (1, Item::Cut(_)) => own = Some(Fault::Missing),
            (2, Item::Value(Value::Bytes(_), range) | Item::Cut(range)) => this.payload = Some(range),
            (number, _) => others |= number > 2,
        });
        let broken = Fields::new(this.status.unwrap_or_default()).find_map(Result::err);
        let in_status = broken.map(|broken| Fault::Wrong(broken.cause.text()));
        let nothing = others && this.status.is_none() && this.payload.is_none();
        let nothing = nothing.then_some(Fault::Wrong("it has no field that a Response has"));
        this.fault = walked.or(own).or(in_status).or(nothing);
        this
    }

    /// The status code, 0 where there is none.
    pub(super) fn code(&self) -> i32 {
        let fields = Fields::new(self.status.unwrap_or_default()).filter_map(Result::ok);
        let codes = fields.filter(|field| field.number == 1).filter_map(|field| match field.value {
            Value::Varint(code) => Some(code as i32),
            _ => None,
        });
        codes.last().unwrap_or(0)
    }
}

/// A field of a message from which bytes may be missing.
enum Item<'a> {
    /// Its value, and where it lies.
    Value(Value<'a>, Range<u32>),
    /// It is length-delimited, and bytes of its value are missing.
    Cut(Range<u32>),
}

/// Hands every field to `each` with its number and where its tag lies. What is given back: why not all could be.
fn walk<'a>(contents: &Contents<'a>, mut each: impl FnMut(u32, u32, Item<'a>)) -> Option<Fault> {
    let mut at = 0;
    while at < contents.length {
        let bytes = contents.from(at);
        if bytes.is_empty() {
            return Some(Fault::Missing);
        }
        let to_end = at as usize + bytes.len() >= contents.length as usize;
        let mut fields = Fields::at(bytes, at);
        let mut cut = None;
        for item in fields.by_ref() {
            match item {
                Ok(field) => each(field.number, field.at, Item::Value(field.value, field.value_at..field.end)),
                Err(broken) if broken.cause == Cause::CutShort && !to_end => {
                    cut = Some(broken);
                    break;
                }
                Err(broken) => return Some(Fault::Wrong(broken.cause.text())),
            }
        }
        at = match cut {
            None => fields.here(),
            Some(broken) => {
                let Some(end) = end_of(&broken, bytes, at) else { return Some(Fault::Missing) };
                let Some((begin, _)) = broken.partial else { return Some(Fault::Missing) };
                if end > u64::from(contents.length) {
                    return Some(Fault::Wrong(broken.cause.text()));
                }
                each(broken.number, broken.at, Item::Cut(begin..end as u32));
                end as u32
            }
        };
    }
    None
}

/// Where a length-delimited field ends of which only the beginning is there.
fn end_of(broken: &Broken<'_>, bytes: &[u8], base: u32) -> Option<u64> {
    let mut cursor = Cursor::new(bytes.get((broken.at - base) as usize..)?);
    let tag = varint(&mut cursor).ok()?;
    if tag & 7 != 2 {
        return None;
    }
    let len = varint(&mut cursor).ok()?;
    (u64::from(broken.at) + cursor.position() as u64).checked_add(len)
}

fn key_value(bytes: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let (mut key, mut value) = (&b""[..], &b""[..]);
    for item in Fields::new(bytes) {
        let field = item.map_err(|broken| Fault::Wrong(broken.cause.text()))?;
        match (field.number, field.value) {
            (1, Value::Bytes(bytes)) => key = bytes,
            (2, Value::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ttrpc::parts::Parts;
    use proptest::prelude::*;
    use rpcshark_captures::{Data, Packet, Place, SourceNo, Timestamp};

    fn data(bytes: &[u8]) -> Data<'_> {
        Data {
            bytes,
            packet: Packet::default(),
            time: Timestamp::EPOCH,
            at: Place::new(SourceNo(0), 0),
            offset: 0,
            acked: None,
        }
    }

    fn whole(bytes: &[u8]) -> Parts {
        let mut parts = Parts::default();
        parts.push(&data(bytes), true);
        parts
    }

    fn request() -> Vec<u8> {
        [
            &b"\x0a\x03a.B"[..],           // service
            b"\x12\x01C",                  // method
            b"\x1a\x04body",               // payload
            b"\x20\xac\x02",               // timeout_nano: 300
            b"\x2a\x06\x0a\x01k\x12\x01v", // metadata
            b"\x2a\x03\x0a\x01k",          // the same key without a value
        ]
        .concat()
    }

    #[test]
    fn a_request_with_everything() {
        let bytes = request();
        let parts = whole(&bytes);
        let request = Request::read(&parts.contents());
        assert_eq!(request.fault, None);
        assert_eq!(request.payload, Some(10..14));
        let fields = request.fields();
        let names: Vec<_> = fields.iter().map(|f| (f.name.as_str().unwrap(), f.value.as_str().unwrap())).collect();
        assert_eq!(names, [(":path", "/a.B/C"), ("ttrpc-timeout-nano", "300"), ("k", "v"), ("k", "")]);
        assert_eq!(fields.len() - own_fields(fields.iter()), 2);
        let facts = facts(&fields);
        assert_eq!(facts.timeout_ns, Some(300));
        assert!(facts.path.known().is_some_and(|path| path.is(b"/a.B/C")));
    }

    #[test]
    fn what_a_hole_cuts_is_missing_and_what_stands_behind_is_read() {
        let bytes = request();
        for begin in 0..bytes.len() {
            for end in begin + 1..=bytes.len() {
                let mut parts = whole(&bytes[..begin]);
                parts.gap((end - begin) as u32);
                parts.push(&data(&bytes[end..]), true);
                let request = Request::read(&parts.contents());
                if begin >= 10 && end <= 14 {
                    assert_eq!((request.fault, request.payload), (None, Some(10..14)), "{begin}..{end}");
                    assert_eq!(request.metadata[..], [(&b"k"[..], &b"v"[..]), (b"k", b"")]);
                } else {
                    assert_eq!(request.fault, Some(Fault::Missing), "{begin}..{end}");
                    assert!(request.payload.is_none_or(|payload| payload == (10..14)), "{begin}..{end}");
                }
            }
        }
    }

    #[test]
    fn a_response_with_and_without_status() {
        let read = |bytes: &[u8]| {
            let parts = whole(bytes);
            let contents = parts.contents();
            let response = Response::read(&contents);
            (response.status.map(<[u8]>::to_vec), response.payload.clone(), response.code(), response.fault)
        };
        assert_eq!(read(b""), (None, None, 0, None));
        assert_eq!(read(b"\x12\x02hi"), (None, Some(2..4), 0, None));
        assert_eq!(read(b"\x0a\x00\x12\x00"), (Some(vec![]), Some(4..4), 0, None));
        assert_eq!(read(b"\x0a\x02\x08\x05"), (Some(vec![8, 5]), None, 5, None));
        assert!(matches!(read(b"\x0a\x02\x08").3, Some(Fault::Wrong(_))));
        assert!(matches!(read(b"\x0a\x01\x08").3, Some(Fault::Wrong(_))));
        assert!(matches!(read(b"\x50\x01").3, Some(Fault::Wrong(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read_or_not(
            bytes in prop::collection::vec(any::<u8>(), 0..64), gap in 0..8_u32, cut in 0..64_usize
        ) {
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            let mut parts = whole(head);
            parts.gap(gap);
            parts.push(&data(tail), true);
            let contents = parts.contents();
            let request = Request::read(&contents);
            prop_assert!(request.payload.as_ref().is_none_or(|payload| payload.end <= contents.length));
            let _ = (facts(&request.fields()), Response::read(&contents).code());
        }
    }
}
