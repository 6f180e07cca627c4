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
}

/// Replies about single calls.
#[derive(Clone, Debug)]
pub enum CallReply {
    /// A call in a few lines.
    Preview(Arc<Preview>),
    /// A call in full.
    Detail(Arc<Detail>),
}
