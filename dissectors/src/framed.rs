//! What all protocols of frames on a connection share: a frame header that arrives in parts, the search for a frame
//! boundary after a gap, the decision which side is the client, and the end.
//!
//! A protocol implements [`Framed`] and reads frames; the methods that the trait provides do the rest.

use rpcshark_captures::{Data, Direction, Gap};

use crate::held::Held;
use crate::note::way;
use crate::seek::{Frames, Seeker};
use crate::store::{ClientBy, ConnectionId, ConnectionProtocol, Lane};
use crate::{Arrival, FirstByte, JoinPoint, Note, Severity};

/// How often a boundary may be given up again before the next gap: each time costs another look at what is held.
const RETRIES: u8 = 4;

/// Among so many frames after a found boundary, one that does not fit shows that the boundary was wrong.
const DOUBTED_FRAMES: u32 = 16;

/// The state of a connection that does not depend on the protocol. `N`: bytes of a frame header.
#[derive(Debug)]
pub(crate) struct Framing<O, const N: usize> {
    pub(crate) connection: ConnectionId,
    /// By [`Direction::index`], with the roles as they are known now.
    pub(crate) halves: [Half<O, N>; 2],
    /// Client and server of the input are swapped.
    pub(crate) roles_swapped: bool,
    /// Which side is the client is a guess that the bytes may correct.
    pub(crate) roles_may_swap: bool,
    /// The bytes have shown that the connection uses this protocol.
    pub(crate) proven: bool,
}

/// One direction of a connection.
#[derive(Debug)]
pub(crate) struct Half<O, const N: usize> {
    pub(crate) position: Position<O, N>,
    /// Gaps after which a boundary had to be found. A flow whose beginning was not seen begins with one.
    pub(crate) breaks: u32,
    /// The last of them.
    pub(crate) broken_at: Arrival,
    /// Everything from the connection's beginning on was seen.
    pub(crate) whole: bool,
    retries: u8,
    /// Frames read since a boundary was found.
    pub(crate) since_found: u32,
    /// The offset in the flow of the first byte that is not read yet.
    pub(crate) offset: u64,
    /// How much of the other flow the sender had acknowledged when it sent what is being read.
    pub(crate) acked: Option<u64>,
}

/// Where in the bytes a direction stands. `O`: what a protocol knows of a frame that is not complete.
#[derive(Debug)]
pub(crate) enum Position<O, const N: usize> {
    /// In a frame header.
    Header(PartialHeader<N>),
    /// Behind a frame header.
    Frame(Box<O>),
    /// Somewhere: a boundary is searched.
    Seeking(Box<Seeker>),
}

/// A frame header, as far as it has arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PartialHeader<const N: usize> {
    bytes: [u8; N],
    len: usize,
    first: FirstByte,
}

impl<const N: usize> Default for PartialHeader<N> {
    fn default() -> Self {
        Self { bytes: [0; N], len: 0, first: FirstByte::default() }
    }
}

impl<const N: usize> PartialHeader<N> {
    /// Reads on. Once the header is complete: its bytes and the first of them; the next one begins after it.
    #[inline]
    fn read(&mut self, data: &mut Data<'_>) -> Option<([u8; N], FirstByte)> {
        if self.len == 0 {
            let first = FirstByte::from(&*data);
            // The common case: all of it is here.
            if let Some(&bytes) = data.bytes.first_chunk() {
                data.advance(N);
                return Some((bytes, first));
            }
            self.first = first;
        }
        let (head, rest) = data.split(N - self.len);
        let end = self.len + head.bytes.len();
        self.bytes.get_mut(self.len..end)?.copy_from_slice(head.bytes);
        self.len = end % N;
        *data = rest;
        (end == N).then_some((self.bytes, self.first))
    }

    /// How many bytes of it have arrived.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }
}

impl<O, const N: usize> Position<O, N> {
    /// At a frame boundary.
    pub(crate) fn boundary() -> Self {
        Self::Header(PartialHeader::default())
    }

    /// Searching a boundary; so many points show one.
    pub(crate) fn seeking(points: u32) -> Self {
        Self::Seeking(Box::new(Seeker::new(points)))
    }
}

impl<O, const N: usize> Half<O, N> {
    /// A direction that begins at `position`; `whole`: with the connection.
    pub(crate) fn new(position: Position<O, N>, whole: bool) -> Self {
        Self {
            position,
            breaks: u32::from(!whole),
            broken_at: Arrival::default(),
            whole,
            retries: RETRIES,
            since_found: 0,
            offset: 0,
            acked: None,
        }
    }

    /// Whether the next frame may show that the boundary before it was wrong.
    const fn is_doubted(&self) -> bool {
        self.breaks > 0 && self.since_found <= DOUBTED_FRAMES && self.retries > 0
    }
}

