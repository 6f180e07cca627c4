//! Carrying a replay out: calls are compared and reported as they end.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rpcshark_captures::Timestamp;
use rpcshark_dissectors::compare::{Comparer, Comparison, Noise, Rules};
use rpcshark_dissectors::print::{Line, duration_text};
use rpcshark_dissectors::statistics::Latencies;
use rpcshark_dissectors::store::Store;
use rpcshark_dissectors::view::{CallView, Permit};

use super::Talk;
use super::input::FileBodies;
use super::output::{CANNOT_OPEN, DIFFERENT, IN_PART, Problem, complain, remark};
use super::paint;
use crate::replay::{CutShort, Ended, Event, Finished, Live, PlannedCall, Running, Work, compared_call};
use crate::report::{CallFacts, CallReport, Report, ReportArgs, Subject, sides};
use crate::signals::{INTERRUPTED, Stop};

/// How a replay is compared and reported.
pub(super) struct Reporting<'a> {
    pub(super) rules: &'a Rules,
    pub(super) args: &'a ReportArgs,
    pub(super) talk: Talk,
    /// The recording, as the user named it.
    pub(super) recorded: String,
    /// The calls of the recording.
    pub(super) store: &'a Store,
    /// Where the capture is written.
    pub(super) write: Option<&'a Path>,
    /// What teaches which places are noise.
    pub(super) noise: NoiseFrom,
    /// The exit status that follows from the files that were read.
    pub(super) files: ExitCode,
}

/// What teaches which places are noise.
pub(super) enum NoiseFrom {
    Nothing,
    /// A replay to another server before: whatever differs there is noise.
    Baseline(Work),
    /// A replay to the same server before: whatever both replays answer differently is noise.
    Twice,
}

/// Runs the replay, compares, and reports.
pub(super) fn carry_out(
    reporting: &Reporting<'_>,
    work: Work,
    capture: Live,
    stop: Option<Arc<Stop>>,
) -> Result<ExitCode, Problem> {
    let targets: Vec<String> = work.plan.targets.iter().map(|target| target.address.to_string()).collect();
    let subject = Subject { command: "replay", recorded: reporting.recorded.clone(), replayed: targets.join(", ") };
    let push: fn(&Line, &mut Vec<u8>) = match reporting.talk.color.decide() {
        true => |line, out| paint::push_line(line, true, out),
        false => |line, out| paint::push_line(line, false, out),
    };
    let calls = (work.plan.calls.len() + work.plan.skipped.len()) as u64;
    let mut report = Report::begin(reporting.args, &subject, calls, reporting.talk.quiet, push)?;
    let mut noise = Noise::default();
    let mut first = Vec::new();
    let before = match &reporting.noise {
        NoiseFrom::Nothing => None,
        NoiseFrom::Baseline(baseline) => Some(baseline.clone()),
        NoiseFrom::Twice => {
            first.resize_with(work.plan.calls.len(), || None);
            Some(Work { journal: None, ..work.clone() })
        }
    };
    if let Some(before) = before {
        let live = Live::new(None, 0)?;
        let plan = Arc::clone(&before.plan);
        let finished = reporting.run(before, live, stop.as_ref(), &mut report, |ended, call, _| {
            match (&reporting.noise, first.get_mut(ended.call.0 as usize)) {
                (NoiseFrom::Twice, Some(slot)) => *slot = Some(call.comparison),
                _ => {
                    noise.learn(&plan.methods[plan.calls[ended.call.0 as usize].method as usize].name, &call.comparison)
                }
            }
            Ok(())
        })?;
        if finished.cut_short.is_some() {
            report.remark("the replay that teaches what is noise was cut short".to_owned());
            report.finish()?;
            return Ok(status(&finished, false, reporting.files));
        }
    }
    for skipped in &work.plan.skipped {
        let recorded = work.recording.viewer(reporting.store).call(skipped.at);
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
    // With two replays it is known what is noise only when the second one has ended.
    let mut kept: Vec<CallReport> = Vec::new();
    let (mut lateness, mut slots) = (Latencies::default(), SlotWaits::default());
    let twice = matches!(reporting.noise, NoiseFrom::Twice);
    let finished = reporting.run(work, capture, stop.as_ref(), &mut report, |ended, mut call, report| {
        if let (Some(due), Some(started)) = (ended.timing.due, ended.timing.started) {
            lateness.add(started.nanos_since(due).max(0));
        }
        slots.add(ended.timing.slot_wait);
        if !twice {
            noise.subtract(&call.method, &mut call.comparison);
            return Ok(report.call(&call)?);
        }
        if let Some(Some(first)) = first.get(ended.call.0 as usize) {
            noise.learn_between(&call.method, first, &call.comparison);
        }
        match call.comparison.differences.is_empty() {
            true => report.call(&call)?,
            false => kept.push(call),
        }
        Ok(())
    })?;
    for mut call in kept {
        noise.subtract(&call.method, &mut call.comparison);
        report.call(&call)?;
    }
    report.learned(&noise);
    for text in remarks(&finished, lateness, &slots) {
        report.remark(text);
    }
    if let Some(fault) = &finished.capture_fault {
        let path = reporting.write.map(|path| path.display().to_string()).unwrap_or_default();
        complain(&format!("{path}: {fault}"));
    }
    let summary = report.finish()?;
    Ok(status(&finished, summary.has_failures(), reporting.files))
}

impl Reporting<'_> {
    /// Runs a replay; each call that ends is compared and handed to `done`.
    fn run(
        &self,
        work: Work,
        live: Live,
        stop: Option<&Arc<Stop>>,
        report: &mut Report,
        mut done: impl FnMut(&Ended, CallReport, &mut Report) -> Result<(), Problem>,
    ) -> Result<Finished, Problem> {
        let plan = Arc::clone(&work.plan);
        let recording = Arc::clone(&work.recording);
        let mut comparer = Comparer::new(self.rules, Permit::to_compare());
        let mut running = Running::start(work, live)?;
        if let Some(stop) = stop.cloned() {
            let control = Arc::clone(&running.control);
            std::thread::Builder::new().name("stop".into()).spawn(move || {
                // The thread ends with the program.
                while !stop.wait_for(Duration::from_secs(3600)) {}
                control.stop(CutShort::Stopped);
            })?;
        }
        let mut finished = Finished::default();
        while let Some(event) = running.next() {
            match event {
                Event::Ended(ended) => {
                    let Some(call) = plan.calls.get(ended.call.0 as usize) else { continue };
                    let recorded = recording.viewer(self.store).call(call.at);
                    let mut live = running.live.lock();
                    let reported = {
                        let bodies = FileBodies(Arc::clone(live.sources()));
                        let viewer = recording.viewer_of(live.store(), &bodies);
                        let replayed = ended.live.map(|at| viewer.call(at.at));
                        compared(call, &recorded, replayed.as_ref(), &ended, &mut comparer, report.shows_sides())
                    };
                    if let Some(at) = ended.live {
                        live.forget(at.connection, at.stream);
                    }
                    drop(live);
                    done(&ended, reported, report)?;
                }
                Event::Note(text) if !self.talk.quiet && !report.say(&text) => remark(&text),
                Event::Finished(end) => finished = end,
                _ => {}
            }
        }
        Ok(finished)
    }
}

