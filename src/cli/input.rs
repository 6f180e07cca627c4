//! Options that the reading commands share: what to read, by which schema, and what to hide.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use rpcshark_captures::budget::MemoryLimit;
use rpcshark_captures::file::{FileInfo, Notice, Skipped};
use rpcshark_captures::{Place, Sources, Timestamp};
use rpcshark_dissectors::print::{Printer, Times};
use rpcshark_dissectors::schema::{Level, Schema, SchemaFile};
use rpcshark_dissectors::store::{Keep, Store};
use rpcshark_dissectors::view::{Bodies, Guesser, Redaction, Viewer};

use super::Talk;
use super::memory::{parse_memory, released_text};
use super::output::{IN_PART, Problem, complain, remark, repeat};
use crate::config::Config;
use crate::decode_as::{DecodeAsRule, DecodeAsRules};
use crate::load::{Inputs, LoadOptions, Loaded, Loader, check_key_logs, schema};
use crate::signals::{INTERRUPTED, Stop};

/// What to read, and how.
#[derive(Debug, Args)]
pub(super) struct InputArgs {
    #[command(flatten)]
    pub(super) talk: Talk,

    #[command(flatten)]
    pub(super) schema: SchemaArgs,

    /// Set the protocol of connections: tcp.port==50051,http2 or unix.path==/run/x.sock,ttrpc
    #[arg(short, long = "decode-as", value_name = "SELECTOR,PROTOCOL")]
    pub(super) decode_as: Vec<DecodeAsRule>,

    /// Decrypt TLS with the secrets in this key log, as SSLKEYLOGFILE writes it (may be repeated)
    #[arg(long, value_name = "FILE")]
    pub(super) keylog: Vec<PathBuf>,

    /// Stop after N packets
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,

    /// Accepted for compatibility: files are always read, never mapped
    #[arg(long)]
    pub(super) no_mmap: bool,

    /// How much memory may be used for data that waits for missing packets, over all connections
    #[arg(long, value_name = "SIZE", value_parser = parse_memory, default_value = "256M")]
    pub(super) memory: MemoryLimit,

    /// Show every header field as sent, pseudo-headers too
    #[arg(long)]
    pub(super) all_headers: bool,

    /// Show the values of authorization, cookie, *-token and other secrets
    #[arg(long)]
    pub(super) show_secrets: bool,

    /// Hide the values of header fields with this name, too (may be repeated)
    #[arg(long, value_name = "NAME")]
    pub(super) hide: Vec<String>,

    /// Do not read the configuration file
    #[arg(long)]
    pub(super) no_config: bool,

    /// The configuration, once it has been read.
    #[arg(skip)]
    config: OnceLock<Config>,
}

/// One connection as two files of raw bytes, without times.
#[derive(Clone, Debug, Args)]
pub(super) struct RawArgs {
    /// Instead of FILE: what a client sent, as raw bytes without anything around them (as socat -r writes them)
    #[arg(long, value_name = "FILE", requires = "raw_server", conflicts_with = "files")]
    raw_client: Option<PathBuf>,

    /// And what its server sent
    #[arg(long, value_name = "FILE", requires = "raw_client")]
    raw_server: Option<PathBuf>,
}

impl RawArgs {
    /// What is to be read: this, or `files`.
    pub(super) fn or(&self, files: &[PathBuf]) -> Inputs {
        match (&self.raw_client, &self.raw_server) {
            (Some(client), Some(server)) => Inputs::RawPair { client: client.clone(), server: server.clone() },
            _ => Inputs::Paths(files.to_vec()),
        }
    }
}

/// How text shows times.
#[derive(Debug, Args)]
pub(super) struct TimeArgs {
    /// How text shows times; `relative` by default for calls and frames
    #[arg(short, long, value_name = "FORM", value_enum)]
    time: Option<TimeForm>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TimeForm {
    /// Since the first packet of the capture
    Relative,
    /// Since the line before
    Delta,
    /// Date and time of day where this is run
    Local,
    /// Date and time of day in UTC
    Utc,
    /// Seconds since 1970
    Epoch,
}

impl TimeArgs {
    /// The form that was asked for; `first`: when the first packet was captured.
    pub(super) fn asked(&self, first: Option<Timestamp>) -> Option<Times> {
        Some(match self.time? {
            TimeForm::Relative => Times::Since(first.unwrap_or_default()),
            TimeForm::Delta => Times::Delta,
            TimeForm::Local => Times::Zone(TimeZone::system()),
            TimeForm::Utc => Times::Utc,
            TimeForm::Epoch => Times::Epoch,
        })
    }

    /// The form for listings.
    pub(super) fn listed(&self, first: Option<Timestamp>) -> Times {
        self.asked(first).unwrap_or(Times::Since(first.unwrap_or_default()))
    }
}

/// Where types come from.
#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    /// A .proto file, or a directory: every .proto below it
    #[arg(long, value_name = "FILE|DIR")]
    proto: Vec<PathBuf>,

    /// A directory in which imports are looked for
    #[arg(long, value_name = "DIR")]
    import_path: Vec<PathBuf>,

