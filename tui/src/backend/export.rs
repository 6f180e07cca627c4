//! Exports: calls written to a file, or put on the clipboard, in a form for other programs.

use std::path::PathBuf;

use crate::model::follow::MessageNo;

/// What is asked of exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportRequest {
    /// Writes calls to a new file. Answered by [`ExportReply`].
    Write {
        /// Which calls.
        calls: WhichCalls,
        /// In which form.
        form: ExportForm,
        /// The file, which must not exist; for messages a directory.
        path: PathBuf,
    },
    /// Puts a call, or one of its messages, on the clipboard. Answered by [`Reply::Say`](super::Reply::Say).
    Copy {
        /// The call.
        no: u32,
        /// What of it.
        what: CopyForm,
    },
    /// Gives up what is being written.
    Cancel,
}

/// Which calls are exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhichCalls {
    /// Those that match a filter.
    Matching(String),
    /// Those with these numbers, in ascending order.
    Numbers(Vec<u32>),
}

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportForm {
    /// A capture that stands alone.
    Capture,
    /// The same without secrets.
    RedactedCapture,
    /// One JSON object per line.
    Json,
    /// A line per call, with commas.
    Csv,
    /// Each message in a file of its own.
    Messages,
    /// A command line of grpcurl for each call.
    Grpcurl,
}

impl ExportForm {
    /// Every form: its key, what it is, and the name of the file that is proposed.
    pub const ALL: [(char, Self, &'static str, &'static str); 6] = [
        ('p', Self::Capture, "capture that stands alone (pcapng), with its secrets", "calls.pcapng"),
        ('r', Self::RedactedCapture, "the same with secrets replaced or left out", "calls-redacted.pcapng"),
        ('j', Self::Json, "JSON, one call per line", "calls.jsonl"),
        ('c', Self::Csv, "CSV, one call per line", "calls.csv"),
        ('m', Self::Messages, "messages, a file each, in a directory", "messages"),
        ('g', Self::Grpcurl, "grpcurl command lines", "calls.sh"),
    ];
}

/// What of a call is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyForm {
    /// All that is known of it, as JSON.
    Call,
    /// A message, as JSON.
    Message(MessageNo),
    /// A command line of grpcurl.
    Grpcurl,
}

/// Replies about an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportReply {
    /// How far it has come, in percent.
    Progress(u8),
    /// It has ended: what to say, and whether something went wrong.
    Ended {
        /// What.
        text: String,
        /// Whether something went wrong.
        error: bool,
    },
}