/// A call that has ended, compared with the recorded one.
fn compared(
    call: &PlannedCall,
    recorded: &CallView<'_>,
    replayed: Option<&CallView<'_>>,
    ended: &Ended,
    comparer: &mut Comparer<'_>,
    shows_sides: bool,
) -> CallReport {
    let comparison = compared_call(recorded, replayed, ended, comparer);
    CallReport {
        no: Some(call.no),
        other_no: None,
        method: CallReport::method_of(recorded),
        recorded: Some(CallFacts::of(recorded)),
        replayed: replayed.map(CallFacts::of),
        sides: match replayed {
            Some(replayed) if shows_sides => sides(recorded, replayed, &comparison),
            _ => Vec::new(),
        },
        comparison,
    }
}

/// How long calls waited because a server allows only so many at once (`SETTINGS_MAX_CONCURRENT_STREAMS`).
#[derive(Clone, Copy, Debug, Default)]
struct SlotWaits {
    calls: u64,
    longest: Duration,
}

impl SlotWaits {
    fn add(&mut self, wait: Duration) {
        // What takes less is the look itself.
        if wait >= Duration::from_millis(1) {
            self.calls += 1;
            self.longest = self.longest.max(wait);
        }
    }
}

/// What is worth knowing about the replay as a whole.
fn remarks(finished: &Finished, mut lateness: Latencies, slots: &SlotWaits) -> Vec<String> {
    let mut remarks = Vec::new();
    let took = |from: Option<Timestamp>, to: Option<Timestamp>| Some(to?.nanos_since(from?));
    if let Some(nanos) = took(finished.began, finished.ended) {
        remarks.push(format!("the replay took {}", duration_text(nanos, 9)));
    }
    lateness.sort();
    // A timer is never exact to the millisecond.
    if let Some(quantiles) = lateness.quantiles().filter(|quantiles| quantiles.max >= 2_000_000) {
        remarks.push(format!(
            "calls began late: half of them by {} or less, 99 % by {} or less, all by {} or less",
            duration_text(quantiles.p50, 9),
            duration_text(quantiles.p99, 9),
            duration_text(quantiles.max, 9)
        ));
    }
    if slots.calls > 0 {
        let longest = i64::try_from(slots.longest.as_nanos()).unwrap_or(i64::MAX);
        remarks.push(format!(
            "{} calls waited because the server limits how many can be open at once, {} at most",
            slots.calls,
            duration_text(longest, 9)
        ));
    }
    if finished.retried > 0 {
        remarks.push(format!("{} calls were sent again, since the server had not processed them", finished.retried));
    }
    match &finished.cut_short {
        Some(CutShort::Stopped) => remarks.push("the replay was interrupted".to_owned()),
        Some(CutShort::Unreachable(why) | CutShort::Lost(why) | CutShort::Aborted(why)) => {
            remarks.push(format!("the replay was cut short: {why}"));
        }
        None => {}
    }
    remarks
}

/// The first that holds of 130, 3, 4, 1.
fn status(finished: &Finished, differs: bool, files: ExitCode) -> ExitCode {
    let cut = match &finished.cut_short {
        Some(CutShort::Stopped) => return ExitCode::from(INTERRUPTED),
        Some(CutShort::Unreachable(text)) => {
            complain(text);
            return ExitCode::from(CANNOT_OPEN);
        }
        Some(CutShort::Lost(text) | CutShort::Aborted(text)) => {
            complain(&format!("the replay was cut short: {text}"));
            true
        }
        None => finished.capture_fault.is_some(),
    };
    match (cut, differs) {
        (true, _) => ExitCode::from(IN_PART),
        _ if files != ExitCode::SUCCESS => files,
        (false, true) => ExitCode::from(DIFFERENT),
        (false, false) => ExitCode::SUCCESS,
    }
}
