//! The options of a replay, for the command and for the screen: which calls are sent where and how, and what is refused.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use rpcshark_dissectors::view::Redaction;

use super::edit::{Capture, Change, Edits};
use super::plan_text::span_text;
use super::{
    Allow, Connections, Deadline, HeaderPolicy, OnConnectionLoss, OnStall, Order, Pace, Plan, Settings, SkipReason, To,
    parse_duration,
};
use crate::report::CompareArgs;
use crate::rpc::{TlsArgs, TlsSettings};

/// How calls are replayed. The command and the screen have the same options, and so the same safety rules.
#[derive(Debug, Args)]
pub(crate) struct ReplayOptions {
    /// Where to send the calls; with RECORDED=, those that went to the server RECORDED (may be repeated)
    #[arg(long, value_name = "[RECORDED=]ADDR", required = true)]
    pub(crate) to: Vec<To>,

    /// Send calls of these methods, too: package.Service/Method, with * for any characters (may be repeated)
    #[arg(long, value_name = "METHOD", help_heading = "Safety")]
    pub(crate) allow: Vec<String>,

    /// Send calls of all methods
    #[arg(long, help_heading = "Safety")]
    pub(crate) allow_all: bool,

    /// Allow the server of the recording as a target
    #[arg(long, help_heading = "Safety")]
    pub(crate) allow_recorded_target: bool,

    /// Send no more than N calls
    #[arg(long, value_name = "N", help_heading = "Safety")]
    pub(crate) max_calls: Option<usize>,

    /// Start no more than N calls per second
    #[arg(long, value_name = "N", value_parser = parse_speed, help_heading = "Safety")]
    pub(crate) max_rate: Option<f64>,

    /// End the replay when N calls have stalled or lost their connections
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Safety")]
    pub(crate) max_errors: Option<u64>,

    /// When calls and messages are sent: think (after the recorded think times), recorded (at the recorded times), asap, rate=N (calls per second)
    #[arg(long, value_name = "PACE", default_value = "think", help_heading = "Timing")]
    pub(crate) pace: Pace,

    /// Divide all times by N
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = parse_speed, help_heading = "Timing")]
    pub(crate) speed: f64,

    /// Shorten longer pauses to this: 500ms, 5s
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Timing")]
    pub(crate) max_gap: Option<Duration>,

    /// Leave out calls that began before this, counted from the first packet: 90s
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Timing")]
    pub(crate) from: Option<Duration>,

    /// Leave out calls that began at or after this, counted from the first packet
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Timing")]
    pub(crate) to_time: Option<Duration>,

    /// Deadlines of calls: recorded, none, xN (N times as long), or a duration
    #[arg(long, value_name = "DEADLINE", default_value = "recorded", help_heading = "Timing")]
    pub(crate) deadline: Deadline,

    /// What a call waits for on other calls
    #[arg(long, value_name = "ORDER", value_enum, default_value_t, help_heading = "Order")]
    pub(crate) order: Order,

    /// What happens to a call that waits for something that does not come
    #[arg(long, value_name = "WHAT", value_enum, default_value_t, help_heading = "Order")]
    pub(crate) on_stall: OnStall,

    /// How long to wait at least before a call has stalled
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "5s", help_heading = "Order")]
    pub(crate) stall_after: Duration,

    /// Calls in progress at the same time, at most
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=65_536), help_heading = "Order")]
    pub(crate) concurrency: u32,

    /// Which connections calls are sent on: recorded, per-call, pool=N
    #[arg(long, value_name = "WHICH", default_value = "recorded", help_heading = "Connections")]
    pub(crate) connections: Connections,

    /// What happens when a connection is lost
    #[arg(long, value_name = "WHAT", value_enum, default_value_t, help_heading = "Connections")]
    pub(crate) on_conn_loss: OnConnectionLoss,

    /// How long to try to connect to a server that cannot be reached
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "10s", help_heading = "Connections")]
    pub(crate) connect_for: Duration,

    /// The :authority of requests, if it is not the target's address (localhost for Unix sockets and vsock)
    #[arg(long, value_name = "NAME", help_heading = "Connections")]
    pub(crate) authority: Option<String>,

    /// Set a header field in all requests: NAME=VALUE, NAME=env:VARIABLE, NAME=file:PATH, NAME=cmd:COMMAND (may be repeated)
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Requests")]
    pub(crate) header: Vec<String>,

    /// Send recorded credentials (authorization, cookie, *-token, ...), which are withheld otherwise
    #[arg(long, help_heading = "Requests")]
    pub(crate) keep_auth: bool,

    /// Set a field of requests: Service/Method.request.path=value, Service/Method.metadata.name=value; {{NAME}} as the value stands
    /// for what --capture NAME took in place of the recorded value (may be repeated)
    #[arg(long, value_name = "PLACE=VALUE", value_parser = Change::set, help_heading = "Requests")]
    pub(crate) set: Vec<Change>,

    /// Leave out a field of requests: Service/Method.request.path, Service/Method.metadata.name (may be repeated)
    #[arg(long, value_name = "PLACE", value_parser = Change::drop, help_heading = "Requests")]
    pub(crate) drop: Vec<Change>,

    /// Take values from answers for later requests: NAME=Method.response.path (may be repeated)
    #[arg(long, value_name = "NAME=PLACE", help_heading = "Requests")]
    pub(crate) capture: Vec<Capture>,

    #[command(flatten)]
    pub(crate) tls: TlsArgs,

    /// The client's private key, PEM; --key FILE is the same
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(crate) tls_key: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) compare: CompareArgs,
}

