//! The worker that reads frames: those of one connection, or of the whole capture, into a log outside memory, and out of the
//! log what the screen shows.
//!
//! It reads a batch, looks for requests, reads the next batch. A filter is applied to the log: nothing is read again for it.

mod log;
mod reading;

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use rpcshark_dissectors::filter::{Filter, FilterScratch, Target, Truth};
use rpcshark_dissectors::header::Coded;
use rpcshark_dissectors::store::{FrameRef, Store};
use rpcshark_dissectors::view::Viewer;
use rpcshark_tui::backend::{FramesProgress, FramesReply, FramesRequest, Reply, Sought};
use rpcshark_tui::model::Fields;
use rpcshark_tui::model::frames::{FrameContext, FrameRow, frame_fields, frame_row, gap_fields, gap_row, is_problem};
use rpcshark_tui::theme::Signs;

use self::log::{Entry, FrameLog};
use self::reading::Reading;
use super::backend::Shared;
use super::requests::Requests;
use super::terminal::Signal;
use crate::cli::FileBodies;
use crate::load::LoadOptions;

/// Entries that a filter judges before requests are looked for.
const AT_ONCE: u64 = 4096;

/// How often progress is reported.
const TELL: Duration = Duration::from_millis(100);

/// Frames back from a header block that are searched for what it refers to.
const ORIGIN_FRAMES: u64 = 100_000;

/// Carries out requests until nobody asks any more.
pub(super) fn work(
    shared: &Arc<Shared>,
    load: &LoadOptions,
    signs: &Signs,
    requests: &Requests<FramesRequest>,
    to: &Sender<Signal>,
) {
    let bodies = FileBodies(Arc::clone(shared.store.sources()));
    let mut worker = Worker { shared, load, signs, bodies, to, list: None, of_frame: None };
    loop {
        let busy = worker.list.as_ref().is_some_and(List::is_busy);
        let request = match busy {
            true => requests.try_recv().ok(),
            false => match requests.recv() {
                Ok(request) => Some(request),
                Err(_) => return,
            },
        };
        let Some(request) = request else {
            worker.step();
            continue;
        };
        // Somebody who moves through the list wants the last frame only.
        let mut waiting = vec![request];
        waiting.extend(requests.try_iter());
        let is_detail = |request: &FramesRequest| matches!(request, FramesRequest::Detail { .. });
        let last = waiting.iter().rposition(is_detail);
        for (index, request) in waiting.into_iter().enumerate() {
            if !is_detail(&request) || Some(index) == last {
                worker.carry_out(request);
            }
        }
    }
}

struct Worker<'w> {
    shared: &'w Arc<Shared>,
    load: &'w LoadOptions,
    signs: &'w Signs,
    bodies: FileBodies,
    to: &'w Sender<Signal>,
    list: Option<List>,
    /// A reading of the connection of a frame of the whole capture, for the frame's bytes.
    of_frame: Option<(u32, Reading)>,
}

/// The list that is open.
struct List {
    generation: u64,
    connection: Option<u32>,
    reading: Reading,
    log: FrameLog,
    filter: Option<Filter>,
    /// The entries that the filter leaves.
    matching: Vec<u32>,
    /// Entries that it has judged.
    judged: u64,
    unknown: u64,
    scratch: FilterScratch,
    /// The call whose first frame is sought.
    sought: Option<u32>,
    /// The entry that had the cursor in the list before.
    kept: Option<u64>,
    reported_at: Option<Instant>,
    failed: Option<String>,
    /// There is progress that was not reported yet.
    dirty: bool,
}

impl List {
    const fn is_busy(&self) -> bool {
        !self.reading.has_ended() || self.dirty || self.filter.is_some() && self.judged < self.log.len()
    }

    fn rows(&self) -> u64 {
        if self.filter.is_some() { self.matching.len() as u64 } else { self.log.len() }
    }

    /// The entry of a row.
    fn entry_index(&self, row: u64) -> Option<u64> {
        match self.filter {
            None => Some(row),
            Some(_) => self.matching.get(usize::try_from(row).ok()?).map(|&index| index.into()),
        }
    }

    /// The row of an entry, if the filter leaves it.
    fn row_of(&self, index: u64) -> Option<u64> {
        match self.filter {
            None => Some(index),
            Some(_) => self.matching.binary_search(&(index as u32)).ok().map(|row| row as u64),
        }
    }
}

