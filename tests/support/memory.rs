//! How much memory the binary takes while it reads a stream that a test makes meanwhile. On Linux only.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

use super::run::rpcshark;
use super::traffic::Traffic;

/// What the binary did with a stream.
pub(crate) struct Outcome {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The most memory that was in use at once, in KiB.
    pub(crate) peak: u64,
}

/// A stream to the binary's standard input.
pub(crate) struct Feed {
    pub(crate) traffic: Traffic,
    input: ChildStdin,
}

impl Feed {
    /// Hands over what was made, if that is enough to be worth it.
    pub(crate) fn flush(&mut self, enough: usize) {
        if self.traffic.bytes.len() >= enough {
            self.input.write_all(&self.traffic.bytes).expect("it reads");
            self.traffic.bytes.clear();
        }
    }
}

/// Runs the binary on the capture that `make` makes.
pub(crate) fn reading(arguments: &[&str], make: impl FnOnce(&mut Feed)) -> Outcome {
    let mut command = rpcshark();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let input = child.stdin.take().expect("a pipe");
    let [mut stdout, mut stderr] = [String::new(), String::new()];
    let (mut out, mut err) = (child.stdout.take().expect("a pipe"), child.stderr.take().expect("a pipe"));
    let status = format!("/proc/{}/status", child.id());
    let peak = std::thread::scope(|scope| {
        scope.spawn(|| out.read_to_string(&mut stdout).expect("UTF-8"));
        scope.spawn(|| err.read_to_string(&mut stderr).expect("UTF-8"));
        let peak = scope.spawn(|| {
            let mut peak = 0;
            // A process that has ended has no memory.
            while let Some(most) = field(&status, "VmHWM:") {
                peak = most;
                std::thread::sleep(Duration::from_millis(5));
            }
            peak
        });
        let mut feed = Feed { traffic: Traffic::new(), input };
        make(&mut feed);
        feed.flush(0);
        drop(feed);
        assert!(child.wait().expect("it ends").success());
        peak.join().expect("no panic")
    });
    Outcome { stdout, stderr, peak }
}

/// Memory that a process has in use, in KiB.
pub(crate) fn resident(child: &Child) -> u64 {
    field(&format!("/proc/{}/status", child.id()), "VmRSS:").expect("it runs")
}

fn field(path: &str, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(path).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
