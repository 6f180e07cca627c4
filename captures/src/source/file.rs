//! A file that is read at any place, in windows where it is read from the front to the back.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::SourceError;
use crate::Place;

/// How much is read at once. Bodies of calls that follow one another lie close together, and one system call then serves
/// many of them; larger windows leave the processor's cache.
const WINDOW: usize = 64 << 10;

/// A file whose bytes are read back.
#[derive(Debug)]
pub(crate) struct SourceFile {
    file: Arc<File>,
    /// Tells it from all other files that the process reads.
    id: u64,
}

/// Windows of one thread: requests and answers of one call can lie far from one another, and calls run beside each other, so
/// that several places are read from the front to the back at once.
const WINDOWS: usize = 4;

/// A part of a file that a thread read lately.
#[derive(Default)]
struct Window {
    /// The file's `id`; 0 for none.
    owner: u64,
    /// Where `bytes` begin in the file.
    start: u64,
    bytes: Vec<u8>,
    /// Where the last read ended.
    next: u64,
}

thread_local! {
    /// Each thread reads a share of the calls in their order, so each has windows of its own and none waits for another.
    /// The one used last comes first.
    static LAST: RefCell<[Window; WINDOWS]> = RefCell::default();
}

impl SourceFile {
    pub(crate) fn new(file: Arc<File>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self { file, id: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    /// Puts the `len` bytes at `place` into `into`, which is empty.
    pub(super) fn read(&self, place: Place, len: usize, into: &mut Vec<u8>) -> Result<(), SourceError> {
        LAST.with_borrow_mut(|windows| {
            let at = place.offset();
            let end = at.saturating_add(len as u64);
            let known = windows.iter().position(|window| window.owner == self.id && window.get(at, len).is_some());
            let near = || windows.iter().position(|window| window.owner == self.id && window.is_before(at));
            let (index, is_near) = match (known, known.is_none().then(near).flatten()) {
                (Some(known), _) => (known, false),
                (None, Some(near)) => (near, true),
                (None, None) => (WINDOWS - 1, false),
            };
            let used = windows.get_mut(..=index).unwrap_or_default();
            used.rotate_right(1);
            let Some(window) = used.first_mut() else { return read_at(&self.file, place, len, into) };
            window.next = end;
            if known.is_some() || is_near && len <= WINDOW / 2 {
                if is_near {
                    window.fill(&self.file, at, len)?;
                }
                into.extend_from_slice(window.get(at, len).ok_or(SourceError::Outside { place, len })?);
                return Ok(());
            }
            window.owner = self.id;
            window.bytes.clear();
            read_at(&self.file, place, len, into)
        })
    }
}

impl Window {
    /// Whether a read at `at` continues where the last one ended.
    fn is_before(&self, at: u64) -> bool {
        at >= self.next && at - self.next < WINDOW as u64
    }

    fn get(&self, at: u64, len: usize) -> Option<&[u8]> {
        let from = usize::try_from(at.checked_sub(self.start)?).ok()?;
        self.bytes.get(from..from.checked_add(len)?)
    }

    /// Reads a window that begins at `at`, until it holds `least` bytes or the file ends.
    fn fill(&mut self, file: &File, at: u64, least: usize) -> io::Result<()> {
        self.start = at;
        self.bytes.resize(WINDOW, 0);
        let mut filled = 0;
        while filled < least {
            match file.read_at(self.bytes.get_mut(filled..).unwrap_or_default(), at + filled as u64) {
                Ok(0) => break,
                Ok(len) => filled += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.bytes.clear();
                    return Err(error);
                }
            }
        }
        self.bytes.truncate(filled);
        Ok(())
    }
}

/// Puts bytes of `file` into `into`, which is empty.
pub(super) fn read_at(file: &File, place: Place, len: usize, into: &mut Vec<u8>) -> Result<(), SourceError> {
    /// Memory grows in steps, so that a wrong length takes no more than the file has.
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
    use crate::SourceNo;

    fn file(bytes: &[u8]) -> (SourceFile, Arc<File>) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let file = Arc::new(file);
        (SourceFile::new(Arc::clone(&file)), file)
    }

    #[test]
    fn windows_of_two_files_are_not_confused() {
        let (first, _keep) = file(&[1; 300_000]);
        let (second, _keep_too) = file(&[2; 300_000]);
        let mut bytes = Vec::new();
        for n in 0..40 {
            for (source, byte) in [(&first, 1), (&second, 2)] {
                bytes.clear();
                source.read(Place::new(SourceNo(0), n * 7_000), 5_000, &mut bytes).unwrap();
                assert_eq!(bytes, [byte; 5_000]);
            }
        }
    }

    #[test]
    fn any_order_of_reads_gives_the_bytes_of_the_file() {
        let content: Vec<u8> = (0..400_000_u32).flat_map(|n| (n as u16).to_le_bytes()).collect();
        let (source, _keep) = file(&content);
        let mut random = 7_usize;
        let mut at = 0;
        let mut bytes = Vec::new();
        for n in 0..3_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let len = (random >> 33) % if n % 50 == 0 { 100_000 } else { 900 };
            at = if n % 40 == 0 { (random >> 20) % content.len() } else { at + (random >> 40) % 300 };
            bytes.clear();
            match content.get(at..at + len) {
                Some(expected) => {
                    source.read(Place::new(SourceNo(0), at as u64), len, &mut bytes).unwrap();
                    assert!(bytes == expected, "{len} bytes at {at}");
                    at += len;
                }
                None => at = 0,
            }
        }
    }

    #[test]
    fn a_truncated_file_gives_an_error_and_never_zeros() {
        let (source, file) = file(&[7; 400_000]);
        let mut bytes = Vec::new();
        for n in 0..20 {
            bytes.clear();
            source.read(Place::new(SourceNo(0), n * 100), 100, &mut bytes).unwrap();
        }
        file.set_len(150_000).unwrap();
        for n in 20..4_000 {
            bytes.clear();
            match source.read(Place::new(SourceNo(0), n * 100), 100, &mut bytes) {
                Ok(()) => assert_eq!(bytes, [7; 100]),
                Err(SourceError::Outside { .. }) => assert!(n * 100 + 100 > 150_000),
                Err(error) => panic!("{error}"),
            }
        }
    }
}
