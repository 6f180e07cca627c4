//! HTTP/2 (RFC 9113): frames, header compression, and what a connection's two directions make of them.

pub mod hpack;
