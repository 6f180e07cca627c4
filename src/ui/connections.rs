//! The worker that lists connections, and what is known of one of them.
//!
//! While the capture is being read the list is made anew at most once a second.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use rpcshark_captures::Direction;
use rpcshark_dissectors::filter::{Filter, FilterScratch, Target, Truth};
use rpcshark_dissectors::http2::payload::Payload;
use rpcshark_dissectors::view::{FrameView, NoBodies, Outcome};
use rpcshark_tui::backend::{ConnectionsReply, ConnectionsRequest, Reply};
use rpcshark_tui::model::connections::{ConnectionLines, ConnectionRow, StreamRow, connection_row, stream_row};
use rpcshark_tui::text::{counted, safe, thousands};
use rpcshark_tui::theme::{Role, Signs};
use rpcshark_tui::widget::{Part, Parts};

use super::backend::Shared;
use super::requests::Requests;
use super::terminal::Signal;
use crate::cli::FileBodies;
use crate::load::{ConnectionFrames, LoadOptions};

/// Calls that are looked at under one lock.
const AT_ONCE: u32 = 4096;

/// How often the list is made anew while the capture is being read.
const ANEW: Duration = Duration::from_secs(1);

/// Streams that are listed of one connection.
const MAX_STREAMS: usize = 100_000;

/// Lines about settings and GOAWAY of one connection.
const MAX_LINES: usize = 100;

/// Carries out requests until nobody asks any more.
pub(super) fn work(
    shared: &Arc<Shared>,
    load: &LoadOptions,
    signs: &Signs,
    requests: &Requests<ConnectionsRequest>,
    to: &Sender<Signal>,
) {
    let mut worker = Worker { shared, load, signs, to, list: None };
    loop {
        let request = match &worker.list {
            Some(list) if !list.done => match requests.recv_timeout(ANEW.saturating_sub(list.made_at.elapsed())) {
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
            Some(ConnectionsRequest::List { generation, filter }) => worker.open(generation, &filter),
            Some(ConnectionsRequest::Streams(number)) => worker.streams(number),
            Some(ConnectionsRequest::Lines(number)) => worker.lines(number),
            Some(ConnectionsRequest::Cancel) => worker.list = None,
            None => worker.make_list(requests),
        }
    }
}

struct Worker<'w> {
    shared: &'w Arc<Shared>,
    load: &'w LoadOptions,
    signs: &'w Signs,
    to: &'w Sender<Signal>,
    list: Option<List>,
}

/// The list that is kept.
struct List {
    generation: u64,
    filter: Option<Filter>,
    made_at: Instant,
    done: bool,
}

