//! pcapng blocks (draft-ietf-opsawg-pcapng).
//!
//! ```text
//!   0       4       8                       length-4  length
//!   +-------+-------+-------------- - - ------+-------+
//!   | type  |length | body, padded to 4 bytes |length |
//!   +-------+-------+-------------- - - ------+-------+
//! ```
//!
//! A block whose body is wrong is passed by. Where the two lengths differ or cannot be, the next block is looked for:
//!
//! `framing` finds where blocks begin and end, and the next one behind damage; `scanner` drives it over a file; `section`,
//! `packets` and `metadata` read the bodies.

mod clock;
mod framing;
mod metadata;
mod options;
mod packets;
mod scanner;
mod section;
#[cfg(test)]
mod tests;

pub(crate) use scanner::PcapNg;
