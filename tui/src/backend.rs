//! The seam to the program: what screens read, what they request, and the replies.
//!
//! The crate does no input and output and makes no thread. It looks at the store for as long as it takes to copy the rows in
//! view; whatever takes longer (filters, bodies, files, exports) is a [`Request`] that the program carries out elsewhere and
//! answers with a [`Reply`].

use std::path::PathBuf;
use std::sync::Arc;

use rpcshark_captures::Timestamp;
use rpcshark_dissectors::view::Viewer;

use crate::model::{Detail, Preview};

/// What screens read.
pub trait Backend {
    /// Lets `see` look at the store. The store is locked meanwhile, so that `see` copies what it needs and decodes nothing:
    /// the viewer has no bodies and guesses no types.
    fn look(&self, see: &mut dyn FnMut(Viewer<'_>));

    /// How far reading has come.
    fn progress(&self) -> Progress;

    /// Asks for something. Never waits.
    fn request(&self, request: Request);

    /// What is right or wrong with a display filter. Called at each keystroke.
    fn check(&self, filter: &str) -> Checked;

    /// What may stand at byte `cursor` of a display filter.
    fn complete(&self, filter: &str, cursor: usize) -> Vec<Completion>;
}

/// What is right or wrong with a display filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It can be applied. `needs_bodies`: only by decoding messages, which takes a while.
    Valid {
        /// Whether messages have to be decoded.
        needs_bodies: bool,
    },
    /// It may become valid by typing on.
    Incomplete,
    /// It is wrong.
    Wrong {
        /// Where, in bytes of the text.
        span: std::ops::Range<usize>,
        /// Why, in a few words.
        message: String,
        /// What may have been meant.
        suggestion: Option<String>,
    },
}

/// Something that may stand in a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The bytes of the filter that it replaces.
    pub replaces: std::ops::Range<usize>,
    /// What it replaces them by.
    pub text: String,
    /// A few words about it.
    pub help: String,
}

/// How far reading a capture has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read.
    pub read: u64,
    /// Bytes that there are, where that is known.
    pub size: Option<u64>,
    /// Whether everything has been read.
    pub finished: bool,
    /// When the first packet was captured.
    pub first: Option<Timestamp>,
    /// How many decimals of a second the capture's times have.
    pub decimals: u8,
    /// When the newest packet was captured.
    pub last: Option<Timestamp>,
    /// Calls so far.
    pub calls: u64,
    /// Connections so far.
    pub connections: u64,
    /// Packets read.
    pub packets: u64,
}

/// The order of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// The field that it goes by.
    pub field: String,
    /// Whether the largest comes first.
    pub down: bool,
}

/// What screens ask of the program.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// The calls that match `filter` in the order of `sort`; replaces the one before. Answered by [`Reply::List`].
    List {
        /// Comes back with the answers: those to older requests are ignored.
        generation: u64,
        /// A display filter, known to be valid; empty for all calls.
        filter: String,
        /// The order; by number without one.
        sort: Option<Sort>,
    },
    /// Gives up the current [`Request::List`].
    CancelList,
    /// A call in a few lines. Answered by [`Reply::Preview`].
    Preview(u32),
    /// A call in full. Answered by [`Reply::Detail`].
    Detail(u32),
    /// Puts text on the clipboard, or into a file where that is asked for. Answered by [`Reply::Say`].
    Copy {
        /// What is copied.
        text: String,
        /// Into a file.
        to_file: bool,
    },
    /// Reads a schema besides those that are loaded. Answered by [`Reply::SchemaChanged`] or [`Reply::Say`].
    LoadSchema(PathBuf),
    /// Shows hidden values, or hides them again. Answered by [`Reply::SchemaChanged`].
    Reveal(bool),
    /// Stops reading the capture.
    StopReading,
    /// Suspends the program, as Ctrl-Z does in a shell.
    Suspend,
    /// Draws everything again.
    Redraw,
    /// Ends the program.
    Quit,
}

/// Replies and news for the screens.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A part of a list, in its order.
    List(ListPart),
    /// A call in a few lines.
    Preview(Arc<Preview>),
    /// A call in full.
    Detail(Arc<Detail>),
    /// What was decoded before may be decoded otherwise now: ask again.
    SchemaChanged,
    /// Something for the user to read.
    Say {
        /// What.
        text: String,
        /// Whether something went wrong.
        error: bool,
    },
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPart {
    /// That of the request.
    pub generation: u64,
    /// Whether these numbers replace what came before (a sorted list that was sorted again).
    pub replace: bool,
    /// Numbers of calls, to be added at the end.
    pub calls: Vec<u32>,
    /// How many calls have been judged.
    pub judged: u64,
    /// How many of those could not be judged.
    pub unknown: u64,
    /// Whether all calls that there are have been judged.
    pub done: bool,
}
