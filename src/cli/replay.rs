//! `rpcshark replay`: recorded calls sent again to a live server, and compared.

use std::io::{self, BufRead, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use parking_lot::Mutex;
use rpcshark_dissectors::filter::Target;
use rpcshark_dissectors::store::Keep;

use super::filter::FilterArgs;
use super::input::{FileBodies, Viewing, tell_files};
use super::output::{Bar, Output, Problem, remark};
use super::replay_run::{NoiseFrom, Reporting, carry_out};
use super::why::tell_why_none;
use super::{InputArgs, replay_plan};
use crate::load::Inputs;
use crate::output_file::OutputFile;
use crate::replay::edit::{Capture, Change, Edits};
use crate::replay::{
    Allow, Connections, Deadline, HeaderPolicy, Identity, Journal, JournalError, Journaled, Live, OnConnectionLoss,
    OnStall, Order, Pace, Plan, Recording, Settings, SkipReason, To, Wanted, Work, parse_duration,
};
use crate::report::{CompareArgs, ReportArgs};
use crate::rpc::{TlsArgs, TlsSettings};

/// Send recorded calls again to a live server, and compare the answers
///
/// Only calls are sent whose methods are known to change nothing: their schema declares idempotency_level = NO_SIDE_EFFECTS, or
/// declares nothing and their name begins with a verb such as Get, List or Watch. --allow permits others. The server of the
/// recording is refused as a target. Use --plan first: it shows what would be sent, and sends nothing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rpcshark replay session.pcapng --to localhost:50051 --proto api/ --plan
  rpcshark replay session.pcapng --to localhost:50051 --proto api/
  rpcshark replay session.pcapng --to unix:/run/x.sock --allow 'shop.Orders/Create*' --header authorization=env:TOKEN
  rpcshark replay session.pcapng --to 10.0.0.5:2379=localhost:2379 --pace asap -w replayed.pcapng")]
pub(super) struct ReplayArgs {
    /// Captures: files, directories, or - for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Where to send the calls; with RECORDED=, those that went to the server RECORDED (may be repeated)
    #[arg(long, value_name = "[RECORDED=]ADDR", required = true)]
    to: Vec<To>,

    /// Print what would be sent, and send nothing
    #[arg(long, help_heading = "Safety")]
    plan: bool,

    /// Send calls of these methods, too: package.Service/Method, with * for any characters (may be repeated)
    #[arg(long, value_name = "METHOD", help_heading = "Safety")]
    allow: Vec<String>,

    /// Send calls of all methods
    #[arg(long, help_heading = "Safety")]
    allow_all: bool,

    /// Allow the server of the recording as a target
    #[arg(long, help_heading = "Safety")]
    allow_recorded_target: bool,

    /// Do not ask before methods are called that may change something
    #[arg(long, help_heading = "Safety")]
    yes: bool,

    /// Send no more than N calls
    #[arg(long, value_name = "N", help_heading = "Safety")]
    max_calls: Option<usize>,

    /// Start no more than N calls per second
    #[arg(long, value_name = "N", value_parser = parse_speed, help_heading = "Safety")]
    max_rate: Option<f64>,

    /// End the replay when N calls have stalled or lost their connections
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Safety")]
    max_errors: Option<u64>,

    /// When calls and messages are sent: think (after the recorded think times), recorded (at the recorded times), asap, rate=N (calls per second)
    #[arg(long, value_name = "PACE", default_value = "think", help_heading = "Timing")]
    pace: Pace,

    /// Divide all times by N
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = parse_speed, help_heading = "Timing")]
    speed: f64,

    /// Shorten longer pauses to this: 500ms, 5s
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Timing")]
    max_gap: Option<Duration>,

    /// Leave out calls that began before this, counted from the first packet: 90s
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Timing")]
    from: Option<Duration>,

    /// Leave out calls that began at or after this, counted from the first packet
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Timing")]
    to_time: Option<Duration>,

    /// Deadlines of calls: recorded, none, xN (N times as long), or a duration
    #[arg(long, value_name = "DEADLINE", default_value = "recorded", help_heading = "Timing")]
    deadline: Deadline,

    /// What a call waits for on other calls
    #[arg(long, value_name = "ORDER", value_enum, default_value_t, help_heading = "Order")]
    order: Order,

    /// What happens to a call that waits for something that does not come
    #[arg(long, value_name = "WHAT", value_enum, default_value_t, help_heading = "Order")]
    on_stall: OnStall,

    /// How long to wait at least before a call has stalled
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "5s", help_heading = "Order")]
    stall_after: Duration,

    /// Calls in progress at the same time, at most
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=65_536), help_heading = "Order")]
    concurrency: u32,

    /// Which connections calls are sent on: recorded, per-call, pool=N
    #[arg(long, value_name = "WHICH", default_value = "recorded", help_heading = "Connections")]
    connections: Connections,

    /// What happens when a connection is lost
    #[arg(long, value_name = "WHAT", value_enum, default_value_t, help_heading = "Connections")]
    on_conn_loss: OnConnectionLoss,

    /// How long to try to connect to a server that cannot be reached
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "10s", help_heading = "Connections")]
    connect_for: Duration,

    /// The :authority of requests, if it is not the target's address (localhost for Unix sockets and vsock)
    #[arg(long, value_name = "NAME", help_heading = "Connections")]
    authority: Option<String>,

    /// Set a header field in all requests: NAME=VALUE, NAME=env:VARIABLE, NAME=file:PATH, NAME=cmd:COMMAND (may be repeated)
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Requests")]
    header: Vec<String>,

    /// Send recorded credentials (authorization, cookie, *-token, ...), which are withheld otherwise
    #[arg(long, help_heading = "Requests")]
    keep_auth: bool,

    /// Set a field of requests: Service/Method.request.path=value, Service/Method.metadata.name=value; {{NAME}} as the value stands
    /// for what --capture NAME took in place of the recorded value (may be repeated)
    #[arg(long, value_name = "PLACE=VALUE", value_parser = Change::set, help_heading = "Requests")]
    set: Vec<Change>,

    /// Leave out a field of requests: Service/Method.request.path, Service/Method.metadata.name (may be repeated)
    #[arg(long, value_name = "PLACE", value_parser = Change::drop, help_heading = "Requests")]
    drop: Vec<Change>,

    /// Take values from answers for later requests: NAME=Method.response.path (may be repeated)
    #[arg(long, value_name = "NAME=PLACE", help_heading = "Requests")]
    capture: Vec<Capture>,

    #[command(flatten)]
    tls: TlsArgs,

    /// The client's private key, PEM; --key FILE is the same
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    tls_key: Option<PathBuf>,

    /// Replay to this server first, one that is known to be right: what differs there is noise, and no difference
    #[arg(long, value_name = "ADDR", help_heading = "Comparing", conflicts_with = "twice")]
    baseline: Option<To>,

    /// Replay twice: what the server answers differently each time is noise, and no difference
    #[arg(long, help_heading = "Comparing")]
    twice: bool,

    #[command(flatten)]
    compare: CompareArgs,

    #[command(flatten)]
    report: ReportArgs,

    /// Write what is sent and received to a capture; it holds secrets, and only its owner can read it
    #[arg(short, long, value_name = "OUT.pcapng")]
    write: Option<PathBuf>,

    /// Write through a symbolic link to a regular file, which is refused otherwise
    #[arg(long)]
    follow_symlink: bool,

    /// Write down which calls were sent, so that --resume can continue a replay that was cut short
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,

    /// Continue the replay of the journal: calls that are over, and unsafe ones that were in progress, are not sent again
    #[arg(long, requires = "journal")]
    resume: bool,

    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    input: InputArgs,
}

