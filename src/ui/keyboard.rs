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

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::crossterm::terminal;
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

    /// Reads what is there, as far as it is text and simple keys.
    fn read(&self) -> Vec<KeyEvent> {
        let mut bytes = [0; 256];
        let read = rustix::io::read(&self.0, &mut bytes).unwrap_or(0);
        simple_keys(bytes.get(..read).unwrap_or_default())
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
    let mut size = terminal::size().ok();
    while !ended.load(Ordering::Acquire) {
        let state = keys.wait(KEYS);
        let longest = match state {
            State::Gone => {
                let _ = to.send(Signal::Gone);
                return;
            }
            State::Quiet | State::Readable => Duration::ZERO,
            State::Unknown => KEYS,
        };
        let event = match event::poll(longest) {
            // crossterm learns once that there are keys, and once that the size has changed. When both come at the same time,
            // it forgets one of them.
            Ok(false) if state == State::Readable && keys.wait(Duration::ZERO) == State::Readable => {
                if !keys.read().into_iter().all(|key| to.send(Signal::Event(Event::Key(key))).is_ok()) {
                    return;
                }
                continue;
            }
            Ok(false) => match terminal::size().ok() {
                Some(now) if size.is_some_and(|size| size != now) => Ok(Event::Resize(now.0, now.1)),
                now => {
                    size = now;
                    continue;
                }
            },
            Ok(true) => event::read(),
            Err(error) => Err(error),
        };
        if let Ok(Event::Resize(width, height)) = event {
            size = Some((width, height));
        }
        let signal = event.map_or(Signal::Gone, Signal::Event);
        let is_gone = matches!(signal, Signal::Gone);
        if to.send(signal).is_err() || is_gone {
            return;
        }
    }
}

/// The keys that bytes of a terminal stand for: text, control characters, and the keys that move.
fn simple_keys(bytes: &[u8]) -> Vec<KeyEvent> {
    const SEQUENCES: [(&[u8], KeyCode); 10] = [
        (b"\x1b[A", KeyCode::Up),
        (b"\x1b[B", KeyCode::Down),
        (b"\x1b[C", KeyCode::Right),
        (b"\x1b[D", KeyCode::Left),
        (b"\x1b[H", KeyCode::Home),
        (b"\x1b[F", KeyCode::End),
        (b"\x1b[Z", KeyCode::BackTab),
        (b"\x1b[5~", KeyCode::PageUp),
        (b"\x1b[6~", KeyCode::PageDown),
        (b"\x1b", KeyCode::Esc),
    ];
    let mut keys = Vec::new();
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        let plain = |code| KeyEvent::new(code, KeyModifiers::NONE);
        if let Some((sequence, code)) = SEQUENCES.iter().find(|(sequence, _)| rest.starts_with(sequence)) {
            keys.push(plain(*code));
            rest = rest.get(sequence.len()..).unwrap_or_default();
            continue;
        }
        let len = match first {
            0..=0x7f => 1,
            0xf0.. => 4,
            0xe0.. => 3,
            _ => 2,
        };
        let (character, behind) = rest.split_at(len.min(rest.len()));
        rest = behind;
        keys.extend(match (first, str::from_utf8(character).ok().and_then(|text| text.chars().next())) {
            (b'\r' | b'\n', _) => Some(plain(KeyCode::Enter)),
            (b'\t', _) => Some(plain(KeyCode::Tab)),
            (0x7f, _) => Some(plain(KeyCode::Backspace)),
            (1..=26, _) => Some(KeyEvent::new(KeyCode::Char((first - 1 + b'a').into()), KeyModifiers::CONTROL)),
            (_, Some(character)) if !character.is_control() => Some(plain(KeyCode::Char(character))),
            _ => None,
        });
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_crossterm_forgot_are_understood() {
        let codes: Vec<KeyCode> =
            simple_keys("jä\x1b[A\x1b[6~\r\x7f\x1b".as_bytes()).iter().map(|key| key.code).collect();
        let expected = [
            KeyCode::Char('j'),
            KeyCode::Char('ä'),
            KeyCode::Up,
            KeyCode::PageDown,
            KeyCode::Enter,
            KeyCode::Backspace,
            KeyCode::Esc,
        ];
        assert_eq!(codes, expected);
        assert_eq!(simple_keys(b"\x03"), [KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)]);
        assert!(simple_keys(b"\xc3").is_empty());
    }
}
