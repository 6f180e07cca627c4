//! Temporary files: without a name, so nothing is left behind however the program ends, and for their owner only.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;

/// A new, empty file that disappears when it is closed.
///
/// # Errors
///
/// If the directory for temporary files (`TMPDIR`) does not allow it.
pub fn temporary_file() -> io::Result<File> {
    let file = tempfile::tempfile()?;
    // A file without a name is still reachable through /proc.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_file_is_for_its_owner_only() {
        let mode = temporary_file().unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
