//! ttrpc: RPC over Unix sockets and vsock, as containerd and its shims use it.
//!
//! Frames and messages follow ttrpc's `PROTOCOL.md` (<https://github.com/containerd/ttrpc/blob/main/PROTOCOL.md>) and what
//! its implementations in Go and Rust send. Around it: the trunk in which containerd's node resource interface carries two
//! ttrpc connections, and the two lines that hybrid vsock sockets begin with. Payloads are left to
//! [`protobuf`](crate::protobuf).

mod calls;
mod connection;
mod frame;
mod message;
mod parts;
pub(crate) mod preamble;
pub(crate) mod probe;
mod resync;
mod streams;
#[cfg(test)]
mod tests;
mod trunk;

pub use connection::Ttrpc;
pub use frame::{Flags, FrameHeader, FrameType, MAX_LENGTH};
pub use message::own_fields;
pub(crate) use probe::PLUGIN_SERVES;
pub use trunk::Trunk;
