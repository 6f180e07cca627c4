//! An HTTP/2 or ttrpc frame.

use std::borrow::Cow;

use rpcshark_captures::{Direction, PacketNo, Timestamp};

use super::{ConnectionView, HeadersView, Viewer};
use crate::Note;
use crate::http2::payload::{self, Payload, Priority};
use crate::http2::{self, FrameHeader};
use crate::schema::Schema;
use crate::store::{CallRef, CompletedMessages, Frame, FrameRef, Framing, Lane, Protocol};
use crate::ttrpc;

/// A frame.
#[derive(Clone, Copy)]
pub struct FrameView<'a> {
    viewer: Viewer<'a>,
    lane: &'a Lane,
    at: &'a FrameRef,
}

impl<'a> FrameView<'a> {
    pub(super) fn new(viewer: Viewer<'a>, at: &'a FrameRef) -> Self {
        Self { viewer, lane: viewer.store.lane(at.lane), at }
    }

    const fn frame(self) -> &'a Frame {
        &self.at.frame
    }

    /// The schema that it is viewed with.
    pub const fn schema(self) -> &'a Schema {
        self.viewer.schema
    }

    /// Its number, from 1; none where only a part of the capture was read.
    pub const fn no(self) -> Option<u64> {
        self.at.no
    }

    /// The packet that completed it.
    pub const fn packet(self) -> PacketNo {
        self.frame().packet
    }

    /// The name of the file that has that packet.
    pub fn file(self) -> Option<&'a str> {
        self.viewer.file_name(self.packet().file())
    }

    /// When it was complete; `None` where the capture has no times.
    pub fn time(self) -> Option<Timestamp> {
        self.lane.connection(self.frame().connection).has_times.then_some(self.frame().time)
    }

    /// The number of its connection.
    pub fn connection(self) -> u32 {
        self.lane.connection(self.frame().connection).number().unwrap_or(0)
    }

    /// Its connection, with all that is known of it.
    pub fn connection_view(self) -> ConnectionView<'a> {
        ConnectionView::new(self.viewer, self.lane.connection(self.frame().connection))
    }

    /// The call that it belongs to.
    pub fn call(self) -> Option<CallRef> {
        self.frame().call.map(|id| CallRef { lane: self.at.lane, id })
    }

    /// The messages of its call that it completes.
    pub fn messages(self) -> Option<&'a CompletedMessages> {
        self.frame().messages.as_ref()
    }

    /// Which way it went.
    pub const fn direction(self) -> Direction {
        self.frame().direction
    }

    /// Which protocol's frame it is.
    pub const fn framing(self) -> Framing {
        self.frame().protocol
    }

    /// The number of the connection inside an NRI trunk.
    pub const fn trunk(self) -> Option<u32> {
        self.frame().trunk
    }

    /// Its stream; 0 for the connection.
    pub const fn stream(self) -> u32 {
        self.frame().stream
    }

    /// Its type, as on the wire.
    pub const fn type_code(self) -> u8 {
        self.frame().kind
    }

    /// The name of its type; `TYPE_0x2a` where the protocol does not define it.
    pub fn type_name(self) -> Cow<'static, str> {
        match self.framing() {
            Framing::Http2 => http2::FrameType(self.type_code()).name(),
            Framing::Ttrpc => ttrpc::FrameType(self.type_code()).name(),
        }
    }

    /// Its flags, as on the wire.
    pub const fn flags_code(self) -> u8 {
        self.frame().flags
    }

    /// The names of its flags; `FLAG_0x40` for one that the type does not have.
    pub fn flag_names(self) -> Vec<Cow<'static, str>> {
        match self.framing() {
            Framing::Http2 => {
                let names = http2::Flags(self.flags_code()).names(http2::FrameType(self.type_code()));
                names.iter().map(|name| Cow::Owned(name.to_string())).collect()
            }
            Framing::Ttrpc => {
                let names = ttrpc::Flags(self.flags_code()).names();
                names.iter().map(|name| Cow::Owned(name.to_string())).collect()
            }
        }
    }

    /// The length of its payload, as its header says.
    pub const fn length(self) -> u32 {
        self.frame().length
    }

    /// The number of the call that it belongs to.
    pub fn call_no(self) -> Option<u32> {
        self.frame().call.and_then(|id| self.lane.call(id).no).map(|no| no.get())
    }

    /// The header list of the block that it begins.
    pub fn headers(self) -> Option<HeadersView<'a>> {
        let protocol = match self.framing() {
            Framing::Http2 => Protocol::Grpc,
            Framing::Ttrpc => Protocol::Ttrpc,
        };
        self.frame().headers.map(|list| HeadersView::new(self.lane, list, protocol, self.viewer.redaction))
    }

    /// The stream that it promises (PUSH_PROMISE).
    pub const fn promised(self) -> Option<u32> {
        self.frame().promised
    }

    /// Bytes of padding, where it is padded.
    pub const fn padding(self) -> Option<u8> {
        self.frame().padding
    }

    /// The priority in a HEADERS frame.
    pub const fn priority(self) -> Option<Priority> {
        self.frame().priority
    }

    /// Its payload as it was sent, where it is kept: of frames that carry neither messages nor headers.
    pub fn payload_bytes(self) -> &'a [u8] {
        &self.frame().payload
    }

    /// The payload of an HTTP/2 frame that is kept whole.
    pub fn payload(self) -> Option<Payload<'a>> {
        let frame = self.frame();
        let whole = !frame.payload.is_empty() && frame.payload.len() == frame.length as usize;
        if self.framing() != Framing::Http2 || !whole {
            return None;
        }
        let header = FrameHeader {
            length: frame.length,
            kind: http2::FrameType(frame.kind),
            flags: http2::Flags(frame.flags),
            stream: frame.stream,
            reserved: false,
        };
        Some(payload::parse(header, &frame.payload).payload)
    }

    /// Its notes.
    pub fn notes(self) -> &'a [Note] {
        &self.frame().notes
    }
}