impl Worker<'_> {
    fn reply(&self, reply: ConnectionsReply) {
        // A terminal that is gone ended with the program.
        let _ = self.to.send(Signal::Reply(Reply::Connections(reply)));
    }

    fn open(&mut self, generation: u64, filter: &str) {
        let decoding = self.shared.decoding();
        let filter = match Filter::compile(filter, &decoding.schema, Target::Calls) {
            Ok(filter) => Some(filter).filter(|filter| !filter.is_empty()),
            Err(error) => {
                let _ = self.to.send(Signal::Reply(Reply::Say { text: error.text(), error: true }));
                return;
            }
        };
        self.list = Some(List { generation, filter, made_at: Instant::now(), done: false });
        // The connections first, their calls are counted then.
        if self.list.as_ref().is_some_and(|list| list.filter.is_none()) {
            self.send_list(&HashMap::new(), false);
        }
        if let Some(list) = &mut self.list {
            list.made_at = Instant::now().checked_sub(ANEW).unwrap_or_else(Instant::now);
        }
    }

    /// Counts the calls of all connections. Gives up when something else is asked for.
    fn make_list(&mut self, _requests: &Requests<ConnectionsRequest>) {
        let finished = self.shared.store.is_finished();
        let decoding = self.shared.decoding();
        let bodies = FileBodies(Arc::clone(self.shared.store.sources()));
        let mut scratch = FilterScratch::default();
        let mut counts: HashMap<u32, (u64, u64)> = HashMap::new();
        let Some(list) = &mut self.list else { return };
        let count = self.shared.store.read().call_count();
        let mut from = 1;
        while from <= count {
            let end = (from + AT_ONCE).min(count + 1);
            let store = self.shared.store.read();
            let viewer = self.shared.viewer(&store, &decoding, &bodies);
            for call in (from..end).filter_map(|no| viewer.call_by_no(no)) {
                let is_left =
                    list.filter.as_ref().is_none_or(|filter| filter.call(&call, None, &mut scratch) == Truth::True);
                if is_left {
                    let (calls, errors) = counts.entry(call.connection().number()).or_default();
                    *calls += 1;
                    *errors += u64::from(matches!(call.outcome(), Some(Outcome::Error | Outcome::Reset)));
                }
            }
            from = end;
        }
        list.made_at = Instant::now();
        list.done = finished;
        self.send_list(&counts, finished);
    }

    fn send_list(&self, counts: &HashMap<u32, (u64, u64)>, done: bool) {
        let Some(list) = &self.list else { return };
        let decoding = self.shared.decoding();
        let store = self.shared.store.read();
        let viewer = self.shared.viewer(&store, &decoding, &NoBodies);
        let mut all = 0;
        let mut rows: Vec<ConnectionRow> = Vec::new();
        for connection in store.connections().map(|at| viewer.connection(at)) {
            all += 1;
            let counted = counts.get(&connection.number()).copied();
            if list.filter.is_some() && counted.is_none() {
                continue;
            }
            let (calls, errors) = counted.unwrap_or_default();
            rows.push(connection_row(connection, calls, errors, self.signs));
        }
        drop(store);
        rows.sort_by_key(|row| row.number);
        self.reply(ConnectionsReply::List { generation: list.generation, rows: Arc::new(rows), all, done });
    }

    fn streams(&self, number: u32) {
        let decoding = self.shared.decoding();
        let mut rows: Vec<StreamRow> = Vec::new();
        let mut more = 0;
        let count = self.shared.store.read().call_count();
        let mut from = 1;
        while from <= count {
            let end = (from + AT_ONCE).min(count + 1);
            let store = self.shared.store.read();
            let viewer = self.shared.viewer(&store, &decoding, &NoBodies);
            let calls = (from..end).filter_map(|no| viewer.call_by_no(no));
            for call in calls.filter(|call| call.connection().number() == number) {
                if rows.len() < MAX_STREAMS {
                    rows.push(stream_row(&call));
                } else {
                    more += 1;
                }
            }
            from = end;
        }
        self.reply(ConnectionsReply::Streams { connection: number, rows: Arc::new(rows), more });
    }

    /// Reads a connection again, for its SETTINGS and GOAWAY frames.
    fn lines(&self, number: u32) {
        let lines = match self.read_lines(number) {
            Ok(lines) => lines,
            Err(error) => {
                vec![vec![Part::new("! ", Role::Warning), Part::text(safe(format!("{error:#}").as_bytes()))]]
            }
        };
        self.reply(ConnectionsReply::Lines(Arc::new(ConnectionLines { connection: number, lines })));
    }

    fn read_lines(&self, number: u32) -> anyhow::Result<Vec<Parts>> {
        let main = &self.shared.store;
        let at = main.read().connection_by_no(number);
        let at = at.ok_or_else(|| anyhow::anyhow!("connection c{number} was forgotten"))?;
        let mut reading = ConnectionFrames::open(self.load, &main.read(), at)?;
        let decoding = self.shared.decoding();
        let mut lines = Vec::new();
        let mut left_out = 0;
        loop {
            let frames = reading.next_frames(&main.read())?;
            let Some(frames) = frames else { break };
            let store = reading.store();
            let viewer = self.shared.viewer(&store, &decoding, &NoBodies);
            for frame in &frames {
                let Some(line) = self.line(viewer.frame(frame)) else { continue };
                if lines.len() < MAX_LINES {
                    lines.push(line);
                } else {
                    left_out += 1;
                }
            }
        }
        if left_out > 0 {
            lines.push(vec![Part::quiet(format!("{} more", counted(left_out, "SETTINGS or GOAWAY frame")))]);
        }
        Ok(lines)
    }

    fn line(&self, frame: FrameView<'_>) -> Option<Parts> {
        let sign = match frame.direction() {
            Direction::ToServer => Part::new(self.signs.up, Role::ToServer),
            Direction::ToClient => Part::new(self.signs.down, Role::ToClient),
        };
        let first = self.shared.store.progress().first;
        let at = frame.time().zip(first).map(|(at, first)| at.nanos_since(first) as f64 / 1e9);
        let at = at.map(|at| format!("   at {at:.6}")).unwrap_or_default();
        let packet = Part::quiet(format!("{at}   packet {}", frame.packet().number()));
        match frame.payload()? {
            Payload::Settings(settings) => {
                let texts: Vec<String> = settings
                    .iter()
                    .map(|setting| {
                        format!("{} {}", safe(setting.id.name().as_bytes()), thousands(setting.value.into()))
                    })
                    .collect();
                Some(vec![Part::quiet("settings "), sign, Part::text(format!(" {}", texts.join("   "))), packet])
            }
            Payload::GoAway { last_stream, error, debug } => {
                let role = if error.0 == 0 { Role::Text } else { Role::Error };
                Some(vec![
                    Part::new("GOAWAY ", role),
                    sign,
                    Part::text(format!(" last stream {last_stream}   {}", safe(error.name().as_bytes()))),
                    Part::text(if debug.is_empty() { String::new() } else { format!("   {}", safe(debug)) }),
                    packet,
                ])
            }
            _ => None,
        }
    }
}
