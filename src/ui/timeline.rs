//! The worker that reads one connection again, with every event and frame of it, and puts it on a time axis.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use rpcshark_captures::{Direction, Timestamp};
use rpcshark_dissectors::http2::FrameType;
use rpcshark_dissectors::print::status_text;
use rpcshark_dissectors::store::{CallEventKind, CallId, ConnectionRef, Framing, Store};
use rpcshark_dissectors::view::{CallView, Outcome, Viewer};
use rpcshark_tui::backend::{Reply, TimelineReply, TimelineRequest};
use rpcshark_tui::model::timeline::{Happened, StreamLine, Timeline, What};
use rpcshark_tui::text::safe;

use super::backend::Shared;
use super::requests::Requests;
use super::terminal::Signal;
use crate::cli::FileBodies;
use crate::export::FlowBytes;
use crate::load::{ExactConnection, ExactFrame, ExactReading, Inputs, LoadOptions};
use crate::signals::Stop;
use crate::tap::Delivered;

/// Parts of messages that are shown of one connection: a large one has millions.
const MAX_PARTS: usize = 500_000;

/// Points of time that the charts of bytes and windows tell apart.
const POINTS: i64 = 200_000;

/// The window of a connection before any SETTINGS (RFC 9113 §6.9.2).
const FIRST_WINDOW: i64 = 65_535;

/// Bytes of a frame header (RFC 9113 §4.1).
const HEADER: u64 = 9;

/// Carries out requests until nobody asks any more.
pub(super) fn work(
    shared: &Arc<Shared>,
    options: &LoadOptions,
    requests: &Requests<TimelineRequest>,
    to: &Sender<Signal>,
) {
    let mut next = requests.recv().ok();
    while let Some(mut request) = next.take() {
        // Only the newest request is wanted.
        requests.try_iter().for_each(|newer| request = newer);
        if let TimelineRequest::Read(connection) = request {
            let mut interrupted_by = None;
            let reply = match read(shared, options, connection, requests, &mut interrupted_by, to) {
                Ok(timeline) => TimelineReply::Read(Arc::new(timeline)),
                Err(why) => TimelineReply::Failed { connection, why },
            };
            if interrupted_by.is_none() {
                // A terminal that is gone ended with the program.
                let _ = to.send(Signal::Reply(Reply::Timeline(reply)));
            }
            next = interrupted_by;
        }
        next = next.or_else(|| requests.recv().ok());
    }
}

fn read(
    shared: &Arc<Shared>,
    options: &LoadOptions,
    connection: u32,
    requests: &Requests<TimelineRequest>,
    interrupted_by: &mut Option<TimelineRequest>,
    to: &Sender<Signal>,
) -> Result<Timeline, String> {
    if !shared.store.is_finished() && is_live(options) {
        return Err("the input is still being read".to_owned());
    }
    let at = shared.store.read().connection_by_no(connection).ok_or("it was forgotten")?;
    let stop = Stop::new().map_err(|error| error.to_string())?;
    let options = LoadOptions { stop: Some(Arc::clone(&stop)), ..options.clone() };
    let mut shown = 0;
    let reading = ExactReading::read(&options, &[at], |progress| {
        if interrupted_by.is_none()
            && let Ok(request) = requests.try_recv()
        {
            *interrupted_by = Some(request);
            stop.raise();
        }
        let percent =
            progress.size.filter(|&size| size > 0).map_or(0, |size| (progress.read * 100 / size).min(100)) as u8;
        if percent != shown {
            shown = percent;
            let _ = to.send(Signal::Reply(Reply::Timeline(TimelineReply::Progress { connection, percent })));
        }
    });
    let reading = reading.map_err(|error| error.to_string())?;
    if interrupted_by.is_some() {
        return Err("another connection is wanted".to_owned());
    }
    let exact = reading.connections.first().ok_or("it is not in the capture any more")?;
    let progress = shared.store.progress();
    let maker = Maker { shared, reading: &reading, exact, at, first: progress.first.unwrap_or_default() };
    Ok(Timeline { connection, decimals: progress.decimals, ..maker.timeline() })
}

/// Whether an input is a pipe, which cannot be read twice at the same time.
pub(super) fn is_live(options: &LoadOptions) -> bool {
    match &options.inputs {
        Inputs::Paths(paths) => paths.iter().any(|path| path.as_os_str() == "-"),
        Inputs::RawPair { .. } => false,
    }
}

struct Maker<'m> {
    shared: &'m Shared,
    reading: &'m ExactReading,
    exact: &'m ExactConnection,
    at: ConnectionRef,
    /// When the capture began.
    first: Timestamp,
}

/// When something was delivered: the position in the reading, and the time.
type When = (u64, Timestamp);

