//! Text that several threads make and that goes to standard output in its order.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rpcshark_dissectors::json::{Drain, drain_to};

use crate::signals::Stop;

/// Bytes of a share that are kept until its turn comes. A thread whose share holds more waits for that.
const AHEAD: usize = 2 << 20;

/// Bytes of finished shares that are kept until their turn comes.
const FINISHED: usize = 16 << 20;

/// Lets all threads make the text of `count` shares, and writes the shares in their order. Whatever a share holds, only a bounded
/// part of it is in memory: the share whose turn it is is written as it is made. With `stop` it ends after a whole share.
pub(super) fn in_order(
    count: usize,
    stop: Option<&Stop>,
    write: impl Fn(usize, &mut Vec<u8>, Drain<'_>) + Sync,
) -> io::Result<()> {
    let turns = Turns { stop, next: AtomicUsize::new(0), state: Mutex::default(), changed: Condvar::new() };
    let work = || {
        while let Some(share) = turns.take_share(count) {
            let mut text = Vec::new();
            write(share, &mut text, &mut |text| turns.drain(share, text));
            turns.finish(share, text);
        }
    };
    match count {
        0 => {}
        1 => work(),
        // Threads that have other things to do are not waited for: the others take their shares.
        _ => rayon::scope(|scope| (0..rayon::current_num_threads()).for_each(|_| scope.spawn(|_| work()))),
    }
    turns.state.into_inner().unwrap_or_else(PoisonError::into_inner).result
}

struct Turns<'s> {
    stop: Option<&'s Stop>,
    /// The share that is made next. Shares are begun in their order, so that one that somebody waits for is being made.
    next: AtomicUsize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The share whose turn it is.
    turn: usize,
    /// Shares that are made, and whose turn has not come.
    finished: BTreeMap<usize, Vec<u8>>,
    /// How many bytes are in them.
    finished_bytes: usize,
    /// No more is written: it failed, or the program is to end.
    ended: bool,
    result: io::Result<()>,
}

impl Default for State {
    fn default() -> Self {
        Self { turn: 0, finished: BTreeMap::new(), finished_bytes: 0, ended: false, result: Ok(()) }
    }
}

impl Turns<'_> {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_share(&self, count: usize) -> Option<usize> {
        if self.lock().ended {
            return None;
        }
        Some(self.next.fetch_add(1, Ordering::Relaxed)).filter(|&share| share < count)
    }

    /// Writes the output of `share` so far if it is its turn; waits for its turn if the output is long.
    fn drain(&self, share: usize, text: &mut Vec<u8>) {
        let mut state = self.lock();
        while state.turn != share && !state.ended {
            if text.len() < AHEAD {
                return;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drain_to(text, |text| state.write(text));
    }

    /// Takes over the rest of a share.
    fn finish(&self, share: usize, text: Vec<u8>) {
        let mut state = self.lock();
        // The share whose turn it is never waits here, and it is that which makes room.
        while state.turn != share && !state.ended && state.finished_bytes + text.len() > FINISHED {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.finished_bytes += text.len();
        state.finished.insert(share, text);
        loop {
            let turn = state.turn;
            let Some(text) = state.finished.remove(&turn) else { break };
            state.finished_bytes -= text.len();
            state.write(&text);
            state.turn += 1;
            state.ended |= self.stop.is_some_and(Stop::is_raised);
        }
        self.changed.notify_all();
    }
}

impl State {
    fn write(&mut self, text: &[u8]) {
        if !self.ended {
            self.result = io::stdout().write_all(text);
            self.ended = self.result.is_err();
        }
    }
}
