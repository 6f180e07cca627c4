//! Why a capture cannot be read at all.

use std::io;

use super::sniff;

/// An input cannot be opened, or is not a capture.
///
/// What is wrong inside of a capture is never one of these: it is a [`FileNote`](super::FileNote).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing under this name.
    #[error("{name}: no such file or directory")]
    Missing {
        /// The input as it was named.
        name: String,
    },
    /// It may not be read.
    #[error("{name}: permission denied")]
    Permission {
        /// The input as it was named.
        name: String,
    },
    /// It cannot be opened, or its first bytes cannot be read.
    #[error("{name}: {source}")]
    Open {
        /// The input as it was named.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// A directory holds no capture.
    #[error("no captures in {name}")]
    EmptyDirectory {
        /// The directory as it was named.
        name: String,
    },
    /// There is not one byte in it.
    #[error("{name} is not a capture: it is empty")]
    Empty {
        /// The input as it was named.
        name: String,
    },
    /// Its first bytes are of no format that is known.
    #[error("{name} is not a capture: it begins with {head}; known are {}", sniff::KNOWN)]
    NoCapture {
        /// The input as it was named.
        name: String,
        /// The first bytes, as hexadecimal numbers and as text.
        head: String,
    },
    /// It is compressed, and not one byte of it can be decompressed.
    #[error("{name}: nothing of it can be decompressed ({method}): {source}")]
    Decompress {
        /// The input as it was named.
        name: String,
        /// How it is compressed.
        method: &'static str,
        /// What the decompressor says.
        source: io::Error,
    },
    /// More files than can be numbered.
    #[error("{count} files are too many to be read together, at most {limit} can be")]
    TooManyFiles {
        /// How many were named.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}

impl Error {
    /// The error for `name`, which could not be opened or read because of `source`.
    pub(crate) fn open(name: &str, source: io::Error) -> Self {
        let name = name.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { name },
            io::ErrorKind::PermissionDenied => Self::Permission { name },
            _ => Self::Open { name, source },
        }
    }
}