/// What becomes of what a command (`--header NAME=cmd:COMMAND`) writes to standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandErrors {
    /// It goes where that of this program goes.
    Shown,
    /// Its first line is part of the error: the terminal belongs to a screen.
    Kept,
}

impl ReplayOptions {
    /// How the plan is carried out.
    ///
    /// # Errors
    ///
    /// If options contradict each other, or a file for TLS cannot be used.
    pub(crate) fn settings(&self) -> Result<Settings, String> {
        let protocols: &[&[u8]] = &[b"h2"];
        // A --key without = is not about lists.
        let mut keys = self.compare.other_keys().map(Path::new).chain(self.tls_key.as_deref());
        let key = keys.next();
        if keys.next().is_some() {
            return Err("there can be only one private key (--key, --tls-key)".to_owned());
        }
        let tls = TlsSettings::new(&self.tls, key, protocols);
        Ok(Settings {
            to: self.to.clone(),
            order: self.order,
            pace: self.pace,
            speed: self.speed,
            max_gap: self.max_gap,
            connections: self.connections,
            on_stall: self.on_stall,
            on_connection_loss: self.on_conn_loss,
            deadline: self.deadline,
            concurrency: self.concurrency as usize,
            max_rate: self.max_rate,
            max_errors: self.max_errors,
            stall_after: self.stall_after,
            connect_for: self.connect_for,
            tls: tls.map_err(|error| error.to_string())?,
            authority: self.authority.clone(),
        })
    }

    /// What becomes of recorded metadata and messages. `credentials`: the names of fields that hold them.
    ///
    /// # Errors
    ///
    /// If a header cannot be sent, or its value cannot be read.
    pub(crate) fn headers(&self, credentials: Redaction, stderr: CommandErrors) -> Result<HeaderPolicy, String> {
        Ok(HeaderPolicy {
            keep_auth: self.keep_auth,
            replace: self.header.iter().map(|given| header(given, stderr)).collect::<Result<_, _>>()?,
            credentials,
            edits: Edits {
                changes: self.set.iter().chain(&self.drop).cloned().collect(),
                captures: self.capture.clone(),
                messages: HashMap::new(),
            },
        })
    }

    /// Which methods may be sent though they may change something.
    pub(crate) fn allow(&self) -> Allow {
        Allow { all: self.allow_all, patterns: self.allow.clone() }
    }

