//! Where files of the tests lie, and which optional tools there are.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory `tests/captures`.
pub(crate) fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures")
}

/// A new directory that goes away when the value is dropped.
pub(crate) fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory can be made")
}

/// The output of an optional tool, or `None` where it is not installed.
///
/// # Panics
///
/// Where the tool is there and fails.
pub(crate) fn tool(name: &str, arguments: &[&str]) -> Option<String> {
    let output = match Command::new(name).args(arguments).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: {name} is not installed");
            return None;
        }
        Err(error) => panic!("{name} could not be started: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {arguments:?}: {said}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