impl Maker<'_> {
    fn since_first(&self, at: Timestamp) -> i64 {
        at.nanos_since(self.first)
    }

    fn timeline(&self) -> Timeline {
        let store: &Store = &self.reading.store;
        let stored = store.connection(self.at);
        let mut timeline = Timeline {
            ends: safe(format!("{} → {}", stored.client, stored.server).as_bytes()),
            ..Timeline::default()
        };
        let arrivals = Direction::BOTH.map(|seen| self.arrivals(seen));
        let mut rows = self.streams(store);
        timeline.left_out = self.add_parts(&mut rows, &arrivals);
        let mut streams: Vec<StreamLine> = rows.into_values().filter(|stream| !stream.events.is_empty()).collect();
        for stream in &mut streams {
            finish(stream);
        }
        streams.sort_by_key(|stream| (stream.span().map(|(first, _)| first), stream.stream));
        timeline.streams = streams;
        let times = self.exact.deliveries.iter().map(|delivery| self.since_first(delivery.time));
        let (first, last) = times.fold((i64::MAX, i64::MIN), |(first, last), at| (first.min(at), last.max(at)));
        timeline.span = if first <= last { (first, last) } else { (0, 0) };
        let bucket = ((timeline.span.1 - timeline.span.0) / POINTS).max(1);
        timeline.bytes = self.bytes(stored.roles_swapped, bucket);
        timeline.windows = self.windows(stored.roles_swapped, &arrivals, bucket);
        timeline
    }

    /// The calls of the connection, with their events.
    fn streams(&self, store: &Store) -> HashMap<CallId, StreamLine> {
        let decoding = self.shared.decoding();
        let bodies = FileBodies(Arc::clone(&self.reading.sources));
        let viewer = Viewer {
            store,
            bodies: &bodies,
            schema: &decoding.schema,
            guesser: &decoding.guesser,
            redaction: &decoding.redaction,
            files: &self.shared.files,
            names: None,
        };
        let lane = store.lane(self.at.lane);
        let of_connection = store.calls().iter().filter(|call| call.lane == self.at.lane);
        let calls = of_connection.filter(|call| store.call(**call).connection == self.at.id);
        let stream = |call: CallView<'_>, id: CallId| {
            let outcome = call.outcome();
            let events = lane.call_events(id).iter().filter_map(|event| {
                let what = match event.kind {
                    CallEventKind::Headers(_) | CallEventKind::Interim(_) | CallEventKind::HeadersAgain(_) => {
                        What::Headers
                    }
                    CallEventKind::Message(number) => What::Message(number + 1),
                    CallEventKind::Reset(_) => What::Reset,
                    CallEventKind::Ended(_) => ended(outcome)?,
                    // The server's side ends with the call.
                    CallEventKind::Trailers(_) | CallEventKind::HalfClose => match event.on.direction {
                        Direction::ToServer => What::HalfClose,
                        Direction::ToClient => return None,
                    },
                };
                Some(Happened { at_ns: self.since_first(event.on.at), direction: event.on.direction, what })
            });
            let path = call.path();
            let name = path.value().map_or("(method not in capture)", |path| path.strip_prefix('/').unwrap_or(path));
            StreamLine {
                stream: call.stream(),
                call: call.no(),
                method: safe(name.as_bytes()),
                status: status_text(&call),
                events: events.collect(),
                joined: call.request_headers().is_none(),
                open: outcome == Some(Outcome::Open),
            }
        };
        calls.map(|&at| (at.id, stream(viewer.call(at), at.id))).collect()
    }

    /// Adds the parts of messages. How many there was no room for.
    fn add_parts(&self, rows: &mut HashMap<CallId, StreamLine>, arrivals: &[Vec<(u64, When)>; 2]) -> u64 {
        let swapped = self.reading.store.connection(self.at).roles_swapped;
        let mut left = MAX_PARTS;
        let mut left_out = 0;
        for frame in self.exact.frames.iter().filter(|frame| is_data(frame)) {
            let Some(stream) = frame.call.and_then(|call| rows.get_mut(&call)) else { continue };
            let Some((_, at)) = arrival(arrivals, frame) else { continue };
            if left == 0 {
                left_out += 1;
                continue;
            }
            left -= 1;
            let direction = if swapped { frame.seen.reverse() } else { frame.seen };
            stream.events.push(Happened { at_ns: self.since_first(at), direction, what: What::Part });
        }
        left_out
    }

    /// By the offset after them: when the bytes of a flow arrived.
    fn arrivals(&self, seen: Direction) -> Vec<(u64, When)> {
        let of_flow = self.exact.deliveries.iter().filter(|delivery| delivery.seen == seen);
        let arrived = of_flow.filter_map(|delivery| match delivery.what {
            Delivered::Data { len, .. } => Some((delivery.offset + u64::from(len), (delivery.order, delivery.time))),
            Delivered::Gap(_) | Delivered::Closed(_) => None,
        });
        arrived.collect()
    }

    fn bytes(&self, swapped: bool, bucket: i64) -> [Vec<(i64, u32)>; 2] {
        let mut bytes = [Vec::new(), Vec::new()];
        for delivery in &self.exact.deliveries {
            let Delivered::Data { len, .. } = delivery.what else { continue };
            let direction = if swapped { delivery.seen.reverse() } else { delivery.seen };
            let at = self.since_first(delivery.time);
            let of_way: &mut Vec<(i64, u32)> = &mut bytes[direction.index()];
            match of_way.last_mut() {
                Some((last, sum)) if at - *last < bucket => *sum = sum.saturating_add(len),
                _ => of_way.push((at, len)),
            }
        }
        // Bytes that were captured out of order.
        bytes.iter_mut().for_each(|of_way| of_way.sort_by_key(|&(at, _)| at));
        bytes
    }

    /// The windows of the connection, by the direction of the data, as long as every frame is known.
    fn windows(&self, swapped: bool, arrivals: &[Vec<(u64, When)>; 2], bucket: i64) -> [Vec<(i64, i64)>; 2] {
        let stored = self.reading.store.connection(self.at);
        let joined = stored.facts.as_ref().is_none_or(|facts| facts.joined);
        let is_http2 = self.exact.frames.first().is_some_and(|frame| frame.protocol == Framing::Http2);
        if joined || !is_http2 {
            return [Vec::new(), Vec::new()];
        }
        let gaps = self.exact.deliveries.iter().filter(|delivery| matches!(delivery.what, Delivered::Gap(_)));
        let known_until = gaps.map(|delivery| delivery.order).min().unwrap_or(u64::MAX);
        let bytes = Direction::BOTH.map(|seen| FlowBytes::new(&self.exact.deliveries, seen, &self.reading.sources));
        let mut changes: Vec<(When, Direction, i64)> = Vec::new();
        for frame in &self.exact.frames {
            let Some(when) = arrival(arrivals, frame).filter(|&(order, _)| order < known_until) else { continue };
            let direction = if swapped { frame.seen.reverse() } else { frame.seen };
            let length = (frame.extent.end - frame.extent.start).saturating_sub(HEADER);
            if frame.kind == FrameType::DATA.0 {
                changes.push((when, direction, -(length as i64)));
            } else if frame.kind == FrameType::WINDOW_UPDATE.0 && frame.stream == 0 && length == 4 {
                let payload = bytes[frame.seen.index()].get(frame.extent.start + HEADER..frame.extent.end);
                let Some([a, b, c, d]) = payload.as_deref() else { continue };
                let more = u32::from_be_bytes([*a, *b, *c, *d]) & 0x7fff_ffff;
                changes.push((when, direction.reverse(), i64::from(more)));
            }
        }
        changes.sort_by_key(|&((order, at), ..)| (at, order));
        let began = self.exact.deliveries.first().map_or(0, |delivery| self.since_first(delivery.time));
        let mut windows = [vec![(began, FIRST_WINDOW)], vec![(began, FIRST_WINDOW)]];
        let mut current = [FIRST_WINDOW; 2];
        for ((_, at), direction, by) in changes {
            let index = direction.index();
            current[index] += by;
            let (at, value) = (self.since_first(at), current[index]);
            match windows[index].last_mut() {
                // Of values that fall into the same column, the lowest one counts.
                Some((last, lowest)) if at - *last < bucket && bucket > 1 => *lowest = (*lowest).min(value),
                _ => windows[index].push((at, value)),
            }
        }
        windows
    }
}

