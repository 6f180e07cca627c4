//! HTTP/2 (RFC 9113): frames, header compression, and what a connection's two directions make of them.

mod blocks;
mod connection;
mod error_code;
#[cfg(test)]
mod event_tests;
mod flow;
#[cfg(test)]
mod flow_tests;
mod frame;
pub mod hpack;
mod lifecycle;
pub mod payload;
mod resync;
mod sender;
mod settings;
mod state;
mod streams;
#[cfg(test)]
mod tests;

pub use connection::Http2;
pub(crate) use connection::{PREFACE, add as add_held};
pub use error_code::ErrorCode;
pub use frame::{Flags, FrameHeader, FrameType};
pub use payload::{FrameFault, Payload, Priority};
pub use settings::{Setting, SettingId, Settings};
