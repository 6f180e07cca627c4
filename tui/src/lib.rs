//! The terminal UI: screens over a read-only snapshot of the store.
//!
//! This crate takes what `rpcshark-dissectors` keeps of a capture and draws it; it knows no file format and no
//! socket. What a user asks for beyond looking (export, replay) it hands to the binary as a request.
//!
//! Nothing is drawn yet: the commands of the binary print the same rows as text and JSON.
