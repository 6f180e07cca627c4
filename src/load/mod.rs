//! Reading a capture: the only place where threads are made.
//!
//! Packets come in batches. Of each batch it is first found out, in parallel, which lane each packet belongs to; then the
//! lanes dissect it, in parallel, each its own packets in their order; then what the batch has added is numbered in the
//! order of the packets. Connections are independent, so what comes out does not depend on how many threads work. The
//! next batch is fetched meanwhile.

mod exact;
mod file_problems;
mod frames;
mod keys;
mod lane;
mod lengths;
mod loader;
mod original;
mod partition;
pub(crate) mod schema;
mod shared;
mod streams;
#[cfg(test)]
mod tests;

pub(crate) use exact::{ExactConnection, ExactFrame, ExactReading};
pub(crate) use file_problems::problems_of_files;
pub(crate) use frames::{AllFrames, ConnectionFrames};
pub(crate) use keys::{KeySummary, check_key_logs};
pub(crate) use lengths::PacketLengths;
pub(crate) use loader::{Inputs, LoadOptions, Loaded, Loader};
pub(crate) use original::{CopyError, copy_packets};
pub(crate) use shared::{Follower, Progress, SharedStore, StoreGuard};

/// Makes the calling thread one of those that work, instead of one that waits for them. To be called once, by the main
/// thread; without it all works as well, but handing over each batch takes longer.
pub(crate) fn work_along() {
    // Refused where the threads are there already: then they are waited for.
    let _ = rayon::ThreadPoolBuilder::new().use_current_thread().build_global();
}
