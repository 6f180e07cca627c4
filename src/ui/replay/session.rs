//! The calls that a user replays: their recording, what was planned, and what came back.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use parking_lot::Mutex;
use rpcshark_captures::Timestamp;
use rpcshark_dissectors::compare::{Comparer, Comparison, Rules, Verdict};
use rpcshark_dissectors::filter::{Filter, FilterScratch, Target, Truth};
use rpcshark_dissectors::print::{Escaped, duration_text, status_text};
use rpcshark_dissectors::statistics::Latencies;
use rpcshark_dissectors::store::{CallRef, Keep};
use rpcshark_dissectors::view::{CallView, NoBodies, Outcome, Permit, Redaction, Viewer};
use rpcshark_tui::backend::{ReplayReply, ReportForm, Resend, WhichCalls};
use rpcshark_tui::model::replay::{
    Beside, Editable, OptionValues, Phase, ReplayForm, ReplayPlan, ReplayRow, ReplayState, beside,
};
use rpcshark_tui::model::{Detail, detail};
use rpcshark_tui::text::{counted, safe};
use rpcshark_tui::theme::{Role, Signs};
use rpcshark_tui::widget::{Part, Parts};

use super::options::{Wrong, arguments, options, parse};
use super::run::Run;
use super::{Tools, edit};
use crate::cli::FileBodies;
use crate::load::{Inputs, LoadOptions, Loader, SharedStore};
use crate::replay::{
    CommandErrors, Ended, HeaderPolicy, Live, LiveRef, Order, Pace, Plan, Recording, ReplayOptions, Running, Settings,
    Wanted, Work, compared_call, write_plan,
};
use crate::report::{CallFacts, CallReport, Report, Subject, sides};
use crate::signals::Stop;
use crate::ui::timeline::is_live;

/// Calls that are looked at under one lock.
const AT_ONCE: usize = 256;

/// Calls that are listed. Of those beyond, the ones that came back the same are only counted.
const MAX_LISTED: usize = 100_000;

/// Calls whose servers are looked for.
const MAX_SERVERS_OF: usize = 10_000;

/// How often the screen is told how far the replay has come.
const TELL: Duration = Duration::from_millis(100);

/// How often it is found out how long calls took: that sorts all of them.
const MEASURE: Duration = Duration::from_millis(500);

/// Calls that the line of a command names one by one.
const MAX_NAMED: usize = 100;

/// The calls, and what became of them.
pub(super) struct Session {
    /// Their numbers.
    calls: Vec<u32>,
    servers: Vec<String>,
    /// Messages that were edited, by the number of the call and that of the message, from 1.
    edits: BTreeMap<(u32, u32), Bytes>,
    /// The recording, with everything that happened.
    reading: Option<Reading>,
    prepared: Option<Prepared>,
    done: BTreeMap<u32, Done>,
    /// Calls that are over and not in `done`.
    unlisted: BTreeMap<Verdict, u64>,
    run: Option<Run>,
    /// Calls whose rows the screen does not know.
    changed: Vec<u32>,
    /// How long calls took, and when that was found out.
    took: Option<(Instant, Took)>,
}

/// Median and 99th percentile of how long calls took, recorded and replayed.
type Took = Option<[(i64, i64); 2]>;

struct Reading {
    store: Arc<SharedStore>,
    first: Option<Timestamp>,
}

/// What the options came to.
struct Prepared {
    options: ReplayOptions,
    settings: Arc<Settings>,
    headers: HeaderPolicy,
    rules: Rules,
    recording: Arc<Recording>,
    /// The plan of all calls.
    plan: Arc<Plan>,
}

/// A call that is over.
struct Done {
    ended: Ended,
    at: CallRef,
    live: Option<(Arc<Mutex<Live>>, LiveRef)>,
    row: ReplayRow,
    /// How long it took, recorded and replayed.
    nanos: Option<(i64, i64)>,
}

