//! What every protocol is to the rest of the program.

use rpcshark_captures::budget::{Held, Kind};
use rpcshark_captures::connection::Close;
use rpcshark_captures::{Direction, Input};

use crate::{Arrival, Context};

/// One protocol on one connection, both directions.
///
/// A parser never fails: what is wrong with the bytes is a note, and it continues.
pub trait Parser: Send + std::fmt::Debug {
    /// What comes next in one direction. A parser may end itself and say what follows in the same stream.
    fn input(&mut self, direction: Direction, input: Input<'_>, context: &mut Context<'_>) -> Option<HandOver>;

    /// One direction has ended.
    fn closed(&mut self, direction: Direction, how: Close, now: Arrival, context: &mut Context<'_>);

    /// The capture has ended.
    fn finish(&mut self, context: &mut Context<'_>);

    /// Whether the bytes have shown that this is the right protocol. Until then a parser enters nothing.
    fn is_proven(&self) -> bool;

    /// The memory that it takes for things whose end is missing, and since when. It is asked after each delivery.
    fn held(&self) -> Held;

    /// Releases the oldest of these, with a note: its kind, and how much memory it took. `None`: there is nothing.
    fn release(&mut self, context: &mut Context<'_>) -> Option<(Kind, usize)>;

    /// Whether its bytes are encrypted and could be decrypted.
    fn is_encrypted(&self) -> bool {
        false
    }

    /// Whether it needs to know where its bytes lie, to have them read again.
    fn needs_places(&self) -> bool {
        true
    }
}

/// What follows in the same stream when a parser has ended itself.
#[derive(Debug)]
pub struct HandOver {
    /// The parser that continues.
    pub parser: Box<dyn Parser>,
    /// How many bytes of the input it was given are not used up: they are the next parser's.
    pub unused: usize,
}

/// Where the reading of a connection begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinPoint {
    /// With its first byte.
    Start,
    /// In the middle: which side is the client is a guess.
    Middle,
}