impl<O, const N: usize> Framing<O, N> {
    /// A connection whose directions begin at `positions`.
    pub(crate) fn new(connection: ConnectionId, join_point: JoinPoint, positions: [Position<O, N>; 2]) -> Self {
        let whole = join_point == JoinPoint::Start;
        let halves = positions.map(|position| Half::new(position, whole));
        Self { connection, halves, roles_swapped: false, roles_may_swap: !whole, proven: whole }
    }

    pub(crate) fn half(&mut self, direction: Direction) -> &mut Half<O, N> {
        &mut self.halves[direction.index()]
    }

    /// The direction that the input calls `seen`, with the roles as they are known now.
    pub(crate) const fn oriented(&self, seen: Direction) -> Direction {
        if self.roles_swapped { seen.reverse() } else { seen }
    }

    /// Whether everything from the connection's beginning on was seen.
    pub(crate) fn is_whole(&self) -> bool {
        self.halves.iter().all(|half| half.whole)
    }

    /// The breaks of each direction, and when the last of them was.
    pub(crate) fn breaks(&self) -> [(u32, Arrival); 2] {
        self.halves.each_ref().map(|half| (half.breaks, half.broken_at))
    }

    pub(crate) fn note(&self, lane: &mut Lane, note: Note) {
        lane.connection_mut(self.connection).note(note);
    }
}

/// A protocol of frames, each with a header of `N` bytes.
pub(crate) trait Framed<const N: usize> {
    /// A frame that is not complete.
    type Open;
    /// How frames are recognised among other bytes.
    type Frames: Frames;

    /// What a connection is when its frames were found.
    const PROTOCOL: ConnectionProtocol;
    /// The points that show a boundary where the protocol is known.
    const POINTS: u32;

    fn framing(&self) -> &Framing<Self::Open, N>;
    fn framing_mut(&mut self) -> &mut Framing<Self::Open, N>;

    /// What frames of a direction look like.
    fn frames(&self, direction: Direction) -> Self::Frames;

    /// A frame header is complete; `data` is what follows it.
    fn frame_begins(
        &mut self,
        direction: Direction,
        header: [u8; N],
        first: FirstByte,
        data: &mut Data<'_>,
        lane: &mut Lane,
    );

