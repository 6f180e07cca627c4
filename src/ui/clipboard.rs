//! Copying: through tmux, a tool of the desktop, or the terminal itself (OSC 52); to a file where the text is too long.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// What came of copying.
pub(super) enum Copied {
    /// It is copied; this is the message to show.
    Said(String),
    /// The terminal copies it when this is written to it. There is no answer.
    ByTerminal(Vec<u8>),
}

/// Bytes that terminals take in an OSC 52 sequence: xterm stops reading after 100,000 characters of base64.
const MAX_OSC_52: usize = 74_000;

/// Copies `text` to the clipboard, or into a new file.
pub(super) fn copy(text: &str, to_file: bool) -> anyhow::Result<Copied> {
    if to_file || text.len() > MAX_OSC_52 {
        let path = write_file(text)?;
        return Ok(Copied::Said(format!("{} bytes written to {}", text.len(), path.display())));
    }
    for (variable, program, arguments) in TOOLS {
        if std::env::var_os(variable).is_some() && give(program, arguments, text) {
            return Ok(Copied::Said(format!("{} bytes copied by {program}", text.len())));
        }
    }
    Ok(Copied::ByTerminal(format!("\x1b]52;c;{}\x07", BASE64_STANDARD.encode(text)).into_bytes()))
}

/// Tools that copy, each with the variable that says that its place is here.
const TOOLS: [(&str, &str, &[&str]); 3] = [
    ("TMUX", "tmux", &["load-buffer", "-w", "-"]),
    ("WAYLAND_DISPLAY", "wl-copy", &[]),
    ("DISPLAY", "xclip", &["-selection", "clipboard"]),
];

/// Gives `text` to a program. Whether it took it.
fn give(program: &str, arguments: &[&str], text: &str) -> bool {
    let child =
        Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = child else { return false };
    let taken = child.stdin.take().is_some_and(|mut stdin| stdin.write_all(text.as_bytes()).is_ok());
    child.wait().is_ok_and(|status| status.success()) && taken
}

/// A new file with a name of its own, readable by its owner only.
fn write_file(text: &str) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    for no in 1..1000 {
        let path = PathBuf::from(format!("rpcshark-copy-{no}.txt"));
        match options.open(&path) {
            Ok(mut file) => {
                file.write_all(text.as_bytes()).with_context(|| path.display().to_string())?;
                return Ok(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
    }
    anyhow::bail!("there are too many files rpcshark-copy-*.txt here")
}
