//! Which messages each frame completes: worked out as frames are added, where frames are wanted.

use std::ops::Range;

use hashbrown::HashMap;
use rpcshark_captures::Direction;

use super::call::Call;
use super::ids::CallId;

/// Messages of a call that a frame completes: those of one direction, counted from 0 within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedMessages {
    /// Which way they went, as the call sees it. In an NRI trunk that may not be the frame's direction.
    pub direction: Direction,
    /// Which of them.
    pub range: Range<u32>,
}

/// How many messages of each call belong to frames that have been added.
#[derive(Debug, Default)]
pub(super) struct Counted {
    calls: HashMap<CallId, Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// By [`Direction::index`].
    messages: [u32; 2],
    /// Whether the first message of the direction is among them.
    first: [bool; 2],
    /// How many of [`Call::more`] are.
    more: usize,
}

impl Counted {
    /// The messages of `call` that are new since the last frame of the call, in the first of `directions` that has any.
    pub(super) fn advance(&mut self, id: CallId, call: &Call, directions: &[Direction]) -> Option<CompletedMessages> {
        let counts = self.calls.entry(id).or_default();
        let before = counts.messages;
        for (direction, slot) in [(Direction::ToServer, &call.request), (Direction::ToClient, &call.response)] {
            let first = &mut counts.first[direction.index()];
            if slot.is_some() && !*first {
                *first = true;
                counts.messages[direction.index()] += 1;
            }
        }
        if let Some(more) = &call.more {
            for message in more.iter().skip(counts.more) {
                counts.messages[message.direction.index()] += 1;
            }
            counts.more = more.len();
        }
        let range = |direction: Direction| before[direction.index()]..counts.messages[direction.index()];
        let direction = directions.iter().copied().find(|&direction| !range(direction).is_empty())?;
        Some(CompletedMessages { direction, range: range(direction) })
    }

    /// Frees what is kept of a call.
    pub(super) fn forget(&mut self, id: CallId) {
        self.calls.remove(&id);
    }

    /// Client and server of a call are swapped.
    pub(super) fn swap_roles(&mut self, id: CallId) {
        if let Some(counts) = self.calls.get_mut(&id) {
            counts.messages.swap(0, 1);
            counts.first.swap(0, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use rpcshark_captures::{PacketNo, Place, Timestamp};

    use super::*;
    use crate::store::{Body, ConnectionId, Message, Protocol};

    #[test]
    fn each_frame_has_the_messages_that_are_new() {
        let mut call = Call::new(Protocol::Grpc, ConnectionId(0), 1, Timestamp::EPOCH, PacketNo::new(0, 1));
        let mut counted = Counted::default();
        let add = |call: &mut Call, direction| {
            let body = Body::Whole(Place::NOWHERE);
            call.add_message(Message::new(direction, 3, body, Timestamp::EPOCH, PacketNo::new(0, 1)));
        };
        let (up, down) = (Direction::ToServer, Direction::ToClient);
        let mut advance = |call: &Call, direction| counted.advance(CallId(0), call, &[direction]).map(|c| c.range);
        assert_eq!(advance(&call, up), None);
        add(&mut call, up);
        assert_eq!(advance(&call, up), Some(0..1));
        add(&mut call, down);
        add(&mut call, down);
        add(&mut call, down);
        assert_eq!(advance(&call, down), Some(0..3));
        add(&mut call, down);
        // Messages that a frame of the other direction skips belong to no frame.
        assert_eq!(advance(&call, up), None);
        add(&mut call, down);
        assert_eq!(advance(&call, down), Some(4..5));
    }
}
