//! A trunk: two ttrpc connections in one, as containerd's node resource interface (NRI) and its plugins speak.
//!
//! ```text
//!  0               4               8                length + 8
//!  ├ number (32) ──┼ length (32) ──┼ bytes of that connection ┤
//! ```
//!
//! On connection 1 the plugin is the server, on connection 2 the runtime is; each direction of the trunk carries requests of
//! one and answers of the other. The plugin counts as the trunk's client, since it connects. Frames of the
//! connections begin and end anywhere in the pieces. Source: `pkg/net/multiplex` of <https://github.com/containerd/nri>.

use rpcshark_captures::budget::{self, Kind};
use rpcshark_captures::connection::Close;
use rpcshark_captures::{Data, Direction, Gap, GapCause, Input};

use super::connection::Ttrpc;
use super::frame::{FrameHeader, FrameType};
use super::probe::{MAX_TRUNK_LENGTH, PLUGIN_SERVES, RUNTIME_SERVES};
use super::resync::Highest;
use crate::framed::bytes_text;
use crate::held::Held;
use crate::http2::add_held;
use crate::parser::{HandOver, JoinPoint, Parser};
use crate::seek::{Frames, Look};
use crate::store::{ClientBy, ConnectionId, ConnectionProtocol};
use crate::{Arrival, Context, Cursor, Note, Severity};

/// An NRI trunk.
#[derive(Debug)]
pub struct Trunk {
    connection: ConnectionId,
    /// The connection on which the plugin serves, and the one on which the runtime does.
    inner: [Ttrpc; 2],
    /// By [`Direction::index`], with the roles as they are known now.
    halves: [Reading; 2],
    /// Whether the input's directions are the other way round.
    roles_swapped: bool,
    proven: bool,
}

/// Where in the bytes a direction of the trunk stands.
#[derive(Debug)]
enum Reading {
    /// In a piece's header, so many bytes of it are there.
    Header([u8; HEADER], usize),
    /// In a piece of this connection: so many bytes are left.
    Piece(u32, u32),
    /// Somewhere.
    Seeking(Held),
}

const HEADER: usize = 8;

/// Bytes that may be held while seeking.
const MAX_HELD: usize = 1 << 16;

impl Trunk {
    /// A trunk. Joined at its beginning, what goes to the server comes from the plugin; met in the middle, it is found out who
    /// is the plugin.
    pub fn new(connection: ConnectionId, join_point: JoinPoint) -> Self {
        let inner = |number, reversed| Ttrpc::in_trunk(connection, join_point, number, reversed);
        let half = || match join_point {
            JoinPoint::Start => header(),
            JoinPoint::Middle => Reading::Seeking(Held::default()),
        };
        Self {
            connection,
            inner: [inner(PLUGIN_SERVES, true), inner(RUNTIME_SERVES, false)],
            halves: [half(), half()],
            roles_swapped: false,
            proven: join_point == JoinPoint::Start,
        }
    }

    fn oriented(&self, direction: Direction) -> Direction {
        if self.roles_swapped { direction.reverse() } else { direction }
    }

    /// The connection `number`, and the direction in it.
    fn inner(&mut self, number: u32, direction: Direction) -> Option<(&mut Ttrpc, Direction)> {
        let [plugin_serves, runtime_serves] = &mut self.inner;
        match number {
            PLUGIN_SERVES => Some((plugin_serves, direction.reverse())),
            RUNTIME_SERVES => Some((runtime_serves, direction)),
            _ => None,
        }
    }

    fn read(&mut self, from: Direction, data: Data<'_>, context: &mut Context<'_>) {
        self.read_known(self.oriented(from), data, context);
        while let Some(held) = self.found(self.oriented(from), context) {
            for data in held.data() {
                self.read_known(self.oriented(from), data, context);
            }
        }
    }

