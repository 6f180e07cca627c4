//! The worker that replays calls: it plans, sends, compares, and shows replayed calls beside recorded ones.
//!
//! The engine runs on a thread of its own; this one reads its events, between requests of the screen. The recording is read again for it,
//! since the store of the screens does not keep what happened when in each call.

mod edit;
mod options;
mod run;
mod session;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::time::Duration;

use rpcshark_tui::backend::{ReplayReply, ReplayRequest, Reply, WhichCalls};
use rpcshark_tui::model::replay::ReplayState;
use rpcshark_tui::theme::Signs;

use self::options::Wrong;
use self::session::Session;
use super::backend::Shared;
use super::requests::Requests;
use super::terminal::Signal;
use crate::load::LoadOptions;
use crate::load::schema::Sources;

/// How often events of a running replay are looked for.
const TICK: Duration = Duration::from_millis(15);

/// Carries out requests until nobody asks any more.
pub(super) fn work(
    shared: &Arc<Shared>,
    load: &LoadOptions,
    sources: &Sources,
    signs: &'static Signs,
    requests: &Requests<ReplayRequest>,
    to: &Sender<Signal>,
) {
    let tools = Tools { shared, load, sources, signs, to };
    let mut worker = Worker { tools, requests, waiting: VecDeque::new(), session: None };
    while worker.turn() {}
}

/// What the worker works with.
struct Tools<'w> {
    shared: &'w Arc<Shared>,
    /// How the recording is read again.
    load: &'w LoadOptions,
    /// The schema files, for the command that does the same.
    sources: &'w Sources,
    signs: &'static Signs,
    to: &'w Sender<Signal>,
}

impl Tools<'_> {
    fn reply(&self, reply: ReplayReply) {
        // A terminal that is gone ended with the program.
        let _ = self.to.send(Signal::Reply(Reply::Replay(reply)));
    }

    fn state(&self, state: ReplayState) {
        self.reply(ReplayReply::State(Arc::new(state)));
    }
}

struct Worker<'w> {
    tools: Tools<'w>,
    requests: &'w Requests<ReplayRequest>,
    /// Requests that came while something else was done.
    waiting: VecDeque<ReplayRequest>,
    session: Option<Session>,
}

impl Worker<'_> {
    /// Carries out a request, or looks how far the replay has come. Whether anybody may still ask.
    fn turn(&mut self) -> bool {
        let is_running = self.session.as_ref().is_some_and(Session::is_running);
        if self.waiting.is_empty() {
            let request = match is_running {
                true => self.requests.recv_beside(TICK),
                false => self.requests.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match request {
                Ok(request) => self.waiting.push_back(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        self.waiting.extend(self.requests.try_iter());
        if let Some(request) = self.next() {
            self.carry_out(request);
        }
        if let Some(session) = &mut self.session {
            session.follow(&self.tools);
        }
        true
    }

    /// The next request. Somebody who moves through a list wants the last call only.
    fn next(&mut self) -> Option<ReplayRequest> {
        loop {
            let request = self.waiting.pop_front()?;
            let is_beside = |request: &ReplayRequest| matches!(request, ReplayRequest::Beside(_));
            if !is_beside(&request) || !self.waiting.iter().any(is_beside) {
                return Some(request);
            }
        }
    }

    fn carry_out(&mut self, request: ReplayRequest) {
        if let ReplayRequest::Form(calls) = request {
            return self.begin(&calls);
        }
        let Some(session) = &mut self.session else { return };
        let tools = &self.tools;
        let wrong = |Wrong { option, text }| ReplayReply::Wrong { option, text };
        match request {
            ReplayRequest::Form(_) => {}
            ReplayRequest::Plan(values) => {
                let (requests, waiting) = (self.requests, &mut self.waiting);
                let is_stopped = || {
                    waiting.extend(requests.try_iter());
                    let before = waiting.len();
                    waiting.retain(|request| *request != ReplayRequest::Stop);
                    waiting.len() < before
                };
                let planned = session.plan(tools, &values, is_stopped);
                tools.reply(planned.map_or_else(wrong, |plan| ReplayReply::Planned(Arc::new(plan))));
            }
            ReplayRequest::Send { which, confirmed } => {
                if let Err(error) = session.send(which, confirmed) {
                    tools.reply(wrong(error));
                }
            }
            ReplayRequest::Pause(paused) => session.pause(paused),
            ReplayRequest::Stop => session.stop(),
            ReplayRequest::Compare(values) => match session.compare_again(tools, &values) {
                Ok(()) => tools.state(session.state(true)),
                Err(error) => tools.reply(wrong(error)),
            },
            ReplayRequest::Beside(no) => {
                if let Some(beside) = session.beside(tools, no) {
                    tools.reply(ReplayReply::Beside(Arc::new(beside)));
                }
            }
            ReplayRequest::Detail(no) => {
                if let Some(detail) = session.detail(tools, no) {
                    tools.reply(ReplayReply::Detail(Arc::new(detail)));
                }
            }
            ReplayRequest::Editable { no, message } => tools.reply(match session.editable(tools, no, message) {
                Ok(editable) => ReplayReply::Editable(Arc::new(editable)),
                Err(why) => ReplayReply::NotEditable(format!("call {no} cannot be edited: {why}")),
            }),
            ReplayRequest::Edit { no, message, text } => {
                let reply = session.edit(tools, no, message, text);
                tools.reply(reply);
                tools.reply(ReplayReply::Form(Arc::new(session.form())));
            }
            ReplayRequest::Report { form, path } => {
                let (text, error) = match session.report(tools, form, &path) {
                    Ok(text) => (text, false),
                    Err(error) => (format!("no report: {error:#}"), true),
                };
                // A terminal that is gone ended with the program.
                let _ = tools.to.send(Signal::Reply(Reply::Say { text, error }));
            }
            ReplayRequest::DropEdits => {
                session.drop_edits();
                tools.reply(ReplayReply::Form(Arc::new(session.form())));
            }
            ReplayRequest::Refresh => {
                tools.reply(ReplayReply::Form(Arc::new(session.form())));
                if session.was_sent() {
                    tools.state(session.state(true));
                }
            }
        }
    }

    /// Other calls are to be replayed.
    fn begin(&mut self, calls: &WhichCalls) {
        // What runs ends first.
        self.session = None;
        match Session::new(&self.tools, calls) {
            Ok(session) => {
                self.tools.reply(ReplayReply::Form(Arc::new(session.form())));
                self.session = Some(session);
            }
            Err(text) => self.tools.reply(ReplayReply::Wrong { option: None, text }),
        }
    }
}