    /// A descriptor set, as protoc -o and buf build write it
    #[arg(long, value_name = "FILE")]
    protoset: Vec<PathBuf>,

    /// Every warning about schema files is an error
    #[arg(long)]
    strict_schema: bool,
}

impl SchemaArgs {
    /// Whether any schema was given.
    pub(super) fn is_given(&self) -> bool {
        !self.proto.is_empty() || !self.protoset.is_empty()
    }

    /// Reads the schema files; what is wrong with them goes to standard error.
    pub(super) fn load(&self, talk: Talk) -> Result<Arc<Schema>, Problem> {
        load_sources(&self.sources(), talk)
    }

    /// Reads the schema files, or those of the configuration where none is given; what is wrong with them goes to standard
    /// error.
    pub(super) fn load_or(&self, configured: &schema::Sources, talk: Talk) -> Result<Arc<Schema>, Problem> {
        let given = self.sources();
        match self.is_given() || !given.import_path.is_empty() {
            true => load_sources(&given, talk),
            false => load_sources(&schema::Sources { strict: given.strict, ..configured.clone() }, talk),
        }
    }

    /// The arguments that give the same schemas.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let files = [("--proto", &self.proto), ("--import-path", &self.import_path), ("--protoset", &self.protoset)];
        let mut arguments: Vec<OsString> = Vec::new();
        for (option, paths) in files {
            paths.iter().for_each(|path| arguments.extend([option.into(), path.into()]));
        }
        arguments.extend(self.strict_schema.then(|| "--strict-schema".into()));
        arguments
    }

    /// The schema files that are given.
    pub(super) fn sources(&self) -> schema::Sources {
        schema::Sources {
            proto: self.proto.clone(),
            import_path: self.import_path.clone(),
            protoset: self.protoset.clone(),
            strict: self.strict_schema,
        }
    }
}

impl InputArgs {
    /// The schema files that are given, or those of the configuration.
    pub(super) fn schema_sources(&self) -> Result<schema::Sources, Problem> {
        let given = self.schema.sources();
        if self.schema.is_given() || !given.import_path.is_empty() {
            return Ok(given);
        }
        Ok(schema::Sources { strict: given.strict, ..self.config()?.schema.clone() })
    }

    /// Reads the schema files; what is wrong with them goes to standard error.
    pub(super) fn load_schema(&self) -> Result<Arc<Schema>, Problem> {
        load_sources(&self.schema_sources()?, self.talk)
    }

    /// The same, with the files that the schema is made of; none where no schema is given.
    pub(super) fn load_schema_with_files(&self) -> Result<(Arc<Schema>, Vec<SchemaFile>), Problem> {
        load_sources_with(&self.schema_sources()?, self.talk, schema::Sources::load_with_files)
    }

    /// Opens `inputs`. From then on, a signal only ends the reading.
    pub(super) fn open(&self, inputs: Inputs, follow: bool, keep: Keep) -> Result<Loader, Problem> {
        self.open_with(inputs, follow, keep, false)
    }

    /// Opens `inputs` to be read twice: what is piped in is kept in a file meanwhile.
    pub(super) fn open_twice(&self, inputs: Inputs, keep: Keep) -> Result<Loader, Problem> {
        self.open_with(inputs, false, keep, true)
    }

    /// Opens `inputs` for the terminal UI: what is piped in is kept in a file, and a file may grow.
    pub(super) fn open_for_ui(&self, inputs: Inputs, follow: bool, keep: Keep) -> Result<Loader, Problem> {
        self.open_with(inputs, follow, keep, true)
    }

    fn open_with(&self, inputs: Inputs, follow: bool, keep: Keep, again: bool) -> Result<Loader, Problem> {
        // What the user wrote is checked before anything is waited for.
        self.config()?;
        check_key_logs(&self.keylog, follow).map_err(|fault| Problem::Usage(fault.to_string()))?;
        let is_one = matches!(&inputs, Inputs::Paths(paths) if paths.len() == 1);
        if follow && !is_one {
            return Err(Problem::Usage("--follow takes one file".to_owned()));
        }
        // Without a watch, signals end the program as they always do.
        let stop = Stop::watched().ok();
        let options = LoadOptions {
            inputs,
            follow,
            stop: stop.clone(),
            count: self.count,
            memory: self.memory,
            keep,
            decode_as: DecodeAsRules(self.decode_as.clone()),
            key_logs: self.keylog.clone(),
            spool: again.then(Arc::default),
            notice: follow.then(|| Notice(Arc::new(remark))),
        };
        Loader::open(options).map_err(|error| match stop.is_some_and(|stop| stop.is_raised()) {
            true => Problem::Interrupted,
            false => error.into(),
        })
    }

    /// The user's configuration, which is read once.
    pub(super) fn config(&self) -> Result<&Config, Problem> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let config = if self.no_config { Config::default() } else { Config::load()? };
        Ok(self.config.get_or_init(|| config))
    }

    /// What is hidden.
    pub(super) fn redaction(&self) -> Result<Redaction, Problem> {
        let config = self.config()?;
        Ok(match self.show_secrets {
            true => Redaction::reveal_everything(),
            false => Redaction::default().with_names(&self.hide).with_names(&config.hidden),
        })
    }
}