    fn read_known(&mut self, direction: Direction, mut data: Data<'_>, context: &mut Context<'_>) {
        while !data.bytes.is_empty() {
            match &mut self.halves[direction.index()] {
                Reading::Header(bytes, have) => {
                    let (head, rest) = data.split(HEADER - *have);
                    let end = *have + head.bytes.len();
                    if let Some(place) = bytes.get_mut(*have..end) {
                        place.copy_from_slice(head.bytes);
                    }
                    *have = end;
                    data = rest;
                    if end == HEADER {
                        let [n0, n1, n2, n3, l0, l1, l2, l3] = *bytes;
                        let number = u32::from_be_bytes([n0, n1, n2, n3]);
                        let length = u32::from_be_bytes([l0, l1, l2, l3]);
                        self.piece_begins(direction, number, length, &data, context);
                    }
                }
                Reading::Piece(number, left) => {
                    let (head, rest) = data.split(*left as usize);
                    *left -= head.bytes.len() as u32;
                    let (number, done) = (*number, *left == 0);
                    data = rest;
                    if done {
                        self.halves[direction.index()] = header();
                    }
                    if let Some((inner, direction)) = self.inner(number, direction) {
                        inner.input(direction, Input::Data(head), context);
                    }
                }
                Reading::Seeking(held) => {
                    held.push(&data);
                    return;
                }
            }
        }
    }

    fn piece_begins(
        &mut self,
        direction: Direction,
        number: u32,
        length: u32,
        now: &Data<'_>,
        context: &mut Context<'_>,
    ) {
        self.halves[direction.index()] = if length == 0 { header() } else { Reading::Piece(number, length) };
        if matches!(number, PLUGIN_SERVES | RUNTIME_SERVES) && length <= MAX_TRUNK_LENGTH {
            return;
        }
        let text = format!("a piece claims {length} bytes for connection {number}, which is impossible in a trunk");
        let note = Note::new(Severity::Warning, "nri-trunk", text).at(now.packet.no);
        context.connection_mut(self.connection).note(note);
        if length > MAX_TRUNK_LENGTH {
            let gap = Gap { length: None, cause: GapCause::Lost, packet: now.packet, time: now.time };
            self.break_off(direction, &gap, context);
        }
    }

    fn gap(&mut self, direction: Direction, gap: &Gap, context: &mut Context<'_>) {
        match &mut self.halves[direction.index()] {
            Reading::Piece(number, left) if gap.length.is_some_and(|length| length <= u64::from(*left)) => {
                *left -= gap.length.unwrap_or_default() as u32;
                let number = *number;
                if *left == 0 {
                    self.halves[direction.index()] = header();
                }
                if let Some((inner, direction)) = self.inner(number, direction) {
                    inner.input(direction, Input::Gap(*gap), context);
                }
            }
            Reading::Seeking(held) => held.clear(),
            _ => self.break_off(direction, gap, context),
        }
    }

    /// Where the next piece begins is not known any more, nor what of which connection is missing.
    fn break_off(&mut self, direction: Direction, gap: &Gap, context: &mut Context<'_>) {
        self.halves[direction.index()] = Reading::Seeking(Held::default());
        for number in [PLUGIN_SERVES, RUNTIME_SERVES] {
            if let Some((inner, direction)) = self.inner(number, direction) {
                inner.input(direction, Input::Gap(Gap { length: None, ..*gap }), context);
            }
        }
    }

    /// What lies after the beginning of a piece, once one is found: a piece that begins with a frame, and another piece
    /// after it.
    fn found(&mut self, direction: Direction, context: &mut Context<'_>) -> Option<Held> {
        let Reading::Seeking(held) = &mut self.halves[direction.index()] else { return None };
        let mut begin = 0;
        let found = loop {
            let bytes = held.bytes().get(begin..).unwrap_or_default();
            match is_piece(bytes) {
                // Who is the plugin, only a Request or a Response tells.
                Some(true) if self.proven || is_plugins(bytes).is_some() => break true,
                None if bytes.len() <= MAX_HELD => break false,
                _ => begin += 1,
            }
        };
        if !found {
            held.skip(begin);
            return None;
        }
        let mut held = std::mem::take(held);
        self.halves[direction.index()] = header();
        held.skip(begin);
        if !self.proven {
            self.proven = true;
            let swap = is_plugins(held.bytes()) == Some(direction == Direction::ToClient);
            if swap {
                self.roles_swapped = true;
                self.halves.swap(0, 1);
            }
            context.connection_mut(self.connection).client_identified(swap, ClientBy::Protocol);
        }
        if begin > 0 {
            let text = format!("{} were skipped to find the next piece of the trunk", bytes_text(begin as u64));
            let packet = held.data().next().map(|data| data.packet.no).unwrap_or_default();
            let note = Note::new(Severity::Warning, "resynchronised", text).at(packet);
            context.connection_mut(self.connection).note(note);
        }
        context.connection_mut(self.connection).protocol = ConnectionProtocol::Nri;
        Some(held)
    }
}

