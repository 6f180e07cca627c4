//! Reading a capture: the only place where threads are made.
//!
//! Packets come in batches. Of each batch it is first found out, in parallel, which lane each packet belongs to; then the
//! lanes work, in parallel, each through its own packets in their order; then what the batch has brought is numbered in
//! the order of the packets. Connections are independent, so what comes out does not depend on how many threads work.

mod lane;
mod reader;
pub(crate) mod schema;
mod sort;
mod streams;

pub(crate) use reader::{LoadOptions, Loaded, Loader, Progress};
