//! `rpcshark serve` as a child process.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::support::environment::captures;
use crate::support::run::{Run, rpcshark, run, text};

/// A server that runs until it is stopped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

/// What it printed.
pub(crate) struct Printed {
    pub(crate) status: Option<i32>,
    pub(crate) lines: Vec<Value>,
    pub(crate) stderr: String,
}

impl Server {
    /// Serves with these arguments, at a port of its own unless they name an address.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = rpcshark();
        command.arg("serve").args(arguments).arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped());
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let before = said.len();
            assert!(lines.read_line(&mut said).unwrap() > 0, "it ended: {said}");
            if let Some((_, rest)) = said[before..].split_once(" at ")
                && let Some((address, _)) = rest.split_once("; Ctrl-C")
            {
                break address.to_owned();
            }
        };
        child.stderr = Some(lines.into_inner());
        Self { child, address }
    }

    /// How much memory it takes, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// Ends it with Ctrl-C.
    pub(crate) fn stop(mut self) -> Printed {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let status = self.child.wait().unwrap().code();
        let lines = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Printed { status, lines, stderr }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Printed {
    pub(crate) fn outcomes(&self, outcome: &str) -> usize {
        self.lines.iter().filter(|line| line["outcome"] == outcome).count()
    }
}

/// The capture of a case, and the arguments that name its schema.
pub(crate) fn case(name: &str, file: &str, schema: Option<&str>) -> Vec<String> {
    let directory = captures().join(name);
    let mut arguments = vec![text(&directory.join(file))];
    if let Some(schema) = schema {
        arguments.extend(["--proto".to_owned(), text(&directory.join(schema))]);
    }
    arguments
}

pub(crate) fn replay(case: &[String], address: &str, more: &[&str]) -> Run {
    let mut arguments = vec!["replay"];
    arguments.extend(case.iter().map(String::as_str));
    arguments.extend(["--to", address, "--allow-all", "--keep-auth", "--report", "json"]);
    arguments.extend(more);
    run(&arguments)
}

/// Nothing differs, but for calls that cannot be compared or sent.
#[track_caller]
pub(crate) fn nothing_differs(done: &Run, same: u64) {
    let report: Value = serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{done:?}"));
    let differing: Vec<&Value> = report["calls"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|call| !["same", "skipped", "not-comparable"].contains(&call["outcome"].as_str().unwrap()))
        .collect();
    assert!(differing.is_empty(), "{differing:#?}");
    assert_eq!(report["totals"]["same"], same, "{}", report["totals"]);
    assert_eq!(done.status, Some(0), "{done:?}");
}
