//! The file that a recording goes to: opened before anything else is touched, emptied when all the rest is ready.
//!
//! A recording that exists, or that another recorder writes at this moment, is worth more than one that cannot begin:
//! until [`Output::begin`] nothing in the file changes. The lock (flock(2)) is held as long as the file is open, so two
//! recorders never write one file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutputError {
    /// Standard output is a terminal.
    #[error(
        "a recording is no text for a terminal: name a file with -w FILE, or send standard output to a file or a program"
    )]
    Terminal,
    /// Another recorder holds the lock.
    #[error("{}: another recorder writes this file; it was left as it is", .0.display())]
    Held(PathBuf),
    /// The system said no.
    #[error("cannot write {}", path.display())]
    System {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A file that is open and not yet changed. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub(super) struct Output {
    file: Option<File>,
    path: PathBuf,
    /// Only these are emptied, locked and removed: not devices, pipes or standard output.
    regular: bool,
    /// It was not there before.
    made: bool,
}

impl Output {
    /// Opens the file; `-` is standard output.
    pub(super) fn open(path: &Path) -> Result<Self, OutputError> {
        let failed = |source| OutputError::System { path: path.into(), source };
        if path == Path::new("-") {
            let stdout = io::stdout();
            if stdout.is_terminal() {
                return Err(OutputError::Terminal);
            }
            // Not the standard library's handle, which breaks writes at line ends.
            let file = File::from(stdout.as_fd().try_clone_to_owned().map_err(failed)?);
            return Ok(Self { file: Some(file), path: path.into(), regular: false, made: false });
        }
        let (file, made) = match OpenOptions::new().write(true).create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                (OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(failed)?, false)
            }
            file => (file.map_err(failed)?, true),
        };
        let regular = file.metadata().map_err(failed)?.is_file();
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if regular => Err(OutputError::Held(path.into())),
            // There are file systems without locks.
            _ => Ok(Self { file: Some(file), path: path.into(), regular, made }),
        }
    }

    /// Empties the file, and gives it to whoever writes it.
    pub(super) fn begin(mut self) -> Result<File, OutputError> {
        let failed = |source| OutputError::System { path: self.path.clone(), source };
        let file = self.file.as_ref().filter(|_| self.regular);
        file.map_or(Ok(()), |file| file.set_len(0)).map_err(failed)?;
        self.made = false;
        self.file.take().ok_or_else(|| OutputError::Held(self.path.clone()))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if self.made {
            // Still locked: nobody else writes it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_changes_only_when_the_recording_begins() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("out.pcapng");
        std::fs::write(&path, "a recording").expect("written");
        drop(Output::open(&path).expect("opened"));
        assert_eq!(std::fs::read(&path).expect("there"), b"a recording");
        let mut file = Output::open(&path).expect("opened").begin().expect("emptied");
        file.write_all(b"more").expect("written");
        assert_eq!(std::fs::read(&path).expect("there"), b"more");
    }

    #[test]
    fn a_file_that_is_written_is_refused_until_it_is_closed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("out.pcapng");
        let mut file = Output::open(&path).expect("opened").begin().expect("begun");
        file.write_all(b"one").expect("written");
        assert!(matches!(Output::open(&path), Err(OutputError::Held(_))));
        assert_eq!(std::fs::read(&path).expect("there"), b"one");
        drop(file);
        Output::open(&path).expect("free again");
    }

    #[test]
    fn a_file_that_was_made_for_nothing_is_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("out.pcapng");
        drop(Output::open(&path).expect("opened"));
        assert!(!path.exists());
    }

    #[test]
    fn devices_are_shared() {
        let first = Output::open(Path::new("/dev/null")).expect("opened").begin().expect("begun");
        let second = Output::open(Path::new("/dev/null")).expect("opened").begin().expect("begun");
        drop((first, second));
        assert!(Path::new("/dev/null").exists());
    }
}
