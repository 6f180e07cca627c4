//! The journal of a replay: which calls were begun, and which are over. With it a replay that was cut short is continued.
//!
//! It is written line by line, each a JSON object, before what it says happens. It holds no values of the recording but those
//! that were captured from answers and are needed to continue.
//!
//! ```text
//! {"version":1,"journal":"rpcshark replay","calls":120,"first":1700000000000000000}
//! {"call":1,"begun":true}
//! {"call":1,"over":"answered"}
//! ```

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A journal that is being written.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
}

/// What a journal says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Journaled {
    /// Calls that are over, by their numbers in the recording.
    pub(crate) over: BTreeSet<u32>,
    /// Calls that were begun and are not known to be over.
    pub(crate) in_flight: BTreeSet<u32>,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// It cannot be opened or written.
    #[error("{}: {source}", path.display())]
    System {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not a journal.
    #[error("{}: line {line} is not that of a journal", path.display())]
    NoJournal {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// It is that of another replay.
    #[error("{}: it belongs to the replay of another recording", .0.display())]
    Other(PathBuf),
    /// It exists, and is not to be continued.
    #[error("{}: the file exists; --resume continues its replay", .0.display())]
    Exists(PathBuf),
}

/// What tells the recordings of journals apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Calls in the recording.
    pub(crate) calls: u32,
    /// When the first packet was captured, in nanoseconds since 1970.
    pub(crate) first: i64,
}

impl Journal {
    /// Begins a journal.
    ///
    /// # Errors
    ///
    /// If the file is there, or cannot be written.
    pub(crate) fn begin(path: &Path, identity: &Identity) -> Result<Self, JournalError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => JournalError::Exists(path.into()),
            _ => JournalError::System { path: path.into(), source },
        };
        let file = OpenOptions::new().create_new(true).append(true).mode(0o600).open(path).map_err(failed)?;
        let mut journal = Self { file, path: path.into() };
        let Identity { calls, first } = identity;
        let line = json!({"version": 1, "journal": "rpcshark replay", "calls": calls, "first": first});
        journal.write(&line)?;
        Ok(journal)
    }

    /// Continues a journal, and reads what it says. A last line that is cut was not acted on.
    ///
    /// # Errors
    ///
    /// If it is not a journal of this recording.
    pub(crate) fn resume(path: &Path, identity: &Identity) -> Result<(Self, Journaled), JournalError> {
        let failed = |source| JournalError::System { path: path.into(), source };
        let file = OpenOptions::new().read(true).append(true).open(path).map_err(failed)?;
        let mut journaled = Journaled::default();
        for (number, line) in (1..).zip(BufReader::new(&file).split(b'\n')) {
            let wrong = || JournalError::NoJournal { path: path.into(), line: number };
            let line = line.map_err(failed)?;
            let Ok(line) = serde_json::from_slice::<Value>(&line) else {
                if number == 1 {
                    return Err(wrong());
                }
                // A line that was cut, or an empty one before a continuation.
                continue;
            };
            if number == 1 {
                if line["journal"] != "rpcshark replay" || line["version"] != 1 {
                    return Err(wrong());
                }
                if line["calls"] != identity.calls || line["first"] != identity.first {
                    return Err(JournalError::Other(path.into()));
                }
                continue;
            }
            let call = line["call"].as_u64().and_then(|no| u32::try_from(no).ok()).ok_or_else(wrong)?;
            match line.get("over") {
                Some(_) => {
                    journaled.in_flight.remove(&call);
                    journaled.over.insert(call);
                }
                None => {
                    journaled.in_flight.insert(call);
                }
            }
        }
        let mut journal = Self { file, path: path.into() };
        // Behind a line that is cut a new one begins.
        journal.file.write_all(b"\n").map_err(failed)?;
        Ok((journal, journaled))
    }

    /// A call is about to be sent.
    ///
    /// # Errors
    ///
    /// If that cannot be written: then it must not be sent.
    pub(crate) fn begun(&mut self, no: u32) -> Result<(), JournalError> {
        self.write(&json!({"call": no, "begun": true}))
    }

    /// A call is over.
    ///
    /// # Errors
    ///
    /// If that cannot be written.
    pub(crate) fn over(&mut self, no: u32, how: &str) -> Result<(), JournalError> {
        self.write(&json!({"call": no, "over": how}))
    }

    fn write(&mut self, line: &Value) -> Result<(), JournalError> {
        let mut text = line.to_string();
        text.push('\n');
        // One call of the system writes the line: a program that is killed leaves it whole or not at all.
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|source| JournalError::System { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_replay_is_continued_where_it_was() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("journal");
        let identity = Identity { calls: 9, first: 5 };
        let mut journal = Journal::begin(&path, &identity).expect("a new file");
        for no in 1..=3 {
            journal.begun(no).expect("written");
        }
        journal.over(1, "answered").expect("written");
        journal.over(3, "answered").expect("written");
        drop(journal);
        // The last line was cut by a full disk.
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(b"{\"call\":"))
            .expect("written");
        assert!(matches!(Journal::begin(&path, &identity), Err(JournalError::Exists(_))));
        let (mut journal, journaled) = Journal::resume(&path, &identity).expect("a journal");
        assert_eq!(journaled, Journaled { over: [1, 3].into(), in_flight: [2].into() });
        journal.over(2, "answered").expect("written");
        drop(journal);
        let error = Journal::resume(&path, &identity).map(|(_, journaled)| journaled);
        // The cut line is in the middle now, and was not acted on.
        assert!(error.is_ok_and(|journaled| journaled.over == [1, 2, 3].into()));
        let other = Journal::resume(&path, &Identity { calls: 8, first: 5 });
        assert!(matches!(other, Err(JournalError::Other(_))));
        std::fs::write(&path, "text\n").expect("written");
        assert!(matches!(Journal::resume(&path, &identity), Err(JournalError::NoJournal { line: 1, .. })));
    }
}
