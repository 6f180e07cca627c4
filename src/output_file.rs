//! Files that the program writes for its user: recordings and exports.
//!
//! They are opened before anything else is touched, and emptied when all the rest is ready: a recording that exists, or that
//! another recorder writes at this moment, is worth more than one that cannot begin. Until [`OutputFile::begin`] nothing in
//! the file changes. The lock (flock(2)) is held as long as the file is open, so two recorders never write one file.
//!
//! Recordings hold what was sent, secrets too. A new file has mode 0600, whatever the umask; one that exists keeps its mode.
//! A symbolic link to a regular file is refused, so that nobody can redirect a recording to another file by a link in a
//! directory that others can write to, unless the user allows it.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// Standard output is a terminal.
    #[error(
        "a recording is not text for a terminal: name a file with -w FILE, or send standard output to a file or a program"
    )]
    Terminal,
    /// Another recorder holds the lock.
    #[error("{}: another recorder writes this file; it was left as it is", .0.display())]
    Held(PathBuf),
    /// It is a symbolic link to a regular file, or to nothing.
    #[error("{} is a symbolic link to {}; use --follow-symlink to write there", path.display(), target.display())]
    Symlink {
        /// Which file.
        path: PathBuf,
        /// What the link names.
        target: PathBuf,
    },
    /// The system refused.
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
pub(crate) struct OutputFile {
    file: Option<File>,
    path: PathBuf,
    /// Only these are emptied, locked and removed: not devices, pipes or standard output.
    regular: bool,
    /// It was not there before.
    made: bool,
}

