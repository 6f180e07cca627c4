//! The seam to the program: what screens read, what they request, and the replies.
//!
//! The crate does no input and output and makes no thread. It looks at the store for as long as it takes to copy the rows in
//! view; whatever takes longer (filters, bodies, files, exports) is a [`Request`] that the program carries out elsewhere and
//! answers with a [`Reply`]. Requests and replies are grouped by the worker that carries them out, a file each.

mod call;
mod calls;
mod connections;
mod conversation;
mod export;
mod frames;
mod problem_rows;
mod program;
mod replay;
mod statistics;
mod timeline;

pub use call::{CallReply, CallRequest, CallValues};
pub use calls::{CallsRequest, ListPart, Sort};
pub use connections::{ConnectionsReply, ConnectionsRequest};
pub use conversation::{ConversationReply, ConversationRequest};
pub use export::{CopyForm, ExportForm, ExportReply, ExportRequest, WhichCalls};
pub use frames::{FramesProgress, FramesReply, FramesRequest, Sought};
pub use problem_rows::{ProblemRows, ProblemRowsRequest};
pub use program::{DecodingRequest, ProgramRequest};
pub use replay::{ReplayReply, ReplayRequest, ReportForm, Resend};
pub use statistics::{StatisticsReply, StatisticsRequest};
pub use timeline::{TimelineReply, TimelineRequest};

use rpcshark_captures::Timestamp;
use rpcshark_dissectors::filter::Target;
use rpcshark_dissectors::view::Viewer;

/// What screens read.
pub trait Backend {
    /// Lets `see` look at the store. The store is locked meanwhile, so that `see` copies what it needs and decodes nothing:
    /// the viewer has no bodies and guesses no types.
    fn look(&self, see: &mut dyn FnMut(Viewer<'_>));

    /// How far reading has come.
    fn progress(&self) -> Progress;

    /// Asks for something. Never waits.
    fn request(&self, request: Request);

    /// What is right or wrong with a display filter of `target`. Called at each keystroke.
    fn check(&self, filter: &str, target: Target) -> Checked;

    /// What may be at byte `cursor` of a display filter of `target`.
    fn complete(&self, filter: &str, cursor: usize, target: Target) -> Vec<Completion>;
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

/// Something that may be in a filter.
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

/// What screens ask of the program, by the worker that carries it out.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Of the list of calls.
    Calls(CallsRequest),
    /// Of single calls.
    Call(CallRequest),
    /// Where in a list of calls problems are.
    ProblemRows(ProblemRowsRequest),
    /// Of a call as a conversation.
    Conversation(ConversationRequest),
    /// Of exports.
    Export(ExportRequest),
    /// Of statistics over many calls.
    Statistics(StatisticsRequest),
    /// Of a connection over time.
    Timeline(TimelineRequest),
    /// Of frames.
    Frames(FramesRequest),
    /// Of connections.
    Connections(ConnectionsRequest),
    /// Of replays.
    Replay(ReplayRequest),
    /// How messages are decoded.
    Decoding(DecodingRequest),
    /// Of the program itself.
    Program(ProgramRequest),
}

/// Replies and news for the screens.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A part of the list of calls, in its order.
    List(ListPart),
    /// Of a single call.
    Call(CallReply),
    /// Where in a list of calls problems are.
    ProblemRows(ProblemRows),
    /// What may follow in a filter has changed: values were counted.
    CompletionsChanged,
    /// Of a call as a conversation.
    Conversation(ConversationReply),
    /// Of an export.
    Export(ExportReply),
    /// Of statistics over many calls.
    Statistics(StatisticsReply),
    /// Of a connection over time.
    Timeline(TimelineReply),
    /// Of frames.
    Frames(FramesReply),
    /// Of connections.
    Connections(ConnectionsReply),
    /// Of a replay.
    Replay(ReplayReply),
    /// What was decoded before may be decoded otherwise now: ask again.
    DecodingChanged,
    /// Something for the user to read.
    Say {
        /// What.
        text: String,
        /// Whether something went wrong.
        error: bool,
    },
}
