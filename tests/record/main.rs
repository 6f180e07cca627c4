//! The recorder between real sockets: what comes out at the other end, and what the file holds.

mod bytes;
mod ends;
#[path = "../support/environment.rs"]
#[expect(dead_code, reason = "only what finds Python is needed here")]
mod environment;
mod file;
mod flow;
mod killed;
mod live;
mod measure;
mod passing;
mod recording;
#[path = "../support/skip.rs"]
mod skip;
mod ttrpc;
