//! The TLS secrets of a reading: from key log files, and from the capture itself.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rpcshark_captures::file::{CaptureReader, DecryptionSecrets};
use rpcshark_dissectors::tls::{KeyLogError, Keys};

/// Where secrets come from.
pub(super) struct KeySources {
    pub(super) keys: Keys,
    logs: Vec<KeyLogFile>,
    /// Whether the logs may grow.
    follow: bool,
    /// How many of the capture's secrets blocks were read.
    blocks: usize,
    /// What was wrong with them.
    faults: Vec<String>,
}

/// A key log file, and how far it was read.
struct KeyLogFile {
    path: PathBuf,
    read: u64,
    lines: usize,
}

/// A key log file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", .path.display())]
pub(crate) struct KeyLogFault {
    path: PathBuf,
    what: String,
}

/// What is known of the secrets when a capture was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeySummary {
    /// How many connections had secrets.
    pub(crate) known: usize,
    /// How many of these are not in the capture.
    pub(crate) unused: usize,
    /// Whether a key log was given.
    pub(crate) given: bool,
    /// What was wrong with secrets that came during the reading.
    pub(crate) faults: Vec<String>,
}

/// The largest part of a key log that is read at once: some 300,000 connections.
const MAX_PART: u64 = 64 << 20;

/// Faults of secrets that come during a reading, as many as are reported.
const MAX_FAULTS: usize = 10;

/// Reads key log files to see whether they can be used.
///
/// # Errors
///
/// If one cannot be read, or a line of it is wrong.
pub(crate) fn check_key_logs(paths: &[PathBuf], follow: bool) -> Result<(), KeyLogFault> {
    let mut keys = Keys::new();
    paths.iter().try_for_each(|path| KeyLogFile::new(path).read_all(follow, &mut keys))
}

impl KeySources {
    /// Reads key log files, which were checked.
    pub(super) fn new(paths: &[PathBuf], follow: bool) -> Self {
        let mut sources = Self { keys: Keys::new(), logs: Vec::new(), follow, blocks: 0, faults: Vec::new() };
        for path in paths {
            let mut log = KeyLogFile::new(path);
            if let Err(fault) = log.read_all(follow, &mut sources.keys) {
                add_fault(&mut sources.faults, fault.to_string());
            }
            sources.logs.push(log);
        }
        sources
    }

    /// Adds what has come since: secrets that the capture holds, and those that were added to the key logs.
    pub(super) fn update(&mut self, reading: &CaptureReader) {
        for secrets in reading.secrets().iter().skip(self.blocks) {
            self.blocks += 1;
            if secrets.kind != DecryptionSecrets::TLS_KEY_LOG {
                continue;
            }
            for KeyLogError { line, what } in self.keys.add(&secrets.bytes) {
                let files = reading.files();
                let file = files.get(usize::from(secrets.file)).map_or("the capture", |file| file.name.as_str());
                let block = self.blocks;
                add_fault(&mut self.faults, format!("{file}: line {line} of secrets block {block}: {what}"));
            }
        }
        let Self { keys, logs, follow, faults, .. } = self;
        for log in logs.iter_mut().filter(|_| *follow) {
            match log.more(false) {
                Ok(None) => {}
                Ok(Some(part)) => {
                    for KeyLogError { line, what } in log.add(&part, keys) {
                        add_fault(faults, format!("{}: line {line}: {what}", log.path.display()));
                    }
                }
                Err(error) => add_fault(faults, format!("{}: {error}", log.path.display())),
            }
        }
        // Only pcapng files hold secrets.
        let may_hold = reading.files().iter().any(|file| file.format.starts_with("pcapng"));
        self.keys.set_growing(may_hold || self.follow && !self.logs.is_empty());
    }

    /// What is known of them now.
    pub(super) fn summary(&self) -> KeySummary {
        let (known, unused) = (self.keys.len(), self.keys.unused());
        KeySummary { known, unused, given: !self.logs.is_empty(), faults: self.faults.clone() }
    }
}

fn add_fault(faults: &mut Vec<String>, fault: String) {
    if faults.len() < MAX_FAULTS && !faults.contains(&fault) {
        faults.push(fault);
    }
}

impl KeyLogFile {
    fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), read: 0, lines: 0 }
    }

    /// Reads all that is there. A file that may grow is read up to its last whole line.
    fn read_all(&mut self, may_grow: bool, keys: &mut Keys) -> Result<(), KeyLogFault> {
        let fault = |log: &Self, what: String| KeyLogFault { path: log.path.clone(), what };
        while let Some(part) = self.more(!may_grow).map_err(|error| fault(self, error.to_string()))? {
            if let Some(error) = self.add(&part, keys).first() {
                return Err(fault(self, format!("line {}: {}", error.line, error.what)));
            }
        }
        Ok(())
    }

    /// The whole lines that were not read yet; at the `end` of a file the last one may lack its newline.
    fn more(&mut self, end: bool) -> io::Result<Option<Vec<u8>>> {
        let mut part = Vec::new();
        let mut file = open_regular(&self.path)?;
        file.seek(SeekFrom::Start(self.read))?;
        let read = file.take(MAX_PART).read_to_end(&mut part)? as u64;
        if !(end && read < MAX_PART) {
            let whole = memchr::memrchr(b'\n', &part).map_or(0, |at| at + 1);
            part.truncate(whole);
        }
        self.read += part.len() as u64;
        Ok((!part.is_empty()).then_some(part))
    }

    /// Adds lines; errors have their numbers in the file.
    fn add(&mut self, part: &[u8], keys: &mut Keys) -> Vec<KeyLogError> {
        let before = self.lines;
        self.lines += memchr::memchr_iter(b'\n', part).count();
        let errors = keys.add(part).into_iter();
        errors.map(|error| KeyLogError { line: error.line + before, ..error }).collect()
    }
}

/// A file that is not a pipe or a device, which might never end.
fn open_regular(path: &Path) -> io::Result<File> {
    let kind = std::fs::metadata(path)?;
    match kind.is_file() {
        true => File::open(path),
        false => Err(io::Error::other("it is not a regular file")),
    }
}
