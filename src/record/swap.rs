//! Takes the place of a Unix socket, and gives it back.
//!
//! For `PATH` three names matter: `PATH` itself, `PATH.rpcshark-original` (the server's socket while a recorder stands
//! in its place) and `PATH.rpcshark-recorder` (the recorder's, before it takes the place):
//!
//! ```text
//! 1. link    PATH                    -> PATH.rpcshark-original     both names are the server's socket
//! 2. bind                               PATH.rpcshark-recorder     owner and mode as PATH has them
//! 3. rename  PATH.rpcshark-recorder  -> PATH                       PATH is the recorder's: clients come to it
//! 4. rename  PATH.rpcshark-original  -> PATH                       at the end, or by [`restore`]
//! ```
//!
//! `PATH` always exists, each step is one system call, and after a crash between any two of them the names in the file
//! system show how far it got. Where the file system has no hard links, step 1 is a rename, and `PATH` is missing until
//! step 3.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::credentials;
use super::socket::{Listener, connect_path};
use super::stderr::report;

/// Why a socket's place cannot be taken or given back.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// There is nothing at the path.
    #[error("{}: there is no such socket", .0.display())]
    Missing(PathBuf),
    /// The file there is not a socket.
    #[error("{}: this is not a Unix socket", .0.display())]
    NoSocket(PathBuf),
    /// An earlier recorder runs, or left this.
    #[error("{}: another recorder stands in for {}, or was killed; then `rpcshark record --restore {}` puts the socket back", original.display(), path.display(), path.display())]
    Taken {
        /// The path.
        path: PathBuf,
        /// The name that the server's socket has been given.
        original: PathBuf,
    },
    /// Both sockets are alive.
    #[error("{}: {} listens there, and the original socket is alive too: if that is the recorder, end it (it puts the socket back itself)", path.display(), ProcessLabel(*pid))]
    StillListening {
        /// The path.
        path: PathBuf,
        /// Who listens there.
        pid: Option<u32>,
    },
    /// A system call failed.
    #[error("cannot {what} {}", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Its error.
        source: io::Error,
    },
}

struct ProcessLabel(Option<u32>);

impl std::fmt::Display for ProcessLabel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.map(|pid| (pid, credentials::name(pid))) {
            Some((pid, Some(name))) => write!(f, "{name} (process {pid})"),
            Some((pid, None)) => write!(f, "process {pid}"),
            None => f.write_str("a process"),
        }
    }
}

/// The place of a socket, taken by a recorder. It is given back when this is dropped.
#[derive(Debug)]
pub struct Swap {
    names: Names,
    /// The recorder's socket, as the file system knows it.
    own: (u64, u64),
    done: bool,
}

impl Swap {
    /// Takes the place of the socket at `path`. Symbolic links are followed first.
    pub fn take(path: &Path) -> Result<(Self, Listener), SwapError> {
        let names = Names::of(path)?;
        let path = &names.path;
        let failed = |what, path: &Path| {
            let path = path.to_path_buf();
            move |source| SwapError::System { what, path, source }
        };
        let metadata = socket_at(path)?.ok_or_else(|| SwapError::Missing(path.clone()))?;
        if socket_at(&names.original)?.is_some() && !remove_leftover(&names)? {
            return Err(SwapError::Taken { path: path.clone(), original: names.original.clone() });
        }
        // Left by a recorder that was killed between steps 2 and 3: nobody can have connected to it.
        if socket_at(&names.recorder)?.is_some() {
            std::fs::remove_file(&names.recorder).map_err(failed("remove", &names.recorder))?;
        }

        let linked = std::fs::hard_link(path, &names.original).is_ok();
        if !linked {
            std::fs::rename(path, &names.original).map_err(failed("move aside", path))?;
        }
        let placed = Listener::at_path(&names.recorder, |own| {
            std::fs::set_permissions(own, std::fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
            let made = own.symlink_metadata()?;
            match (made.uid(), made.gid()) == (metadata.uid(), metadata.gid()) {
                true => Ok(()),
                false => chown(own, Some(metadata.uid()), Some(metadata.gid())),
            }
        })
        .and_then(|mut listener| {
            std::fs::rename(&names.recorder, path)?;
            listener.renamed(path);
            Ok(listener)
        });
        match placed.and_then(|listener| Ok((identity(&path.symlink_metadata()?), listener))) {
            Ok((own, listener)) => Ok((Self { names, own, done: false }, listener)),
            Err(source) => {
                let path = path.clone();
                // The listener removed its own file; what was moved aside goes back.
                match linked && same_file(&path, &names.original) {
                    true => drop(std::fs::remove_file(&names.original)),
                    false => drop(std::fs::rename(&names.original, &path)),
                }
                Err(SwapError::System { what: "take the place of", path, source })
            }
        }
    }

    /// The path whose place is taken.
    pub fn path(&self) -> &Path {
        &self.names.path
    }

    /// Where the server's socket is meanwhile.
    pub fn original(&self) -> &Path {
        &self.names.original
    }

    /// Whose socket is at the path now.
    pub(super) fn place(&self) -> Place {
        match self.names.path.symlink_metadata() {
            Ok(there) if identity(&there) == self.own => Place::Ours,
            Ok(_) => Place::Remade,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Place::Missing,
            // It cannot be seen at this moment.
            Err(_) => Place::Ours,
        }
    }

    /// Gives the place back.
    pub fn put_back(mut self) -> Result<(), SwapError> {
        self.undo()
    }

    fn undo(&mut self) -> Result<(), SwapError> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(());
        }
        let Names { path, original, .. } = &self.names;
        match path.symlink_metadata() {
            Ok(there) if identity(&there) != self.own => {
                // The server was started again meanwhile and made its socket anew: that one stays. Nobody needs the name
                // of the old one, even if an old server still listens there.
                drop(std::fs::remove_file(original));
                report(format_args!("{}: the server made a new socket meanwhile; it stays", path.display()));
                Ok(())
            }
            // The server ended and took what it believed to be its socket with it, as containerd's shims do.
            Err(error) if error.kind() == io::ErrorKind::NotFound && matches!(is_alive(original), Alive::No) => {
                drop(std::fs::remove_file(original));
                report(format_args!(
                    "{}: the server ended and removed its socket; nothing is put back",
                    path.display()
                ));
                Ok(())
            }
            // Somebody removed the server's socket; the recorder's would stay behind.
            Ok(_) if matches!(original.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound) => {
                drop(std::fs::remove_file(path));
                report(format_args!("{}: the server's socket was removed; nothing is put back", path.display()));
                Ok(())
            }
            _ => put_back(path, original),
        }
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        if let Err(error) = self.undo() {
            report(format_args!("{:#}", anyhow::Error::from(error)));
        }
    }
}