    /// Reads on in the open frame of a direction.
    fn frame_goes_on(&mut self, direction: Direction, data: &mut Data<'_>, lane: &mut Lane);

    /// How many bytes of an open frame are to come.
    fn left(open: &Self::Open) -> u32;

    /// `length` bytes of the open frame of a direction are missing; no more than are to come.
    fn frame_gap(&mut self, direction: Direction, length: u32, now: Arrival, lane: &mut Lane);

    /// A gap begins in an open frame and ends after it, or nobody knows where.
    fn frame_cut(&mut self, direction: Direction, open: Self::Open, now: Arrival, lane: &mut Lane);

    /// Bytes of a direction are missing, and what they held is not known.
    fn bytes_lost(&mut self, direction: Direction, lane: &mut Lane);

    /// The client is the other side: swaps what the protocol keeps by direction. [`Framing`] is swapped already.
    fn swap_kept(&mut self, lane: &mut Lane);

    /// Reads `data` to its end.
    fn read(&mut self, seen: Direction, data: Data<'_>, lane: &mut Lane) {
        let proven = self.framing().proven;
        self.read_known(seen, data, lane);
        self.read_found(seen, lane);
        if self.framing().proven != proven {
            // Less evidence shows a boundary now.
            self.read_found(seen.reverse(), lane);
        }
    }

    /// Reads `data` to its end, or hands it to the search.
    fn read_known(&mut self, seen: Direction, mut data: Data<'_>, lane: &mut Lane) {
        while !data.bytes.is_empty() {
            // Any frame may swap the roles.
            let direction = self.framing().oriented(seen);
            let half = self.framing_mut().half(direction);
            half.acked = data.acked;
            match &mut half.position {
                Position::Header(partial) => match partial.read(&mut data) {
                    Some((header, first)) => {
                        half.offset = data.offset;
                        self.frame_begins(direction, header, first, &mut data, lane);
                    }
                    None => return,
                },
                Position::Frame(_) => self.frame_goes_on(direction, &mut data, lane),
                Position::Seeking(_) => {
                    let frames = self.frames(direction);
                    if let Position::Seeking(seeker) = &mut self.framing_mut().half(direction).position {
                        seeker.push(&data, &frames);
                    }
                    return;
                }
            }
        }
    }

    /// Reads what lies after a boundary that was found. Each round gives up a boundary that the last one had found, and
    /// retries are few.
    fn read_found(&mut self, seen: Direction, lane: &mut Lane) {
        while let Some(held) = self.take_found(self.framing().oriented(seen), lane) {
            held.data().for_each(|data| self.read_known(seen, data, lane));
        }
    }

    /// The bytes after a boundary that was found.
    fn take_found(&mut self, direction: Direction, lane: &mut Lane) -> Option<Held> {
        let half = self.framing_mut().half(direction);
        if !matches!(&half.position, Position::Seeking(seeker) if seeker.is_found()) {
            return None;
        }
        let Position::Seeking(seeker) = std::mem::replace(&mut half.position, Position::boundary()) else {
            return None;
        };
        half.since_found = 0;
        let (held, lost) = seeker.into_found();
        if lost > 0 {
            let text = format!("{} {} were skipped to find the next frame", bytes_text(lost), way(direction));
            let packet = held.data().next().map(|data| data.packet.no).unwrap_or_default();
            self.framing().note(lane, Note::new(Severity::Warning, "resynchronised", text).at(packet));
        }
        if !self.framing().proven {
            self.framing_mut().proven = true;
            lane.connection_mut(self.framing().connection).protocol = Self::PROTOCOL;
            // The other direction needs less evidence now.
            let frames = self.frames(direction.reverse());
            if let Position::Seeking(seeker) = &mut self.framing_mut().half(direction.reverse()).position {
                seeker.needs(Self::POINTS, &frames);
            }
        }
        Some(held)
    }

    /// Counts a frame after the last boundary that was found. True: the boundary is given up, since `is_plausible` says
    /// that no frame begins here.
    fn gives_up_boundary(
        &mut self,
        direction: Direction,
        is_plausible: impl FnOnce(&Self) -> bool,
        first: FirstByte,
        lane: &mut Lane,
    ) -> bool {
        let half = self.framing_mut().half(direction);
        half.since_found = half.since_found.saturating_add(1);
        let gives_up = half.is_doubted() && !is_plausible(self);
        if gives_up {
            self.framing_mut().half(direction).retries -= 1;
            self.break_off(direction, first.arrival, lane);
        }
        gives_up
    }

    /// Where the next frame begins is not known any more.
    fn break_off(&mut self, direction: Direction, now: Arrival, lane: &mut Lane) {
        let half = self.framing_mut().half(direction);
        half.position = Position::seeking(Self::POINTS);
        half.breaks += 1;
        half.broken_at = now;
        half.whole = false;
        self.bytes_lost(direction, lane);
    }

    /// Bytes are missing.
    fn gap(&mut self, seen: Direction, gap: &Gap, lane: &mut Lane) {
        let now = Arrival::from(gap);
        let direction = self.framing().oriented(seen);
        let half = self.framing_mut().half(direction);
        half.retries = RETRIES;
        half.offset += gap.length.unwrap_or(0);
        match &mut half.position {
            Position::Seeking(seeker) => return seeker.gap(),
            Position::Frame(open) => {
                let left = Self::left(open);
                if let Some(length) =
                    gap.length.and_then(|length| u32::try_from(length).ok()).filter(|&len| len <= left)
                {
                    // It lies inside the frame: the next one begins where the length says.
                    return self.frame_gap(direction, length, now, lane);
                }
            }
            Position::Header(_) => {}
        }
        if let Position::Frame(open) = std::mem::replace(&mut half.position, Position::boundary()) {
            self.frame_cut(direction, *open, now, lane);
        }
        // The frame may have swapped the roles.
        self.break_off(self.framing().oriented(seen), now, lane);
    }

    /// `says` is the direction in which something goes that only one side sends. Where the client was only guessed, that
    /// decides. Returns the direction in which it went.
    fn direction_shown(&mut self, says: Direction, direction: Direction, lane: &mut Lane) -> Direction {
        let framing = self.framing_mut();
        if !std::mem::take(&mut framing.roles_may_swap) {
            return direction;
        }
        let swap = says != direction;
        if swap {
            framing.roles_swapped = !framing.roles_swapped;
            framing.halves.swap(0, 1);
            self.swap_kept(lane);
            lane.swap_frame_roles(self.framing().connection);
        }
        lane.connection_mut(self.framing().connection).client_identified(swap, ClientBy::Protocol);
        says
    }

    /// No more bytes will come: less evidence has to do.
    fn finish_search(&mut self, lane: &mut Lane) {
        for seen in Direction::BOTH {
            let direction = self.framing().oriented(seen);
            let frames = self.frames(direction);
            if let Position::Seeking(seeker) = &mut self.framing_mut().half(direction).position {
                seeker.end(&frames);
            }
            self.read_found(seen, lane);
        }
    }

    /// Notes the bytes in which no boundary was found.
    fn note_failed_search(&self, lane: &mut Lane) {
        let framing = self.framing();
        for direction in Direction::BOTH {
            if let Position::Seeking(seeker) = &framing.halves[direction.index()].position
                && seeker.given_up() > 0
                && framing.proven
            {
                let bytes = bytes_text(seeker.given_up());
                let text = format!("no frame was found in the last {bytes} {}", way(direction));
                framing.note(lane, Note::new(Severity::Warning, "not-resynchronised", text));
            }
        }
    }
}

/// `1 byte`, `2 bytes`.
pub(crate) fn bytes_text(count: u64) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") }
}
