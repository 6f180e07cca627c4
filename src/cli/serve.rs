//! `rpcshark serve`: clients answered from a recording.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rpcshark_dissectors::filter::Target;
use rpcshark_dissectors::store::Keep;
use tokio::task::LocalSet;

use super::InputArgs;
use super::filter::FilterArgs;
use super::input::{FileBodies, Viewing, tell_files};
use super::output::{CANNOT_OPEN, Problem, complain, remark};
use super::why::tell_why_none;
use crate::address::Address;
use crate::load::Inputs;
use crate::record::BackgroundWriter;
use crate::replay::{Recording, parse_duration};
use crate::report::CompareArgs;
use crate::rpc::{Doors, ServerTls, ServerTlsArgs};
use crate::serve::{BuiltIn, Catalog, Counts, Delays, Log, Reuse, Server, Settings};
use crate::signals::{INTERRUPTED, Stop};

/// Answer clients from a recording, gRPC and ttrpc
///
/// A call is answered by the recorded call of the same method with an equal request: streams by their first message, unless the
/// recorded server spoke first. A request that was not recorded is answered with UNIMPLEMENTED and how it differs from the
/// nearest one. Each call that is over is printed on one line. Ctrl-C ends the server.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rpcshark serve session.pcapng --listen localhost:50051 --proto protos/
  rpcshark serve session.pcapng --listen unix:/tmp/mock.sock --delays none --reuse last
  rpcshark serve session.pcapng --listen https://localhost:8443 --cert server.pem --key server.key
  rpcshark serve session.pcapng --listen localhost:0 --proto protos/ --ignore shop.GetOrderRequest.trace_id --json")]
pub(super) struct ServeArgs {
    /// Captures: files, directories, or - for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// Where clients connect: host:port (port 0: any that is free), https://host:port, unix:/path, unix-abstract:name,
    /// vsock:cid:port (may be repeated)
    #[arg(long, value_name = "ADDR", required = true)]
    listen: Vec<Address>,

    /// What follows when all recorded calls that equal a request were used
    #[arg(long, value_name = "WHAT", value_enum, default_value_t, help_heading = "Answers")]
    reuse: Reuse,

    /// When answers are sent
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, help_heading = "Answers")]
    delays: Delays,

    /// Divide recorded delays by N
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = crate::replay::parse_speed, help_heading = "Answers")]
    speed: f64,

    /// Shorten longer delays to this: 500ms, 5s
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Answers")]
    max_delay: Option<Duration>,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    tls: ServerTlsArgs,

    #[command(flatten)]
    compare: CompareArgs,

    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    input: InputArgs,
}

pub(super) fn run(args: ServeArgs) -> Result<ExitCode, Problem> {
    let talk = args.input.talk;
    let rules = args.compare.rules()?;
    let tls = args.tls()?;
    let (schema, schema_files) = args.input.load_schema_with_files()?;
    let mut sieve = args.filter.compile(&schema, Target::Calls)?;
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
    let recording = Arc::new(Recording::new(shared, bodies, schema, args.input.redaction()?, names));
    let built_in = (!schema_files.is_empty()).then(|| BuiltIn::new(schema_files, &recording.schema));
    let catalog = Catalog::new(&recording, &loaded.store, &chosen, &rules);
    for (why, count) in catalog.left_out.iter().filter(|_| !talk.quiet) {
        remark(&format!("{} cannot be served: {why}", calls_text(*count)));
    }
    if catalog.len() == 0 {
        complain("there are no calls that can be served");
        return Ok(ExitCode::from(CANNOT_OPEN));
    }
    drop(loaded);
    // Without a watch, signals end the program as they always do.
    let stop = match stop {
        Some(stop) => stop,
        None => Stop::new()?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = LocalSet::new();
    let counts = tasks.block_on(&runtime, args.serve(recording, (catalog, built_in), rules, tls, Arc::clone(&stop)))?;
    let Some((counts, unused)) = counts else { return Ok(ExitCode::from(CANNOT_OPEN)) };
    if !talk.quiet {
        remark(&summary(counts, unused));
    }
    Ok(match stop.is_raised() {
        true => ExitCode::from(INTERRUPTED),
        false => files,
    })
}

impl ServeArgs {
    /// Serves until the end. Gives what there was; `None` where no client can connect.
    async fn serve(
        &self,
        recording: Arc<Recording>,
        (catalog, built_in): (Catalog, Option<BuiltIn>),
        rules: rpcshark_dissectors::compare::Rules,
        tls: Option<ServerTls>,
        stop: Arc<Stop>,
    ) -> Result<Option<(Counts, usize)>, Problem> {
        let mut doors = Vec::new();
        for address in &self.listen {
            match Doors::open(address, tls.clone(), Arc::clone(&stop)) {
                Ok(opened) => doors.push(opened),
                Err(error) => {
                    let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
                    complain(&format!("{error}{}", source.unwrap_or_default()));
                    return Ok(None);
                }
            }
        }
        let settings =
            Settings { reuse: self.reuse, delays: self.delays, speed: self.speed, max_delay: self.max_delay };
        let out = Box::new(BackgroundWriter::new(Box::new(io::stdout()))?);
        let log = Log::new(out, self.json, Arc::clone(&stop));
        let server = Rc::new(Server::new(recording, catalog, rules, settings, built_in, log));
        if !self.input.talk.quiet {
            let places: Vec<&str> = doors.iter().map(|doors| doors.shown.as_str()).collect();
            let methods = match server.catalog().method_count() {
                1 => "1 method".to_owned(),
                more => format!("{more} methods"),
            };
            let calls = calls_text(server.catalog().len() as u64);
            remark(&format!("serving {calls} of {methods} at {}; Ctrl-C ends it", places.join(", ")));
        }
        Rc::clone(&server).run(doors, stop).await;
        Ok(Some((server.log().counts(), server.catalog().unused())))
    }

    fn tls(&self) -> Result<Option<ServerTls>, Problem> {
        // A --key without = is not about lists.
        let mut keys = self.compare.other_keys().map(Path::new).chain(self.tls.tls_key.as_deref());
        let key = keys.next();
        if keys.next().is_some() {
            return Err(Problem::Usage("there can be only one private key (--key, --tls-key)".to_owned()));
        }
        let tls = ServerTls::new(&self.tls, key).map_err(|error| Problem::Usage(error.to_string()))?;
        let wanted = self.listen.iter().find(|address| matches!(address, Address::Tcp { tls: true, .. }));
        match (wanted, &tls) {
            (Some(address), None) => {
                Err(Problem::Usage(format!("--listen {address}: TLS needs a certificate (--cert) and its key (--key)")))
            }
            _ => Ok(tls),
        }
    }
}

fn calls_text(count: u64) -> String {
    if count == 1 { "1 call".to_owned() } else { format!("{count} calls") }
}

fn summary(counts: Counts, unused: usize) -> String {
    let Counts { connections, calls, misses, left, failed } = counts;
    let mut text = format!(
        "answered {} on {connections} connection{}",
        calls_text(calls - misses - left - failed),
        if connections == 1 { "" } else { "s" }
    );
    for (count, what) in [(misses, "not in the recording"), (left, "left by their clients"), (failed, "failed")] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    if unused > 0 {
        text.push_str(&format!(
            "; {unused} recorded {} never asked for",
            if unused == 1 { "call was" } else { "calls were" }
        ));
    }
    text
}