impl Session {
    /// Chooses the calls.
    pub(super) fn new(tools: &Tools<'_>, calls: &WhichCalls) -> Result<Self, String> {
        let calls = chosen(tools, calls)?;
        if calls.is_empty() {
            return Err("there is no call to replay".to_owned());
        }
        let store = tools.shared.store.read();
        let mut servers: Vec<String> = Vec::new();
        for at in calls.iter().take(MAX_SERVERS_OF).filter_map(|&no| store.call_by_no(no)) {
            let decoding = tools.shared.decoding();
            let call = tools.shared.viewer(&store, &decoding, &NoBodies).call(at);
            let server = format!("{} ({})", safe(call.server().to_string().as_bytes()), call.protocol().name());
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        drop(store);
        Ok(Self {
            calls,
            servers,
            edits: BTreeMap::new(),
            reading: None,
            prepared: None,
            done: BTreeMap::new(),
            unlisted: BTreeMap::new(),
            run: None,
            changed: Vec::new(),
            took: None,
        })
    }

    pub(super) fn form(&self) -> ReplayForm {
        ReplayForm {
            calls: self.calls.len() as u64,
            only: match self.calls.as_slice() {
                [one] => Some(*one),
                _ => None,
            },
            servers: self.servers.clone(),
            options: options(),
            edits: self.edits.keys().copied().collect(),
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.run.as_ref().is_some_and(Run::is_running)
    }

    pub(super) const fn was_sent(&self) -> bool {
        self.run.is_some()
    }

    /// Decides what would be sent. `is_stopped`: asked while the recording is read.
    pub(super) fn plan(
        &mut self,
        tools: &Tools<'_>,
        values: &OptionValues,
        is_stopped: impl FnMut() -> bool,
    ) -> Result<ReplayPlan, Wrong> {
        if self.is_running() {
            return Err(Wrong::new("calls are being sent"));
        }
        let options = parse(values)?;
        let settings = options.settings().map_err(Wrong::new)?;
        let rules = options.compare.rules().map_err(|error| Wrong::new(error.to_string()))?;
        let headers = options.headers(tools.shared.credentials.clone(), CommandErrors::Kept).map_err(Wrong::new)?;
        self.read(tools, is_stopped)?;
        let recording = self.recording(tools)?;
        let mut prepared =
            Prepared { options, settings: Arc::new(settings), headers, rules, recording, plan: Arc::default() };
        let plan = self.plan_of(&prepared, &self.calls)?;
        let shown = self.shown(tools, &prepared, &plan, values);
        prepared.plan = Arc::new(plan);
        self.prepared = Some(prepared);
        Ok(shown)
    }

    /// Reads the recording again, with everything that happened, unless that was done.
    fn read(&mut self, tools: &Tools<'_>, mut is_stopped: impl FnMut() -> bool) -> Result<(), Wrong> {
        if self.reading.is_some() {
            return Ok(());
        }
        if !tools.shared.store.is_finished() && is_live(tools.load) {
            return Err(Wrong::new("the recording is still being written: wait until it has ended"));
        }
        let cannot = |error: &dyn std::fmt::Display| Wrong::new(format!("the recording cannot be read again: {error}"));
        let stop = Stop::new().map_err(|error| cannot(&error))?;
        let keep = Keep { bodies: true, events: true, ..Keep::default() };
        let options = LoadOptions { keep, follow: false, stop: Some(Arc::clone(&stop)), ..tools.load.clone() };
        let loader = Loader::open(options).map_err(|error| cannot(&error))?;
        let store = Arc::clone(loader.shared());
        let mut shown = None;
        let mut was_stopped = false;
        let loaded = loader.start().join(|progress| {
            if is_stopped() {
                was_stopped = true;
                stop.raise();
            }
            let percent = progress.size.filter(|&size| size > 0).map_or(0, |size| progress.read * 100 / size);
            if shown != Some(percent) {
                shown = Some(percent);
                tools.reply(ReplayReply::Reading(percent.min(100) as u8));
            }
        });
        let loaded = loaded.map_err(|error| cannot(&error))?;
        if was_stopped {
            return Err(Wrong::new("stopped; nothing was sent"));
        }
        self.reading = Some(Reading { store, first: loaded.first });
        Ok(())
    }

    /// The recording, decoded as the screens decode it now.
    fn recording(&self, tools: &Tools<'_>) -> Result<Arc<Recording>, Wrong> {
        let reading = self.reading.as_ref().ok_or_else(|| Wrong::new("there is no plan yet"))?;
        let schema = Arc::clone(&tools.shared.decoding().schema);
        if let Some(prepared) = &self.prepared
            && Arc::ptr_eq(&prepared.recording.schema, &schema)
        {
            return Ok(Arc::clone(&prepared.recording));
        }
        let bodies = Arc::new(FileBodies(Arc::clone(reading.store.sources())));
        let (redaction, files) = (tools.shared.redaction.clone(), tools.shared.files.clone());
        Ok(Arc::new(Recording::new(Arc::clone(&reading.store), bodies, schema, redaction, files)))
    }

    /// What would be sent of these calls.
    fn plan_of(&self, prepared: &Prepared, calls: &[u32]) -> Result<Plan, Wrong> {
        let first = self.reading.as_ref().and_then(|reading| reading.first).unwrap_or_default();
        let since = |offset: Option<Duration>| offset.map(|offset| first.plus(offset));
        let store = prepared.recording.shared.read();
        let chosen: Vec<CallRef> = calls.iter().filter_map(|&no| store.call_by_no(no)).collect();
        drop(store);
        let wanted = Wanted {
            calls: &chosen,
            allow: &prepared.options.allow(),
            from: since(prepared.options.from),
            until: since(prepared.options.to_time),
            max_calls: prepared.options.max_calls,
            journaled: None,
        };
        let headers = self.headers(prepared);
        Plan::new(&prepared.recording, &prepared.settings, &headers, &wanted).map_err(|error| {
            let text = error.to_string().replace('\n', " ");
            Wrong { option: Some("to".to_owned()), text }
        })
    }

    /// What becomes of requests: what the options say, and what was edited.
    fn headers(&self, prepared: &Prepared) -> HeaderPolicy {
        let mut headers = prepared.headers.clone();
        let numbered =
            self.edits.iter().map(|(&(no, message), bytes)| ((no, message.saturating_sub(1)), bytes.clone()));
        headers.edits.messages = numbered.collect::<HashMap<_, _>>();
        headers
    }

    fn shown(&self, tools: &Tools<'_>, prepared: &Prepared, plan: &Plan, values: &OptionValues) -> ReplayPlan {
        let mut text = Vec::new();
        write_plan(plan, &prepared.settings, &mut text);
        let lines = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
        let targets: Vec<String> = plan.targets.iter().map(|target| target.address.to_string()).collect();
        let changing = plan.changing_methods().map(|method| safe(method.name.as_bytes())).collect();
        ReplayPlan {
            lines,
            calls: plan.calls.len() as u64,
            target: safe(targets.join(", ").as_bytes()),
            manner: manner(&prepared.settings),
            refused: prepared.options.refuse(plan).err().map(|why| safe(why.replace(" (see --plan)", "").as_bytes())),
            changing,
            command: self.command(tools, values),
        }
    }

    /// The command that does the same.
    fn command(&self, tools: &Tools<'_>, values: &OptionValues) -> String {
        let mut words = vec!["rpcshark".to_owned(), "replay".to_owned()];
        if let Inputs::Paths(paths) = &tools.load.inputs {
            words.extend(paths.iter().map(|path| path.display().to_string()));
        }
        words.extend(arguments(values));
        for path in &tools.sources.proto {
            words.push(format!("--proto={}", path.display()));
        }
        for path in &tools.sources.import_path {
            words.push(format!("--import-path={}", path.display()));
        }
        for path in &tools.sources.protoset {
            words.push(format!("--protoset={}", path.display()));
        }
        if self.calls.len() <= MAX_NAMED {
            let numbers: Vec<String> = self.calls.iter().map(u32::to_string).collect();
            words.push(format!("-Y=rpc.no in {{{}}}", numbers.join(", ")));
        }
        let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        Escaped(quoted.join(" ").as_bytes()).to_string()
    }

    /// Sends calls, by the same rules as the command.
    pub(super) fn send(&mut self, which: Resend, confirmed: bool) -> Result<(), Wrong> {
        if self.is_running() {
            return Err(Wrong::new("calls are being sent"));
        }
        let Some(prepared) = &self.prepared else { return Err(Wrong::new("there is no plan")) };
        let calls: Vec<u32> = match which {
            Resend::All => self.calls.clone(),
            Resend::Call(no) => vec![no],
            Resend::Failed => self.done.values().filter(|done| !done.row.is_same()).map(|done| done.row.no).collect(),
        };
        let plan = self.plan_of(prepared, &calls)?;
        prepared.options.refuse(&plan).map_err(|why| Wrong { option: None, text: format!("refused: {why}") })?;
        if plan.calls.is_empty() {
            return Err(Wrong::new("there is no call to send"));
        }
        if plan.changing_methods().next().is_some() && !confirmed {
            return Err(Wrong::new("refused: methods may change something, and that was not confirmed"));
        }
        let plan = Arc::new(plan);
        let work = Work {
            recording: Arc::clone(&prepared.recording),
            plan: Arc::clone(&plan),
            settings: Arc::clone(&prepared.settings),
            headers: Arc::new(self.headers(prepared)),
            journal: None,
        };
        let failed = |error: std::io::Error| Wrong::new(format!("the replay cannot be started: {error}"));
        let live = Live::new(None, 0).map_err(failed)?;
        let running = Running::start(work, live).map_err(failed)?;
        if which == Resend::All {
            self.done.clear();
            self.unlisted.clear();
            self.changed.clear();
        }
        self.took = None;
        self.run = Some(Run::new(running, plan));
        Ok(())
    }

    pub(super) fn pause(&mut self, paused: bool) {
        if let Some(run) = &mut self.run {
            run.pause(paused);
            run.told = None;
        }
    }

    pub(super) fn stop(&self) {
        if let Some(run) = &self.run {
            run.stop();
        }
    }

    /// Takes what has happened, and tells the screen now and then.
    pub(super) fn follow(&mut self, tools: &Tools<'_>) {
        let Some(run) = self.run.as_mut().filter(|run| run.is_running()) else { return };
        let over = run.take_events();
        self.take(tools.signs, over);
        let Some(run) = &mut self.run else { return };
        let is_due = run.told.is_none_or(|told| told.elapsed() >= TELL) || !run.is_running();
        if is_due {
            run.told = Some(Instant::now());
            tools.state(self.state(false));
        }
    }

    /// Compares calls that are over.
    fn take(&mut self, signs: &Signs, over: Vec<Ended>) {
        let (Some(run), Some(prepared)) = (&self.run, &self.prepared) else { return };
        let mut comparer = Comparer::new(&prepared.rules, Permit::to_compare());
        let store = prepared.recording.shared.read();
        for ended in over {
            let Some(planned) = run.plan.calls.get(ended.call.0 as usize) else { continue };
            let recorded = prepared.recording.viewer(&store).call(planned.at);
            let mut live = run.live.lock();
            let (row, nanos) = {
                let bodies = FileBodies(Arc::clone(live.sources()));
                let viewer = prepared.recording.viewer_of(live.store(), &bodies);
                let replayed = ended.live.map(|at| viewer.call(at.at));
                let comparison = compared_call(&recorded, replayed.as_ref(), &ended, &mut comparer);
                let is_edited = self.edits.keys().any(|&(no, _)| no == planned.no);
                let nanos = replayed.as_ref().and_then(|call| Some((recorded.duration_ns()?, call.duration_ns()?)));
                (row(&recorded, replayed.as_ref(), &comparison, is_edited, signs), nanos)
            };
            let is_full = self.done.len() >= MAX_LISTED && !self.done.contains_key(&planned.no);
            if is_full && row.is_same() {
                if let Some(at) = ended.live {
                    live.forget(at.connection, at.stream);
                }
                *self.unlisted.entry(Verdict::Same).or_default() += 1;
                continue;
            }
            drop(live);
            let live = ended.live.map(|at| (Arc::clone(&run.live), at));
            let no = planned.no;
            self.changed.push(no);
            let before = self.done.insert(no, Done { at: planned.at, ended, live, row, nanos });
            if let Some((live, at)) = before.and_then(|done| done.live) {
                live.lock().forget(at.connection, at.stream);
            }
        }
    }

    /// Compares all calls again by other rules.
    pub(super) fn compare_again(&mut self, tools: &Tools<'_>, values: &OptionValues) -> Result<(), Wrong> {
        let rules = parse(values)?.compare.rules().map_err(|error| Wrong::new(error.to_string()))?;
        let recording = self.recording(tools)?;
        let Some(prepared) = &mut self.prepared else { return Err(Wrong::new("there is nothing to compare")) };
        prepared.rules = rules;
        prepared.recording = recording;
        let mut comparer = Comparer::new(&prepared.rules, Permit::to_compare());
        let store = prepared.recording.shared.read();
        for done in self.done.values_mut() {
            let recorded = prepared.recording.viewer(&store).call(done.at);
            let edited = done.row.edited;
            let redaction = &prepared.recording.redaction;
            done.row = with_replayed(&prepared.recording, redaction, done.live.as_ref(), |replayed| {
                let comparison = compared_call(&recorded, replayed, &done.ended, &mut comparer);
                row(&recorded, replayed, &comparison, edited, tools.signs)
            });
        }
        Ok(())
    }

    /// How far it has come. With `all` every row, otherwise those that have changed.
    pub(super) fn state(&mut self, all: bool) -> ReplayState {
        let changed = std::mem::take(&mut self.changed);
        let took = self.took();
        let rows: Vec<ReplayRow> = match all {
            true => self.done.values().map(|done| done.row.clone()).collect(),
            false => changed.iter().filter_map(|no| Some(self.done.get(no)?.row.clone())).collect(),
        };
        let mut counts = self.unlisted.clone();
        for verdict in self.done.values().filter_map(|done| done.row.verdict) {
            *counts.entry(verdict).or_default() += 1;
        }
        let plan = self.prepared.as_ref().map(|prepared| &prepared.plan);
        let (total, left_out) = plan.map_or((0, 0), |plan| (plan.calls.len() as u64, plan.skipped.len() as u64));
        let mut state = ReplayState {
            phase: Phase::Ended,
            total,
            counts: counts.into_iter().collect(),
            took,
            left_out,
            unlisted: self.unlisted.values().sum(),
            replace: all,
            rows: Arc::new(rows),
            ..ReplayState::default()
        };
        if let Some(run) = &self.run {
            state.phase = run.phase();
            state.in_flight = run.in_flight();
            state.elapsed_ns = u64::try_from(run.elapsed().as_nanos()).unwrap_or(u64::MAX);
            state.rate = run.rate().to_vec();
            state.remarks = run.remarks();
            state.cut_short = run.cut_short().map(str::to_owned);
            state.help = run.help().to_owned();
        }
        state
    }

    /// How long calls took. While many calls end, it is not found out for each of them.
    fn took(&mut self) -> Took {
        let is_running = self.is_running();
        if let Some((_, took)) = self.took.filter(|(at, _)| is_running && at.elapsed() < MEASURE) {
            return took;
        }
        let took = self.measured();
        self.took = Some((Instant::now(), took));
        took
    }

    fn measured(&self) -> Took {
        let (mut recorded, mut replayed) = (Latencies::default(), Latencies::default());
        for (was, took) in self.done.values().filter_map(|done| done.nanos) {
            recorded.add(was);
            replayed.add(took);
        }
        recorded.sort();
        replayed.sort();
        let of = |latencies: &Latencies| latencies.quantiles().map(|quantiles| (quantiles.p50, quantiles.p99));
        Some([of(&recorded)?, of(&replayed)?])
    }

    /// A recorded call beside the replayed one.
    pub(super) fn beside(&self, tools: &Tools<'_>, no: u32) -> Option<Beside> {
        let (prepared, done) = (self.prepared.as_ref()?, self.done.get(&no)?);
        let recording = self.recording(tools).ok()?;
        let decoding = tools.shared.decoding();
        let store = recording.shared.read();
        // What the user may see may have changed since.
        let viewer = Viewer { redaction: &decoding.redaction, ..recording.viewer(&store) };
        let recorded = viewer.call(done.at);
        let mut comparer = Comparer::new(&prepared.rules, Permit::to_compare());
        Some(with_replayed(&recording, &decoding.redaction, done.live.as_ref(), |replayed| {
            let comparison = compared_call(&recorded, replayed, &done.ended, &mut comparer);
            beside(&recorded, replayed, &comparison, done.row.edited, tools.signs)
        }))
    }

    /// A replayed call in full.
    pub(super) fn detail(&self, tools: &Tools<'_>, no: u32) -> Option<Detail> {
        let done = self.done.get(&no)?;
        let recording = self.recording(tools).ok()?;
        let decoding = tools.shared.decoding();
        with_replayed(&recording, &decoding.redaction, done.live.as_ref(), |replayed| {
            Some(Detail { no, ..detail::detail(replayed?, LIVE_DECIMALS, tools.signs) })
        })
    }

    /// Writes a report of the calls that are over, and of those that were left out. What to say about it.
    pub(super) fn report(&self, tools: &Tools<'_>, form: ReportForm, path: &Path) -> anyhow::Result<String> {
        let prepared = self.prepared.as_ref().context("nothing was sent")?;
        if path.exists() {
            bail!("{} exists; choose another name", path.display());
        }
        let output = format!("{}={}", form.name(), path.display()).parse().map_err(anyhow::Error::msg)?;
        let targets: Vec<String> = prepared.plan.targets.iter().map(|target| target.address.to_string()).collect();
        let subject =
            Subject { command: "replay", recorded: tools.shared.files.join(", "), replayed: targets.join(", ") };
        let mut report = Report::begin_file(&output, &subject)?;
        let store = prepared.recording.shared.read();
        let viewer = prepared.recording.viewer(&store);
        for skipped in &prepared.plan.skipped {
            let recorded = viewer.call(skipped.at);
            report.call(&CallReport {
                no: Some(skipped.no),
                other_no: None,
                method: CallReport::method_of(&recorded),
                comparison: Comparison::skipped(skipped.why.to_string()),
                recorded: Some(CallFacts::of(&recorded)),
                replayed: None,
                sides: Vec::new(),
            })?;
        }
        let mut comparer = Comparer::new(&prepared.rules, Permit::to_compare());
        for done in self.done.values() {
            let recorded = viewer.call(done.at);
            let redaction = &prepared.recording.redaction;
            let call = with_replayed(&prepared.recording, redaction, done.live.as_ref(), |replayed| {
                let comparison = compared_call(&recorded, replayed, &done.ended, &mut comparer);
                CallReport {
                    no: Some(recorded.no()),
                    other_no: None,
                    method: CallReport::method_of(&recorded),
                    recorded: Some(CallFacts::of(&recorded)),
                    replayed: replayed.map(CallFacts::of),
                    sides: match replayed {
                        Some(replayed) if report.shows_sides() => sides(&recorded, replayed, &comparison),
                        _ => Vec::new(),
                    },
                    comparison,
                }
            });
            report.call(&call)?;
        }
        if self.unlisted.values().sum::<u64>() > 0 {
            let calls = counted(self.unlisted.values().sum(), "call");
            report.remark(format!("{calls} that came back the same are not in this report"));
        }
        let summary = report.finish()?;
        Ok(format!("report of {} written to {}", counted(summary.calls(), "call"), path.display()))
    }

    pub(super) fn editable(&self, tools: &Tools<'_>, no: u32, message: u32) -> Result<Editable, String> {
        let edited = self.edits.get(&(no, message)).map(|bytes| &**bytes);
        with_call(tools, no, |call| edit::editable(call, message, edited))
    }

    /// Takes a message that was edited.
    pub(super) fn edit(&mut self, tools: &Tools<'_>, no: u32, message: u32, text: String) -> ReplayReply {
        let before = self.edits.get(&(no, message)).cloned();
        let edited = with_call(tools, no, |call| edit::edited(call, message, before.as_deref(), &text));
        match edited {
            Ok((bytes, is_recorded)) => {
                let unchanged = is_recorded && before.is_none();
                match is_recorded {
                    true => drop(self.edits.remove(&(no, message))),
                    false => drop(self.edits.insert((no, message), bytes.into())),
                }
                ReplayReply::Edited { no, unchanged }
            }
            Err(why) => {
                let editable = self.editable(tools, no, message).unwrap_or_default();
                let why = safe(why.as_bytes());
                ReplayReply::NotEdited { editable: Arc::new(Editable { text, ..editable }), text: why }
            }
        }
    }

    pub(super) fn drop_edits(&mut self) {
        self.edits.clear();
    }
}

/// Decimals of a second that times of replayed calls have.
const LIVE_DECIMALS: u8 = 9;

/// Lets `look` see a replayed call, where there is one; what `redaction` says is hidden.
fn with_replayed<T>(
    recording: &Recording,
    redaction: &Redaction,
    live: Option<&(Arc<Mutex<Live>>, LiveRef)>,
    look: impl FnOnce(Option<&CallView<'_>>) -> T,
) -> T {
    let Some((live, at)) = live else { return look(None) };
    let live = live.lock();
    let bodies = FileBodies(Arc::clone(live.sources()));
    let viewer = Viewer { redaction, ..recording.viewer_of(live.store(), &bodies) };
    look(Some(&viewer.call(at.at)))
}

/// Lets `look` see a recorded call.
fn with_call<T>(
    tools: &Tools<'_>,
    no: u32,
    look: impl FnOnce(&CallView<'_>) -> Result<T, String>,
) -> Result<T, String> {
    let decoding = tools.shared.decoding();
    let bodies = FileBodies(Arc::clone(tools.shared.store.sources()));
    let store = tools.shared.store.read();
    let call = tools.shared.viewer(&store, &decoding, &bodies).call_by_no(no);
    look(&call.ok_or_else(|| format!("there is no call {no}"))?)
}

/// The numbers of the calls.
fn chosen(tools: &Tools<'_>, calls: &WhichCalls) -> Result<Vec<u32>, String> {
    let filter = match calls {
        WhichCalls::Numbers(numbers) => return Ok(numbers.clone()),
        WhichCalls::Matching(filter) => filter,
    };
    let count = tools.shared.store.read().call_count();
    if filter.is_empty() {
        return Ok((1..=count).collect());
    }
    let decoding = tools.shared.decoding();
    let compiled = Filter::compile(filter, &decoding.schema, Target::Calls).map_err(|error| error.to_string())?;
    let bodies = FileBodies(Arc::clone(tools.shared.store.sources()));
    let mut scratch = FilterScratch::default();
    let mut chosen = Vec::new();
    for from in (1..=count).step_by(AT_ONCE) {
        let store = tools.shared.store.read();
        let viewer = tools.shared.viewer(&store, &decoding, &bodies);
        for call in (from..=count).take(AT_ONCE).filter_map(|no| viewer.call_by_no(no)) {
            if compiled.call(&call, None, &mut scratch) == Truth::True {
                chosen.push(call.no());
            }
        }
    }
    Ok(chosen)
}

/// How calls are sent, in a few words.
fn manner(settings: &Settings) -> String {
    let pace = match settings.pace {
        Pace::Think => "think".to_owned(),
        Pace::Recorded => "recorded".to_owned(),
        Pace::Asap => "asap".to_owned(),
        Pace::Rate(rate) => format!("rate={rate}"),
    };
    let speed = if settings.speed == 1.0 { String::new() } else { format!(" ×{}", settings.speed) };
    let order = match settings.order {
        Order::Stream => "stream",
        Order::Conn => "conn",
        Order::ConnStrict => "conn-strict",
        Order::Global => "global",
        Order::Data => "data",
    };
    format!("pace {pace}{speed}   order {order}")
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@%+".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// A call as the list shows it.
fn row(
    recorded: &CallView<'_>,
    replayed: Option<&CallView<'_>>,
    comparison: &Comparison,
    edited: bool,
    signs: &Signs,
) -> ReplayRow {
    let side = |call: &CallView<'_>| -> Parts {
        let role = match call.outcome() {
            Some(Outcome::Ok) => Role::Ok,
            Some(Outcome::Error | Outcome::Reset) => Role::Error,
            Some(Outcome::Open) => Role::Open,
            Some(Outcome::Incomplete) | None => Role::Warning,
        };
        vec![Part::new(status_text(call).replace('✗', signs.error), role)]
    };
    let took =
        |call: &CallView<'_>| call.duration_ns().map(|nanos| duration_text(nanos, LIVE_DECIMALS)).unwrap_or_default();
    let verdict = comparison.verdict;
    let what_became = vec![Part::new(format!("! {}", verdict.name()), Role::Warning)];
    let path = recorded.path();
    let method = path.value().map(|path| safe(path.trim_start_matches('/').as_bytes())).unwrap_or_default();
    ReplayRow {
        no: recorded.no(),
        method,
        recorded: side(recorded),
        replayed: match (verdict, replayed) {
            (Verdict::Stalled | Verdict::ConnectionLost | Verdict::Skipped, _) | (_, None) => what_became,
            (_, Some(replayed)) => side(replayed),
        },
        took: replayed.map(took).unwrap_or_default(),
        was: took(recorded),
        verdict: Some(verdict),
        differs: differs(comparison),
        differences: comparison.count(),
        edited,
        is_there: replayed.is_some(),
    }
}

/// Places that the list names.
const MAX_PLACES: usize = 3;

/// Where two calls differ, in a few words, or why they were not compared.
fn differs(comparison: &Comparison) -> String {
    if let (
        Verdict::Stalled | Verdict::ConnectionLost | Verdict::Skipped | Verdict::NotComparable | Verdict::Timeout,
        Some(why),
    ) = (comparison.verdict, &comparison.why)
    {
        return safe(why.as_bytes());
    }
    let mut places: Vec<&str> = Vec::new();
    for difference in &comparison.differences {
        if !places.contains(&&*difference.place) {
            places.push(&difference.place);
        }
    }
    let more = match places.len() {
        0..=MAX_PLACES => String::new(),
        count => format!(" and {} more", count - MAX_PLACES),
    };
    places.truncate(MAX_PLACES);
    safe(format!("{}{more}", places.join(", ")).as_bytes())
}
