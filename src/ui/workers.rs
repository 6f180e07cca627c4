//! The workers: a thread for each kind of request, so that none waits for another.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use anyhow::Context;
use rpcshark_tui::backend::{
    CallRequest, CallsRequest, ConnectionsRequest, ConversationRequest, ExportRequest, FramesRequest, ProgramRequest,
    ReplayRequest, Request, StatisticsRequest, TimelineRequest,
};
use rpcshark_tui::theme::Signs;

use super::backend::Shared;
use super::errands::Errand;
use super::terminal::Signal;
use super::{call, connections, conversation, errands, export, frames, list, replay, statistics, timeline};
use crate::load::LoadOptions;
use crate::load::schema::Sources;

/// Channels to the workers, which end when these are dropped.
pub(super) struct Workers {
    shared: Arc<Shared>,
    main: Sender<Signal>,
    call: Sender<CallRequest>,
    calls: Sender<CallsRequest>,
    conversation: Sender<ConversationRequest>,
    statistics: Sender<StatisticsRequest>,
    timeline: Sender<TimelineRequest>,
    frames: Sender<FramesRequest>,
    connections: Sender<ConnectionsRequest>,
    export: Sender<ExportRequest>,
    replay: Sender<ReplayRequest>,
    errands: Sender<Errand>,
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
            conversation: worker("conversation", shared, main, move |shared, from, to| {
                conversation::work(shared, signs, &from, to);
            })?,
            statistics: worker("statistics", shared, main, |shared, from, to| statistics::work(shared, &from, to))?,
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
            Request::Call(request) => self.call.send(request).is_ok(),
            Request::Calls(request) => {
                let newest = match &request {
                    CallsRequest::List { generation, .. } => *generation,
                    CallsRequest::Cancel => 0,
                };
                self.shared.newest_list.store(newest, Ordering::Release);
                self.calls.send(request).is_ok()
            }
            Request::Conversation(request) => self.conversation.send(request).is_ok(),
            Request::Statistics(request) => self.statistics.send(request).is_ok(),
            Request::Timeline(request) => self.timeline.send(request).is_ok(),
            Request::Connections(request) => self.connections.send(request).is_ok(),
            Request::Frames(request) => self.frames.send(request).is_ok(),
            Request::Export(request) => self.export.send(request).is_ok(),
            Request::Replay(request) => self.replay.send(request).is_ok(),
            Request::Decoding(request) => self.errands.send(Errand::Decoding(request)).is_ok(),
            Request::Program(ProgramRequest::Copy { text, to_file }) => {
                self.errands.send(Errand::Copy { text, to_file }).is_ok()
            }
            Request::Program(ProgramRequest::Remember(filter)) => self.errands.send(Errand::Remember(filter)).is_ok(),
            Request::Program(ProgramRequest::Open(path)) => self.errands.send(Errand::Open(path)).is_ok(),
            Request::Program(ProgramRequest::Quit) => self.main.send(Signal::Quit).is_ok(),
            Request::Program(ProgramRequest::Suspend) => self.main.send(Signal::Suspend).is_ok(),
            Request::Program(ProgramRequest::Redraw) => self.main.send(Signal::Redraw).is_ok(),
            Request::Program(ProgramRequest::StopReading) => self.main.send(Signal::StopReading).is_ok(),
        };
    }
}

/// Starts a worker; returns the channel on which it is asked.
fn worker<R: Send + 'static>(
    name: &str,
    shared: &Arc<Shared>,
    main: &Sender<Signal>,
    work: impl FnOnce(&Arc<Shared>, Receiver<R>, &Sender<Signal>) + Send + 'static,
) -> anyhow::Result<Sender<R>> {
    let (sender, receiver) = channel();
    let (shared, main) = (Arc::clone(shared), main.clone());
    spawn(name, move || work(&shared, receiver, &main))?;
    Ok(sender)
}

/// Starts a thread.
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> anyhow::Result<()> {
    thread::Builder::new().name(name.to_owned()).spawn(work).context("cannot start a thread")?;
    Ok(())
}