impl Worker<'_> {
    fn reply(&self, reply: FramesReply) {
        // A terminal that is gone ended with the program.
        let _ = self.to.send(Signal::Reply(Reply::Frames(reply)));
    }

    fn carry_out(&mut self, request: FramesRequest) {
        match request {
            FramesRequest::Open { generation, connection, filter, call, row } => {
                self.open(generation, connection, &filter, call, row);
            }
            FramesRequest::Rows { generation, from, count } => {
                let rows = self.rows(generation, from, count);
                self.reply(FramesReply::Rows { generation, from, rows });
            }
            FramesRequest::Detail { generation, row } => {
                if let Some(fields) = self.detail(generation, row) {
                    self.reply(FramesReply::Detail { generation, row, fields: Arc::new(fields) });
                }
            }
            FramesRequest::Find { generation, from, sought } => {
                let row = self.find(generation, from, sought);
                self.reply(FramesReply::Found { generation, row });
            }
            FramesRequest::Stop => {
                if let Some(list) = &mut self.list {
                    list.reading.stop();
                }
            }
        }
    }

    fn open(&mut self, generation: u64, connection: Option<u32>, filter: &str, call: Option<u32>, row: Option<u64>) {
        let decoding = self.shared.decoding();
        let filter = match Filter::compile(filter, &decoding.schema, Target::Frames) {
            Ok(filter) => Some(filter).filter(|filter| !filter.is_empty()),
            Err(error) => return self.fail(generation, error.text()),
        };
        let same = self.list.take().filter(|list| list.connection == connection && list.failed.is_none());
        let kept = same.as_ref().zip(row).and_then(|(list, row)| list.entry_index(row));
        let (reading, log) = match same {
            Some(list) => (list.reading, list.log),
            None => {
                self.of_frame = None;
                let opened = Reading::open(self.load, &self.shared.store, connection);
                match opened.and_then(|reading| Ok((reading, FrameLog::new()?))) {
                    Ok(opened) => opened,
                    Err(error) => return self.fail(generation, format!("{error:#}")),
                }
            }
        };
        let mut list = List {
            generation,
            connection,
            reading,
            log,
            filter,
            matching: Vec::new(),
            judged: 0,
            unknown: 0,
            scratch: FilterScratch::default(),
            sought: None,
            kept,
            reported_at: None,
            failed: None,
            dirty: true,
        };
        if let Some(call) = call {
            let store = list.reading.store();
            let found = (0..list.log.len()).find(|&index| call_of(&mut list.log, index, &store) == Some(call));
            match found.and_then(|index| list.row_of(index)) {
                Some(row) => self.reply(FramesReply::Found { generation, row: Some(row) }),
                None => list.sought = Some(call),
            }
        }
        self.list = Some(list);
        self.find_kept();
        self.tell(true);
    }

    fn fail(&mut self, generation: u64, text: String) {
        self.list = None;
        let progress = FramesProgress { generation, done: true, failed: Some(text), ..FramesProgress::default() };
        self.reply(FramesReply::Progress(progress));
    }

    /// Reads the next batch, or judges what has been read.
    fn step(&mut self) {
        let Some(list) = &mut self.list else { return };
        let to_judge = list.filter.is_some() && list.judged < list.log.len();
        if to_judge {
            self.judge();
        } else if !list.reading.has_ended() {
            self.read();
        }
        let still = self
            .list
            .as_ref()
            .is_some_and(|list| !list.reading.has_ended() || list.filter.is_some() && list.judged < list.log.len());
        self.tell(!still);
    }

    fn read(&mut self) {
        let Some(list) = &mut self.list else { return };
        let decoding = self.shared.decoding();
        let (log, sought, shared) = (&mut list.log, &mut list.sought, self.shared);
        let mut found = None;
        let mut take = |entry: Entry, store: &Store| {
            let problem = match &entry {
                Entry::Gap(_) => true,
                Entry::Frame(frame) => {
                    let view = shared.viewer(store, &decoding, &rpcshark_dissectors::view::NoBodies).frame(frame);
                    if sought.is_some() && view.call_no() == *sought {
                        *sought = None;
                        found = Some(log.len());
                    }
                    is_problem(view)
                }
            };
            log.push(&entry, problem)
        };
        let read = list.reading.step(&self.shared.store, &mut take);
        if let Err(error) = read {
            list.reading.stop();
            list.failed = Some(format!("{error:#}"));
        }
        list.dirty = true;
        let generation = list.generation;
        if let Some(row) = found.filter(|_| list.filter.is_none()) {
            self.reply(FramesReply::Found { generation, row: Some(row) });
        }
    }

    /// Judges some entries.
    fn judge(&mut self) {
        let Some(list) = &mut self.list else { return };
        let Some(filter) = &list.filter else { return };
        let decoding = self.shared.decoding();
        let frames = list.reading.store();
        let calls = self.shared.store.read();
        let viewer = self.shared.viewer(&frames, &decoding, &self.bodies);
        let of_calls = self.shared.viewer(&calls, &decoding, &self.bodies);
        let end = (list.judged + AT_ONCE).min(list.log.len());
        for index in list.judged..end {
            // What is missing matches no filter.
            let Some(Entry::Frame(frame)) = list.log.get(index) else { continue };
            let view = viewer.frame(&frame);
            let call = view.call_no().and_then(|no| of_calls.call_by_no(no));
            match filter.frame(view, call.as_ref(), None, &mut list.scratch) {
                Truth::True => list.matching.push(index as u32),
                Truth::Unknown => list.unknown += 1,
                Truth::False => {}
            }
        }
        list.judged = end;
        list.dirty = true;
        self.find_kept();
    }

    /// Says where the entry is that had the cursor before, once that is known.
    fn find_kept(&mut self) {
        let Some(list) = &mut self.list else { return };
        let Some(index) = list.kept.filter(|&index| list.filter.is_none() || index < list.judged) else { return };
        list.kept = None;
        let (generation, row) = (list.generation, list.row_of(index));
        if row.is_some() {
            self.reply(FramesReply::Found { generation, row });
        }
    }

    /// Reports the progress of the list, if that is due.
    fn tell(&mut self, at_once: bool) {
        let Some(list) = &mut self.list else { return };
        if !list.dirty || !at_once && list.reported_at.is_some_and(|reported_at| reported_at.elapsed() < TELL) {
            return;
        }
        list.dirty = false;
        list.reported_at = Some(Instant::now());
        let progress = list.reading.progress();
        let size = progress.size.unwrap_or(progress.read).max(1);
        let done = list.reading.has_ended() && (list.filter.is_none() || list.judged >= list.log.len());
        let progress = FramesProgress {
            generation: list.generation,
            rows: list.rows(),
            all: list.log.len(),
            unknown: list.unknown,
            percent: if done { 100 } else { (progress.read * 100 / size).min(99) as u8 },
            done,
            failed: list.failed.clone(),
        };
        self.reply(FramesReply::Progress(progress));
    }

    fn list(&mut self, generation: u64) -> Option<&mut List> {
        self.list.as_mut().filter(|list| list.generation == generation)
    }

    fn rows(&mut self, generation: u64, from: u64, count: u64) -> Vec<FrameRow> {
        let Some(list) = self.list(generation) else { return Vec::new() };
        let entries: Vec<Entry> =
            (from..from + count).map_while(|row| list.entry_index(row).and_then(|index| list.log.get(index))).collect();
        let frames = list.reading.store();
        let decoding = self.shared.decoding();
        let calls = self.shared.store.read();
        let viewer = self.shared.viewer(&frames, &decoding, &self.bodies);
        let of_calls = self.shared.viewer(&calls, &decoding, &self.bodies);
        let row = |entry: &Entry| match entry {
            Entry::Gap(gap) => gap_row(*gap),
            Entry::Frame(frame) => {
                let view = viewer.frame(frame);
                let call = view.call_no().and_then(|no| of_calls.call_by_no(no));
                frame_row(view, call.as_ref())
            }
        };
        entries.iter().map(row).collect()
    }

    fn detail(&mut self, generation: u64, row: u64) -> Option<Fields> {
        let list = self.list(generation)?;
        let index = list.entry_index(row)?;
        let frame = match list.log.get(index)? {
            Entry::Gap(gap) => return Some(gap_fields(gap)),
            Entry::Frame(frame) => frame,
        };
        let origins = self.origins(&frame, index);
        let bytes = self.bytes(&frame);
        let list = self.list.as_ref()?;
        let frames = list.reading.store();
        let decoding = self.shared.decoding();
        let calls = self.shared.store.read();
        let view = self.shared.viewer(&frames, &decoding, &self.bodies).frame(&frame);
        let of_calls = self.shared.viewer(&calls, &decoding, &self.bodies);
        let call = view.call_no().and_then(|no| of_calls.call_by_no(no));
        let context = FrameContext { bytes: bytes.as_deref(), call, origins, signs: self.signs };
        Some(frame_fields(view, &context))
    }

    /// The bytes of a frame. Where the whole capture was read, its connection is read again as far as to the frame.
    fn bytes(&mut self, frame: &FrameRef) -> Option<Vec<u8>> {
        let list = self.list.as_ref()?;
        let sources = self.shared.store.sources();
        if list.connection.is_some() {
            return list.reading.bytes(frame, sources);
        }
        let number = {
            let store = list.reading.store();
            let decoding = self.shared.decoding();
            let viewer = self.shared.viewer(&store, &decoding, &self.bodies);
            viewer.frame(frame).connection()
        };
        let known = self.of_frame.take().filter(|(connection, _)| *connection == number);
        let mut reading = match known {
            Some((_, reading)) => reading,
            None => Reading::open(self.load, &self.shared.store, Some(number)).ok()?,
        };
        let mut bytes = reading.bytes(frame, sources);
        while bytes.is_none() && !reading.has_ended() {
            reading.step(&self.shared.store, &mut |_, _| Ok(())).ok()?;
            bytes = reading.bytes(frame, sources);
        }
        self.of_frame = Some((number, reading));
        bytes
    }

    /// For each header field of a frame, the row and the packet of the frame that put the entry that it refers to into the dynamic
    /// table.
    fn origins(&mut self, frame: &FrameRef, index: u64) -> Vec<Option<(u64, u64)>> {
        let Some(list) = &mut self.list else { return Vec::new() };
        let frames = list.reading.store();
        let decoding = self.shared.decoding();
        let viewer = self.shared.viewer(&frames, &decoding, &rpcshark_dissectors::view::NoBodies);
        // How many insertions ago the entry was made, counted from the beginning of this block; 0 is within it.
        let mut wanted: Vec<Option<u32>> = Vec::new();
        let mut inserted = 0;
        for field in viewer.frame(frame).headers().into_iter().flat_map(|headers| headers.fields()) {
            let dynamic = field.index().and_then(|index| index.checked_sub(STATIC_ENTRIES));
            wanted.push(dynamic.and_then(|ago| ago.checked_sub(inserted)).filter(|&ago| ago > 0));
            inserted += u32::from(field.coded() == Coded::LiteralIndexed);
        }
        let mut origins = vec![None; wanted.len()];
        let mut before = 0;
        let farthest = wanted.iter().flatten().copied().max().unwrap_or(0);
        for earlier in (index.saturating_sub(ORIGIN_FRAMES)..index).rev() {
            if before >= farthest {
                break;
            }
            let Some(Entry::Frame(other)) = list.log.get(earlier) else { continue };
            let same = other.lane == frame.lane
                && other.frame.connection == frame.frame.connection
                && other.frame.direction == frame.frame.direction;
            if !same || other.frame.headers.is_none() {
                continue;
            }
            let inserted = insertions(viewer, &other);
            for (wanted, origin) in wanted.iter().zip(&mut origins) {
                if wanted.is_some_and(|ago| before < ago && ago <= before + inserted) {
                    *origin = list.row_of(earlier).map(|row| (row, other.frame.packet.number()));
                }
            }
            before += inserted;
        }
        origins
    }

    fn find(&mut self, generation: u64, from: u64, sought: Sought) -> Option<u64> {
        let list = self.list(generation)?;
        let is_problem = |list: &List, row: u64| list.entry_index(row).is_some_and(|index| list.log.is_problem(index));
        match sought {
            Sought::NextProblem => (from + 1..list.rows()).find(|&row| is_problem(list, row)),
            Sought::PreviousProblem => (0..from.min(list.rows())).rev().find(|&row| is_problem(list, row)),
            Sought::Number(number) => {
                let mut bounds = 0..list.rows();
                // Numbers of frames, and of the packets that completed them, only grow.
                while bounds.start < bounds.end {
                    let middle = bounds.start.midpoint(bounds.end);
                    match number_near(list, middle, bounds.end) {
                        Some(found) if found < number => bounds.start = middle + 1,
                        _ => bounds.end = middle,
                    }
                }
                (bounds.start < list.rows()).then_some(bounds.start)
            }
        }
    }
}

/// Entries of HPACK's static table (RFC 7541 appendix A).
const STATIC_ENTRIES: u32 = 61;

/// How many entries a frame's header block puts into the dynamic table.
fn insertions(viewer: Viewer<'_>, frame: &FrameRef) -> u32 {
    let fields = viewer.frame(frame).headers().into_iter().flat_map(|headers| headers.fields());
    fields.filter(|field| field.coded() == Coded::LiteralIndexed).count() as u32
}

/// The number of the first frame at or after `row`: its own where it has one, otherwise that of its packet.
fn number_near(list: &mut List, row: u64, end: u64) -> Option<u64> {
    (row..end).find_map(|row| match list.log.get(list.entry_index(row)?)? {
        Entry::Frame(frame) => Some(frame.no.unwrap_or(frame.frame.packet.number())),
        Entry::Gap(_) => None,
    })
}

/// The number of the call of an entry.
fn call_of(log: &mut FrameLog, index: u64, store: &Store) -> Option<u32> {
    let Entry::Frame(frame) = log.get(index)? else { return None };
    let call = store.lane(frame.lane).call(frame.frame.call?);
    call.no.map(std::num::NonZero::get)
}
