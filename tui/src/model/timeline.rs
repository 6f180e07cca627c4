//! One connection over time: what happened on each of its streams, how many bytes went each way, and its windows.
//!
//! Made by a worker that reads the connection again. All times are nanoseconds since the capture began.

use rpcshark_captures::Direction;

/// One connection over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// Its number.
    pub connection: u32,
    /// Its ends.
    pub ends: String,
    /// When the first thing happened on it, and the last.
    pub span: (i64, i64),
    /// Its streams, in the order in which they began.
    pub streams: Vec<StreamLine>,
    /// Bytes that arrived, with their times, by [`Direction::index`].
    pub bytes: [Vec<(i64, u32)>; 2],
    /// The window of the connection for data of a direction, each time that it changed. Empty where it is not known.
    pub windows: [Vec<(i64, i64)>; 2],
    /// Things that happened and are not shown, since they are too many.
    pub left_out: u64,
    /// How many decimals of a second the capture's times have.
    pub decimals: u8,
}

/// A stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamLine {
    /// Its number.
    pub stream: u32,
    /// Its call.
    pub call: u32,
    /// The method's own name, with the service before it; safe to draw.
    pub method: String,
    /// How it ended, in a few words; safe to draw.
    pub status: String,
    /// What happened, in the order of time.
    pub events: Vec<Happened>,
    /// It began before the capture did.
    pub joined: bool,
    /// It had not ended when the capture did.
    pub open: bool,
}

/// Something that happened on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Happened {
    /// When.
    pub at_ns: i64,
    /// Which way it went.
    pub direction: Direction,
    /// What.
    pub what: What,
}

/// What happened on a stream; what matters more stands further down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A side's headers.
    Headers,
    /// A side ended.
    HalfClose,
    /// A part of a message.
    Part,
    /// A whole message: its number in its direction, from 1.
    Message(u32),
    /// It ended, and nobody knows how.
    Ended,
    /// It ended with status OK.
    Ok,
    /// It ended with another status.
    Failed,
    /// It was reset.
    Reset,
}

impl What {
    /// What is in the pane below.
    pub fn text(self) -> String {
        match self {
            Self::Headers => "headers".to_owned(),
            Self::HalfClose => "half-close".to_owned(),
            Self::Part => "part of a message".to_owned(),
            Self::Message(no) => format!("message {no}"),
            Self::Ended => "end, status unknown".to_owned(),
            Self::Ok => "end, OK".to_owned(),
            Self::Failed => "end, failed".to_owned(),
            Self::Reset => "reset".to_owned(),
        }
    }

    /// Whether it ends the stream.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Ended | Self::Ok | Self::Failed | Self::Reset)
    }
}

impl StreamLine {
    /// When it began and when the last thing happened on it.
    pub fn span(&self) -> Option<(i64, i64)> {
        Some((self.events.first()?.at_ns, self.events.last()?.at_ns))
    }

    /// The events from `from` up to `to`, which are in it no more.
    pub fn between(&self, from: i64, to: i64) -> &[Happened] {
        let start = self.events.partition_point(|event| event.at_ns < from);
        let end = self.events.partition_point(|event| event.at_ns < to);
        self.events.get(start..end.max(start)).unwrap_or_default()
    }

    /// The first event after `at`, or the last one before it.
    pub fn neighbour(&self, at: i64, backwards: bool) -> Option<&Happened> {
        if backwards {
            let before = self.events.partition_point(|event| event.at_ns < at);
            return self.events.get(before.checked_sub(1)?);
        }
        self.events.get(self.events.partition_point(|event| event.at_ns <= at))
    }

    /// The longest time in which nothing came from the server: how long, and from when on.
    pub fn longest_silence(&self) -> Option<(i64, i64)> {
        let (first, _) = self.span()?;
        let answers = self.events.iter().filter(|event| event.direction == Direction::ToClient);
        let mut before = first;
        let mut longest = None;
        for event in answers {
            longest = longest.max(Some((event.at_ns - before, before)));
            before = event.at_ns;
        }
        longest.filter(|&(nanos, _)| nanos > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> StreamLine {
        let event = |at_ns, direction, what| Happened { at_ns, direction, what };
        StreamLine {
            events: vec![
                event(10, Direction::ToServer, What::Headers),
                event(10, Direction::ToServer, What::Message(1)),
                event(40, Direction::ToClient, What::Headers),
                event(90, Direction::ToClient, What::Ok),
            ],
            ..StreamLine::default()
        }
    }

    #[test]
    fn events_are_found_by_time() {
        let stream = stream();
        assert_eq!(stream.span(), Some((10, 90)));
        assert_eq!(stream.between(10, 41).len(), 3);
        assert_eq!(stream.between(41, 90).len(), 0);
        assert_eq!(stream.between(50, 20).len(), 0);
        assert_eq!(stream.neighbour(10, false).map(|event| event.at_ns), Some(40));
        assert_eq!(stream.neighbour(40, true).map(|event| event.at_ns), Some(10));
        assert_eq!(stream.neighbour(10, true), None);
        assert_eq!(stream.neighbour(90, false), None);
    }

    #[test]
    fn the_longest_silence_of_the_server_counts_from_the_beginning() {
        assert_eq!(stream().longest_silence(), Some((50, 40)));
        assert_eq!(StreamLine::default().longest_silence(), None);
    }

    #[test]
    fn an_end_goes_before_what_else_happened() {
        assert!(What::Reset > What::Failed && What::Ok > What::Message(9) && What::Message(1) > What::Part);
    }
}
