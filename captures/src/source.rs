//! Reading bytes back from where they lie.
//!
//! What is kept of a message is its [`Place`], not its bytes; when somebody looks, they are read from here: from the
//! capture file, or from a spill file, which holds what no file does (decompressed, decrypted or piped-in bytes).
//!
//! A mapped file that another program makes shorter while it is read kills this one; files that may be are to be read
//! without a map.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::file::Map;
use crate::{Place, SourceNo};

/// A spill file is written in pieces of this size; one that stays smaller is never made.
const SPILL_BUFFER: usize = 256 << 10;

/// All that the places of a reading lie in. Any number of threads may read from it while others append to their spills.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<FileSource>,
    spills: RwLock<Vec<Arc<SpillFile>>>,
}

/// What there is to read a file's bytes from.
#[derive(Debug)]
pub(crate) enum FileSource {
    /// All of it is in memory.
    Map(Arc<Map>),
    /// It can be read at any place.
    File(Arc<File>),
    /// It was piped or compressed: its bytes lie nowhere.
    Nothing,
}

/// Why bytes cannot be read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// They were seen once and not kept.
    #[error("the bytes were not kept")]
    Nowhere,
    /// The source does not have so many.
    #[error("{len} bytes at {place:?} lie outside of their source")]
    Outside {
        /// Where they should begin.
        place: Place,
        /// How many were asked for.
        len: usize,
    },
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Files and spills together are more than can be numbered.
    #[error("too many files and spill files")]
    TooMany,
}

impl Sources {
    pub(crate) fn new(files: Vec<FileSource>) -> Self {
        Self { files, spills: RwLock::default() }
    }

    /// Puts the `len` bytes at `place` into `into`, in place of what it held.
    ///
    /// # Errors
    ///
    /// If there are no such bytes, or their file cannot be read. What `into` then holds is not said.
    pub fn read(&self, place: Place, len: usize, into: &mut Vec<u8>) -> Result<(), SourceError> {
        into.clear();
        if len == 0 {
            return Ok(());
        }
        if place == Place::NOWHERE {
            return Err(SourceError::Nowhere);
        }
        let outside = || SourceError::Outside { place, len };
        let source = usize::from(place.source().0);
        match self.files.get(source) {
            Some(FileSource::Map(_)) => into.extend_from_slice(self.slice(place, len).ok_or_else(outside)?),
            Some(FileSource::File(file)) => read_at(file, place, len, into)?,
            Some(FileSource::Nothing) => return Err(SourceError::Nowhere),
            None => {
                let spill = self.spills().get(source - self.files.len()).cloned().ok_or_else(outside)?;
                spill.read(place, len, into)?;
            }
        }
        Ok(())
    }

