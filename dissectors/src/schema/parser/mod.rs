//! `.proto` text to descriptors.
//!
//! Follows the language specifications of proto2, proto3 and the editions
//! (<https://protobuf.dev/reference/protobuf/edition-2023-spec/>). What decoding does not need is read over: comments,
//! default values, reserved numbers, most options and all custom ones. What is wrong ends the file, with one message
//! that points at it. Names of types are left as they are written; [`link`](super::link) resolves them.

mod file;
mod message;
mod options;
mod scalar;
mod service;
mod tokens;

#[cfg(test)]
mod tests;

pub(super) use file::parse;
