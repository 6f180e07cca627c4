//! Replays: planned, sent and compared by a worker.

use std::path::PathBuf;
use std::sync::Arc;

use super::WhichCalls;
use crate::model::Detail;
use crate::model::replay::{Beside, Editable, OptionValues, ReplayForm, ReplayPlan, ReplayState};

/// What is asked of replays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplayRequest {
    /// Which options there are, and what is known of these calls. What was replayed before is forgotten. Answered by
    /// [`ReplayReply::Form`].
    Form(WhichCalls),
    /// Decides what would be sent; sends nothing. Answered by [`ReplayReply::Planned`] or [`ReplayReply::Wrong`].
    Plan(OptionValues),
    /// Sends calls of the last plan. Answered by [`ReplayReply::State`], many times.
    Send {
        /// Which of them.
        which: Resend,
        /// The user was told which methods may change something, and wants to send them.
        confirmed: bool,
    },
    /// Holds back everything that is not yet sent, or lets it continue.
    Pause(bool),
    /// Ends the replay, or the reading that a plan needs.
    Stop,
    /// Compares again by the rules among these options; sends nothing.
    Compare(OptionValues),
    /// A recorded call beside the replayed one. Answered by [`ReplayReply::Beside`].
    Beside(u32),
    /// A replayed call in full. Answered by [`ReplayReply::Detail`].
    Detail(u32),
    /// A message of a request as text to be edited. Answered by [`ReplayReply::Editable`] or [`ReplayReply::NotEditable`].
    Editable {
        /// The call.
        no: u32,
        /// The number of the message in its request, from 1.
        message: u32,
    },
    /// Sends a message in another form from now on. Answered by [`ReplayReply::Edited`] or [`ReplayReply::NotEdited`].
    Edit {
        /// The call.
        no: u32,
        /// The number of the message in its request, from 1.
        message: u32,
        /// The message as JSON.
        text: String,
    },
    /// Says again what is known: the screen was left, and is shown again. Answered by [`ReplayReply::Form`] and
    /// [`ReplayReply::State`].
    Refresh,
    /// Writes a report of the calls that are over to a new file. Answered by [`Reply::Say`](super::Reply::Say).
    Report {
        /// In which form.
        form: ReportForm,
        /// The file, which must not exist.
        path: PathBuf,
    },
    /// Sends all messages as recorded again. Answered by [`ReplayReply::Form`].
    DropEdits,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportForm {
    /// Text for people.
    Text,
    /// A page for a browser.
    Html,
    /// What CI systems read.
    Junit,
    /// One JSON object.
    Json,
}

impl ReportForm {
    /// Every form: its key, what it is, its name as an option has it, and the name of the file that is proposed.
    pub const ALL: [(char, Self, &'static str, &'static str, &'static str); 4] = [
        ('t', Self::Text, "text", "text", "replay.txt"),
        ('h', Self::Html, "a page for a browser (HTML)", "html", "replay.html"),
        ('u', Self::Junit, "for CI systems (JUnit)", "junit", "replay.xml"),
        ('j', Self::Json, "JSON", "json", "replay.json"),
    ];

    /// Its name, as `--report` has it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, form, ..)| *form == self).map_or("text", |(_, _, _, name, _)| name)
    }
}

/// Which calls of a plan are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    /// All of them.
    All,
    /// This one.
    Call(u32),
    /// Those that did not come back the same.
    Failed,
}

/// Replies about replays.
#[derive(Clone, Debug)]
pub enum ReplayReply {
    /// The options and the calls.
    Form(Arc<ReplayForm>),
    /// The recording is read again, with everything that a replay needs to know: how far, in percent.
    Reading(u8),
    /// What would be sent.
    Planned(Arc<ReplayPlan>),
    /// There is no plan, or calls cannot be compared.
    Wrong {
        /// The option that is wrong, where it is one.
        option: Option<String>,
        /// Why.
        text: String,
    },
    /// How far the replay has come. Rows are those that are new or have changed.
    State(Arc<ReplayState>),
    /// A recorded call beside the replayed one.
    Beside(Arc<Beside>),
    /// A replayed call in full.
    Detail(Arc<Detail>),
    /// A message to be edited.
    Editable(Arc<Editable>),
    /// A message cannot be edited.
    NotEditable(String),
    /// A message will be sent in another form.
    Edited {
        /// The call.
        no: u32,
        /// Whether the message is as recorded.
        unchanged: bool,
    },
    /// What the user wrote is not a message.
    NotEdited {
        /// What the user wrote.
        editable: Arc<Editable>,
        /// Why.
        text: String,
    },
}