    /// The `len` bytes at `place` without a copy, where they are in memory for good: in a mapped file.
    pub fn slice(&self, place: Place, len: usize) -> Option<&[u8]> {
        if place == Place::NOWHERE {
            return None;
        }
        match self.files.get(usize::from(place.source().0))? {
            FileSource::Map(map) => {
                let start = usize::try_from(place.offset()).ok()?;
                map.get(start..start.checked_add(len)?)
            }
            _ => None,
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
        let no = SourceNo(no.filter(|&no| no < u16::MAX).ok_or(SourceError::TooMany)?);
        let file = Arc::new(SpillFile::default());
        spills.push(Arc::clone(&file));
        Ok(Spill { no, file })
    }

    fn spills(&self) -> std::sync::RwLockReadGuard<'_, Vec<Arc<SpillFile>>> {
        self.spills.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end at which bytes are put into a spill. What was put in can be read from the [`Sources`] at once.
///
/// The file has no name, so that nothing is left behind however the program ends.
#[derive(Debug)]
pub struct Spill {
    no: SourceNo,
    file: Arc<SpillFile>,
}

impl Spill {
    /// Its number among the sources.
    pub const fn source(&self) -> SourceNo {
        self.no
    }

    /// Puts `bytes` behind those that are there, and says where they lie.
    ///
    /// # Errors
    ///
    /// If the file cannot be made or written. `bytes` are then not in it, and what was put in before is.
    pub fn append(&mut self, bytes: &[u8]) -> Result<Place, SourceError> {
        let mut state = self.file.lock();
        if state.tail.len() + bytes.len() > SPILL_BUFFER {
            state.flush()?;
        }
        let at = state.flushed + state.tail.len() as u64;
        state.tail.extend_from_slice(bytes);
        Ok(Place::new(self.no, at))
    }
}

/// A spill, as its writer and its readers share it.
#[derive(Debug, Default)]
struct SpillFile(Mutex<SpillState>);

#[derive(Debug, Default)]
struct SpillState {
    /// Made when first written to.
    file: Option<File>,
    /// How many bytes are in the file.
    flushed: u64,
    /// Those that follow on them.
    tail: Vec<u8>,
}

impl SpillFile {
    fn lock(&self) -> MutexGuard<'_, SpillState> {
        // What a panic elsewhere may have left is a tail that is whole: it only ever grows by all or nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, place: Place, len: usize, into: &mut Vec<u8>) -> Result<(), SourceError> {
        let state = self.lock();
        let outside = || SourceError::Outside { place, len };
        let start = place.offset();
        let end = start + len as u64;
        if end > state.flushed + state.tail.len() as u64 {
            return Err(outside());
        }
        let in_file = state.flushed.saturating_sub(start).min(len as u64) as usize;
        if let (1.., Some(file)) = (in_file, &state.file) {
            read_at(file, place, in_file, into)?;
        }
        let from = start.saturating_sub(state.flushed) as usize;
        into.extend_from_slice(state.tail.get(from..from + (len - in_file)).ok_or_else(outside)?);
        Ok(())
    }
}

impl SpillState {
    fn flush(&mut self) -> io::Result<()> {
        if self.tail.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.write_all_at(&self.tail, self.flushed)?;
        self.flushed += self.tail.len() as u64;
        self.tail.clear();
        Ok(())
    }
}

/// Puts bytes of `file` into `into`, which is empty.
fn read_at(file: &File, place: Place, len: usize, into: &mut Vec<u8>) -> Result<(), SourceError> {
    /// Memory is taken in steps, so that a length that is wrong takes no more than the file has.
    const STEP: usize = 1 << 20;

    while into.len() < len {
        let done = into.len();
        into.resize(len.min(done + STEP), 0);
        let part = into.get_mut(done..).unwrap_or_default();
        file.read_exact_at(part, place.offset() + done as u64).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => SourceError::Outside { place, len },
            _ => SourceError::Io(error),
        })?;
    }
    Ok(())
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
        // Pieces of many lengths, so that the buffer is written out at odd places.
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
    fn files_are_read_back_with_and_without_a_map() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let map = Arc::new(Map::new(&file).unwrap());
        let files = vec![FileSource::Map(map), FileSource::File(Arc::new(file)), FileSource::Nothing];
        let sources = Sources::new(files);
        let mut bytes = Vec::new();
        for source in [0, 1] {
            let place = |at| Place::new(SourceNo(source), at);
            sources.read(place(3), 4, &mut bytes).unwrap();
            assert_eq!(bytes, b"3456");
            sources.read(place(10), 0, &mut bytes).unwrap();
            assert_eq!(bytes, b"");
            let cut = sources.read(place(3), 8, &mut bytes);
            assert!(matches!(cut, Err(SourceError::Outside { .. })), "{cut:?}");
            let huge = sources.read(place(3), usize::MAX, &mut bytes);
            assert!(matches!(huge, Err(SourceError::Outside { .. })), "{huge:?}");
        }
        assert_eq!(sources.slice(Place::new(SourceNo(0), 8), 2), Some(&b"89"[..]));
        assert_eq!(sources.slice(Place::new(SourceNo(0), 8), 3), None);
        assert_eq!(sources.slice(Place::new(SourceNo(1), 8), 2), None);
        assert!(matches!(sources.read(Place::new(SourceNo(2), 0), 1, &mut bytes), Err(SourceError::Nowhere)));
        assert!(matches!(sources.read(Place::NOWHERE, 1, &mut bytes), Err(SourceError::Nowhere)));
    }
}