/// Whose socket is at a path whose place was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The recorder's.
    Ours,
    /// Another one: the server was started again.
    Remade,
    /// Nobody's.
    Missing,
}

/// What [`restore`] found to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// The server's socket is back at its path.
    PutBack,
    /// It had not left it; the recorder's traces were removed.
    Cleaned,
    /// There was nothing to do.
    Nothing,
}

/// Puts a socket back after a recorder that could not do it itself. What the file system and the sockets there say
/// decides: a recorder's socket keeps the name that it was made with, so that it can be distinguished from a server's. While a
/// recorder runs, nothing is touched.
pub fn restore(path: &Path) -> Result<Restored, SwapError> {
    let names = Names::of(path)?;
    let Names { path, original, recorder } = &names;
    let at_path = socket_at(path)?;
    let mut restored = Restored::Nothing;
    match (socket_at(original)?, at_path) {
        (None, None) => return Err(SwapError::Missing(path.clone())),
        (None, Some(_)) => {}
        // Step 1 without step 3.
        (Some(aside), Some(there)) if identity(&aside) == identity(&there) => {
            let failed = |source| SwapError::System { what: "remove", path: original.clone(), source };
            std::fs::remove_file(original).map_err(failed)?;
            restored = Restored::Cleaned;
        }
        (Some(_), there) => {
            if remove_leftover(&names)? {
                restored = Restored::Cleaned;
            } else if let (Some(_), Alive::Yes(pid)) = (there, is_alive(path)) {
                return Err(SwapError::StillListening { path: path.clone(), pid });
            } else {
                put_back(path, original)?;
                restored = Restored::PutBack;
            }
        }
    }
    // Step 2 without step 3.
    if socket_at(recorder)?.is_some() && matches!(is_alive(recorder), Alive::No) {
        let failed = |source| SwapError::System { what: "remove", path: recorder.clone(), source };
        std::fs::remove_file(recorder).map_err(failed)?;
        if restored == Restored::Nothing {
            restored = Restored::Cleaned;
        }
    }
    Ok(restored)
}

/// Removes the old name of a server's socket if a server has made a new one at the path: the recorder that left it was
/// killed. False: something else is at the path, and nothing was removed.
fn remove_leftover(names: &Names) -> Result<bool, SwapError> {
    let Names { path, original, recorder } = names;
    let Ok(socket) = connect_path(path) else { return Ok(false) };
    // The kernel says with which name the listening socket was made.
    let made_as = rustix::net::getpeername(&socket).ok().flatten();
    let made_as = made_as.and_then(|name| rustix::net::SocketAddrUnix::try_from(name).ok());
    let Some(made_as) = made_as.as_ref().and_then(|name| name.path_bytes()) else { return Ok(false) };
    if made_as == recorder.as_os_str().as_bytes()
        || Path::new(OsStr::from_bytes(made_as)).file_name() == recorder.file_name()
    {
        return Ok(false);
    }
    let failed = |source| SwapError::System { what: "remove", path: original.clone(), source };
    std::fs::remove_file(original).map_err(failed)?;
    Ok(true)
}

