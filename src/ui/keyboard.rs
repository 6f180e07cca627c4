//! What the terminal sends: keys, the mouse, new sizes. And whether there still is a terminal.
//!
//! crossterm reads a terminal that has hung up again and again without ever returning. So the terminal is asked first.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ratatui::crossterm::event;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::terminal::Signal;

/// How long keys are waited for before looking at anything else: a new size, the end of the program.
const KEYS: Duration = Duration::from_millis(50);

/// How long the thread that reads keys may take to end. It ends within [`KEYS`] unless the terminal hangs up while it reads.
const LEAVE: Duration = Duration::from_millis(500);

/// The terminal that keys come from.
#[derive(Debug)]
struct Keys(OwnedFd);

/// What is known of the terminal that keys come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Quiet,
    Readable,
    Gone,
    /// The system cannot wait for this terminal.
    Unknown,
}

impl Keys {
    /// Standard input where that is a terminal, otherwise the terminal of the process: as crossterm chooses.
    fn open() -> io::Result<Self> {
        let input = io::stdin();
        Ok(Self(match input.is_terminal() {
            true => rustix::io::fcntl_dupfd_cloexec(&input, 0)?,
            false => File::open("/dev/tty")?.into(),
        }))
    }

    /// Waits until there is something to read, for at most `longest`.
    fn wait(&self, longest: Duration) -> State {
        let longest = Timespec { tv_sec: longest.as_secs().cast_signed(), tv_nsec: longest.subsec_nanos().into() };
        let mut terminal = [PollFd::new(&self.0, PollFlags::IN)];
        match poll(&mut terminal, Some(&longest)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return State::Quiet,
            Ok(_) => {}
            Err(_) => return State::Unknown,
        }
        match terminal[0].revents() {
            found if found.contains(PollFlags::NVAL) => State::Unknown,
            found if found.intersects(PollFlags::HUP | PollFlags::ERR) => State::Gone,
            _ => State::Readable,
        }
    }
}

/// The thread that reads keys.
#[derive(Debug)]
pub(super) struct Keyboard {
    keys: Arc<Keys>,
    ended: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

impl Keyboard {
    /// Starts to read keys and sends them to `to`.
    ///
    /// # Errors
    ///
    /// If there is no terminal to read from, or no thread.
    pub(super) fn start(to: Sender<Signal>) -> io::Result<Self> {
        let keys = Arc::new(Keys::open()?);
        let ended = Arc::new(AtomicBool::new(false));
        let reader = thread::Builder::new().name("keys".to_owned()).spawn({
            let (keys, ended) = (Arc::clone(&keys), Arc::clone(&ended));
            move || forward(&keys, &ended, &to)
        })?;
        Ok(Self { keys, ended, reader })
    }

    /// Whether the terminal is gone.
    pub(super) fn is_gone(&self) -> bool {
        self.keys.wait(Duration::ZERO) == State::Gone
    }

    /// Leaves the keys that come from now on to whoever reads the terminal next.
    pub(super) fn leave(self) {
        self.ended.store(true, Ordering::Release);
        let began = Instant::now();
        while !self.reader.is_finished() {
            if began.elapsed() > LEAVE {
                // The terminal hung up while crossterm was reading from it: the thread ends with the program.
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Sends on what the terminal sends until it is gone, or `ended` is set.
fn forward(keys: &Keys, ended: &AtomicBool, to: &Sender<Signal>) {
    while !ended.load(Ordering::Acquire) {
        let longest = match keys.wait(KEYS) {
            State::Gone => {
                let _ = to.send(Signal::Gone);
                return;
            }
            // A new size comes as a signal, which only crossterm sees.
            State::Quiet | State::Readable => Duration::ZERO,
            State::Unknown => KEYS,
        };
        let event = match event::poll(longest) {
            Ok(false) => continue,
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        let signal = event.map_or(Signal::Gone, Signal::Event);
        let is_gone = matches!(signal, Signal::Gone);
        if to.send(signal).is_err() || is_gone {
            return;
        }
    }
}
