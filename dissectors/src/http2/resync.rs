//! Finding a frame boundary in bytes that begin anywhere.
//!
//! One header that fits is no evidence: in runs of small numbers it fits at every sixtieth place. Three frames in a chain,
//! each beginning where the last one ends, are. While there is too little evidence, no frame is given out.

use rpcshark_captures::{Data, Direction};

use super::frame::{Flags, FrameHeader, FrameType};
use super::hpack;
use super::payload::Payload;
use crate::held::Held;

/// Looks for the first frame boundary in one flow.
#[derive(Debug, Default)]
pub(super) struct Seeker {
    held: Held,
    /// Bytes of `held` in which no further chain can begin.
    tried: usize,
    chains: Vec<Chain>,
    /// Bytes given up since the seeking began.
    given_up: u64,
    /// No more bytes will come.
    ended: bool,
}

/// Frames that may follow each other.
#[derive(Clone, Copy, Debug)]
struct Chain {
    /// Where the first one begins, in the bytes that are held.
    begin: usize,
    /// Where the next one must begin.
    next: usize,
    frames: u32,
    /// The largest stream id so far, 0 for none.
    stream: u32,
    /// Whether it begins where a delivery begins: senders mostly write whole frames.
    at_delivery: bool,
}

/// Frames in a chain that are evidence enough.
const CHAIN: u32 = 3;

/// Bytes that may be held while seeking: room for a chain of the largest frames that servers ask for by default, some
/// times over.
const MAX_HELD: usize = 1 << 20;

/// Chains followed at once: more than numbers that look like headers begin in `MAX_HELD` bytes of ordinary data.
const MAX_CHAINS: usize = 1024;

/// Header blocks up to this length are decoded to see whether they are ones: a longer one would have to be decoded at
/// every place at which it might begin.
const MAX_TRIED_BLOCK: usize = 4096;

/// Stream ids that stand together in a chain are not further from each other than this.
const MAX_STREAM_DISTANCE: u32 = 1 << 16;

impl Seeker {
    /// Adds bytes; [`Seeker::is_found`] tells whether they were enough.
    pub(super) fn push(&mut self, data: &Data<'_>, limits: &Limits) {
        self.held.push(data);
        if self.is_found() {
            return;
        }
        extend(&mut self.chains, self.held.bytes(), limits);
        self.start_chains(limits);
        if !self.is_found() {
            self.forget();
        }
    }

    /// Whether a boundary is found.
    pub(super) fn is_found(&self) -> bool {
        self.found().is_some()
    }

    /// Bytes are missing: everything begins anew behind them.
    pub(super) fn gap(&mut self) {
        self.given_up += self.held.bytes().len() as u64;
        self.held.clear();
        self.chains.clear();
        self.tried = 0;
    }

    /// Bytes that were looked at without finding a boundary.
    pub(super) fn given_up(&self) -> u64 {
        self.given_up + self.held.bytes().len() as u64
    }

    /// The bytes from the boundary on, and how many before it were given up.
    pub(super) fn into_found(mut self) -> (Held, u64) {
        let begin = self.found().map_or(0, |chain| chain.begin);
        self.held.skip(begin);
        (self.held, self.given_up + begin as u64)
    }

    /// No more bytes will come: less evidence has to do.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// The chain that is long enough; of several one that begins with a delivery, then the first.
    fn found(&self) -> Option<Chain> {
        let proven =
            self.chains.iter().filter(|chain| chain.frames >= CHAIN || self.ended && self.carries_messages(chain));
        proven.min_by_key(|chain| (!chain.at_delivery, chain.begin)).copied()
    }

    /// Whether a chain begins with a delivery, ends with the last byte, and each DATA frame in it is whole messages, at
    /// least one: that says as much as a longer chain of headers.
    fn carries_messages(&self, chain: &Chain) -> bool {
        let bytes = self.held.bytes();
        if !chain.at_delivery || chain.next != bytes.len() {
            return false;
        }
        let mut at = chain.begin;
        let mut messages = false;
        while let Some(header) = bytes.get(at..).and_then(<[u8]>::first_chunk).map(FrameHeader::parse) {
            let end = at + FrameHeader::LEN + header.length as usize;
            let payload = bytes.get(at + FrameHeader::LEN..end).unwrap_or_default();
            if header.kind == FrameType::DATA {
                if header.flags.contains(Flags::PADDED) || !is_whole_messages(payload) {
                    return false;
                }
                messages = true;
            }
            at = end;
        }
        messages
    }

    fn start_chains(&mut self, limits: &Limits) {
        let Self { held, tried, chains, .. } = self;
        let bytes = held.bytes();
        let first = *tried;
        let mut deliveries = held.begins().filter(|&at| at >= first).peekable();
        while *tried + FrameHeader::LEN <= bytes.len() && chains.len() < MAX_CHAINS {
            let begin = *tried;
            while deliveries.next_if(|&at| at < begin).is_some() {}
            let at_delivery = deliveries.peek() == Some(&begin);
            match look(bytes, begin, limits) {
                Look::TooFew => break,
                Look::Wrong => {}
                // An empty DATA is nine bytes of which few say anything.
                Look::Fits(header) if header.kind == FrameType::DATA && header.length == 0 => {}
                Look::Fits(header) => {
                    let mut chain = Chain { begin, next: begin, frames: 0, stream: 0, at_delivery };
                    chain.add(&header);
                    chains.push(chain);
                }
            }
            *tried += 1;
        }
        extend(chains, bytes, limits);
    }

