//! The worker that counts calls by method and by problem.
//!
//! It looks at some thousand calls at a time, so that the loader is never kept waiting, and gives up as soon as something else
//! is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use rpcshark_dissectors::filter::{Filter, FilterScratch, Target, Truth};
use rpcshark_dissectors::statistics::{Problems, Resets};
use rpcshark_dissectors::view::{CallView, Scratch};
use rpcshark_tui::backend::{Reply, StatisticsReply, StatisticsRequest};
use rpcshark_tui::model::methods::MethodsBuilder;
use rpcshark_tui::model::problems::{ProblemList, ProblemsBuilder};

use super::backend::Shared;
use super::requests::Requests;
use super::terminal::Signal;
use crate::cli::FileBodies;
use crate::load::{AllFrames, LoadOptions, problems_of_files};

/// Calls that are looked at under one lock.
const AT_ONCE: u32 = 4096;

/// The same, where their messages are decoded.
const DECODED_AT_ONCE: u32 = 256;

/// Calls between two reports of how far it has come.
const REPORTED: u32 = 100_000;

/// Carries out requests until nobody asks any more: the newest first. One that is interrupted by another one begins anew
/// afterwards, since its screen still waits for it.
pub(super) fn work(
    shared: &Arc<Shared>,
    load: &LoadOptions,
    requests: &Requests<StatisticsRequest>,
    to: &Sender<Signal>,
) {
    let bodies = FileBodies(Arc::clone(shared.store.sources()));
    let mut worker = Worker { shared, load, to, bodies, of_frames: None };
    let mut wanted = Vec::new();
    loop {
        if wanted.is_empty() {
            match requests.recv() {
                Ok(request) => add(&mut wanted, request),
                Err(_) => return,
            }
        }
        requests.try_iter().for_each(|request| add(&mut wanted, request));
        let Some(request) = wanted.pop() else { continue };
        let interrupted_by = match &request {
            StatisticsRequest::Methods(filter) => worker.methods(filter, requests),
            StatisticsRequest::Problems(filter) => worker.problems(filter, requests),
            StatisticsRequest::Cancel => None,
        };
        if let Some(newer) = interrupted_by {
            wanted.push(request);
            add(&mut wanted, newer);
        }
    }
}

/// Adds a request; it replaces the one before of its kind.
fn add(wanted: &mut Vec<StatisticsRequest>, request: StatisticsRequest) {
    if request == StatisticsRequest::Cancel {
        return wanted.clear();
    }
    wanted.retain(|known| std::mem::discriminant(known) != std::mem::discriminant(&request));
    wanted.push(request);
}

struct Worker<'w> {
    shared: &'w Arc<Shared>,
    load: &'w LoadOptions,
    to: &'w Sender<Signal>,
    bodies: FileBodies,
    /// The problems of frames by connection, once the frames of the whole capture have been read.
    of_frames: Option<BTreeMap<u32, Problems>>,
}