    /// Refuses what is not safe.
    ///
    /// # Errors
    ///
    /// Why nothing of the plan may be sent.
    pub(crate) fn refuse(&self, plan: &Plan) -> Result<(), String> {
        if plan.calls.is_empty() {
            let unsafe_calls = plan.skipped.iter().filter(|call| call.why == SkipReason::Unsafe).count();
            if unsafe_calls > 0 {
                return Err(format!(
                    "none of the calls may be sent: the methods of {unsafe_calls} may change something (see --plan); --allow permits them"
                ));
            }
            if let Some(first) = plan.skipped.first() {
                let count = plan.skipped.len();
                return Err(format!("none of the {count} calls can be sent; call {}: {}", first.no, first.why));
            }
            return Ok(());
        }
        if let Some(target) = plan.recorded_targets().next().filter(|_| !self.allow_recorded_target) {
            return Err(format!(
                "{} is the server of the recording ({}); --allow-recorded-target permits it",
                target.address, target.recorded
            ));
        }
        if let Some((name, (since, calls))) = plan.expired.iter().next() {
            return Err(format!(
                "the token in {name} of {calls} calls ran out {} ago; give a new one with --header {name}=env:NAME",
                span_text(*since)
            ));
        }
        Ok(())
    }
}

/// Reads `NAME=VALUE`, with a value that may stand elsewhere.
///
/// # Errors
///
/// If the name cannot be that of a header field, or the value cannot be read.
pub(crate) fn header(given: &str, stderr: CommandErrors) -> Result<(String, Vec<u8>), String> {
    let (name, value) = given.split_once('=').ok_or_else(|| format!("--header {given}: it is NAME=VALUE"))?;
    let name = name.trim().to_ascii_lowercase();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_name) || name.starts_with("grpc-") {
        return Err(format!("--header {name}: it is not a name of a header field that can be set"));
    }
    let value = if let Some(variable) = value.strip_prefix("env:") {
        let value = std::env::var(variable);
        value.map_err(|_| format!("--header {name}: the environment has no variable {variable}"))?.into_bytes()
    } else if let Some(path) = value.strip_prefix("file:") {
        std::fs::read(path).map_err(|error| format!("--header {name}: {path}: {error}"))?
    } else if let Some(command) = value.strip_prefix("cmd:") {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command);
        if stderr == CommandErrors::Shown {
            shell.stderr(Stdio::inherit());
        }
        let output = shell.output().map_err(|error| format!("--header {name}: {command}: {error}"))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            let why = why.lines().next().map(|line| format!(": {line}")).unwrap_or_default();
            return Err(format!("--header {name}: {command}: {}{why}", output.status));
        }
        output.stdout
    } else {
        value.as_bytes().to_vec()
    };
    Ok((name, value.trim_ascii().to_vec()))
}

/// Reads what times are divided by.
pub(crate) fn parse_speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed > 0.0 && speed <= 1e6 => Ok(speed),
        _ => Err("is not a number above 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_from_the_command_line_a_file_or_a_command() {
        assert_eq!(header("X-Tenant=t1", CommandErrors::Shown), Ok(("x-tenant".to_owned(), b"t1".to_vec())));
        assert_eq!(header("a=cmd:printf 'b\\n'", CommandErrors::Shown), Ok(("a".to_owned(), b"b".to_vec())));
        for wrong in
            ["a", "=b", "a b=c", "grpc-timeout=1S", "a=env:NOT_THERE_AT_ALL", "a=file:/not/there", "a=cmd:false"]
        {
            assert!(header(wrong, CommandErrors::Kept).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_failing_command_says_is_in_the_error_where_the_screen_must_not_be_written_to() {
        let error = header("a=cmd:echo no token >&2; false", CommandErrors::Kept).expect_err("the command fails");
        assert!(error.contains("no token"), "{error}");
    }
}