    /// Gives up the oldest bytes when too many are held, and those in which nothing begins.
    fn forget(&mut self) {
        let len = self.held.bytes().len();
        let needed = self.chains.iter().map(|chain| chain.begin).min().unwrap_or(self.tried).min(self.tried);
        let too_many = len.saturating_sub(MAX_HELD);
        let skip = needed.max(too_many);
        if skip == 0 {
            return;
        }
        self.held.skip(skip);
        self.given_up += skip as u64;
        self.tried = self.tried.saturating_sub(skip);
        self.chains.retain_mut(|chain| {
            let stays = chain.begin >= skip;
            if stays {
                chain.begin -= skip;
                chain.next -= skip;
            }
            stays
        });
    }
}

/// Follows each chain as far as the bytes go, and drops those that break.
fn extend(chains: &mut Vec<Chain>, bytes: &[u8], limits: &Limits) {
    chains.retain_mut(|chain| {
        while chain.frames < CHAIN {
            match look(bytes, chain.next, limits) {
                Look::TooFew => return true,
                Look::Wrong => return false,
                Look::Fits(header) if !chain.fits(&header) => return false,
                Look::Fits(header) => chain.add(&header),
            }
        }
        true
    });
}

impl Chain {
    /// Whether `header` may follow: stream ids of one connection lie close together.
    fn fits(&self, header: &FrameHeader) -> bool {
        self.stream == 0 || header.stream == 0 || self.stream.abs_diff(header.stream) <= MAX_STREAM_DISTANCE
    }

    fn add(&mut self, header: &FrameHeader) {
        self.next += FrameHeader::LEN + header.length as usize;
        self.frames += 1;
        self.stream = self.stream.max(header.stream);
    }
}

/// What is known of the connection in which a boundary is sought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The largest frame that the receiver allows, where it has said so.
    pub(super) max_frame_size: u32,
    /// The highest stream id seen, 0 where none was.
    pub(super) highest_stream: u32,
}

/// Whether a payload is gRPC messages from its beginning to its end, and at least one.
fn is_whole_messages(mut payload: &[u8]) -> bool {
    if payload.is_empty() {
        return false;
    }
    while let [flag, a, b, c, d, rest @ ..] = payload {
        let len = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        match rest.get(len..) {
            Some(rest) if *flag <= 1 => payload = rest,
            _ => return false,
        }
    }
    payload.is_empty()
}

enum Look {
    /// The header, or what is needed to judge it, is not all there.
    TooFew,
    Wrong,
    Fits(FrameHeader),
}

/// Whether a frame may begin at `at`.
fn look(bytes: &[u8], at: usize, limits: &Limits) -> Look {
    let Some(rest) = bytes.get(at..) else { return Look::TooFew };
    let Some(header) = rest.first_chunk().map(FrameHeader::parse) else { return Look::TooFew };
    let near = limits.highest_stream == 0 || header.stream <= limits.highest_stream + MAX_STREAM_DISTANCE;
    if !near || !is_plausible(header, limits) {
        return Look::Wrong;
    }
    let payload = rest.get(FrameHeader::LEN..).unwrap_or_default();
    match payload.get(..header.length as usize) {
        Some(payload) if !payload_fits(&header, payload) => Look::Wrong,
        _ => Look::Fits(header),
    }
}

/// Whether an ordinary peer would send such a header. Which side is the client may be a guess, so both will do.
pub(super) fn is_plausible(header: FrameHeader, limits: &Limits) -> bool {
    Direction::BOTH.into_iter().any(|direction| header.is_plausible(direction, limits.max_frame_size))
}

/// Whether the payload is one that the header's type can have.
fn payload_fits(header: &FrameHeader, payload: &[u8]) -> bool {
    let parsed = super::payload::parse(*header, payload);
    if !parsed.faults.is_empty() {
        return false;
    }
    match parsed.payload {
        Payload::Headers { fragment, .. }
            if header.flags.contains(Flags::END_HEADERS) && fragment.len() <= MAX_TRIED_BLOCK =>
        {
            let block = hpack::Decoder::new(false).decode(fragment);
            block.complete && block.faults.is_empty() && !block.fields.is_empty()
        }
        // RFC 9113 §6.9: the first bit of the increment is reserved.
        Payload::WindowUpdate { .. } => payload.first().is_some_and(|&b| b < 0x80),
        // RFC 9113 §6.5: identifiers begin at 1; those that are registered are small, gRPC's own are at 0xfe00.
        Payload::Settings(settings) => settings.iter().all(|s| matches!(s.id.0, 1..=0xff | 0xfe00..=0xfeff)),
        Payload::Malformed(_) => false,
        _ => true,
    }
}
