//! HTTP/2 (RFC 9113): frames, header compression, and what a connection's two directions make of them.

mod error_code;
mod frame;
pub mod hpack;
pub mod payload;
mod settings;

pub use error_code::ErrorCode;
pub use frame::{Flags, FrameHeader, FrameType};
pub use payload::{FrameFault, Payload};
pub use settings::{Setting, SettingId, Settings};
