//! What becomes of each part of a flow.

use std::ops::Range;

use super::data::{DataFrame, Part};

/// A part of a flow, and what is written in its place. The parts of a flow do not overlap; what none of them covers are
/// bytes in which no frames were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where in the flow.
    pub(super) range: Range<u64>,
    /// What is written.
    pub(super) action: Action,
}

/// What is written in place of a part of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Its bytes; where some are missing, they are missing in the export, too.
    Copy,
    /// Other bytes: the first `head` of them when the first byte of the part was there, the rest when its last byte was.
    Replace {
        /// The bytes.
        bytes: Vec<u8>,
        /// How many of them come first.
        head: usize,
    },
    /// These parts, each when the flow was delivered up to the offset beside it.
    Parts(Vec<(u64, Part)>),
    /// A DATA frame without secrets.
    Data(DataFrame),
    /// Nothing. `counted`: bytes that are missing from it change nothing, since its reader continues by its length.
    Drop {
        /// See above.
        counted: bool,
    },
}

impl Piece {
    /// A part that is copied.
    pub(super) const fn copy(range: Range<u64>) -> Self {
        Self { range, action: Action::Copy }
    }

    /// A part that is left out.
    pub(super) const fn drop(range: Range<u64>, counted: bool) -> Self {
        Self { range, action: Action::Drop { counted } }
    }
}