impl InputArgs {
    /// Which names hold credentials, whatever is shown.
    pub(super) fn credentials(&self) -> Result<Redaction, Problem> {
        Ok(Redaction::default().with_names(&self.hide).with_names(&self.config()?.hidden))
    }
}

fn load_sources(sources: &schema::Sources, talk: Talk) -> Result<Arc<Schema>, Problem> {
    load_sources_with(sources, talk, schema::Sources::load).map(|(schema, _)| schema)
}

fn load_sources_with(
    sources: &schema::Sources,
    talk: Talk,
    load: fn(&schema::Sources) -> schema::Loaded,
) -> Result<(Arc<Schema>, Vec<SchemaFile>), Problem> {
    if sources.proto.is_empty() && sources.protoset.is_empty() && sources.import_path.is_empty() {
        return Ok((Arc::new(Schema::builtin()), Vec::new()));
    }
    let loaded = load(sources);
    for said in &loaded.said {
        if said.level == Level::Error || !talk.quiet {
            repeat(&said.to_string());
        }
    }
    if loaded.failed() { Err(Problem::Schema) } else { Ok((loaded.schema, loaded.files)) }
}

/// What a viewer takes from the command line and the files.
pub(super) struct Viewing {
    pub(super) schema: Arc<Schema>,
    guesser: Guesser,
    /// What is hidden.
    pub(super) redaction: Redaction,
    pub(super) files: Vec<String>,
    bodies: FileBodies,
    all_headers: bool,
    /// Names that the capture gives to addresses.
    pub(super) names: BTreeMap<IpAddr, Box<str>>,
}

impl Viewing {
    /// Reads the configuration if that has not been done: it says what is hidden.
    pub(super) fn new(
        input: &InputArgs,
        schema: Arc<Schema>,
        files: &[FileInfo],
        sources: Arc<Sources>,
    ) -> Result<Self, Problem> {
        Ok(Self {
            guesser: Guesser::new(&schema),
            schema,
            redaction: input.redaction()?,
            files: files.iter().map(|file| file.name.clone()).collect(),
            bodies: FileBodies(sources),
            all_headers: input.all_headers,
            names: BTreeMap::new(),
        })
    }

    /// The same for another reading, in which nothing is hidden.
    pub(super) fn revealed(&self, sources: Arc<Sources>) -> Self {
        Self {
            guesser: Guesser::new(&self.schema),
            schema: Arc::clone(&self.schema),
            redaction: Redaction::reveal_everything(),
            files: self.files.clone(),
            bodies: FileBodies(sources),
            all_headers: self.all_headers,
            names: self.names.clone(),
        }
    }

    pub(super) fn viewer<'a>(&'a self, store: &'a Store) -> Viewer<'a> {
        Viewer {
            store,
            bodies: &self.bodies,
            schema: &self.schema,
            guesser: &self.guesser,
            redaction: &self.redaction,
            files: &self.files,
            names: Some(&self.names),
        }
    }

    pub(super) fn printer<'a>(&'a self, store: &'a Store) -> Printer<'a> {
        Printer { all_headers: self.all_headers, ..Printer::new(self.viewer(store)) }
    }
}

/// Whether somebody may be waiting for what a file brings: it is standard input, or a pipe.
pub(super) fn is_live(path: &Path) -> bool {
    path.as_os_str() == "-" || path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// Bodies that lie in the files of a reading.
pub(crate) struct FileBodies(pub(crate) Arc<Sources>);

impl Bodies for FileBodies {
    fn get<'a>(&'a self, at: Place, len: usize, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        self.0.get(at, len, scratch).ok()
    }
}

/// Says what was wrong with the files, and gives the exit status that follows from it.
pub(super) fn tell_files(loaded: &Loaded, talk: Talk) -> ExitCode {
    if loaded.interrupted {
        // An incomplete last packet is not a fault of a file that is still being written.
        return ExitCode::from(INTERRUPTED);
    }
    for file in &loaded.files {
        for note in file.notes.iter().filter(|_| !talk.quiet) {
            remark(&format!("{}: {note}", file.name));
        }
        if file.more_notes > 0 && !talk.quiet {
            remark(&format!("{}: {} more notes", file.name, file.more_notes));
        }
    }
    if let Some(text) = released_text(&loaded.released, loaded.memory).filter(|_| !talk.quiet) {
        remark(&text);
    }
    let faults = loaded.sources.faults();
    for fault in &faults {
        let file = fault.file.and_then(|file| loaded.files.get(usize::from(file)));
        let name = file.map_or(String::new(), |file| format!("{}: ", file.name));
        complain(&format!("{name}{}; some messages cannot be shown", fault.reason));
    }
    match !faults.is_empty()
        || loaded.files.iter().any(|file| file.partial || file.skipped.iter().any(Skipped::is_loss))
    {
        true => ExitCode::from(IN_PART),
        false => ExitCode::SUCCESS,
    }
}