impl OutputFile {
    /// Opens the file; `-` is standard output. A symbolic link to a regular file is followed where `follow_symlink` says so.
    ///
    /// # Errors
    ///
    /// If the file may not be written: see [`OutputError`].
    pub(crate) fn open(path: &Path, follow_symlink: bool) -> Result<Self, OutputError> {
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
        let (file, made) = match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
            Ok(file) => (file, true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => open_existing(path, follow_symlink)?,
            Err(error) => return Err(failed(error)),
        };
        if made {
            // The umask may have taken more away than others' rights.
            file.set_permissions(Permissions::from_mode(MODE)).map_err(failed)?;
        }
        let regular = file.metadata().map_err(failed)?.is_file();
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if regular => Err(OutputError::Held(path.into())),
            // There are file systems without locks.
            _ => Ok(Self { file: Some(file), path: path.into(), regular, made }),
        }
    }

    /// Empties the file, and gives it to whoever writes it.
    pub(crate) fn begin(mut self) -> Result<File, OutputError> {
        let failed = |source| OutputError::System { path: self.path.clone(), source };
        let file = self.file.as_ref().filter(|_| self.regular);
        file.map_or(Ok(()), |file| file.set_len(0)).map_err(failed)?;
        self.made = false;
        self.file.take().ok_or_else(|| OutputError::Held(self.path.clone()))
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if self.made {
            // Still locked: nobody else writes it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Opens what has the name already; whether it was made after all.
fn open_existing(path: &Path, follow_symlink: bool) -> Result<(File, bool), OutputError> {
    let failed = |source| OutputError::System { path: path.into(), source };
    let mut options = OpenOptions::new();
    options.write(true);
    let Ok(target) = fs::read_link(path) else {
        // It may be replaced by a link at this moment.
        return Ok((options.custom_flags(OFlags::NOFOLLOW.bits() as i32).open(path).map_err(failed)?, false));
    };
    if follow_symlink {
        let dangling = !path.exists();
        return Ok((options.create(true).truncate(false).mode(MODE).open(path).map_err(failed)?, dangling));
    }
    let refused = || OutputError::Symlink { path: path.into(), target: target.clone() };
    let file = match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(refused()),
        file => file.map_err(failed)?,
    };
    match file.metadata().map_err(failed)?.is_file() && !is_own_descriptor(path, &target) {
        true => Err(refused()),
        false => Ok((file, false)),
    }
}

/// Whether a link names a descriptor of this process, as `/dev/stdout` does: its file was opened by whoever started it.
fn is_own_descriptor(path: &Path, target: &Path) -> bool {
    let own = Path::new("/proc/self/fd").canonicalize();
    [path, target].into_iter().any(|path| {
        let directory = path.parent().map(Path::canonicalize);
        matches!((directory, &own), (Some(Ok(directory)), Ok(own)) if directory == *own)
    })
}

/// What a new file may be used for: by its owner only.
const MODE: u32 = 0o600;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_changes_only_when_the_recording_begins() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("out.pcapng");
        std::fs::write(&path, "a recording").expect("written");
        drop(OutputFile::open(&path, false).expect("opened"));
        assert_eq!(std::fs::read(&path).expect("there"), b"a recording");
        let mut file = OutputFile::open(&path, false).expect("opened").begin().expect("emptied");
        file.write_all(b"more").expect("written");
        assert_eq!(std::fs::read(&path).expect("there"), b"more");
    }

    #[test]
    fn a_file_that_is_written_is_refused_until_it_is_closed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("out.pcapng");
        let mut file = OutputFile::open(&path, false).expect("opened").begin().expect("begun");
        file.write_all(b"one").expect("written");
        assert!(matches!(OutputFile::open(&path, false), Err(OutputError::Held(_))));
        assert_eq!(std::fs::read(&path).expect("there"), b"one");
        drop(file);
        OutputFile::open(&path, false).expect("free again");
    }

    #[test]
    fn a_file_that_was_made_for_nothing_is_removed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("out.pcapng");
        drop(OutputFile::open(&path, false).expect("opened"));
        assert!(!path.exists());
    }

    #[test]
    fn devices_are_shared() {
        let first = OutputFile::open(Path::new("/dev/null"), false).expect("opened").begin().expect("begun");
        let second = OutputFile::open(Path::new("/dev/null"), false).expect("opened").begin().expect("begun");
        drop((first, second));
        assert!(Path::new("/dev/null").exists());
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn a_new_file_is_for_its_owner_only_and_an_existing_one_keeps_its_mode() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("out.pcapng");
        OutputFile::open(&path, false).expect("opened").begin().expect("begun");
        assert_eq!(mode(&path), 0o600);
        std::fs::set_permissions(&path, Permissions::from_mode(0o664)).expect("changed");
        OutputFile::open(&path, false).expect("opened").begin().expect("begun");
        assert_eq!(mode(&path), 0o664);
    }

    #[test]
    fn a_link_to_a_regular_file_is_refused_unless_it_is_allowed() {
        let directory = tempfile::tempdir().expect("a directory");
        let [target, link] = ["target", "link"].map(|name| directory.path().join(name));
        std::os::unix::fs::symlink(&target, &link).expect("linked");
        // It names nothing.
        assert!(matches!(OutputFile::open(&link, false), Err(OutputError::Symlink { .. })));
        assert!(!target.exists());
        std::fs::write(&target, "precious").expect("written");
        let refused = OutputFile::open(&link, false).expect_err("refused").to_string();
        assert!(refused.contains("--follow-symlink"), "{refused}");
        assert_eq!(std::fs::read(&target).expect("there"), b"precious");
        OutputFile::open(&link, true).expect("opened").begin().expect("begun");
        assert_eq!(std::fs::read(&target).expect("there"), b"");
        std::fs::remove_file(&target).expect("removed");
        OutputFile::open(&link, true).expect("opened").begin().expect("begun");
        assert_eq!(mode(&target), 0o600);
    }

    #[test]
    fn links_to_devices_and_to_descriptors_of_this_process_are_followed() {
        let directory = tempfile::tempdir().expect("a directory");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/dev/null", &link).expect("linked");
        OutputFile::open(&link, false).expect("opened");
        let file = tempfile::NamedTempFile::new().expect("a file");
        let descriptor = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file.as_file()));
        OutputFile::open(Path::new(&descriptor), false).expect("as /dev/stdout that leads to a file");
    }
}
