//! The strace command of the documentation in front of real programs: no call is missing, whichever threads use a
//! connection, and whether one end of it was traced or both.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use support::environment::{python_with_grpcio, temporary, tool};
use support::run::{run, text};

/// Calls that `strace/grpcio.py client` makes.
const CALLS: usize = 74;

/// The arguments of the command in `docs/containerd.md`, up to its `-o`.
fn documented() -> Vec<String> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/containerd.md")).unwrap();
    let line = page.lines().find(|line| line.starts_with("strace -q -f")).expect("the command is on one line");
    let (arguments, _) = line.strip_prefix("strace ").and_then(|line| line.split_once(" -o ")).unwrap();
    arguments.split(' ').map(|argument| argument.trim_matches('\'').to_owned()).collect()
}

/// A process that is ended with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // strace passes SIGTERM on to nobody: its child ends first.
        let children = format!("/proc/{0}/task/{0}/children", self.0.id());
        for child in std::fs::read_to_string(children).unwrap_or_default().split_whitespace() {
            let _ = Command::new("kill").arg(child).status();
        }
        let _ = self.0.wait();
    }
}

fn traced(python: &Path, log: &Path, mode: &str, addr: &str) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/strace/grpcio.py");
    let mut command = Command::new("strace");
    command.args(documented()).arg("-o").arg(log).arg(python).arg(script).args([mode, addr]);
    command
}

fn check_every_call(addr: &str, python: &Path, directory: &Path) {
    let [client, server]: [PathBuf; 2] = ["client", "server"].map(|name| directory.join(name));
    let mut serving = traced(python, &server, "serve", addr).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(serving.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let serving = Ended(serving);
    assert_eq!(line, "ready\n");
    assert!(traced(python, &client, "client", addr).status().unwrap().success());
    drop(serving);
    for logs in [vec![&client], vec![&server], vec![&client, &server]] {
        let mut arguments = vec!["calls".to_owned(), "--json".to_owned()];
        arguments.extend(logs.iter().map(|log| text(log)));
        let calls = run(&arguments).done();
        assert_eq!(calls.len(), CALLS, "{addr}: {logs:?}");
        for call in &calls {
            assert_eq!(call["outcome"], "ok", "{addr}: {logs:?}: {call}");
            assert_eq!(call["connection"], 0, "{addr}: {logs:?}: {call}");
            let answers = if call["method"] == "Repeat" { 25 } else { 1 };
            assert_eq!(call["response"]["messages"].as_array().unwrap().len(), answers, "{addr}: {logs:?}: {call}");
        }
    }
}

#[test]
fn no_call_of_a_client_with_many_threads_is_missing() {
    let (Some(python), Some(_)) = (python_with_grpcio(), tool("strace", &["-V"])) else { return };
    let directory = temporary();
    for _ in 0..3 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        check_every_call(&format!("127.0.0.1:{port}"), &python, directory.path());
    }
    check_every_call(&format!("unix:{}", directory.path().join("s.sock").display()), &python, directory.path());
}
