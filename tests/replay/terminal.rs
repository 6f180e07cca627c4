//! The question before methods are called that may change something: only on a terminal.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::server::{Manners, Server, capture, replay};
use crate::support::shop;

/// How long anything may take on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// Replays in a terminal, where `answer` is typed at the question. Gives the exit status and what was printed.
fn in_a_terminal(to: &str, answer: Option<&str>, more: &[&str]) -> (u32, String) {
    let size = PtySize { rows: 50, cols: 160, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
    let schema = shop::schema();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_rpcshark"));
    command.args(["replay", &capture(), &schema[0], &schema[1], "--to", to, "--pace", "asap"]);
    command.args(more);
    command.env_remove("RPCSHARK_CONFIG");
    command.env("HOME", env!("CARGO_MANIFEST_DIR"));
    command.env("TERM", "xterm-256color");
    command.cwd(env!("CARGO_MANIFEST_DIR"));
    let mut child = pair.slave.spawn_command(command).expect("the program starts");
    drop(pair.slave);
    let mut output = pair.master.try_clone_reader().expect("the terminal can be read");
    let printed = Arc::new(Mutex::new(String::new()));
    let reading = std::thread::spawn({
        let printed = Arc::clone(&printed);
        move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                printed.lock().expect("no panic").push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        }
    });
    let mut keys = pair.master.take_writer().expect("the terminal can be written");
    if let Some(answer) = answer {
        let began = Instant::now();
        while !printed.lock().expect("no panic").contains("[y/N]") {
            assert!(began.elapsed() < PATIENCE, "no question: {}", printed.lock().expect("no panic"));
            std::thread::sleep(Duration::from_millis(10));
        }
        keys.write_all(answer.as_bytes()).expect("keys are taken");
        keys.flush().expect("keys are taken");
    }
    let status = child.wait().expect("it ends").exit_code();
    drop((keys, pair.master));
    reading.join().expect("no panic");
    let printed = printed.lock().expect("no panic").clone();
    (status, printed)
}

#[test]
fn a_terminal_shows_the_plan_and_asks_before_unsafe_methods() {
    let server = Server::start(None, Manners::default());
    let (status, printed) = in_a_terminal(&server.address, Some("n\n"), &["--allow", "*/UploadItems"]);
    assert_eq!(status, 5, "{printed}");
    assert!(printed.contains("Methods:") && printed.contains("UploadItems"), "the plan is shown: {printed}");
    assert!(printed.contains("nothing was sent"), "{printed}");
    assert!(server.calls().is_empty());
    // Just the Enter key is no consent.
    assert_eq!(in_a_terminal(&server.address, Some("\n"), &["--allow", "*/UploadItems"]).0, 5);
    assert!(server.calls().is_empty());
    let (status, printed) = in_a_terminal(&server.address, Some("y\n"), &["--allow", "*/UploadItems"]);
    assert_eq!(status, 1, "{printed}");
    assert!(server.calls().iter().any(|path| path.ends_with("/UploadItems")));
}

#[test]
fn nobody_is_asked_with_yes_or_about_safe_methods_or_without_a_terminal() {
    let server = Server::start(None, Manners::default());
    let (_, printed) = in_a_terminal(&server.address, None, &["--allow", "*/UploadItems", "--yes"]);
    assert!(!printed.contains("[y/N]"), "{printed}");
    assert!(server.calls().iter().any(|path| path.ends_with("/UploadItems")));
    let (_, printed) = in_a_terminal(&server.address, None, &[]);
    assert!(!printed.contains("[y/N]"), "{printed}");
    let before = server.calls().len();
    let done = replay(&["--to", &server.address, "--pace", "asap", "--allow", "*/UploadItems"]);
    assert!(!done.stderr.contains("[y/N]"), "{}", done.stderr);
    assert!(server.calls().len() > before);
}
