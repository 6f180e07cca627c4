//! Spill files: bytes that no file holds, kept to be read back.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::file::read_at;
use super::{Faults, SourceError};
use crate::temporary::temporary_file;
use crate::{Place, SourceNo};

/// A spill file is written in pieces of this size; one that stays smaller is never made.
const SPILL_BUFFER: usize = 256 << 10;

/// The end at which bytes are put into a spill. What was put in can be read from the [`Sources`](super::Sources) at once.
///
/// The file has no name, so that nothing is left behind however the program ends.
#[derive(Debug)]
pub struct Spill {
    no: SourceNo,
    file: Arc<SpillFile>,
    faults: Arc<Faults>,
}

impl Spill {
    pub(super) const fn new(no: SourceNo, file: Arc<SpillFile>, faults: Arc<Faults>) -> Self {
        Self { no, file, faults }
    }

    /// Its number among the sources.
    pub const fn source(&self) -> SourceNo {
        self.no
    }

    /// Appends `bytes` to those that are there, and returns where they lie.
    ///
    /// # Errors
    ///
    /// If the file cannot be made or written: `bytes` are then not in it, and what was put in before is. The failure is
    /// remembered in [`Sources::faults`](super::Sources::faults).
    pub fn append(&mut self, bytes: &[u8]) -> Result<Place, SourceError> {
        let mut tail = self.file.tail();
        if tail.len() + bytes.len() > SPILL_BUFFER
            && let Err(error) = self.file.flush(&mut tail)
        {
            let directory = std::env::temp_dir();
            self.faults.add(None, format!("cannot write a temporary file in {}: {error}", directory.display()));
            return Err(error.into());
        }
        let at = self.file.flushed.load(Ordering::Relaxed) + tail.len() as u64;
        tail.extend_from_slice(bytes);
        Ok(Place::new(self.no, at))
    }
}

/// A spill, as its writer and its readers share it.
#[derive(Debug, Default)]
pub(super) struct SpillFile {
    /// Made when first written to.
    file: OnceLock<File>,
    /// How many bytes are in the file. They never change, so they are read without a lock.
    flushed: AtomicU64,
    /// The bytes after them.
    tail: Mutex<Vec<u8>>,
}

impl SpillFile {
    fn tail(&self) -> MutexGuard<'_, Vec<u8>> {
        // A panic elsewhere leaves a tail that is whole: it only ever grows by all or nothing.
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn read(&self, place: Place, len: usize, into: &mut Vec<u8>) -> Result<(), SourceError> {
        let outside = || SourceError::Outside { place, len };
        let start = place.offset();
        let end = start.checked_add(len as u64).ok_or_else(outside)?;
        if end <= self.flushed.load(Ordering::Acquire) {
            return read_at(self.file.get().ok_or_else(outside)?, place, len, into);
        }
        let tail = self.tail();
        let flushed = self.flushed.load(Ordering::Acquire);
        let in_file = flushed.saturating_sub(start).min(len as u64) as usize;
        let from = start.saturating_sub(flushed) as usize;
        let rest = tail.get(from..from.saturating_add(len - in_file)).ok_or_else(outside)?.to_vec();
        drop(tail);
        if let (1.., Some(file)) = (in_file, self.file.get()) {
            read_at(file, place, in_file, into)?;
        }
        into.extend_from_slice(&rest);
        Ok(())
    }

    /// Moves the tail into the file; `tail` stays as it is where that fails.
    fn flush(&self, tail: &mut Vec<u8>) -> io::Result<()> {
        if tail.is_empty() {
            return Ok(());
        }
        let file = match self.file.get() {
            Some(file) => file,
            None => {
                let file = temporary_file()?;
                self.file.get_or_init(|| file)
            }
        };
        let flushed = self.flushed.load(Ordering::Relaxed);
        file.write_all_at(tail, flushed)?;
        self.flushed.store(flushed + tail.len() as u64, Ordering::Release);
        tail.clear();
        Ok(())
    }
}
