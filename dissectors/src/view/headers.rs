//! Header lists and their fields, with secrets hidden.

use super::{Known, Redaction};
use crate::grpc::{binary_values, is_binary, is_metadata};
use crate::header::{Coded, Field, Text};
use crate::rpc::HeaderFacts;
use crate::store::{HeaderListId, Lane, Protocol};

/// A header list of a call or a frame.
#[derive(Clone, Copy)]
pub struct HeadersView<'a> {
    lane: &'a Lane,
    list: HeaderListId,
    protocol: Protocol,
    redaction: &'a Redaction,
}

/// A header field.
#[derive(Clone, Copy)]
pub struct HeaderView<'a> {
    field: &'a Field,
    protocol: Protocol,
    redaction: &'a Redaction,
    /// The list's path holds the request's message.
    in_path: bool,
}

impl<'a> HeadersView<'a> {
    pub(super) const fn new(lane: &'a Lane, list: HeaderListId, protocol: Protocol, redaction: &'a Redaction) -> Self {
        Self { lane, list, protocol, redaction }
    }

    /// Every field, in the order in which they were sent.
    pub fn fields(self) -> impl Iterator<Item = HeaderView<'a>> + Clone {
        let Self { lane, list, protocol, redaction } = self;
        let in_path = lane.headers[list].facts.is_in_path();
        lane.headers.fields(list).map(move |field| HeaderView { field, protocol, redaction, in_path })
    }

    /// The application's fields, and those whose names are unknown and that may be.
    pub fn metadata(self) -> impl Iterator<Item = HeaderView<'a>> + Clone {
        let ttrpc = self.protocol == Protocol::Ttrpc;
        // Everything after what is ttrpc's own is the application's, whatever its name.
        let own = if ttrpc { crate::ttrpc::own_fields(self.lane.headers.fields(self.list)) } else { 0 };
        let rpc = self.protocol.over_http();
        self.fields().skip(own).filter(move |header| {
            let is_own = |name: &[u8]| !is_metadata(name) || rpc.is_some_and(|rpc| rpc.is_own_field(name));
            ttrpc || !header.field.name.known().is_some_and(is_own)
        })
    }

    /// What the fields say about the call.
    pub fn facts(self) -> &'a HeaderFacts {
        &self.lane.headers[self.list].facts
    }

    /// How many fields have a name or a value that is not in the capture.
    pub fn unknown_count(self) -> usize {
        let fields = self.lane.headers.fields(self.list);
        fields.filter(|field| !field.name.is_known() || !field.value.is_known()).count()
    }

    /// The value of the first field called `name`; unknown where it may be among the fields whose names are unknown.
    pub fn value(self, name: &[u8]) -> Known<&'a [u8]> {
        let mut doubtful = false;
        for header in self.fields() {
            match header.field.name.known() {
                Some(known) if known == name => return header.value(),
                Some(_) => {}
                None => doubtful = true,
            }
        }
        if doubtful { Known::Unknown } else { Known::Absent }
    }
}

impl<'a> HeaderView<'a> {
    /// Its name.
    pub fn name(self) -> Known<&'a [u8]> {
        known(&self.field.name)
    }

    /// Its value as it was sent. Where a path holds the request's message, whose fields may be hidden, it is without that.
    pub fn value(self) -> Known<&'a [u8]> {
        match self.field.value.known() {
            Some(value) if self.in_path && self.redaction.hides_marked_fields() && self.field.name.is(b":path") => {
                Known::Seen(value.split(|&byte| byte == b'?').next().unwrap_or_default())
            }
            Some(value) if self.redaction.hides(self.field) => Known::Hidden { len: value.len() },
            Some(value) => Known::Seen(value),
            None => Known::Unknown,
        }
    }

    /// The values of a field whose name says that they are binary (`-bin`, not in ttrpc): decoded; `None` in place of one that
    /// is not base64. `None` for other fields, and where the value is hidden or unknown.
    pub fn binary_values(self) -> Option<impl Iterator<Item = Option<Vec<u8>>> + 'a> {
        let name = self.name().value()?;
        let value = self.value().value()?;
        (self.protocol != Protocol::Ttrpc && is_binary(name)).then(|| binary_values(value))
    }

    /// The form in which it was sent.
    pub const fn coded(self) -> Coded {
        self.field.coded
    }

    /// Whether its name or its value was Huffman-coded.
    pub const fn is_huffman(self) -> bool {
        self.field.name_huffman || self.field.value_huffman
    }

    /// The table entry that the field or its name refers to.
    pub const fn index(self) -> Option<u32> {
        self.field.index
    }
}

fn known(text: &Text) -> Known<&[u8]> {
    text.known().map_or(Known::Unknown, Known::Seen)
}
