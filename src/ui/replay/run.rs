//! A replay that runs, or has ended: its engine, and what its events say about it as a whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rpcshark_dissectors::print::duration_text;
use rpcshark_dissectors::statistics::Latencies;
use rpcshark_tui::model::replay::Phase;
use rpcshark_tui::text::{counted, safe};

use crate::replay::{CutShort, Ended, Event, Finished, Live, Plan, Running};

/// A replay.
pub(super) struct Run {
    running: Option<Running>,
    pub(super) plan: Arc<Plan>,
    pub(super) live: Arc<Mutex<Live>>,
    began: Instant,
    /// For how long it has run, once it is over.
    took: Option<Duration>,
    is_connected: bool,
    is_paused: bool,
    /// Calls in progress: their indices, with the messages sent and received so far.
    in_flight: HashMap<u32, (u32, u32)>,
    /// Calls that ended, by second.
    rate: Vec<u64>,
    lateness: Latencies,
    remarks: Vec<String>,
    cut_short: Option<String>,
    help: &'static str,
    /// When the screen was told last.
    pub(super) told: Option<Instant>,
}

/// Seconds of which the rate is kept.
const MAX_SECONDS: usize = 600;

/// Remarks that are kept.
const MAX_REMARKS: usize = 20;

/// Events that are taken at once: requests of the screen come between.
const MAX_EVENTS: usize = 1024;

/// Calls that begin later than this, in nanoseconds, are worth a remark. A timer is never exact to the millisecond.
const LATE_NS: i64 = 2_000_000;

impl Run {
    pub(super) fn new(running: Running, plan: Arc<Plan>) -> Self {
        let live = Arc::clone(&running.live);
        Self {
            running: Some(running),
            plan,
            live,
            began: Instant::now(),
            took: None,
            is_connected: false,
            is_paused: false,
            in_flight: HashMap::new(),
            rate: Vec::new(),
            lateness: Latencies::default(),
            remarks: Vec::new(),
            cut_short: None,
            help: "",
            told: None,
        }
    }

    pub(super) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(super) fn phase(&self) -> Phase {
        match () {
            () if self.running.is_none() => Phase::Ended,
            () if self.is_paused => Phase::Paused,
            () if !self.is_connected => Phase::Connecting,
            () => Phase::Running,
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.took.unwrap_or_else(|| self.began.elapsed())
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.len() as u64
    }

    pub(super) fn rate(&self) -> &[u64] {
        &self.rate
    }

    pub(super) fn cut_short(&self) -> Option<&str> {
        self.cut_short.as_deref()
    }

    /// What helps where it was cut short.
    pub(super) const fn help(&self) -> &'static str {
        self.help
    }

    /// What is worth knowing, the newest last.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut remarks = self.remarks.clone();
        let (sent, received) =
            self.in_flight.values().fold((0, 0), |(a, b), &(x, y)| (a + u64::from(x), b + u64::from(y)));
        if sent + received > 0 {
            let calls = counted(self.in_flight(), "call");
            remarks.push(format!("{calls} in progress: {} sent, {received} received", counted(sent, "message")));
        }
        remarks
    }

    pub(super) fn pause(&mut self, paused: bool) {
        if let Some(running) = &self.running {
            running.control.pause(paused);
            self.is_paused = paused;
        }
    }

    pub(super) fn stop(&self) {
        if let Some(running) = &self.running {
            // What is held back would never see that it is over.
            running.control.pause(false);
            running.control.stop(CutShort::Stopped);
        }
    }

    fn remark(&mut self, text: &str) {
        if self.remarks.len() >= MAX_REMARKS {
            self.remarks.remove(0);
        }
        self.remarks.push(safe(text.as_bytes()));
    }

    /// Takes events that wait. Gives the calls that are over.
    pub(super) fn take_events(&mut self) -> Vec<Ended> {
        let mut over = Vec::new();
        for _ in 0..MAX_EVENTS {
            let Some(event) = self.running.as_mut().and_then(Running::try_next) else { break };
            match event {
                Event::ConnectionUp { target, connection } => {
                    self.is_connected = true;
                    let address = self.plan.targets.get(usize::from(target)).map(|target| target.address.to_string());
                    self.remark(&format!("connection {connection} to {}", address.unwrap_or_default()));
                }
                Event::ConnectionDown { connection, why } => {
                    self.remark(&format!("connection {connection} has ended: {why}"));
                }
                Event::Started { call, due, at } => {
                    self.lateness.add(at.nanos_since(due).max(0));
                    self.in_flight.insert(call.0, (0, 0));
                }
                Event::Progress { call, sent, received } => {
                    if let Some(messages) = self.in_flight.get_mut(&call.0) {
                        *messages = (sent, received);
                    }
                }
                Event::Ended(ended) => {
                    self.in_flight.remove(&ended.call.0);
                    let second = usize::try_from(self.elapsed().as_secs()).unwrap_or(usize::MAX).min(MAX_SECONDS - 1);
                    if self.rate.len() <= second {
                        self.rate.resize(second + 1, 0);
                    }
                    self.rate[second] += 1;
                    over.push(*ended);
                }
                Event::Note(text) => self.remark(&text),
                Event::Finished(finished) => self.finish(&finished),
            }
        }
        over
    }

    fn finish(&mut self, finished: &Finished) {
        self.took = Some(match (finished.began, finished.ended) {
            (Some(began), Some(ended)) => Duration::from_nanos(u64::try_from(ended.nanos_since(began)).unwrap_or(0)),
            _ => self.began.elapsed(),
        });
        self.lateness.sort();
        if let Some(quantiles) = self.lateness.quantiles().filter(|quantiles| quantiles.max >= LATE_NS) {
            let text = |nanos| duration_text(nanos, 9);
            self.remark(&format!(
                "calls began late: half of them by up to {}, all by up to {}",
                text(quantiles.p50),
                text(quantiles.max)
            ));
        }
        if finished.retried > 0 {
            let calls = counted(finished.retried, "call");
            self.remark(&format!("{calls} sent again, since the server had not processed them"));
        }
        if let Some(cut) = &finished.cut_short {
            let (text, help) = match cut {
                CutShort::Stopped => ("stopped", "r sends calls again"),
                CutShort::Unreachable(why) => {
                    (why.as_str(), "start the server and press r, or change the target with o")
                }
                CutShort::Lost(why) => (why.as_str(), "r sends calls again once the server is back"),
                CutShort::Aborted(why) => (why.as_str(), "o changes the options, r sends calls again"),
            };
            self.cut_short = Some(safe(text.as_bytes()));
            self.help = help;
        }
        self.in_flight.clear();
        self.is_paused = false;
        self.running = None;
    }
}
