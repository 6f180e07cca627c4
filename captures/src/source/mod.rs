//! Reading bytes back from where they lie.
//!
//! What is kept of a message is its [`Place`], not its bytes. When they are needed they are read from here: from the
//! capture file, or from a spill file, which holds bytes that no file holds (decompressed, decrypted or piped in).
//!
//! Capture files are read, not mapped: access to a mapped file that another program truncates ends the process, and reading
//! in windows costs no more (`docs/performance.md`). Bytes that are no longer there are an error, never zeros.

mod file;
mod spill;

use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use file::SourceFile;
use spill::SpillFile;

pub use spill::Spill;

use crate::{Place, SourceNo};

/// All that the places of a reading lie in. Any number of threads may read from it while others append to their spills.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<FileSource>,
    spills: RwLock<Vec<Arc<SpillFile>>>,
    faults: Arc<Faults>,
}

/// Where a file's bytes can be read from.
#[derive(Debug)]
pub(crate) enum FileSource {
    /// It can be read at any place.
    File(SourceFile),
    /// It was piped or compressed: its bytes are not in a file.
    Nothing,
}

impl FileSource {
    /// A file that can be read at any place.
    pub(crate) fn file(file: Arc<std::fs::File>) -> Self {
        Self::File(SourceFile::new(file))
    }
}

/// Why bytes cannot be read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// They were seen once and not kept.
    #[error("the bytes were not kept")]
    Nowhere,
    /// The source does not have as many.
    #[error("{len} bytes at {place:?} lie outside of their source")]
    Outside {
        /// Where they should begin.
        place: Place,
        /// How many were requested.
        len: usize,
    },
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Files and spills together are more than can be numbered.
    #[error("too many files and spill files")]
    TooMany,
}

/// A source that failed while it was used: a file that could not be read back, or spill files that could not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFault {
    /// Which of the files that are read together, from 0; `None` for spill files.
    pub file: Option<u16>,
    /// The reason of the first failure.
    pub reason: String,
    /// How often it failed.
    pub count: u64,
}

/// The faults of all sources, one entry for each file and one for all spill files.
#[derive(Debug, Default)]
struct Faults(Mutex<Vec<SourceFault>>);

impl Faults {
    #[cold]
    fn add(&self, file: Option<u16>, reason: String) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match faults.iter_mut().find(|fault| fault.file == file) {
            Some(fault) => fault.count += 1,
            None => faults.push(SourceFault { file, reason, count: 1 }),
        }
    }
}

impl Sources {
    pub(crate) fn new(files: Vec<FileSource>) -> Self {
        Self { files, ..Self::default() }
    }

