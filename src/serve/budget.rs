//! Memory for messages, of all clients together.

use std::sync::Arc;

use rpcshark_dissectors::grpc::Status;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::incoming::Fault;

/// Memory for messages that wait to be looked at or to be sent.
#[derive(Clone)]
pub(super) struct Budget(Arc<Semaphore>);

/// Memory that is in use until this is dropped.
pub(super) struct Held(#[allow(dead_code)] OwnedSemaphorePermit);

/// Bytes of messages that wait to be sent, or to be looked at, for all clients together.
pub(super) const MAX_BUFFERED: usize = 256 << 20;

/// Bytes that are not counted: calls are bounded by their number, too.
pub(super) const SMALL: usize = 16 << 10;

/// Memory is counted in pieces of this size.
const PIECE: usize = 1 << 10;

impl Budget {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_BUFFERED / PIECE)))
    }

    fn pieces(bytes: usize) -> u32 {
        bytes.div_ceil(PIECE).clamp(1, MAX_BUFFERED / PIECE) as u32
    }

    /// Memory for so many bytes, if there is some. Few bytes are not counted.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub(super) fn try_hold(&self, bytes: usize) -> Result<Option<Held>, Fault> {
        if bytes <= SMALL {
            return Ok(None);
        }
        let held = Arc::clone(&self.0).try_acquire_many_owned(Self::pieces(bytes));
        held.map(|held| Some(Held(held))).map_err(|_| Fault {
            code: Status::RESOURCE_EXHAUSTED,
            why: "there is no memory for another large message".to_owned(),
        })
    }

    /// Memory for so many bytes, when there is some. Few bytes are not counted.
    pub(super) async fn hold(&self, bytes: usize) -> Option<Held> {
        match bytes {
            0..=SMALL => None,
            // Nobody closes the semaphore.
            _ => Arc::clone(&self.0).acquire_many_owned(Self::pieces(bytes)).await.ok().map(Held),
        }
    }

    /// Whether others may be waiting for memory.
    pub(super) fn is_short(&self) -> bool {
        self.0.available_permits() < MAX_BUFFERED / PIECE / 4
    }
}
