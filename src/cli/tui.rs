//! `rpcshark FILE` on a terminal: the terminal UI.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use rpcshark_dissectors::filter::{Column, Filter, Target};
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::store::Keep;

use super::calls::CallsArgs;
use super::input::tell_files;
use super::output::{Problem, remark};
use crate::load::Inputs;
use crate::ui;

/// How the terminal UI is shown.
#[derive(Debug, Args)]
pub(super) struct UiArgs {
    /// Open the terminal UI even where standard output is not a terminal
    #[arg(long, conflicts_with = "no_tui", help_heading = "Terminal UI")]
    tui: bool,

    /// List calls instead of opening the terminal UI
    #[arg(long, help_heading = "Terminal UI")]
    no_tui: bool,

    /// Use ASCII signs only
    #[arg(long, help_heading = "Terminal UI")]
    ascii: bool,

    /// Leave the mouse to the terminal
    #[arg(long, help_heading = "Terminal UI")]
    no_mouse: bool,

    /// Print a configuration file with every setting and its default, commented out
    #[arg(long, exclusive = true, help_heading = "Terminal UI")]
    pub(super) print_config: bool,
}

impl UiArgs {
    /// Whether the terminal UI is to be opened: on a terminal that can show it, unless a listing is asked for.
    pub(super) fn is_wanted(&self, calls: &CallsArgs) -> bool {
        let is_capable = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
        self.tui || !self.no_tui && !calls.is_listing() && io::stdout().is_terminal() && is_capable
    }
}

pub(super) fn run(args: &CallsArgs, ui: &UiArgs) -> Result<ExitCode, Problem> {
    let schema = args.input.load_schema()?;
    // A wrong filter is reported before the screen opens.
    args.filter.compile(&schema, Target::Calls)?;
    let config = args.input.config()?;
    for saved in &config.filters {
        Filter::compile(&saved.filter, &schema, Target::Calls)
            .map_err(|error| config.wrong_filter(saved, &error.text()))?;
    }
    for column in &config.columns {
        let wrong = |cause: &str| config.wrong_column(column, cause);
        let compiled = Column::compile(&column.text, &schema, Target::Calls);
        let compiled = compiled.map_err(|error| wrong(&error.text()))?;
        if compiled.is_of_frames() {
            return Err(wrong("it is a field of frames").into());
        }
    }
    let mut inputs = args.inputs();
    let mut follow = args.follow;
    loop {
        match show(args, ui, &schema, inputs, follow)? {
            Shown::Left(code) => return Ok(code),
            Shown::Other(path) => inputs = Inputs::Paths(vec![path]),
        }
        follow = false;
    }
}

/// How the user left a capture.
enum Shown {
    Left(ExitCode),
    Other(PathBuf),
}

/// Shows one capture.
fn show(args: &CallsArgs, ui: &UiArgs, schema: &Arc<Schema>, inputs: Inputs, follow: bool) -> Result<Shown, Problem> {
    let input = &args.input;
    let config = input.config()?;
    let keep = Keep { bodies: true, ..Keep::default() };
    let is_piped = matches!(&inputs, Inputs::Paths(paths) if paths.iter().any(|path| path.as_os_str() == "-"));
    if is_piped && !input.talk.quiet {
        // The screen is not taken before the first byte: whoever writes it may ask for a password.
        remark("waiting for standard input");
    }
    let loader = input.open_for_ui(inputs, follow, keep)?.in_small_batches();
    let files = loader.files().iter().map(|file| file.name.clone()).collect();
    let stop = loader.stop();
    let load = loader.options().clone();
    let shared = Arc::clone(loader.shared());
    let loading = loader.start();
    let options = ui::Options {
        store: Arc::clone(&shared),
        load,
        files,
        schema: Arc::clone(schema),
        schema_sources: input.schema_sources()?,
        redaction: input.redaction()?,
        credentials: input.credentials()?,
        filter: args.filter.text().to_owned(),
        columns: config.columns.iter().map(|column| column.text.clone()).collect(),
        theme: config.theme.clone(),
        keys: config.keys.clone(),
        saved: config.filters.iter().map(|saved| (saved.name.clone(), saved.filter.clone())).collect(),
        history: ui::history_path().filter(|_| !input.no_config),
        color: input.talk.color.decide(),
        ascii: ui.ascii || !is_utf8_locale(),
        mouse: !ui.no_mouse,
        tail: follow,
        stop: stop.clone(),
    };
    let code = match ui::run(options).map_err(Problem::Terminal)? {
        ui::Ended::Left(code) => code,
        ui::Ended::Other(path) => {
            if let Some(stop) = stop {
                stop.raise();
            }
            return Ok(Shown::Other(path));
        }
    };
    if !shared.is_finished() || code != ExitCode::SUCCESS {
        // What is still being read is not wanted any more.
        return Ok(Shown::Left(code));
    }
    Ok(Shown::Left(tell_files(&loading.join(|_| ())?, input.talk)))
}

/// Whether the locale says that the terminal shows UTF-8.
fn is_utf8_locale() -> bool {
    if std::env::var_os("TERM").is_some_and(|term| term == "linux") {
        return false;
    }
    let set = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty());
    // Without a locale nothing is known, and today's terminals show UTF-8.
    set.is_none_or(|locale| {
        let locale = locale.to_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}