#[derive(Clone, Debug)]
struct Names {
    path: PathBuf,
    original: PathBuf,
    recorder: PathBuf,
}

impl Names {
    /// The three names, beside the socket itself where `path` is a symbolic link to it.
    fn of(path: &Path) -> Result<Self, SwapError> {
        let missing = || SwapError::Missing(path.into());
        let path = match std::fs::canonicalize(path) {
            Ok(real) => real,
            // A socket that was moved and not replaced: its directory is still there.
            Err(_) => {
                let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                let directory = std::fs::canonicalize(directory.unwrap_or(Path::new("."))).map_err(|_| missing())?;
                directory.join(path.file_name().ok_or_else(missing)?)
            }
        };
        let beside = |suffix: &str| {
            let mut name = OsString::from(&path);
            name.push(suffix);
            PathBuf::from(name)
        };
        Ok(Self { original: beside(".rpcshark-original"), recorder: beside(".rpcshark-recorder"), path })
    }
}

/// The socket at a path; an error if something else is there.
fn socket_at(path: &Path) -> Result<Option<std::fs::Metadata>, SwapError> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.file_type().is_socket() => Ok(Some(metadata)),
        Ok(_) => Err(SwapError::NoSocket(path.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SwapError::System { what: "look at", path: path.into(), source }),
    }
}

enum Alive {
    /// Somebody listens: who, where the kernel says.
    Yes(Option<u32>),
    No,
}

/// Whether somebody listens at a socket. Whatever is not a plain "nobody" counts as somebody.
fn is_alive(path: &Path) -> Alive {
    match connect_path(path) {
        Ok(socket) => Alive::Yes(credentials::peer(socket.as_fd()).pid),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Alive::No,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Alive::No,
        Err(_) => Alive::Yes(None),
    }
}

fn put_back(path: &Path, original: &Path) -> Result<(), SwapError> {
    let failed = |source| SwapError::System { what: "put back", path: path.into(), source };
    std::fs::rename(original, path).map_err(failed)
}

