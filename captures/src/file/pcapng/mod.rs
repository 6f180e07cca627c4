//! pcapng blocks (draft-ietf-opsawg-pcapng).
//!
//! ```text
//!   0       4       8                       length-4  length
//!   +-------+-------+-------------- - - ------+-------+
//!   | type  |length | body, padded to 4 bytes |length |
//!   +-------+-------+-------------- - - ------+-------+
//! ```
//!
//! A block whose body is wrong is skipped. If the two lengths differ or are impossible, the next block is searched for.
//!
//! `framing` finds where blocks begin and end, and the next one after damage; `scanner` drives it over a file; `section`,
//! `packets` and `metadata` read the bodies. The bodies of section headers, interface descriptions, statistics and
//! secrets are read by `pcap-parser`, from the exact bytes that `framing` has found. Its reader is not used: it ends at
//! the first bad block. `tests` compares whole files with it, and shows what else it would lose.

mod clock;
mod framing;
mod metadata;
mod options;
#[cfg(test)]
mod oracle;
mod packets;
mod scanner;
mod section;
#[cfg(test)]
mod tests;

pub(crate) use scanner::PcapNg;
