//! What the tests of the binary share: running it, writing captures of every kind, and an independent reading of a
//! capture (TCP, HTTP/2 frames, HPACK, gRPC prefixes) to hold its answers against.
//!
//! Nothing here uses the project's own crates: a mistake in them must not be made twice.

// Each test file is a program of its own and uses its part of this.
#![allow(dead_code)]

pub(crate) mod browser;
pub(crate) mod diff;
pub(crate) mod environment;
pub(crate) mod headers;
pub(crate) mod http2;
#[cfg(target_os = "linux")]
pub(crate) mod memory;
pub(crate) mod pcap;
pub(crate) mod random;
pub(crate) mod regions;
pub(crate) mod run;
pub(crate) mod shop;
pub(crate) mod skip;
pub(crate) mod tcp;
pub(crate) mod traffic;
pub(crate) mod web;
