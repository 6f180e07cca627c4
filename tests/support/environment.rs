//! Where files of the tests lie, and which optional tools there are.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::skip::skip;

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
            skip(format_args!("{name} is not installed"));
            return None;
        }
        Err(error) => panic!("{name} could not be started: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} {arguments:?}: {said}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A Python interpreter that has grpcio, grpcio-tools, grpcio-status and grpcio-reflection: the one that `RPCSHARK_PYTHON`
/// names, else `python3`. `None`, with the test reported as skipped, where neither has them.
pub(crate) fn python_with_grpcio() -> Option<PathBuf> {
    let python = std::env::var_os("RPCSHARK_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let imports = "import grpc, grpc_tools, grpc_status, grpc_reflection";
    let found = Command::new(&python).args(["-c", imports]).output().is_ok_and(|output| output.status.success());
    if !found {
        skip(format_args!("{} with grpcio is not installed (RPCSHARK_PYTHON names it)", python.display()));
    }
    found.then_some(python)
}
