//! `rpcshark replay`: recorded calls sent again to a live server, and compared.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use parking_lot::Mutex;
use rpcshark_dissectors::filter::Target;
use rpcshark_dissectors::store::Keep;

use super::InputArgs;
use super::filter::FilterArgs;
use super::input::{FileBodies, Viewing, tell_files};
use super::output::{Output, Problem, remark};
use super::replay_run::{NoiseFrom, Reporting, carry_out};
use super::why::tell_why_none;
use crate::load::Inputs;
use crate::output_file::OutputFile;
use crate::replay::{
    CommandErrors, Identity, Journal, JournalError, Journaled, Live, Plan, Recording, ReplayOptions, Settings, To,
    Wanted, Work, skipped_lines, write_plan,
};
use crate::report::ReportArgs;

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

    /// Print what would be sent, and send nothing
    #[arg(long, help_heading = "Safety")]
    plan: bool,

    /// Do not ask before methods are called that may change something
    #[arg(long, help_heading = "Safety")]
    yes: bool,

    #[command(flatten)]
    options: ReplayOptions,

    /// Replay to this server first, one that is known to be right: what differs there is noise, and no difference
    #[arg(long, value_name = "ADDR", help_heading = "Comparing", conflicts_with = "twice")]
    baseline: Option<To>,

    /// Replay twice: what the server answers differently each time is noise, and no difference
    #[arg(long, help_heading = "Comparing")]
    twice: bool,

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
    let rules = args.options.compare.rules()?;
    args.report.check()?;
    let settings = args.options.settings().map_err(Problem::Usage)?;
    let schema = args.input.load_schema()?;
    let mut sieve = args.filter.compile(&schema, Target::Calls)?;
    let headers = args.options.headers(args.input.credentials()?, CommandErrors::Shown).map_err(Problem::Usage)?;
    let needs = sieve.needs();
    let kept = Keep { bodies: true, frames: needs.frames, events: true };
    let loader = args.input.open(Inputs::Paths(args.files.clone()), false, kept)?;
    let loader = loader.with_packet_lengths(needs.packet_lengths);
    let stop = loader.stop();
    let viewing = Viewing::new(&args.input, Arc::clone(&schema), loader.files(), loader.sources())?;
    let shared = Arc::clone(loader.shared());
    let names = loader.files().iter().map(|file| file.name.clone()).collect();
    let loaded = sieve.read(loader, &viewing, talk.quiet)?;
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
    let allow = args.options.allow();
    let identity = Identity { calls: loaded.store.call_count(), first: loaded.first.unwrap_or_default().as_nanos() };
    let resumed = match &args.journal {
        Some(path) if args.resume => Some(Journal::resume(path, &identity).map_err(journal_problem)?),
        _ => None,
    };
    let wanted = Wanted {
        calls: &chosen,
        allow: &allow,
        from: since(args.options.from),
        until: since(args.options.to_time),
        max_calls: args.options.max_calls,
        journaled: resumed.as_ref().map(|(_, journaled)| journaled),
    };
    let plan = Plan::new(&recording, &settings, &headers, &wanted);
    let plan = plan.map_err(|error| Problem::Usage(error.to_string()))?;
    if args.plan {
        let mut out = Output::new();
        write_plan(&plan, &settings, out.buffer());
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    args.options.refuse(&plan).map_err(Problem::Refused)?;
    let baseline = match &args.baseline {
        Some(to) => {
            let settings = Settings { to: vec![to.clone()], ..settings.clone() };
            let plan = Plan::new(&recording, &settings, &headers, &wanted);
            let plan = plan.map_err(|error| Problem::Usage(format!("--baseline: {error}")))?;
            args.options.refuse(&plan).map_err(Problem::Refused)?;
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
    fn warn(&self, plan: &Plan) {
        if self.input.talk.quiet {
            return;
        }
        for (name, calls) in &plan.withheld {
            remark(&format!(
                "{name} of {calls} calls is withheld; --header {name}=env:NAME sends another one, --keep-auth the recorded one"
            ));
        }
        for (count, text) in skipped_lines(plan) {
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
        write_plan(plan, settings, &mut text);
        let mut stderr = io::stderr();
        stderr.write_all(&text)?;
        write!(stderr, "Send these calls? [y/N] ")?;
        stderr.flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

/// What sequence numbers of a written capture begin with.
fn now_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or_default()
}
