//! Memory for messages, of all clients together.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory for messages that wait to be looked at or to be sent.
#[derive(Clone)]
pub(super) struct Budget(Arc<Semaphore>);

/// Memory that is in use until this is dropped.
pub(super) struct Held(#[allow(dead_code)] OwnedSemaphorePermit);

/// Bytes of messages that wait to be sent, or to be looked at, for all clients together.
pub(super) const MAX_BUFFERED: usize = 256 << 20;

/// Memory is counted in pieces of this size.
const PIECE: usize = 1 << 10;

impl Budget {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_BUFFERED / PIECE)))
    }

    fn pieces(bytes: usize) -> u32 {
        bytes.div_ceil(PIECE).clamp(1, MAX_BUFFERED / PIECE) as u32
    }

    /// Memory for so many bytes, if there is some.
    pub(super) fn try_hold(&self, bytes: usize) -> Option<Held> {
        Arc::clone(&self.0).try_acquire_many_owned(Self::pieces(bytes)).ok().map(Held)
    }

    /// Memory for so many bytes, when there is some. `None`: never.
    pub(super) async fn hold(&self, bytes: usize) -> Option<Held> {
        Arc::clone(&self.0).acquire_many_owned(Self::pieces(bytes)).await.ok().map(Held)
    }

    /// Whether others may be waiting for memory.
    pub(super) fn is_short(&self) -> bool {
        self.0.available_permits() < MAX_BUFFERED / PIECE / 4
    }
}
