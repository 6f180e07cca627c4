//! The recorder between real sockets: what comes out at the other end, and what the file holds.

mod bytes;
mod ends;
mod file;
mod killed;
mod live;
mod measure;
mod passing;
mod recording;
#[path = "../support/skip.rs"]
mod skip;
mod ttrpc;