/// When the last byte of a frame arrived.
fn arrival(arrivals: &[Vec<(u64, When)>; 2], frame: &ExactFrame) -> Option<When> {
    let arrived = &arrivals[frame.seen.index()];
    let index = arrived.partition_point(|&(end, _)| end < frame.extent.end);
    arrived.get(index).map(|&(_, when)| when)
}

/// Whether a frame can bring a part of a message. In ttrpc, a frame brings a whole one.
fn is_data(frame: &ExactFrame) -> bool {
    frame.protocol == Framing::Http2 && frame.kind == FrameType::DATA.0
}

/// What the end of a call is shown as.
const fn ended(outcome: Option<Outcome>) -> Option<What> {
    Some(match outcome {
        Some(Outcome::Ok) => What::Ok,
        Some(Outcome::Error) => What::Failed,
        Some(Outcome::Reset) => What::Reset,
        Some(Outcome::Incomplete) | None => What::Ended,
        Some(Outcome::Open) => return None,
    })
}

/// Puts the events in the order of time. The part that completes a message is not shown beside it.
fn finish(stream: &mut StreamLine) {
    stream.events.sort_by_key(|event| (event.at_ns, event.what));
    let is_message = |event: &&Happened| matches!(event.what, What::Message(_));
    let whole: BTreeSet<(i64, usize)> =
        stream.events.iter().filter(is_message).map(|event| (event.at_ns, event.direction.index())).collect();
    stream.events.retain(|event| event.what != What::Part || !whole.contains(&(event.at_ns, event.direction.index())));
    stream.events.dedup();
}
