//! The workers: a thread for each kind of request, so that none waits for another.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::thread;

use anyhow::Context;
use rpcshark_tui::backend::{
    CallRequest, CallsRequest, ConnectionsRequest, ConversationRequest, ExportRequest, FramesRequest,
    ProblemRowsRequest, ProgramRequest, ReplayRequest, Request, StatisticsRequest, TimelineRequest,
};
use rpcshark_tui::theme::Signs;

use super::backend::Shared;
use super::errands::Errand;
use super::requests::{Asker, Requests, requests};
use super::terminal::Signal;
use super::{
    call, connections, conversation, errands, export, frames, list, problem_rows, replay, seen_values, statistics,
    timeline,
};
use crate::load::LoadOptions;
use crate::load::schema::Sources;

/// Channels to the workers, which end when these are dropped.
pub(super) struct Workers {
    shared: Arc<Shared>,
    main: Sender<Signal>,
    call: Asker<CallRequest>,
    calls: Asker<CallsRequest>,
    problem_rows: Asker<ProblemRowsRequest>,
    seen_values: Asker<String>,
    conversation: Asker<ConversationRequest>,
    statistics: Asker<StatisticsRequest>,
    timeline: Asker<TimelineRequest>,
    frames: Asker<FramesRequest>,
    connections: Asker<ConnectionsRequest>,
    export: Asker<ExportRequest>,
    replay: Asker<ReplayRequest>,
    errands: Asker<Errand>,
}

impl Workers {
    /// Starts them. `load`: how the capture is read, should it be read again; `history`: where filters are remembered;
    /// `main`: where their answers go.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started.
    pub(super) fn start(
        shared: &Arc<Shared>,
        load: LoadOptions,
        sources: Sources,
        history: Option<PathBuf>,
        signs: &'static Signs,
        main: &Sender<Signal>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            shared: Arc::clone(shared),
            main: main.clone(),
            call: worker("call", shared, main, move |shared, from, to| call::work(shared, signs, &from, to))?,
            calls: worker("calls", shared, main, |shared, from, to| list::work(shared, &from, to))?,
            problem_rows: worker("problem rows", shared, main, |shared, from, to| {
                problem_rows::work(shared, &from, to)
            })?,
            seen_values: worker("values", shared, main, |shared, from, to| seen_values::work(shared, &from, to))?,
            conversation: worker("conversation", shared, main, move |shared, from, to| {
                conversation::work(shared, signs, &from, to);
            })?,
            statistics: worker("statistics", shared, main, {
                let load = load.clone();
                move |shared, from, to| statistics::work(shared, &load, &from, to)
            })?,
            connections: worker("connections", shared, main, {
                let load = load.clone();
                move |shared, from, to| connections::work(shared, &load, signs, &from, to)
            })?,
            frames: worker("frames", shared, main, {
                let load = load.clone();
                move |shared, from, to| frames::work(shared, &load, signs, &from, to)
            })?,
            errands: worker("errands", shared, main, {
                let (load, sources) = (load.clone(), sources.clone());
                move |shared, from, to| errands::work(shared, load, sources, history.as_deref(), &from, to)
            })?,
            timeline: worker("timeline", shared, main, {
                let load = load.clone();
                move |shared, from, to| timeline::work(shared, &load, &from, to)
            })?,
            replay: worker("replay", shared, main, {
                let (load, sources) = (load.clone(), sources.clone());
                move |shared, from, to| replay::work(shared, &load, &sources, signs, &from, to)
            })?,
            export: worker("export", shared, main, {
                let sources = sources.clone();
                move |shared, from, to| export::work(shared, &load, &sources, &from, to)
            })?,
        })
    }

    /// Hands on a request to the worker that carries it out.
    pub(super) fn send(&self, request: Request) {
        // A worker that is gone ended with the program.
        let _ = match request {
            Request::Call(request) => self.call.ask(request),
            Request::Calls(request) => {
                let newest = match &request {
                    CallsRequest::List { generation, .. } => *generation,
                    CallsRequest::Cancel => 0,
                };
                self.shared.newest_list.store(newest, Ordering::Release);
                self.calls.ask(request)
            }
            Request::ProblemRows(request) => self.problem_rows.ask(request),
            Request::Conversation(request) => self.conversation.ask(request),
            Request::Statistics(request) => self.statistics.ask(request),
            Request::Timeline(request) => self.timeline.ask(request),
            Request::Connections(request) => self.connections.ask(request),
            Request::Frames(request) => self.frames.ask(request),
            Request::Export(request) => self.export.ask(request),
            Request::Replay(request) => self.replay.ask(request),
            Request::Decoding(request) => self.errands.ask(Errand::Decoding(request)),
            Request::Program(ProgramRequest::Copy { text, to_file }) => {
                self.errands.ask(Errand::Copy { text, to_file })
            }
            Request::Program(ProgramRequest::Remember(filter)) => self.errands.ask(Errand::Remember(filter)),
            Request::Program(ProgramRequest::Open(path)) => self.errands.ask(Errand::Open(path)),
            Request::Program(ProgramRequest::Quit) => self.main.send(Signal::Quit).is_ok(),
            Request::Program(ProgramRequest::Suspend) => self.main.send(Signal::Suspend).is_ok(),
            Request::Program(ProgramRequest::Redraw) => self.main.send(Signal::Redraw).is_ok(),
            Request::Program(ProgramRequest::StopReading) => self.main.send(Signal::StopReading).is_ok(),
        };
    }
}

impl Workers {
    /// Waits until all workers have done what they were asked for, for at most `longest`: one that keeps a list of a capture
    /// that is being read never has.
    #[cfg(test)]
    pub(super) fn wait(&self, longest: std::time::Duration) {
        let (done, all) = std::sync::mpsc::channel();
        self.call.when_idle(done.clone());
        self.calls.when_idle(done.clone());
        self.problem_rows.when_idle(done.clone());
        self.seen_values.when_idle(done.clone());
        self.conversation.when_idle(done.clone());
        self.statistics.when_idle(done.clone());
        self.timeline.when_idle(done.clone());
        self.frames.when_idle(done.clone());
        self.connections.when_idle(done.clone());
        self.export.when_idle(done.clone());
        self.replay.when_idle(done.clone());
        self.errands.when_idle(done);
        let until = std::time::Instant::now() + longest;
        while all.recv_timeout(until.saturating_duration_since(std::time::Instant::now())).is_ok() {}
    }

    /// Asks for the values of a field to be counted.
    pub(super) fn count_values(&self, field: String) {
        // A worker that is gone ended with the program.
        let _ = self.seen_values.ask(field);
    }
}

/// Starts a worker; returns the channel on which it is asked.
fn worker<R: Send + 'static>(
    name: &str,
    shared: &Arc<Shared>,
    main: &Sender<Signal>,
    work: impl FnOnce(&Arc<Shared>, Requests<R>, &Sender<Signal>) + Send + 'static,
) -> anyhow::Result<Asker<R>> {
    let (asker, requests) = requests();
    let (shared, main) = (Arc::clone(shared), main.clone());
    spawn(name, move || work(&shared, requests, &main))?;
    Ok(asker)
}

/// Starts a thread.
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).context("cannot start a thread")?;
    Ok(())
}
