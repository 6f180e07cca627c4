//! Finding a frame boundary in bytes that begin anywhere, whatever the protocol.
//!
//! One header that fits proves nothing: in runs of small numbers, some fit by chance. Frames in a chain, each
//! beginning where the last one ends, are. How many it takes depends on what they show; a protocol gives points for that.
//! Until there is enough evidence, no frame is returned.

use rpcshark_captures::Data;

use crate::held::Held;

/// What a protocol knows about its frames.
pub(crate) trait Frames {
    /// The shortest frame, in bytes.
    const SHORTEST: usize;

    /// Whether a frame may begin at `at`.
    fn look(&self, bytes: &[u8], at: usize) -> Look;

    /// Whether a chain shows enough though it has too few points: `ended` says that no more bytes will come.
    fn shows_enough(&self, bytes: &[u8], chain: &Chain, needed: u32, ended: bool) -> bool;
}

/// What lies at a position.
pub(crate) enum Look {
    /// The frame, or what is needed to judge it, is not all there.
    TooFew,
    /// Not a frame.
    Wrong,
    /// A frame that fits.
    Fits(Seen),
}

/// A frame that fits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// All of its bytes.
    pub(crate) len: usize,
    /// Its stream, 0 for none.
    pub(crate) stream: u32,
    /// Its points as evidence.
    pub(crate) points: u32,
    /// It is too weak as evidence for a chain to begin with it.
    pub(crate) is_empty: bool,
}

/// Frames that may follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    /// Where the first one begins, in the bytes that are held.
    pub(crate) begin: usize,
    /// Where the next one must begin.
    pub(crate) next: usize,
    /// Their points as evidence.
    pub(crate) points: u32,
    /// The largest stream id so far, 0 for none.
    stream: u32,
    /// Whether it begins where a delivery begins: senders mostly write whole frames.
    pub(crate) at_delivery: bool,
}

/// Looks for the first frame boundary in one flow.
#[derive(Debug, Default)]
pub(crate) struct Seeker {
    held: Held,
    /// Bytes of `held` in which no further chain can begin.
    tried: usize,
    chains: Vec<Chain>,
    /// Bytes given up since the seeking began.
    given_up: u64,
    /// Points that are sufficient evidence.
    needed: u32,
    /// No more bytes will come.
    ended: bool,
    /// Where the boundary is, in the bytes that are held.
    found: Option<usize>,
}

/// Bytes that may be held while seeking: room for a chain of the largest frames that peers send without being asked for
/// more, some times over.
const MAX_HELD: usize = 1 << 20;

/// Chains followed at once: more than numbers that look like headers begin in `MAX_HELD` bytes of ordinary data.
const MAX_CHAINS: usize = 1024;

/// Stream ids that stand together in a chain are not further from each other than this, nor from those seen before.
pub(crate) const MAX_STREAM_DISTANCE: u32 = 1 << 16;

impl Seeker {
    /// A seeker for which so many points are evidence enough.
    pub(crate) fn new(needed: u32) -> Self {
        Self { needed, ..Self::default() }
    }

    /// Adds bytes; [`Seeker::is_found`] tells whether they were enough.
    pub(crate) fn push(&mut self, data: &Data<'_>, frames: &impl Frames) {
        self.held.push(data);
        if self.is_found() {
            return;
        }
        self.extend(frames);
        self.start_chains(frames);
        self.judge(frames);
        if !self.is_found() {
            self.forget();
        }
    }

    /// From now on so many points are enough.
    pub(crate) fn needs(&mut self, points: u32, frames: &impl Frames) {
        self.needed = points;
        self.judge(frames);
    }

    /// No more bytes will come: less evidence may have to do.
    pub(crate) fn end(&mut self, frames: &impl Frames) {
        self.ended = true;
        self.judge(frames);
    }

    /// Whether a boundary is found.
    pub(crate) const fn is_found(&self) -> bool {
        self.found.is_some()
    }

    /// Bytes are missing: the search starts again after them.
    pub(crate) fn gap(&mut self) {
        self.given_up += self.held.bytes().len() as u64;
        self.held.clear();
        self.chains = Vec::new();
        self.tried = 0;
        self.found = None;
    }

    /// The memory that it takes.
    pub(crate) fn memory(&self) -> usize {
        match self.held.memory() {
            0 => 0,
            held => held + self.chains.capacity() * size_of::<Chain>(),
        }
    }

    /// The packet of the oldest bytes that are held, by its position in the reading.
    pub(crate) fn since(&self) -> u64 {
        self.held.since()
    }

    /// Bytes that were looked at without finding a boundary.
    pub(crate) fn given_up(&self) -> u64 {
        self.given_up + self.held.bytes().len() as u64
    }

    /// The bytes from the boundary on, and how many before it were given up.
    pub(crate) fn into_found(mut self) -> (Held, u64) {
        let begin = self.found.unwrap_or(0);
        self.held.skip(begin);
        (self.held, self.given_up + begin as u64)
    }

    /// Of several chains that show enough the one that begins with a delivery counts, then the first.
    fn judge(&mut self, frames: &impl Frames) {
        let bytes = self.held.bytes();
        let enough =
            |chain: &&Chain| chain.points >= self.needed || frames.shows_enough(bytes, chain, self.needed, self.ended);
        let found = self.chains.iter().filter(enough).min_by_key(|chain| (!chain.at_delivery, chain.begin));
        self.found = found.map(|chain| chain.begin);
    }

    fn start_chains<F: Frames>(&mut self, frames: &F) {
        let Self { held, tried, chains, .. } = self;
        let bytes = held.bytes();
        let first = *tried;
        let mut deliveries = held.begins().filter(|&at| at >= first).peekable();
        while *tried + F::SHORTEST <= bytes.len() && chains.len() < MAX_CHAINS {
            let begin = *tried;
            while deliveries.next_if(|&at| at < begin).is_some() {}
            let at_delivery = deliveries.peek() == Some(&begin);
            match frames.look(bytes, begin) {
                Look::TooFew => break,
                Look::Fits(seen) if !seen.is_empty => {
                    let mut chain = Chain { begin, next: begin, points: 0, stream: 0, at_delivery };
                    chain.add(seen);
                    chains.push(chain);
                }
                Look::Wrong | Look::Fits(_) => {}
            }
            *tried += 1;
        }
        drop(deliveries);
        self.extend(frames);
    }

    /// Follows each chain as far as the bytes go, and drops those that break.
    fn extend(&mut self, frames: &impl Frames) {
        let Self { held, chains, needed, .. } = self;
        let bytes = held.bytes();
        chains.retain_mut(|chain| {
            while chain.points < *needed {
                match frames.look(bytes, chain.next) {
                    Look::TooFew => return true,
                    Look::Wrong => return false,
                    Look::Fits(seen) if !chain.fits(seen) => return false,
                    Look::Fits(seen) => chain.add(seen),
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
    /// Whether a frame may follow: stream ids of one connection lie close together.
    const fn fits(&self, seen: Seen) -> bool {
        self.stream == 0 || seen.stream == 0 || self.stream.abs_diff(seen.stream) <= MAX_STREAM_DISTANCE
    }

    fn add(&mut self, seen: Seen) {
        self.next += seen.len;
        self.points += seen.points;
        self.stream = self.stream.max(seen.stream);
    }
}

/// Whether a stream id may be the next one of a connection in which `highest` was the highest so far, 0 for none.
pub(crate) const fn is_near(stream: u32, highest: u32) -> bool {
    highest == 0 || stream <= highest.saturating_add(MAX_STREAM_DISTANCE)
}
