//! A file in memory, mapped.
//!
//! A mapped file that another program makes shorter while it is read kills this one (the system sends SIGBUS on
//! access to what is gone); nothing can be done about that here. It is why reading without a map is an option.
//! A file that only grows does no harm: what it had when it was opened is read.

use std::fs::File;
use std::io;
use std::ops::Deref;

use memmap2::Mmap;

/// A mapped file; its bytes.
#[derive(Debug)]
pub(crate) struct Map(Mmap);

impl Map {
    /// Maps all of `file`.
    pub(crate) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: The map is private and read-only, and lives as long as every slice of it that is lent. What cannot be
        // ruled out is that another program writes to the file meanwhile: then bytes may change between two looks at
        // them, which all readers of a map here bear because they check every value that they have read, and keep no
        // promise (such as valid UTF-8) about bytes in place.
        #[allow(unsafe_code)]
        let map = unsafe { Mmap::map(file)? };
        Ok(Self(map))
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
