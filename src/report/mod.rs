//! What is reported of a comparison: the calls of a recording against those of a replay or of another recording.
//!
//! [`Report`] takes each call as it is compared and writes it to one or more forms: text, JSON, JUnit, HTML. Memory does not
//! grow with the number of calls, but for their durations (16 bytes a call): forms that begin with a summary keep a bounded
//! number of calls in full. Values that are hidden come here without their contents.

mod args;
mod call;
mod html;
mod json;
mod junit;
mod progress;
mod rules_file;
mod sides;
mod summary;
mod text;
mod writer;

pub(crate) use args::{CompareArgs, ReportArgs, ReportError};
pub(crate) use call::{CallFacts, CallReport};
pub(crate) use sides::sides;
pub(crate) use writer::{Report, Subject};
