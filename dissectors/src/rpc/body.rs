//! The body of one direction: what its bytes become.

use rpcshark_captures::{Data, Place};

use super::protocol::Form;
use crate::grpc::{Framed, Framer, MAX_TRAILERS, Pieces};
use crate::grpc_web::TextFramer;
use crate::store::{MessageFlags, Piece};
use crate::{Arrival, FirstByte};

/// What the bytes of one direction become.
#[derive(Debug)]
pub(super) enum Body {
    /// Messages after prefixes.
    Prefixed(Framer),
    /// The same in base64.
    Text(Box<TextFramer>),
    /// One message.
    Whole(Box<WholeBody>),
    /// It says how the call failed.
    Error(Box<ErrorBody>),
    /// Nothing.
    Opaque,
}

impl Default for Body {
    fn default() -> Self {
        Self::Prefixed(Framer::default())
    }
}

impl Body {
    /// `end_flag`: the flag of the frame that holds trailers.
    pub(super) fn new(form: Form, end_flag: u8) -> Self {
        match form {
            Form::Prefixed => Self::Prefixed(Framer::new(end_flag)),
            Form::Base64 => Self::Text(Box::new(TextFramer::new(end_flag))),
            Form::Whole => Self::Whole(Box::default()),
            Form::Error => Self::Error(Box::default()),
            Form::InPath | Form::Opaque => Self::Opaque,
        }
    }

    /// The same without what was read.
    pub(super) fn fresh(&self) -> Self {
        match self {
            Self::Prefixed(framer) => Self::Prefixed(Framer::new(framer.end_flag())),
            _ => Self::Opaque,
        }
    }

    /// Reads on in `data` until a message is complete. `None`: all of `data` is used.
    pub(super) fn next(&mut self, data: &mut Data<'_>) -> Option<Framed> {
        match self {
            Self::Prefixed(framer) => framer.next(data),
            Self::Text(framer) => framer.next(data),
            Self::Whole(body) => {
                body.read(*data);
                None
            }
            Self::Error(body) => {
                body.read(data.bytes);
                None
            }
            Self::Opaque => None,
        }
    }

    /// Whether no message has begun that is not complete.
    pub(super) fn at_boundary(&self) -> bool {
        match self {
            Self::Prefixed(framer) => framer.at_boundary(),
            Self::Text(framer) => framer.at_boundary(),
            Self::Whole(body) => body.framed.is_none(),
            Self::Error(_) | Self::Opaque => true,
        }
    }

    /// What of a message has begun, marked as cut.
    pub(super) fn cut_short(&mut self) -> Option<Framed> {
        match self {
            Self::Prefixed(framer) => framer.cut_short(),
            Self::Text(framer) => framer.cut_short(),
            Self::Whole(body) => {
                body.cut();
                body.framed.take()
            }
            Self::Error(_) | Self::Opaque => None,
        }
    }
}

/// A body that is one message. Its length is known when it ends.
#[derive(Debug, Default)]
pub(super) struct WholeBody {
    framed: Option<Framed>,
    /// Bytes of it are missing.
    is_cut: bool,
}

impl WholeBody {
    fn read(&mut self, data: Data<'_>) {
        let framed =
            self.framed.get_or_insert_with(|| empty(FirstByte::from(&data), Arrival::from(&data), data.offset));
        let len = (u32::MAX - framed.length).min(data.bytes.len() as u32);
        match framed.pieces.last_mut() {
            Some(last) if last.at != Place::NOWHERE && last.at.plus(u64::from(last.len)) == data.at => last.len += len,
            _ => framed.pieces.push(Piece { at: data.at, len }),
        }
        framed.length += len;
        if (len as usize) < data.bytes.len() {
            framed.flags = framed.flags.with(MessageFlags::CUT);
        }
        (framed.last, framed.end) = (Arrival::from(&data), data.offset + data.bytes.len() as u64);
    }

    /// Bytes of it are missing: `len` if that is known. `end` is the offset in the flow after them.
    pub(super) fn gap(&mut self, len: u64, now: Arrival, end: u64) {
        let first = FirstByte { arrival: now, ..FirstByte::default() };
        let framed = self.framed.get_or_insert_with(|| empty(first, now, end));
        let len = u64::from(u32::MAX - framed.length).min(len) as u32;
        framed.pieces.push(Piece { at: Place::NOWHERE, len });
        framed.length += len;
        (framed.last, framed.end) = (now, end);
        self.cut();
    }

    /// Bytes of it are missing, whether any were there before them or not.
    pub(super) fn cut(&mut self) {
        self.is_cut = true;
        if let Some(framed) = &mut self.framed {
            framed.flags = framed.flags.with(MessageFlags::CUT);
        }
    }

    /// The body has ended: the message, which may be empty.
    pub(super) fn end(&mut self, first: FirstByte, last: Arrival, end: u64) -> Framed {
        let mut framed = self.framed.take().unwrap_or_else(|| empty(first, last, end));
        if self.is_cut {
            framed.flags = framed.flags.with(MessageFlags::CUT);
        }
        framed
    }
}

fn empty(first: FirstByte, last: Arrival, end: u64) -> Framed {
    Framed { length: 0, flags: MessageFlags::default(), pieces: Pieces::new(), first, last, end, trailers: None }
}

/// A body that says how the call failed.
#[derive(Debug, Default)]
pub(super) struct ErrorBody {
    /// Its first [`MAX_TRAILERS`] bytes.
    pub(super) bytes: Vec<u8>,
    /// Bytes of it are missing.
    pub(super) is_cut: bool,
}

impl ErrorBody {
    fn read(&mut self, bytes: &[u8]) {
        let room = MAX_TRAILERS - self.bytes.len().min(MAX_TRAILERS);
        self.bytes.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        self.is_cut |= bytes.len() > room;
    }
}