    /// The `len` bytes at `place`, read into `scratch`, whose contents are replaced.
    ///
    /// A file that cannot be read back is remembered in [`Sources::faults`].
    ///
    /// # Errors
    ///
    /// If there are no such bytes, or their file cannot be read. The contents of `scratch` are then unspecified.
    pub fn get<'a>(&self, place: Place, len: usize, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], SourceError> {
        self.read(place, len, scratch)?;
        Ok(scratch)
    }

    /// As [`Sources::get`], for callers that keep the bytes.
    ///
    /// # Errors
    ///
    /// As for [`Sources::get`].
    pub fn read(&self, place: Place, len: usize, into: &mut Vec<u8>) -> Result<(), SourceError> {
        into.clear();
        if len == 0 {
            return Ok(());
        }
        if place == Place::NOWHERE {
            return Err(SourceError::Nowhere);
        }
        let source = usize::from(place.source().0);
        match self.files.get(source) {
            Some(FileSource::File(file)) => file.read(place, len, into).inspect_err(|error| {
                let reason = match error {
                    SourceError::Outside { .. } => "the file became shorter while it was read".to_owned(),
                    error => format!("cannot read it again: {error}"),
                };
                self.faults.add(Some(place.source().0), reason);
            }),
            Some(FileSource::Nothing) => Err(SourceError::Nowhere),
            None => {
                let spill = self.spill_file(source - self.files.len());
                spill.ok_or(SourceError::Outside { place, len })?.read(place, len, into).inspect_err(|error| {
                    if let SourceError::Io(error) = error {
                        self.faults.add(None, format!("cannot read a temporary file: {error}"));
                    }
                })
            }
        }
    }

    /// A new spill, numbered after the files and the spills before it.
    ///
    /// # Errors
    ///
    /// If there are too many.
    pub fn spill(&self) -> Result<Spill, SourceError> {
        let mut spills = self.spills.write().unwrap_or_else(PoisonError::into_inner);
        let no = u16::try_from(self.files.len() + spills.len()).ok();
        // The last number belongs to `Place::NOWHERE`.
        let Some(no) = no.filter(|&no| no < u16::MAX) else {
            self.faults.add(None, SourceError::TooMany.to_string());
            return Err(SourceError::TooMany);
        };
        let file = Arc::new(SpillFile::default());
        spills.push(Arc::clone(&file));
        Ok(Spill::new(SourceNo(no), file, Arc::clone(&self.faults)))
    }

    /// The sources that failed so far: files that could not be read back, and spill files that could not be written.
    pub fn faults(&self) -> Vec<SourceFault> {
        self.faults.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn spill_file(&self, index: usize) -> Option<Arc<SpillFile>> {
        self.spills.read().unwrap_or_else(PoisonError::into_inner).get(index).cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_spill_is_read_while_it_is_written() {
        let sources = Sources::new(vec![FileSource::Nothing, FileSource::Nothing]);
        let mut spills = [sources.spill().unwrap(), sources.spill().unwrap()];
        assert_eq!(spills[1].source(), SourceNo(3));
        // Pieces of many lengths, so that the buffer is written out at many places.
        let piece = |n: usize| vec![(n % 251) as u8; n * 37 % 5_000];
        std::thread::scope(|scope| {
            for spill in &mut spills {
                let sources = &sources;
                scope.spawn(move || {
                    let mut places = Vec::new();
                    let mut bytes = Vec::new();
                    for n in 0..1_000 {
                        places.push(spill.append(&piece(n)).unwrap());
                        let back = n / 2;
                        sources.read(places[back], piece(back).len(), &mut bytes).unwrap();
                        assert_eq!(bytes, piece(back));
                    }
                    // Across the end of what is in the file.
                    let whole: Vec<u8> = (0..1_000).flat_map(piece).collect();
                    sources.read(places[0], whole.len(), &mut bytes).unwrap();
                    assert!(bytes == whole);
                });
            }
        });
        let beyond = sources.read(Place::new(SourceNo(2), 1 << 40), 1, &mut Vec::new());
        assert!(matches!(beyond, Err(SourceError::Outside { .. })));
        let nobody = sources.read(Place::new(SourceNo(9), 0), 1, &mut Vec::new());
        assert!(matches!(nobody, Err(SourceError::Outside { .. })));
    }

    #[test]
    fn files_are_read_back_and_what_cannot_be_is_remembered() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let sources = Sources::new(vec![FileSource::file(Arc::new(file)), FileSource::Nothing]);
        let mut bytes = Vec::new();
        let place = |at| Place::new(SourceNo(0), at);
        assert_eq!(sources.get(place(3), 4, &mut bytes).unwrap(), b"3456");
        assert_eq!(sources.get(place(10), 0, &mut bytes).unwrap(), b"");
        assert_eq!(sources.faults(), []);
        let cut = sources.read(place(3), 8, &mut bytes);
        assert!(matches!(cut, Err(SourceError::Outside { .. })), "{cut:?}");
        let huge = sources.read(place(3), usize::MAX, &mut bytes);
        assert!(matches!(huge, Err(SourceError::Outside { .. })), "{huge:?}");
        let reason = "the file became shorter while it was read".to_owned();
        assert_eq!(sources.faults(), [SourceFault { file: Some(0), reason, count: 2 }]);
        assert!(matches!(sources.read(Place::new(SourceNo(1), 0), 1, &mut bytes), Err(SourceError::Nowhere)));
        assert!(matches!(sources.read(Place::NOWHERE, 1, &mut bytes), Err(SourceError::Nowhere)));
    }
}
