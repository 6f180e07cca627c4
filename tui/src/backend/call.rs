//! Single calls: read and decoded by a worker.

use std::sync::Arc;

use crate::model::{Detail, Preview};

/// What is asked of single calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallRequest {
    /// A call in a few lines. Answered by [`CallReply::Preview`].
    Preview(u32),
    /// A call in full. Answered by [`CallReply::Detail`].
    Detail(u32),
    /// The values of fields in these calls. Answered by [`CallReply::Values`].
    Values {
        /// The numbers of the calls.
        calls: Vec<u32>,
        /// The fields, as filters name them.
        fields: Vec<Arc<str>>,
    },
}

/// The values of fields in one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallValues {
    /// The call's number.
    pub no: u32,
    /// Whether the call has ended: the values will not change.
    pub ended: bool,
    /// A text for each field, safe to draw.
    pub values: Vec<String>,
}

/// Replies about single calls.
#[derive(Clone, Debug)]
pub enum CallReply {
    /// A call in a few lines.
    Preview(Arc<Preview>),
    /// A call in full.
    Detail(Arc<Detail>),
    /// The values of fields in calls.
    Values {
        /// The fields.
        fields: Vec<Arc<str>>,
        /// The values, call by call.
        calls: Vec<CallValues>,
    },
}