impl Parser for Trunk {
    fn input(&mut self, direction: Direction, input: Input<'_>, context: &mut Context<'_>) -> Option<HandOver> {
        match input {
            Input::Data(data) => self.read(direction, data, context),
            Input::Gap(gap) => self.gap(self.oriented(direction), &gap, context),
        }
        None
    }

    fn closed(&mut self, direction: Direction, how: Close, now: Arrival, context: &mut Context<'_>) {
        let direction = self.oriented(direction);
        for number in [PLUGIN_SERVES, RUNTIME_SERVES] {
            if let Some((inner, direction)) = self.inner(number, direction) {
                inner.closed(direction, how, now, context);
            }
        }
    }

    fn finish(&mut self, context: &mut Context<'_>) {
        self.inner.iter_mut().for_each(|inner| inner.finish(context));
    }

    fn is_proven(&self) -> bool {
        self.proven
    }

    fn held(&self) -> budget::Held {
        let mut held = budget::Held::NOTHING;
        for half in &self.halves {
            if let Reading::Seeking(seeking) = half {
                add_held(&mut held, seeking.memory(), seeking.since());
            }
        }
        for inner in &self.inner {
            let budget::Held { bytes, since } = inner.held();
            add_held(&mut held, bytes, since);
        }
        held
    }

    fn release(&mut self, context: &mut Context<'_>) -> Option<(Kind, usize)> {
        let oldest =
            self.inner.iter_mut().filter(|inner| inner.held().bytes > 0).min_by_key(|inner| inner.held().since);
        let released = oldest.and_then(|inner| inner.release(context));
        if released.is_some() {
            return released;
        }
        let held = self.halves.iter_mut().find_map(|half| match half {
            Reading::Seeking(held) if held.memory() > 0 => Some(held),
            _ => None,
        })?;
        let bytes = held.memory();
        held.clear();
        let text = format!(
            "{bytes} bytes in which a piece of the trunk was searched were released: the memory limit is reached"
        );
        context.connection_mut(self.connection).note(Note::new(Severity::Warning, "memory-limit", text));
        Some((Kind::Search, bytes))
    }
}

const fn header() -> Reading {
    Reading::Header([0; HEADER], 0)
}

/// Whether a piece that is one is the plugin's; `None` where its frame does not tell.
fn is_plugins(bytes: &[u8]) -> Option<bool> {
    let number = Cursor::new(bytes).u32()?;
    match FrameHeader::parse(bytes.get(HEADER..)?.first_chunk()?).kind {
        FrameType::REQUEST => Some(number == RUNTIME_SERVES),
        FrameType::RESPONSE => Some(number == PLUGIN_SERVES),
        _ => None,
    }
}

/// Whether a piece may begin here that begins with a frame, and another piece after it, unless nothing is. `None`: too
/// little is there to tell.
fn is_piece(bytes: &[u8]) -> Option<bool> {
    let fits = |header: &[u8; HEADER]| {
        let [n0, n1, n2, n3, l0, l1, l2, l3] = *header;
        let number = u32::from_be_bytes([n0, n1, n2, n3]);
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        let known = matches!(number, PLUGIN_SERVES | RUNTIME_SERVES);
        (known && (1..=MAX_TRUNK_LENGTH).contains(&length)).then_some(length as usize)
    };
    let Some(length) = fits(bytes.first_chunk()?) else { return Some(false) };
    match Highest(0).look(bytes, HEADER) {
        Look::Wrong => return Some(false),
        Look::TooFew => return None,
        Look::Fits(..) => {}
    }
    match bytes.get(HEADER + length..)? {
        [] => Some(true),
        next => Some(fits(next.first_chunk()?).is_some()),
    }
}
