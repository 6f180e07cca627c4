//! What a stream may do next.
//!
//! ```text
//!                              +--------+
//!                      send PP |        | recv PP
//!                     ,--------+  idle  +--------.
//!                    /         |        |         \
//!                   v          +--------+          v
//!            +----------+          |           +----------+
//!            |          |          | send H /  |          |
//!     ,------+ reserved |          | recv H    | reserved +------.
//!     |      | (local)  |          |           | (remote) |      |
//!     |      +---+------+          v           +------+---+      |
//!     |          |             +--------+             |          |
//!     |          |     recv ES |        | send ES     |          |
//!     |   send H |     ,-------+  open  +-------.     | recv H   |
//!     |          |    /        |        |        \    |          |
//!     |          v   v         +---+----+         v   v          |
//!     |      +----------+          |           +----------+      |
//!     |      |   half-  |          |           |   half-  |      |
//!     |      |  closed  |          | send R /  |  closed  |      |
//!     |      | (remote) |          | recv R    | (local)  |      |
//!     |      +----+-----+          |           +-----+----+      |
//!     |           |                |                 |           |
//!     |           | send ES /      |       recv ES / |           |
//!     |           |  send R /      v        send R / |           |
//!     |           |  recv R    +--------+   recv R   |           |
//!     | send R /  `----------->|        |<-----------'  send R / |
//!     | recv R                 | closed |               recv R   |
//!     `----------------------->|        |<-----------------------'
//!                              +--------+
//! ```
//!
//! RFC 9113 §5.1. An endpoint has "local" and "remote"; who only listens has two directions. A violation is a note and no
//! end: the frame is read all the same.

use rpcshark_captures::Direction;

/// A stream's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing has happened.
    #[default]
    Idle,
    /// Promised by the server.
    Reserved,
    /// Both sides may send.
    Open,
    /// This direction has ended; the other one may continue.
    HalfClosed(Direction),
    /// Both have ended, or the stream was reset.
    Closed,
}

/// What happens on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A header block.
    Headers,
    /// DATA.
    Data,
    /// END_STREAM, after what carries it.
    End,
    /// RST_STREAM.
    Reset,
    /// It is promised by PUSH_PROMISE.
    Promise,
}

impl State {
    /// The state after `event` in `direction`, and what is wrong about that, if anything.
    pub(super) const fn after(self, event: Event, direction: Direction) -> (Self, Option<&'static str>) {
        match (self, event) {
            (Self::Idle, Event::Promise) => (Self::Reserved, None),
            (_, Event::Promise) => (self, Some("PUSH_PROMISE for a stream that is in use")),

            (Self::Closed, Event::Reset) => (Self::Closed, None),
            (Self::Idle, Event::Reset) => (Self::Closed, Some("RST_STREAM on an idle stream")),
            (_, Event::Reset) => (Self::Closed, None),

            (Self::Idle, Event::Headers) => (Self::Open, None),
            (Self::Idle, Event::Data) => (Self::Open, Some("DATA on an idle stream")),
            (Self::Reserved, Event::Headers) => (Self::HalfClosed(Direction::ToServer), None),
            (Self::Reserved, Event::Data) => (self, Some("DATA on a reserved stream")),
            (Self::Closed, Event::Headers) => (self, Some("HEADERS on a closed stream")),
            (Self::Closed, Event::Data) => (self, Some("DATA on a closed stream")),
            (Self::HalfClosed(ended), Event::Headers) if same(ended, direction) => {
                (self, Some("HEADERS after the side that sends them had ended the stream"))
            }
            (Self::HalfClosed(ended), Event::Data) if same(ended, direction) => {
                (self, Some("DATA after the side that sends it had ended the stream"))
            }
            (Self::Open | Self::HalfClosed(_), Event::Headers | Event::Data) => (self, None),

            (Self::HalfClosed(ended), Event::End) if same(ended, direction) => (self, None),
            (Self::HalfClosed(_), Event::End) => (Self::Closed, None),
            (Self::Closed, Event::End) => (self, None),
            (_, Event::End) => (Self::HalfClosed(direction), None),
        }
    }

    /// Whether more may come in `direction`.
    pub(super) const fn is_open(self, direction: Direction) -> bool {
        match self {
            Self::Idle | Self::Reserved | Self::Open => true,
            Self::HalfClosed(ended) => !same(ended, direction),
            Self::Closed => false,
        }
    }
}

const fn same(a: Direction, b: Direction) -> bool {
    a.index() == b.index()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{ToClient, ToServer};

    #[test]
    fn a_unary_call_opens_half_closes_and_closes() {
        let steps = [
            (Event::Headers, ToServer, State::Open),
            (Event::Data, ToServer, State::Open),
            (Event::End, ToServer, State::HalfClosed(ToServer)),
            (Event::Headers, ToClient, State::HalfClosed(ToServer)),
            (Event::Data, ToClient, State::HalfClosed(ToServer)),
            (Event::End, ToClient, State::Closed),
            (Event::Reset, ToClient, State::Closed),
        ];
        let mut state = State::Idle;
        for (event, direction, expected) in steps {
            let (next, wrong) = state.after(event, direction);
            assert_eq!((next, wrong), (expected, None), "{event:?}");
            state = next;
        }
    }

    #[test]
    fn what_must_not_be_is_said_and_changes_nothing() {
        let half = State::HalfClosed(ToServer);
        assert!(half.after(Event::Data, ToServer).1.is_some());
        assert_eq!(half.after(Event::Data, ToServer).0, half);
        assert!(half.after(Event::Data, ToClient).1.is_none());
        assert!(State::Closed.after(Event::Headers, ToServer).1.is_some());
        assert!(State::Idle.after(Event::Reset, ToServer).1.is_some());
        assert_eq!(State::Idle.after(Event::Promise, ToClient), (State::Reserved, None));
        assert_eq!(State::Reserved.after(Event::Headers, ToClient).0, State::HalfClosed(ToServer));
    }
}