fn identity(metadata: &std::fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.symlink_metadata(), b.symlink_metadata()) {
        (Ok(a), Ok(b)) => identity(&a) == identity(&b),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    struct Directory {
        directory: tempfile::TempDir,
    }

    impl Directory {
        fn new() -> Self {
            Self { directory: tempfile::tempdir().expect("a directory") }
        }

        fn path(&self) -> PathBuf {
            self.directory.path().canonicalize().expect("it is there").join("x.sock")
        }

        fn names(&self) -> Vec<String> {
            let entries = self.directory.path().read_dir().expect("it is there");
            let mut names: Vec<_> =
                entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
            names.sort();
            names
        }
    }

    #[test]
    fn the_place_is_taken_with_owner_and_mode_and_given_back() {
        let place = Directory::new();
        let server = UnixListener::bind(place.path()).expect("bound");
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o620)).expect("changed");
        let before = place.path().metadata().expect("there");
        let (swap, listener) = Swap::take(&place.path()).expect("taken");
        assert_eq!(place.names(), ["x.sock", "x.sock.rpcshark-original"]);
        let during = place.path().metadata().expect("there");
        assert_ne!(identity(&during), identity(&before));
        assert_eq!((during.mode(), during.uid(), during.gid()), (before.mode(), before.uid(), before.gid()));

        let _client = UnixStream::connect(place.path()).expect("the recorder listens");
        assert!(listener.accept().is_ok());
        UnixStream::connect(swap.original()).expect("the server listens");
        assert!(matches!(Swap::take(&place.path()), Err(SwapError::Taken { .. })));
        assert!(matches!(restore(&place.path()), Err(SwapError::StillListening { .. })));

        swap.put_back().expect("put back");
        drop(listener);
        assert_eq!(identity(&place.path().metadata().expect("there")), identity(&before));
        assert_eq!(place.names(), ["x.sock"]);
        drop(server);
    }

    #[test]
    fn a_killed_recorder_is_cleaned_up_after_at_every_step() {
        for step in 0..4 {
            let place = Directory::new();
            let path = place.path();
            let names = Names::of(&path).expect("named");
            let _server = UnixListener::bind(&path).expect("bound");
            let before = identity(&path.metadata().expect("there"));
            if step >= 1 {
                std::fs::hard_link(&path, &names.original).expect("linked");
            }
            if step >= 2 {
                drop(UnixListener::bind(&names.recorder).expect("bound"));
            }
            if step >= 3 {
                std::fs::rename(&names.recorder, &path).expect("renamed");
            }
            let expected = [Restored::Nothing, Restored::Cleaned, Restored::Cleaned, Restored::PutBack][step];
            assert_eq!(restore(&path).expect("restored"), expected, "step {step}");
            assert_eq!(place.names(), ["x.sock"], "step {step}");
            assert_eq!(identity(&path.metadata().expect("there")), before);
            assert_eq!(restore(&path).expect("again"), Restored::Nothing);
        }
    }

    #[test]
    fn a_socket_that_was_moved_and_not_replaced_comes_back() {
        let place = Directory::new();
        let names = Names::of(&place.path()).expect("named");
        let _server = UnixListener::bind(&names.original).expect("bound");
        assert_eq!(restore(&place.path()).expect("restored"), Restored::PutBack);
        assert_eq!(place.names(), ["x.sock"]);
    }

    #[test]
    fn a_missing_socket_and_a_file_are_refused() {
        let place = Directory::new();
        let path = place.path();
        assert!(matches!(restore(&path), Err(SwapError::Missing(_))));
        assert!(matches!(Swap::take(&path), Err(SwapError::Missing(_))));

        std::fs::write(place.directory.path().join("file"), "").expect("written");
        let file = place.directory.path().join("file");
        assert!(matches!(Swap::take(&file), Err(SwapError::NoSocket(_))));
    }

    #[test]
    fn a_socket_that_the_server_made_anew_stays() {
        let place = Directory::new();
        let server = UnixListener::bind(place.path()).expect("bound");
        let (swap, listener) = Swap::take(&place.path()).expect("taken");
        drop(server);
        std::fs::remove_file(place.path()).expect("removed, as servers do when they start");
        let _server = UnixListener::bind(place.path()).expect("bound");
        swap.put_back().expect("nothing to do");
        drop(listener);
        assert_eq!(place.names(), ["x.sock"]);
        UnixStream::connect(place.path()).expect("the new server listens");
    }

    #[test]
    fn a_server_that_restarts_while_a_recorder_is_killed_leaves_nothing_to_remove_by_hand() {
        // The old server may be gone, or still finish its last calls.
        for old_one_lives in [false, true] {
            let place = Directory::new();
            let old = UnixListener::bind(place.path()).expect("bound");
            let (swap, listener) = Swap::take(&place.path()).expect("taken");
            assert_eq!(swap.place(), super::Place::Ours);
            std::fs::remove_file(place.path()).expect("removed, as servers do when they start");
            assert_eq!(swap.place(), super::Place::Missing);
            let _server = UnixListener::bind(place.path()).expect("bound");
            assert_eq!(swap.place(), super::Place::Remade);
            let _old = old_one_lives.then_some(old);
            std::mem::forget((swap, listener));
            assert_eq!(place.names(), ["x.sock", "x.sock.rpcshark-original"]);
            let before = identity(&place.path().metadata().expect("there"));
            if old_one_lives {
                // The next recorder does it, too.
                let (swap, listener) = Swap::take(&place.path()).expect("taken");
                swap.put_back().expect("put back");
                drop(listener);
            } else {
                assert_eq!(restore(&place.path()).expect("restored"), Restored::Cleaned);
            }
            assert_eq!(place.names(), ["x.sock"]);
            assert_eq!(identity(&place.path().metadata().expect("there")), before);
        }
    }

    #[test]
    fn an_old_server_that_still_listens_leaves_no_name_behind() {
        let place = Directory::new();
        let _old = UnixListener::bind(place.path()).expect("bound");
        let (swap, listener) = Swap::take(&place.path()).expect("taken");
        std::fs::remove_file(place.path()).expect("removed");
        let _new = UnixListener::bind(place.path()).expect("bound");
        swap.put_back().expect("nothing to do");
        drop(listener);
        assert_eq!(place.names(), ["x.sock"]);
    }

    #[test]
    fn a_socket_that_the_server_removed_does_not_come_back() {
        let place = Directory::new();
        let server = UnixListener::bind(place.path()).expect("bound");
        let (swap, listener) = Swap::take(&place.path()).expect("taken");
        std::fs::remove_file(place.path()).expect("removed, as servers do when they end");
        drop(server);
        swap.put_back().expect("nothing to do");
        drop(listener);
        assert_eq!(place.names(), [] as [&str; 0]);

        // It only lost its name: somebody still listens.
        let _server = UnixListener::bind(place.path()).expect("bound");
        let (swap, listener) = Swap::take(&place.path()).expect("taken");
        std::fs::remove_file(place.path()).expect("removed");
        swap.put_back().expect("put back");
        drop(listener);
        assert_eq!(place.names(), ["x.sock"]);
    }
}
