//! Finding a frame boundary in bytes that begin anywhere.
//!
//! One header that fits is no evidence; frames in a chain, each beginning where the last one ends, are. How many it takes
//! depends on what they show: a Request that names a service and a method says more than an empty header.

use rpcshark_captures::Data;

use super::frame::{FrameHeader, FrameType};
use super::probe::{Name, request_names};
use crate::held::Held;

/// Looks for the first frame boundary in one flow.
#[derive(Debug)]
pub(super) struct Seeker {
    held: Held,
    /// Bytes of `held` in which no further chain can begin.
    tried: usize,
    chains: Vec<Chain>,
    /// Bytes given up since the seeking began.
    given_up: u64,
    /// Points that are evidence enough.
    needed: u32,
}

/// Frames that may follow each other.
#[derive(Clone, Copy, Debug)]
struct Chain {
    /// Where the first one begins, in the bytes that are held.
    begin: usize,
    /// Where the next one must begin.
    next: usize,
    points: u32,
    /// The largest stream id so far.
    stream: u32,
    /// Whether it begins where a delivery begins: senders mostly write whole frames.
    at_delivery: bool,
}

/// Points that show a frame boundary in a connection that is known to be ttrpc: two frames, or one that is all of what was
/// delivered.
pub(super) const KNOWN: u32 = 2;

/// Points that show that a connection is ttrpc.
pub(super) const UNKNOWN: u32 = 3;

/// What a Request that names a service and a method is worth.
const REQUEST: u32 = 2;

/// Bytes that may be held while seeking. Longer frames are rare, and the boundary behind one will do.
const MAX_HELD: usize = 1 << 20;

/// Chains followed at once: more than begin in `MAX_HELD` bytes of ordinary data.
const MAX_CHAINS: usize = 1024;

/// Stream ids that stand together in a chain are not further from each other than this, nor from those that were seen.
const MAX_STREAM_DISTANCE: u32 = 1 << 16;

impl Seeker {
    pub(super) fn new(needed: u32) -> Self {
        Self { held: Held::default(), tried: 0, chains: Vec::new(), given_up: 0, needed }
    }

    /// Adds bytes; [`Seeker::is_found`] tells whether they were enough. `highest`: the highest stream id seen, 0 where none
    /// was.
    pub(super) fn push(&mut self, data: &Data<'_>, highest: u32) {
        self.held.push(data);
        if self.is_found() {
            return;
        }
        self.extend(highest);
        self.start_chains(highest);
        if !self.is_found() {
            self.forget();
        }
    }

    /// From now on so many points are enough.
    pub(super) const fn needs(&mut self, points: u32) {
        self.needed = points;
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

    /// The chain that shows enough; of several one that begins with a delivery, then the first.
    fn found(&self) -> Option<Chain> {
        let len = self.held.bytes().len();
        let shown = |chain: &&Chain| {
            // All of what was delivered, and no more, is a sign that it was written so.
            let fills = chain.at_delivery && chain.next == len;
            chain.points + u32::from(fills) >= self.needed
        };
        self.chains.iter().filter(shown).min_by_key(|chain| (!chain.at_delivery, chain.begin)).copied()
    }

    fn start_chains(&mut self, highest: u32) {
        let Self { held, tried, chains, .. } = self;
        let bytes = held.bytes();
        let first = *tried;
        let mut deliveries = held.begins().filter(|&at| at >= first).peekable();
        while *tried + FrameHeader::LEN <= bytes.len() && chains.len() < MAX_CHAINS {
            let begin = *tried;
            while deliveries.next_if(|&at| at < begin).is_some() {}
            let at_delivery = deliveries.peek() == Some(&begin);
            match look(bytes, begin, highest) {
                Look::TooFew => break,
                Look::Wrong => {}
                // An empty Data is ten bytes of which few say anything.
                Look::Fits(header, _) if header.kind == FrameType::DATA && header.length == 0 => {}
                Look::Fits(header, points) => {
                    let mut chain = Chain { begin, next: begin, points: 0, stream: header.stream, at_delivery };
                    chain.add(&header, points);
                    chains.push(chain);
                }
            }
            *tried += 1;
        }
        drop(deliveries);
        self.extend(highest);
    }

    /// Follows each chain as far as the bytes go, and drops those that break.
    fn extend(&mut self, highest: u32) {
        let Self { held, chains, needed, .. } = self;
        let bytes = held.bytes();
        chains.retain_mut(|chain| {
            while chain.points < *needed {
                match look(bytes, chain.next, highest) {
                    Look::TooFew => return true,
                    Look::Wrong => return false,
                    Look::Fits(header, _) if chain.stream.abs_diff(header.stream) > MAX_STREAM_DISTANCE => {
                        return false;
                    }
                    Look::Fits(header, points) => chain.add(&header, points),
                }
            }
            true
        });
    }

    /// Gives up the oldest bytes when too many are held, and those in which nothing begins.
    fn forget(&mut self) {
        let len = self.held.bytes().len();
        let needed = self.chains.iter().map(|chain| chain.begin).min().unwrap_or(self.tried).min(self.tried);
        let skip = needed.max(len.saturating_sub(MAX_HELD));
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

impl Chain {
    fn add(&mut self, header: &FrameHeader, points: u32) {
        self.next += FrameHeader::LEN + header.length as usize;
        self.points += points;
        self.stream = self.stream.max(header.stream);
    }
}

pub(super) enum Look {
    /// The header, or what is needed to judge it, is not all there.
    TooFew,
    Wrong,
    /// It fits, and is worth so many points.
    Fits(FrameHeader, u32),
}

/// Whether a frame may begin at `at`.
pub(super) fn look(bytes: &[u8], at: usize, highest: u32) -> Look {
    let Some(rest) = bytes.get(at..) else { return Look::TooFew };
    let Some(header) = rest.first_chunk().map(FrameHeader::parse) else { return Look::TooFew };
    let near = highest == 0 || header.stream <= highest.saturating_add(MAX_STREAM_DISTANCE);
    if !near || !header.is_plausible() {
        return Look::Wrong;
    }
    let data = rest.get(FrameHeader::LEN..).unwrap_or_default();
    let data = data.get(..header.length as usize).unwrap_or(data);
    match header.kind {
        FrameType::REQUEST => match request_names(data, header.length) {
            Name::NeedMore => Look::TooFew,
            Name::Wrong => Look::Wrong,
            Name::Fits => Look::Fits(header, REQUEST),
        },
        FrameType::RESPONSE => match response_fits(data, header.length) {
            None => Look::TooFew,
            Some(false) => Look::Wrong,
            Some(true) => Look::Fits(header, 1),
        },
        _ => Look::Fits(header, 1),
    }
}

/// Whether data that begins with `data` may be a Response: a status or a payload that it has room for.
pub(super) fn response_fits(data: &[u8], length: u32) -> Option<bool> {
    if length == 0 {
        return Some(true);
    }
    let tag = *data.first()?;
    if !matches!(tag, 0x0a | 0x12) {
        return Some(false);
    }
    let mut cursor = crate::Cursor::new(data.get(1..)?);
    match crate::protobuf::wire::varint(&mut cursor) {
        Ok(len) => {
            let end = (1 + cursor.position() as u64).saturating_add(len);
            // A payload is the last field that there is.
            Some(if tag == 0x12 { end == u64::from(length) } else { end <= u64::from(length) })
        }
        Err(_) if cursor.rest().is_empty() && data.len() < length as usize => None,
        Err(_) => Some(false),
    }
}
