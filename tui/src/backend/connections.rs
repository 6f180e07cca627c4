//! Connections, with what is known of each, and the streams of one of them.

use std::sync::Arc;

use crate::model::connections::{ConnectionLines, ConnectionRow, StreamRow};

/// What is asked of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionsRequest {
    /// The connections that have calls that match `filter`, or all; kept up to date while the capture is being read.
    /// Answered by [`ConnectionsReply::List`].
    List {
        /// Comes back with the answers.
        generation: u64,
        /// A display filter of calls, known to be valid; empty for all connections.
        filter: String,
    },
    /// The streams of a connection. Answered by [`ConnectionsReply::Streams`].
    Streams(u32),
    /// What a connection says of itself: settings, GOAWAY. The connection is read again. Answered by
    /// [`ConnectionsReply::Lines`].
    Lines(u32),
    /// Nobody looks any more.
    Cancel,
}

/// Replies about connections.
#[derive(Clone, Debug)]
pub enum ConnectionsReply {
    /// The connections.
    List {
        /// That of the request.
        generation: u64,
        /// By number.
        rows: Arc<Vec<ConnectionRow>>,
        /// Connections that there are.
        all: u64,
        /// Whether all calls have been counted.
        done: bool,
    },
    /// The streams of a connection, and how many more there are.
    Streams {
        /// Its number.
        connection: u32,
        /// By the numbers of their calls.
        rows: Arc<Vec<StreamRow>>,
        /// Streams that are not among them.
        more: u64,
    },
    /// What a connection says of itself.
    Lines(Arc<ConnectionLines>),
}
