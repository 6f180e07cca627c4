//! Where one direction stands: in a head, in a body, or seeking the next head after missing bytes.

use rpcshark_captures::{Data, Direction};

use super::head::{Head, MAX_HEAD};
use super::seek::{Sought, seek};
use crate::held::Held;

/// Where one direction stands.
#[derive(Debug)]
pub(super) struct Reader {
    direction: Direction,
    pub(super) state: State,
    pub(super) head: Head,
    /// Bytes in which a head is sought.
    pub(super) sought: Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Head,
    /// In a body: so many bytes are left.
    Body(u64),
    /// In a chunked body: in a chunk's size line (RFC 9112 §7.1); its value so far, whether digits continue.
    ChunkSize {
        size: u64,
        in_digits: bool,
    },
    /// In a chunk: so many bytes are left. `begins`: none of it was read.
    Chunk {
        left: u64,
        begins: bool,
    },
    /// After a chunk: its line end.
    ChunkEnd,
    /// After the last chunk: trailer lines; whether the current one is empty so far.
    ChunkTrailers {
        is_empty: bool,
    },
    /// A body that ends with the connection.
    UntilClose,
    /// Bytes are missing. `in_chunks`: a chunked body had begun that may continue.
    Seeking {
        in_chunks: bool,
    },
}

/// What a reader has found in its direction.
pub(super) enum Step<'a> {
    /// A head is complete: it is in [`Reader::head`].
    Head,
    /// Bytes of a body. What a sender has put together begins and ends with them.
    Body { part: Data<'a>, begins: bool, ends: bool },
    /// A body is complete.
    End,
    /// A place was found in [`Reader::sought`] at which reading continues. `new`: it is a head.
    Found { new: bool },
}

impl Reader {
    pub(super) fn new(direction: Direction, state: State) -> Self {
        Self { direction, state, head: Head::default(), sought: Held::default() }
    }

    /// Whether its place is lost: a head without an end, or a chunk without a size.
    pub(super) fn is_lost(&self) -> bool {
        self.head.bytes.len() > MAX_HEAD
    }

    /// Bytes are missing here, and with them where the next message begins.
    pub(super) fn lose(&mut self) {
        let in_chunks = match self.state {
            State::Chunk { .. } | State::ChunkSize { .. } | State::ChunkEnd => true,
            State::Seeking { in_chunks } => in_chunks,
            _ => false,
        };
        self.head = Head::default();
        self.sought.clear();
        self.state = State::Seeking { in_chunks };
    }

    /// Reads on in `data` until something is found. `None`: all of `data` is used.
    pub(super) fn next<'a>(&mut self, data: &mut Data<'a>) -> Option<Step<'a>> {
        while !data.bytes.is_empty() {
            match self.state {
                State::Head => {
                    if self.is_lost() {
                        return None;
                    }
                    if self.head.read(data) {
                        return Some(Step::Head);
                    }
                }
                State::Seeking { in_chunks } => {
                    self.sought.push(data);
                    *data = data.skip(data.bytes.len());
                    let (skip, found) = match seek(self.direction, &self.sought, in_chunks) {
                        Sought::Head(at) => (at, Some(State::Head)),
                        Sought::Chunk(at) => (at, Some(State::ChunkSize { size: 0, in_digits: true })),
                        Sought::Nothing { keep } => (keep, None),
                    };
                    self.sought.skip(skip);
                    if let Some(state) = found {
                        self.state = state;
                        return Some(Step::Found { new: state == State::Head });
                    }
                }
                State::UntilClose => {
                    let (part, rest) = data.split(data.bytes.len());
                    *data = rest;
                    return Some(Step::Body { part, begins: true, ends: true });
                }
                State::Body(left) => {
                    let (part, rest) = data.split(usize::try_from(left).unwrap_or(usize::MAX));
                    *data = rest;
                    let left = left - part.bytes.len() as u64;
                    self.state = if left == 0 { State::Head } else { State::Body(left) };
                    return Some(Step::Body { part, begins: true, ends: true });
                }
                State::Chunk { left, begins } => {
                    let (part, rest) = data.split(usize::try_from(left).unwrap_or(usize::MAX));
                    *data = rest;
                    let left = left - part.bytes.len() as u64;
                    self.state = if left == 0 { State::ChunkEnd } else { State::Chunk { left, begins: false } };
                    return Some(Step::Body { part, begins, ends: left == 0 });
                }
                _ => {
                    let (one, rest) = data.split(1);
                    *data = rest;
                    if self.chunk_byte(one.bytes.first().copied().unwrap_or_default()) {
                        return Some(Step::End);
                    }
                }
            }
        }
        None
    }

    /// Reads a byte that frames chunks. True: the body has ended.
    fn chunk_byte(&mut self, byte: u8) -> bool {
        self.state = match (self.state, byte) {
            (State::ChunkSize { size: 0, .. }, b'\n') => State::ChunkTrailers { is_empty: true },
            (State::ChunkSize { size, .. }, b'\n') => State::Chunk { left: size, begins: true },
            (State::ChunkSize { size, in_digits: true }, digit) if digit.is_ascii_hexdigit() => {
                let value = (digit as char).to_digit(16).unwrap_or(0);
                State::ChunkSize { size: size.saturating_mul(16).saturating_add(value.into()), in_digits: true }
            }
            // Extensions follow the digits.
            (State::ChunkSize { size, .. }, _) => State::ChunkSize { size, in_digits: false },
            (State::ChunkEnd, b'\n') => State::ChunkSize { size: 0, in_digits: true },
            (State::ChunkTrailers { is_empty: true }, b'\n') => {
                self.state = State::Head;
                return true;
            }
            (State::ChunkTrailers { .. }, b'\n') => State::ChunkTrailers { is_empty: true },
            (State::ChunkTrailers { is_empty }, b'\r') => State::ChunkTrailers { is_empty },
            (State::ChunkTrailers { .. }, _) => State::ChunkTrailers { is_empty: false },
            (state, _) => state,
        };
        false
    }
}
