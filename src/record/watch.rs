//! Checks, while a recorder runs, that its file and its socket are still where it put them.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::stderr::report;
use super::swap::{Place, Swap};

/// What is watched. Each change is reported once.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    file: Option<(PathBuf, File)>,
    swap: Option<&'a Swap>,
    was_removed: bool,
}

impl<'a> Watch<'a> {
    /// Watches the file at `path`, if it is a regular one, and the place that a recorder has taken.
    pub(super) fn new(path: Option<&Path>, file: Option<&File>, swap: Option<&'a Swap>) -> Self {
        let file = path.zip(file).and_then(|(path, file)| {
            let is_regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
            // Standard output has no path, wherever it leads.
            let has_path = path != Path::new("-");
            (is_regular && has_path).then(|| Some((path.to_owned(), file.try_clone().ok()?))).flatten()
        });
        Self { file, swap, was_removed: false }
    }

    /// Looks at both and reports what has changed.
    pub(super) fn check(&mut self) {
        if let Some((path, file)) = &self.file
            && let Ok(own) = file.metadata()
        {
            if own.nlink() == 0 {
                report(format_args!(
                    "{}: the file was removed: what is recorded is lost when the recorder ends (end it and start it again)",
                    path.display()
                ));
                self.was_removed = true;
                self.file = None;
            } else if !is_at(path, &own) {
                report(format_args!("{}: the file was moved; the recording goes on in the moved file", path.display()));
                self.file = None;
            }
        }
        if let Some(swap) = self.swap {
            let change = match swap.place() {
                Place::Ours => return,
                Place::Remade => {
                    "the server made a new socket here: clients reach it without the recorder; \
                     end the recorder and start it again"
                }
                Place::Missing => "the socket was removed: clients cannot connect any more",
            };
            report(format_args!("{}: {change}", swap.path().display()));
            self.swap = None;
        }
    }

    /// Whether the file has no name any more, so that nothing of the recording is left.
    pub(super) const fn was_removed(&self) -> bool {
        self.was_removed
    }
}

fn is_at(path: &Path, own: &Metadata) -> bool {
    path.metadata().is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino()))
}
