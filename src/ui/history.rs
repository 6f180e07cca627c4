//! The filters of earlier runs: a file with one filter per line, the newest last.
//!
//! Filters hold values of captures, so only their user can read the file.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

/// Filters that are kept.
const KEPT: usize = 200;

/// Where the filters of this user are: `$XDG_STATE_HOME/rpcshark/filters`, else in `~/.local/state`.
pub(crate) fn path() -> Option<PathBuf> {
    Some(etcetera::choose_base_strategy().ok()?.state_dir()?.join("rpcshark/filters"))
}

/// The filters in the file; none where it cannot be read.
pub(super) fn read(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Adds a filter. It is in the file once.
///
/// # Errors
///
/// If the file cannot be written.
pub(super) fn add(path: &Path, filter: &str) -> io::Result<()> {
    let filter = filter.replace(['\n', '\r'], " ");
    let mut filters = read(path);
    filters.retain(|known| *known != filter);
    filters.push(filter);
    let over = filters.len().saturating_sub(KEPT);
    filters.drain(..over);
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    // Another run may read it at this moment: it is replaced whole.
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    let written = file.write_all(format!("{}\n", filters.join("\n")).as_bytes());
    let replaced = written.and_then(|()| fs::rename(&fresh, path));
    if replaced.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    replaced
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn filters_are_kept_once_and_the_newest_is_last() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/rpcshark/filters");
        assert_eq!(read(&path), [""; 0]);
        for filter in ["a", "b", "a", "two\nlines"] {
            add(&path, filter).unwrap();
        }
        assert_eq!(read(&path), ["b", "a", "two lines"]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for no in 0..300 {
            add(&path, &no.to_string()).unwrap();
        }
        let kept = read(&path);
        assert_eq!((kept.len(), kept.last().map(String::as_str)), (KEPT, Some("299")));
    }
}
