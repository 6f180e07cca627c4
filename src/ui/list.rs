//! The worker that keeps the list that a filter or an order makes, also while calls come and change.
//!
//! It judges some thousand calls at a time, so that the loader is never kept waiting, and gives up as soon as a newer list is
//! wanted.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use rpcshark_dissectors::filter::{Column, Filter, FilterScratch, SortKey, Target, Truth};
use rpcshark_tui::backend::{CallsRequest, ListPart, Reply, Sort};

use super::backend::Shared;
use super::requests::Requests;
use super::sort_keys::SortKeys;
use super::terminal::Signal;
use crate::cli::FileBodies;
use crate::load::Follower;

/// Calls that are judged under one lock while the capture is being read: the loader waits meanwhile.
const AT_ONCE: u32 = 4096;

/// The same when it has been read: nobody waits.
const AT_ONCE_LATER: u32 = 1 << 17;

/// Calls that one thread judges in a row.
const SHARE: usize = 2048;

/// How often a list that changes in its middle is sent anew.
const ANEW: Duration = Duration::from_secs(1);

/// How often a list that grows at its end is sent.
const GROWN: Duration = Duration::from_millis(30);

/// How long to wait for changes before looking for requests again.
const TICK: Duration = Duration::from_millis(50);

/// Carries out requests until nobody asks any more.
pub(super) fn work(shared: &Arc<Shared>, requests: &Requests<CallsRequest>, to: &Sender<Signal>) {
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
    follower: Follower,
    /// What each call was judged to be, by its number less one.
    judged: Vec<Truth>,
    /// How many of them could not be judged.
    unknown: u64,
    /// What calls are sorted by.
    keys: SortKeys,
    /// Calls that match and were not sent yet, of a list that grows at its end.
    grown: Vec<u32>,
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
                follower: shared.store.follow(),
                judged: Vec::new(),
                unknown: 0,
                keys: SortKeys::default(),
                grown: Vec::new(),
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
        let at_once = if finished { AT_ONCE_LATER } else { AT_ONCE };
        let mut from = self.judged.len() as u32 + 1;
        while from <= count {
            if self.is_given_up() {
                return;
            }
            // The first rows are there at once, whatever comes.
            let end = from.saturating_add(if from == 1 { AT_ONCE } else { at_once }).min(count + 1);
            let mut matching = Vec::new();
            self.judge(from..end, &mut matching);
            from = end;
            if self.order.is_some() {
                self.dirty = true;
                // Progress is reported, without calls.
                self.send_grown(Vec::new(), to);
            } else {
                self.send_grown(matching, to);
            }
        }
        self.ended = finished;
        let is_due = finished || self.sent_at.is_none_or(|at| at.elapsed() >= ANEW);
        if self.dirty && is_due {
            self.dirty = false;
            self.grown.clear();
            let calls = self.sorted();
            if !self.is_given_up() {
                self.sent_at = Some(Instant::now());
                self.send(calls, true, finished, to);
            }
        } else if self.order.is_none() && (finished || !self.grown.is_empty()) {
            let grown = std::mem::take(&mut self.grown);
            self.send(grown, false, finished, to);
        }
    }

    /// Sends calls that follow at the end of the list, now and then.
    fn send_grown(&mut self, calls: Vec<u32>, to: &Sender<Signal>) {
        self.grown.extend(calls);
        if self.sent_at.is_some_and(|at| at.elapsed() < GROWN) || self.order.is_some() && self.sent_at.is_none() {
            self.sent_at.get_or_insert_with(Instant::now);
            return;
        }
        self.sent_at = Some(Instant::now());
        let grown = std::mem::take(&mut self.grown);
        self.send(grown, false, false, to);
    }

    /// Judges these calls; those that match are added to `matching`.
    fn judge(&mut self, numbers: std::ops::Range<u32>, matching: &mut Vec<u32>) {
        let judged = {
            let decoding = self.shared.decoding();
            let store = self.shared.store.read();
            let viewer = self.shared.viewer(&store, &decoding, &*self.bodies);
            let (filter, order) = (&self.filter, &self.order);
            let judge = |scratch: &mut FilterScratch, no: u32| -> (Truth, Option<SortKey>) {
                let Some(call) = viewer.call_by_no(no) else { return (Truth::False, None) };
                let truth = filter.call(&call, None, scratch);
                let key = order.as_ref().map(|(column, _)| column.sort_key(&call, scratch));
                (truth, key)
            };
            if numbers.len() <= SHARE {
                let mut scratch = FilterScratch::default();
                numbers.clone().map(|no| judge(&mut scratch, no)).collect::<Vec<_>>()
            } else {
                let shares = numbers.clone().into_par_iter().with_min_len(SHARE);
                shares.map_init(FilterScratch::default, judge).collect()
            }
        };
        for (no, (truth, key)) in numbers.zip(judged) {
            self.enter(no as usize - 1, truth, key);
            if truth == Truth::True {
                matching.push(no);
            }
        }
    }

    fn enter(&mut self, index: usize, truth: Truth, key: Option<SortKey>) {
        self.unknown += u64::from(truth == Truth::Unknown);
        match self.judged.get_mut(index) {
            Some(before) => {
                self.unknown -= u64::from(*before == Truth::Unknown);
                *before = truth;
            }
            None => self.judged.push(truth),
        }
        if self.order.is_some() {
            self.keys.set(index, key);
        }
    }

    /// All calls that match, in the order that is wanted.
    fn sorted(&self) -> Vec<u32> {
        let numbers = (1..).zip(&self.judged);
        let calls: Vec<u32> = numbers.filter(|(_, truth)| **truth == Truth::True).map(|(no, _)| no).collect();
        match self.order {
            Some((_, down)) => self.keys.sort(calls, down),
            None => calls,
        }
    }

    fn send(&self, calls: Vec<u32>, replace: bool, done: bool, to: &Sender<Signal>) {
        let (judged, unknown) = (self.judged.len() as u64, self.unknown);
        let calls = Arc::new(calls);
        let part = ListPart { generation: self.generation, replace, calls, judged, unknown, done };
        let _ = to.send(Signal::Reply(Reply::List(part)));
    }
}