pub(super) fn run(args: ReplayArgs) -> Result<ExitCode, Problem> {
    let talk = args.input.talk;
    let rules = args.compare.rules()?;
    args.report.check()?;
    let settings = args.settings()?;
    let schema = args.input.load_schema()?;
    let mut sieve = args.filter.compile(&schema, Target::Calls)?;
    let headers = args.headers()?;
    let needs = sieve.needs();
    let kept = Keep { bodies: true, frames: needs.frames, events: true };
    let loader = args.input.open(Inputs::Paths(args.files.clone()), false, kept)?;
    let loader = loader.with_packet_lengths(needs.packet_lengths);
    let stop = loader.stop();
    let viewing = Viewing::new(&args.input, Arc::clone(&schema), loader.files(), loader.sources())?;
    let shared = Arc::clone(loader.shared());
    let names = loader.files().iter().map(|file| file.name.clone()).collect();
    let mut bar = Bar::new(talk.quiet);
    let lengths = loader.packet_lengths();
    let loaded = match needs.frames {
        true => loader.run(|store, committed, progress| {
            bar.at(progress);
            sieve.observe(viewing.viewer(store), &committed.frames, &lengths);
            ControlFlow::Continue(())
        })?,
        false => loader.start().join(|progress| bar.at(progress))?,
    };
    bar.done();
    let chosen = sieve.choose(viewing.viewer(&loaded.store), loaded.store.calls().to_vec());
    if loaded.store.call_count() == 0 {
        tell_why_none(&loaded, &args.input);
    }
    sieve.report("calls", talk);
    let files = tell_files(&loaded, talk);
    if loaded.interrupted {
        return Ok(files);
    }
    let bodies = Arc::new(FileBodies(Arc::clone(&loaded.sources)));
    let redaction = args.input.redaction()?;
    let recording = Arc::new(Recording::new(shared, bodies, schema, redaction, names));
    let since = |offset: Option<Duration>| {
        let first = loaded.first.unwrap_or_default();
        offset.map(|offset| first.plus(offset))
    };
    let allow = Allow { all: args.allow_all, patterns: args.allow.clone() };
    let identity = Identity { calls: loaded.store.call_count(), first: loaded.first.unwrap_or_default().as_nanos() };
    let resumed = match &args.journal {
        Some(path) if args.resume => Some(Journal::resume(path, &identity).map_err(journal_problem)?),
        _ => None,
    };
    let wanted = Wanted {
        calls: &chosen,
        allow: &allow,
        from: since(args.from),
        until: since(args.to_time),
        max_calls: args.max_calls,
        journaled: resumed.as_ref().map(|(_, journaled)| journaled),
    };
    let plan = Plan::new(&recording, &settings, &headers, &wanted);
    let plan = plan.map_err(|error| Problem::Usage(error.to_string()))?;
    if args.plan {
        let mut out = Output::new();
        replay_plan::write_plan(&plan, &settings, out.buffer());
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    args.refuse(&plan)?;
    let baseline = match &args.baseline {
        Some(to) => {
            let settings = Settings { to: vec![to.clone()], ..args.settings()? };
            let plan = Plan::new(&recording, &settings, &headers, &wanted);
            let plan = plan.map_err(|error| Problem::Usage(format!("--baseline: {error}")))?;
            args.refuse(&plan)?;
            Some((plan, settings))
        }
        None => None,
    };
    if plan.calls.is_empty() {
        return Ok(files);
    }
    args.warn(&plan);
    if let Some((_, journaled)) = &resumed {
        tell_in_flight(journaled, talk.quiet);
    }
    if !args.is_confirmed(&plan, &settings)? {
        return Err(Problem::Refused("nothing was sent".to_owned()));
    }
    let journal = match (resumed, &args.journal) {
        (Some((journal, _)), _) => Some(journal),
        (None, Some(path)) => Some(Journal::begin(path, &identity).map_err(journal_problem)?),
        (None, None) => None,
    };
    let capture = match &args.write {
        Some(path) => Some(OutputFile::open(path, args.follow_symlink)?.begin()?),
        None => None,
    };
    let live = Live::new(capture, now_seed())
        .map_err(|source| Problem::Write { path: args.write.clone().unwrap_or_default(), source })?;
    let work = Work {
        recording: Arc::clone(&recording),
        plan: Arc::new(plan),
        settings: Arc::new(settings),
        headers: Arc::new(headers),
        journal: journal.map(|journal| Arc::new(Mutex::new(journal))),
    };
    let recorded: Vec<String> = args.files.iter().map(|file| file.display().to_string()).collect();
    let reporting = Reporting {
        rules: &rules,
        args: &args.report,
        talk,
        recorded: recorded.join(", "),
        store: &loaded.store,
        write: args.write.as_deref(),
        noise: match baseline {
            Some((plan, settings)) => NoiseFrom::Baseline(Work {
                plan: Arc::new(plan),
                settings: Arc::new(settings),
                journal: None,
                ..work.clone()
            }),
            None if args.twice => NoiseFrom::Twice,
            None => NoiseFrom::Nothing,
        },
        files,
    };
    carry_out(&reporting, work, live, stop)
}

/// What a journal that cannot be used means for the command.
fn journal_problem(error: JournalError) -> Problem {
    match error {
        JournalError::System { path, source } => Problem::Write { path, source },
        other => Problem::Usage(other.to_string()),
    }
}

/// Names the calls that were in progress when a replay was cut short.
fn tell_in_flight(journaled: &Journaled, quiet: bool) {
    if journaled.in_flight.is_empty() || quiet {
        return;
    }
    let numbers: Vec<String> = journaled.in_flight.iter().take(20).map(u32::to_string).collect();
    let more = if journaled.in_flight.len() > 20 { ", ..." } else { "" };
    remark(&format!(
        "in progress when the replay was cut short: {}{more}; those whose methods may change something are not sent again",
        numbers.join(", ")
    ));
}

impl ReplayArgs {
    fn settings(&self) -> Result<Settings, Problem> {
        let protocols: &[&[u8]] = &[b"h2"];
        // A --key without = is not about lists.
        let mut keys = self.compare.other_keys().map(Path::new).chain(self.tls_key.as_deref());
        let key = keys.next();
        if keys.next().is_some() {
            return Err(Problem::Usage("there can be only one private key (--key, --tls-key)".to_owned()));
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
            tls: tls.map_err(|error| Problem::Usage(error.to_string()))?,
            authority: self.authority.clone(),
        })
    }

    fn headers(&self) -> Result<HeaderPolicy, Problem> {
        let replace = self.header.iter().map(|given| header(given).map_err(Problem::Usage));
        Ok(HeaderPolicy {
            keep_auth: self.keep_auth,
            replace: replace.collect::<Result<_, _>>()?,
            credentials: self.input.credentials()?,
            edits: Edits {
                changes: self.set.iter().chain(&self.drop).cloned().collect(),
                captures: self.capture.clone(),
            },
        })
    }

    /// Refuses what is not safe.
    fn refuse(&self, plan: &Plan) -> Result<(), Problem> {
        if plan.calls.is_empty() {
            let unsafe_calls = plan.skipped.iter().filter(|call| call.why == SkipReason::Unsafe).count();
            if unsafe_calls > 0 {
                return Err(Problem::Refused(format!(
                    "none of the calls may be sent: the methods of {unsafe_calls} may change something (see --plan); --allow permits them"
                )));
            }
            if let Some(first) = plan.skipped.first() {
                let count = plan.skipped.len();
                return Err(Problem::Refused(format!(
                    "none of the {count} calls can be sent; call {}: {}",
                    first.no, first.why
                )));
            }
            return Ok(());
        }
        if let Some(target) = plan.recorded_targets().next().filter(|_| !self.allow_recorded_target) {
            return Err(Problem::Refused(format!(
                "{} is the server of the recording ({}); --allow-recorded-target permits it",
                target.address, target.recorded
            )));
        }
        if let Some((name, (since, calls))) = plan.expired.iter().next() {
            return Err(Problem::Refused(format!(
                "the token in {name} of {calls} calls ran out {} ago; give a new one with --header {name}=env:NAME",
                replay_plan::duration_text(*since)
            )));
        }
        Ok(())
    }

    fn warn(&self, plan: &Plan) {
        if self.input.talk.quiet {
            return;
        }
        for (name, calls) in &plan.withheld {
            remark(&format!(
                "{name} of {calls} calls is withheld; --header {name}=env:NAME sends another one, --keep-auth the recorded one"
            ));
        }
        for (count, text) in replay_plan::skipped_lines(plan) {
            remark(&format!("{count} left out: {text}"));
        }
    }

    /// Asks before anything is changed, where somebody is there to answer.
    fn is_confirmed(&self, plan: &Plan, settings: &Settings) -> Result<bool, Problem> {
        let changes = plan.changing_methods().next().is_some();
        if !changes || self.yes || !io::stdin().is_terminal() {
            return Ok(true);
        }
        let mut text = Vec::new();
        replay_plan::write_plan(plan, settings, &mut text);
        let mut stderr = io::stderr();
        stderr.write_all(&text)?;
        write!(stderr, "Send these calls? [y/N] ")?;
        stderr.flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

/// Reads `NAME=VALUE`, with a value that may stand elsewhere.
pub(super) fn header(given: &str) -> Result<(String, Vec<u8>), String> {
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
        let output = Command::new("sh").arg("-c").arg(command).stderr(std::process::Stdio::inherit()).output();
        let output = output.map_err(|error| format!("--header {name}: {command}: {error}"))?;
        if !output.status.success() {
            return Err(format!("--header {name}: {command}: {}", output.status));
        }
        output.stdout
    } else {
        value.as_bytes().to_vec()
    };
    Ok((name, value.trim_ascii().to_vec()))
}

fn parse_speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed > 0.0 && speed <= 1e6 => Ok(speed),
        _ => Err("is not a number above 0".to_owned()),
    }
}

/// What sequence numbers of a written capture begin with.
fn now_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_from_the_command_line_a_file_or_a_command() {
        assert_eq!(header("X-Tenant=t1"), Ok(("x-tenant".to_owned(), b"t1".to_vec())));
        assert_eq!(header("a=cmd:printf 'b\\n'"), Ok(("a".to_owned(), b"b".to_vec())));
        for wrong in
            ["a", "=b", "a b=c", "grpc-timeout=1S", "a=env:NOT_THERE_AT_ALL", "a=file:/not/there", "a=cmd:false"]
        {
            assert!(header(wrong).is_err(), "{wrong}");
        }
    }
}
