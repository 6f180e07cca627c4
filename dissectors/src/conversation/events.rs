//! What happens in a call, one thing after the other.

use std::iter::Peekable;

use rpcshark_captures::{Direction, Timestamp};

use crate::store::{End, Reset};
use crate::view::{CallView, HeadersView, MessageView};

/// Something that one side of a call did.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    /// Which way it went.
    pub direction: Direction,
    /// When, where that is known.
    pub at: Option<Timestamp>,
    /// What it was.
    pub kind: EventKind<'a>,
}

/// What one side of a call did.
#[derive(Clone, Copy)]
pub enum EventKind<'a> {
    /// It sent its headers.
    Headers(HeadersView<'a>),
    /// It sent a message.
    Message {
        /// The number of the message in its direction, from 1.
        no: u64,
        /// The message.
        message: MessageView<'a>,
    },
    /// The client ended its side.
    HalfClose,
    /// It sent trailers: the end of the call, if they are the server's.
    Trailers(HeadersView<'a>),
    /// It sent RST_STREAM.
    Reset(Reset),
    /// The call ended in another way.
    End(End),
}

impl EventKind<'_> {
    /// The word that JSON uses.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Headers(_) => "headers",
            Self::Message { .. } => "message",
            Self::HalfClose => "half_close",
            Self::Trailers(_) => "trailers",
            Self::Reset(_) => "reset",
            Self::End(_) => "end",
        }
    }
}

/// Everything that happens in a call, in the order of time; each side's in its own order.
pub fn events<'c, 'a>(call: &'c CallView<'a>) -> impl Iterator<Item = Event<'a>> + use<'c, 'a> {
    let side = |direction| {
        let event = move |at, kind| Event { direction, at, kind };
        let messages = call.messages(direction).zip(1..);
        let messages = messages.map(move |(message, no)| event(message.at(), EventKind::Message { no, message }));
        let resets = call.resets().iter().filter(move |reset| reset.direction == direction);
        let resets = resets.map(move |reset| event(Some(reset.at), EventKind::Reset(*reset)));
        let (headers, headers_at, end) = match direction {
            Direction::ToServer => {
                let trailers = call.request_trailers().map(|block| event(None, EventKind::Trailers(block)));
                let half_close = call.half_close_at().map(|at| event(Some(at), EventKind::HalfClose));
                (call.request_headers(), call.request_headers_at(), [trailers, half_close])
            }
            Direction::ToClient => {
                let trailers = call.trailers().map(|block| event(call.ended_at(), EventKind::Trailers(block)));
                let other = call.end().filter(|end| trailers.is_none() && *end != End::Reset);
                let other = other.map(|end| event(call.ended_at(), EventKind::End(end)));
                (call.response_headers(), call.response_headers_at(), [trailers, other])
            }
        };
        let headers = headers.map(|block| event(headers_at, EventKind::Headers(block)));
        headers.into_iter().chain(messages).chain(end.into_iter().flatten()).chain(resets)
    };
    Merge { requests: side(Direction::ToServer).peekable(), responses: side(Direction::ToClient).peekable() }
}

/// Two sequences in the order of time.
struct Merge<R: Iterator, S: Iterator> {
    requests: Peekable<R>,
    responses: Peekable<S>,
}

impl<'a, R: Iterator<Item = Event<'a>>, S: Iterator<Item = Event<'a>>> Iterator for Merge<R, S> {
    type Item = Event<'a>;

    fn next(&mut self) -> Option<Event<'a>> {
        let response_first = match (self.requests.peek(), self.responses.peek()) {
            // What has no time follows what is before it on its side.
            (Some(request), Some(response)) => matches!((request.at, response.at), (Some(a), Some(b)) if b < a),
            (None, _) => true,
            (Some(_), None) => false,
        };
        if response_first { self.responses.next() } else { self.requests.next() }
    }
}
