//! The worker that keeps the list that a filter or an order makes, also while calls come and change.
//!
//! It judges some thousand calls at a time, so that the loader is never kept waiting, and gives up as soon as a newer list is
//! wanted.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use rpcshark_dissectors::filter::{Column, Filter, FilterScratch, SortKey, Target, Truth};
use rpcshark_tui::backend::{CallsRequest, ListPart, Reply, Sort};

use super::backend::Shared;
use super::terminal::Signal;
use crate::cli::FileBodies;
use crate::load::Follower;

/// Calls that are judged under one lock.
const AT_ONCE: u32 = 4096;

/// How often a list that changes in its middle is sent anew.
const ANEW: Duration = Duration::from_millis(500);

/// How long to wait for changes before looking for requests again.
const TICK: Duration = Duration::from_millis(50);

/// Carries out requests until nobody asks any more.
pub(super) fn work(shared: &Arc<Shared>, requests: &Receiver<CallsRequest>, to: &Sender<Signal>) {
    let mut keeper: Option<Keeper> = None;
    loop {
        let request = match &keeper {
            Some(keeper) if !keeper.is_settled() => match requests.recv_timeout(TICK) {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            },
            _ => match requests.recv() {
                Ok(request) => Some(request),
                Err(_) => return,
            },
        };
        match request {
            Some(CallsRequest::List { generation, filter, sort }) => {
                keeper = Keeper::new(shared, generation, &filter, sort.as_ref(), to);
            }
            Some(CallsRequest::Cancel) => keeper = None,
            None => {}
        }
        if let Some(keeper) = &mut keeper {
            keeper.catch_up(to);
        }
    }
}

/// Keeps one list.
struct Keeper {
    shared: Arc<Shared>,
    generation: u64,
    filter: Filter,
    order: Option<(Column, bool)>,
    bodies: Arc<FileBodies>,
    scratch: FilterScratch,
    follower: Follower,
    /// What each call was judged to be, by its number less one.
    judged: Vec<Truth>,
    /// What calls are sorted by; none for a call that is gone.
    keys: Vec<Option<SortKey>>,
    /// The list has to be sent whole: something changed within it.
    dirty: bool,
    sent_at: Option<Instant>,
    ended: bool,
}

impl Keeper {
    fn new(
        shared: &Arc<Shared>,
        generation: u64,
        filter: &str,
        sort: Option<&Sort>,
        to: &Sender<Signal>,
    ) -> Option<Self> {
        let decoding = shared.decoding();
        let compiled = Filter::compile(filter, &decoding.schema, Target::Calls);
        let order = sort.map(|sort| Ok((Column::compile(&sort.field, &decoding.schema, Target::Calls)?, sort.down)));
        let made = compiled.and_then(|filter| Ok((filter, order.transpose()?)));
        match made {
            Ok((filter, order)) => Some(Self {
                shared: Arc::clone(shared),
                generation,
                filter,
                order,
                bodies: Arc::new(FileBodies(Arc::clone(shared.store.sources()))),
                scratch: FilterScratch::default(),
                follower: shared.store.follow(),
                judged: Vec::new(),
                keys: Vec::new(),
                dirty: false,
                sent_at: None,
                ended: false,
            }),
            Err(error) => {
                let _ = to.send(Signal::Reply(Reply::Say { text: error.text(), error: true }));
                None
            }
        }
    }

    /// Whether nothing more will change.
    const fn is_settled(&self) -> bool {
        self.ended && !self.dirty
    }

    fn is_given_up(&self) -> bool {
        self.shared.newest_list.load(Ordering::Acquire) != self.generation
    }

    /// Judges what is new or has changed, and sends what has come of it.
    fn catch_up(&mut self, to: &Sender<Signal>) {
        let finished = self.shared.store.is_finished();
        let store = self.shared.store.read();
        let changes = self.follower.take(&store);
        let count = store.call_count();
        drop(store);
        for no in changes.changed {
            if no as usize <= self.judged.len() {
                self.judge(no..no + 1, &mut Vec::new());
                self.dirty = true;
            }
        }
        let mut from = self.judged.len() as u32 + 1;
        while from <= count {
            if self.is_given_up() {
                return;
            }
            let end = (from + AT_ONCE).min(count + 1);
            let mut matching = Vec::new();
            self.judge(from..end, &mut matching);
            from = end;
            match self.order {
                Some(_) => self.dirty = true,
                None => self.send(matching, false, finished && from > count, to),
            }
        }
        self.ended = finished;
        let is_due = finished || self.sent_at.is_none_or(|at| at.elapsed() >= ANEW);
        if self.dirty && is_due {
            self.dirty = false;
            self.sent_at = Some(Instant::now());
            let calls = self.sorted();
            self.send(calls, true, finished, to);
        } else if finished && self.order.is_none() {
            self.send(Vec::new(), false, true, to);
        }
    }

    /// Judges these calls; those that match are added to `matching`.
    fn judge(&mut self, numbers: std::ops::Range<u32>, matching: &mut Vec<u32>) {
        let shared = Arc::clone(&self.shared);
        let decoding = shared.decoding();
        let store = shared.store.read();
        let bodies = Arc::clone(&self.bodies);
        let viewer = shared.viewer(&store, &decoding, &*bodies);
        for no in numbers {
            let index = no as usize - 1;
            let Some(call) = viewer.call_by_no(no) else {
                self.enter(index, Truth::False, None);
                continue;
            };
            let truth = self.filter.call(&call, None, &mut self.scratch);
            let scratch = &mut self.scratch;
            let key = self.order.as_ref().map(|(column, _)| column.sort_key(&call, scratch));
            self.enter(index, truth, key);
            if truth == Truth::True {
                matching.push(no);
            }
        }
    }

    fn enter(&mut self, index: usize, truth: Truth, key: Option<SortKey>) {
        if index < self.judged.len() {
            self.judged[index] = truth;
        } else {
            self.judged.push(truth);
        }
        if self.order.is_none() {
            return;
        }
        if index < self.keys.len() {
            self.keys[index] = key;
        } else {
            self.keys.push(key);
        }
    }

    /// All calls that match, in the order that is wanted.
    fn sorted(&self) -> Vec<u32> {
        let numbers = (1..).zip(&self.judged);
        let mut calls: Vec<u32> = numbers.filter(|(_, truth)| **truth == Truth::True).map(|(no, _)| no).collect();
        if let Some((_, down)) = self.order {
            let key = |no: &u32| self.keys.get(*no as usize - 1).and_then(Option::as_ref);
            calls.sort_by(|a, b| match (key(a), key(b)) {
                (Some(a), Some(b)) => a.compare(b, down),
                _ => std::cmp::Ordering::Equal,
            });
        }
        calls
    }

    fn send(&self, calls: Vec<u32>, replace: bool, done: bool, to: &Sender<Signal>) {
        let unknown = self.judged.iter().filter(|truth| **truth == Truth::Unknown).count() as u64;
        let judged = self.judged.len() as u64;
        let part = ListPart { generation: self.generation, replace, calls, judged, unknown, done };
        let _ = to.send(Signal::Reply(Reply::List(part)));
    }
}