impl Worker<'_> {
    fn send(&self, reply: StatisticsReply) {
        // A terminal that is gone ended with the program.
        let _ = self.to.send(Signal::Reply(Reply::Statistics(reply)));
    }

    /// Gives each call that the filter leaves to `see`. The request that came meanwhile and ends it.
    fn each(
        &self,
        filter: &str,
        at_once: u32,
        requests: &Requests<StatisticsRequest>,
        mut see: impl FnMut(&CallView<'_>),
    ) -> Result<u64, Option<StatisticsRequest>> {
        let decoding = self.shared.decoding();
        let compiled = Filter::compile(filter, &decoding.schema, Target::Calls).map_err(|error| {
            let _ = self.to.send(Signal::Reply(Reply::Say { text: error.text(), error: true }));
            None
        })?;
        let mut scratch = FilterScratch::default();
        let count = self.shared.store.read().call_count();
        let mut from = 1;
        while from <= count {
            if let Ok(request) = requests.try_recv() {
                return Err(Some(request));
            }
            let end = (from + at_once).min(count + 1);
            {
                let store = self.shared.store.read();
                let viewer = self.shared.viewer(&store, &decoding, &self.bodies);
                let calls = (from..end).filter_map(|no| viewer.call_by_no(no));
                for call in calls {
                    if filter.is_empty() || compiled.call(&call, None, &mut scratch) == Truth::True {
                        see(&call);
                    }
                }
            }
            if (from / REPORTED) != (end / REPORTED) || at_once == DECODED_AT_ONCE {
                let (judged, of) = (u64::from(end - 1), u64::from(count));
                self.send(StatisticsReply::Progress { filter: filter.to_owned(), judged, of });
            }
            from = end;
        }
        Ok(count.into())
    }

    fn methods(&self, filter: &str, requests: &Requests<StatisticsRequest>) -> Option<StatisticsRequest> {
        let progress = self.shared.store.progress();
        let mut builder = MethodsBuilder::new(progress.first, progress.last);
        match self.each(filter, AT_ONCE, requests, |call| builder.add(call)) {
            Ok(judged) => self.send(StatisticsReply::Methods(Arc::new(builder.finish(filter.to_owned(), judged)))),
            Err(request) => return request,
        }
        None
    }

    /// First what is known of calls, connections and files, then what messages hold, then what frames hold: for these the
    /// capture is read again, once.
    fn problems(&mut self, filter: &str, requests: &Requests<StatisticsRequest>) -> Option<StatisticsRequest> {
        let finished = self.shared.store.is_finished();
        for (decodes, reads_frames) in [(false, false), (true, false), (true, true)] {
            if reads_frames && let Err(request) = self.read_frames(filter, requests) {
                return Some(request);
            }
            let mut builder = ProblemsBuilder::default();
            let mut resets = Resets::default();
            let mut connections = BTreeSet::new();
            let mut calls = 0;
            let mut scratch = Scratch::default();
            let at_once = if decodes { DECODED_AT_ONCE } else { AT_ONCE };
            let judged = self.each(filter, at_once, requests, |call| {
                calls += 1;
                connections.insert(call.connection().number());
                resets.add_call(call);
                builder.add_call(call, decodes.then_some(&mut scratch));
            });
            match judged {
                Ok(_) => {}
                Err(request) => return request,
            }
            builder.problems.merge(resets.problems());
            builder.problems.merge(problems_of_files(&self.shared.store.files()));
            let store = self.shared.store.read();
            let decoding = self.shared.decoding();
            let viewer = self.shared.viewer(&store, &decoding, &self.bodies);
            for connection in viewer.store.connections().map(|at| viewer.connection(at)) {
                // With a filter, only connections of its calls count.
                if filter.is_empty() || connections.contains(&connection.number()) {
                    builder.problems.add_connection(connection);
                    let of_frames = self.of_frames.as_ref().and_then(|frames| frames.get(&connection.number()));
                    builder.problems.merge(of_frames.cloned().unwrap_or_default());
                }
            }
            drop(store);
            let rows = builder.rows(&connections, &self.shared.files);
            let list = ProblemList {
                filter: filter.to_owned(),
                rows,
                calls,
                decoded: if decodes { calls } else { 0 },
                // While more is read the frames are not: the screen asks again at the end.
                done: decodes && (self.of_frames.is_some() || !finished),
            };
            let done = list.done;
            self.send(StatisticsReply::Problems(Arc::new(list)));
            if done {
                break;
            }
        }
        None
    }

    /// Reads the frames of the whole capture, unless it cannot be read again. The request that came meanwhile and ends it.
    fn read_frames(&mut self, filter: &str, requests: &Requests<StatisticsRequest>) -> Result<(), StatisticsRequest> {
        let mut of_frames: BTreeMap<u32, Problems> = BTreeMap::new();
        let failed = match AllFrames::open(self.load) {
            Err(error) => Some(error),
            Ok(mut frames) => loop {
                if let Ok(request) = requests.try_recv() {
                    return Err(request);
                }
                let some = match frames.next_frames() {
                    Ok(Some(some)) => some,
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                };
                let decoding = self.shared.decoding();
                let store = frames.store();
                let viewer = self.shared.viewer(&store, &decoding, &self.bodies);
                for frame in some.iter().filter(|frame| !frame.frame.notes.is_empty()) {
                    let frame = viewer.frame(frame);
                    of_frames.entry(frame.connection()).or_default().add_frame(frame);
                }
                let progress = frames.progress();
                let (judged, of) = (progress.read, progress.size.unwrap_or(progress.read));
                self.send(StatisticsReply::Progress { filter: filter.to_owned(), judged, of });
            },
        };
        if let Some(error) = failed {
            let text = format!("problems of frames are not counted: {error}");
            let _ = self.to.send(Signal::Reply(Reply::Say { text, error: true }));
        }
        self.of_frames = Some(of_frames);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_replaces_only_one_of_its_own_kind() {
        let methods = |filter: &str| StatisticsRequest::Methods(filter.to_owned());
        let problems = |filter: &str| StatisticsRequest::Problems(filter.to_owned());
        let mut wanted = Vec::new();
        for request in [methods("a"), problems("b"), methods("c")] {
            add(&mut wanted, request);
        }
        assert_eq!(wanted, [problems("b"), methods("c")]);
        add(&mut wanted, StatisticsRequest::Cancel);
        assert!(wanted.is_empty());
    }
}
