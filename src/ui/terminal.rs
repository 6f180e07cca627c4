//! The terminal: taken over, drawn on, and given back whatever happens.

use std::io::{self, Stdout, Write};
use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::Context;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event,
};
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::crossterm::{cursor, execute};
use ratatui::layout::Rect;
use ratatui::style::Style;
use rpcshark_captures::file::Spool;
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::view::{Guesser, Redaction};
use rpcshark_tui::backend::{Backend, Reply};
use rpcshark_tui::command::Keymap;
use rpcshark_tui::theme::Role;
use rpcshark_tui::{App, Theme};

use super::backend::{Decoding, ScreenBackend, Shared};
use super::keyboard::Keyboard;
use super::workers::Workers;
use crate::load::{LoadOptions, SharedStore, schema};
use crate::messages::Hold;
use crate::signals::Stop;

/// What a run of the terminal UI is given.
pub(crate) struct Options {
    /// The store that is being filled.
    pub(crate) store: Arc<SharedStore>,
    /// How the capture is read, should it be read again.
    pub(crate) load: LoadOptions,
    /// The names of the files, for the title and for calls.
    pub(crate) files: Vec<String>,
    /// The types.
    pub(crate) schema: Arc<Schema>,
    /// Where they came from: more may be loaded.
    pub(crate) schema_sources: schema::Sources,
    /// What is hidden.
    pub(crate) redaction: Redaction,
    /// Which names hold credentials, whatever is shown.
    pub(crate) credentials: Redaction,
    /// The filter at the start; empty for none.
    pub(crate) filter: String,
    /// The columns of the list of calls; empty for the default ones.
    pub(crate) columns: Vec<String>,
    /// Styles that differ from the default ones.
    pub(crate) theme: Vec<(Role, Style)>,
    /// The keys of the commands.
    pub(crate) keys: Keymap,
    /// Filters with names.
    pub(crate) saved: Vec<(String, String)>,
    /// Where filters are remembered.
    pub(crate) history: Option<PathBuf>,
    /// Colours are used.
    pub(crate) color: bool,
    /// Only ASCII signs are used.
    pub(crate) ascii: bool,
    /// The mouse is used.
    pub(crate) mouse: bool,
    /// The list begins at the newest call and stays there.
    pub(crate) tail: bool,
    /// Raised by signals; raising it ends the reading.
    pub(crate) stop: Option<Arc<Stop>>,
}

/// What reaches the main thread.
#[derive(Debug)]
pub(super) enum Signal {
    /// From the terminal.
    Event(Event),
    /// From a worker.
    Reply(Reply),
    /// To be written to the terminal as it is.
    Write(Vec<u8>),
    Quit,
    Suspend,
    Redraw,
    StopReading,
    /// Another capture is to be opened.
    Open(PathBuf),
    /// The terminal is gone.
    Gone,
}

/// The least time between two drawings: 30 a second.
const FRAME: Duration = Duration::from_millis(33);

/// How often what is shown of the loading is brought up to date: 8 times a second.
const COUNTERS: Duration = Duration::from_millis(125);

/// How a run of the terminal UI ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The user has left it.
    Left(ExitCode),
    /// The user wants to see another capture.
    Other(PathBuf),
}

/// Runs the terminal UI until the user leaves it.
///
/// # Errors
///
/// If the terminal cannot be taken over or drawn on.
pub(crate) fn run(options: Options) -> anyhow::Result<Ended> {
    let guesser = Guesser::new(&options.schema);
    let decoding = Decoding { schema: options.schema, guesser, redaction: options.redaction };
    let file = match options.files.as_slice() {
        [one] => one.rsplit('/').next().unwrap_or(one).to_owned(),
        many => format!("{} files", many.len()),
    };
    let shared = Arc::new(Shared::new(options.store, decoding, options.credentials, options.files));
    let mut theme = Theme::new(options.color, options.ascii);
    options.theme.iter().for_each(|&(role, style)| theme.set(role, style));
    let (to_main, signals) = channel();
    let spool = options.load.spool.clone();
    let workers =
        Workers::start(&shared, options.load, options.schema_sources, options.history.clone(), theme.signs, &to_main)?;
    let backend = ScreenBackend { shared, workers };
    let mut app = App::new(theme, &file, &options.filter, &backend);
    if !options.columns.is_empty() {
        app.set_columns(&options.columns, &backend);
    }
    app.set_tail(options.tail, &backend);
    app.set_mouse(options.mouse);
    app.set_keymap(options.keys);
    app.set_saved_filters(options.saved);
    app.set_history(options.history.as_deref().map(super::history::read).unwrap_or_default());
    let hold = Hold::begin();
    let screen = Screen::take(options.mouse)?;
    let keyboard = Keyboard::start(to_main).context("cannot read keys from the terminal")?;
    let mut main = Main { app, backend, screen, hold, keyboard, stop: options.stop, spool, next: None };
    let code = main.run(&signals);
    let Main { keyboard, screen, hold, next, .. } = main;
    // First its keys, then the terminal itself is left to whoever uses it next. Messages that waited are printed then.
    keyboard.leave();
    drop(screen);
    drop(hold);
    Ok(match next {
        Some(path) => Ended::Other(path),
        None => Ended::Left(code?),
    })
}

/// The main thread's loop.
struct Main {
    app: App,
    backend: ScreenBackend,
    screen: Screen,
    /// Messages that would go to standard error.
    hold: Hold,
    keyboard: Keyboard,
    stop: Option<Arc<Stop>>,
    /// Where standard input is kept.
    spool: Option<Arc<Spool>>,
    /// The capture to open next.
    next: Option<PathBuf>,
}

impl Main {
    fn run(&mut self, signals: &Receiver<Signal>) -> anyhow::Result<ExitCode> {
        let mut drawn_at: Option<Instant> = None;
        let mut dirty = true;
        let mut progress = self.backend.progress();
        let mut passed_at = Instant::now();
        loop {
            if self.stop.as_ref().is_some_and(|stop| stop.is_raised()) {
                return Ok(ExitCode::from(crate::signals::INTERRUPTED));
            }
            if self.keyboard.is_gone() {
                return Ok(ExitCode::SUCCESS);
            }
            // Input is drained before anything is drawn, so that held keys do not lag.
            let wait = match drawn_at {
                _ if !dirty => COUNTERS,
                Some(at) => FRAME.saturating_sub(at.elapsed()),
                None => Duration::ZERO,
            };
            match signals.recv_timeout(wait) {
                Ok(signal) => {
                    let mut next = Some(signal);
                    while let Some(signal) = next {
                        if self.handle(signal)? {
                            return Ok(ExitCode::SUCCESS);
                        }
                        next = signals.try_recv().ok();
                    }
                    dirty = true;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(ExitCode::SUCCESS),
            }
            dirty |= self.app.pass(passed_at.elapsed(), &self.backend);
            passed_at = Instant::now();
            if let Some(fault) = self.spool.as_ref().and_then(|spool| spool.fault()) {
                self.spool = None;
                let text = format!("standard input is no longer kept ({fault}): its frames cannot be shown");
                self.app.reply(Reply::Say { text, error: true }, &self.backend);
                dirty = true;
            }
            for text in self.hold.take_new() {
                self.app.reply(Reply::Say { text, error: true }, &self.backend);
                dirty = true;
            }
            let now = self.backend.progress();
            let is_due = drawn_at.is_none_or(|at| at.elapsed() >= COUNTERS);
            if now != progress && is_due {
                progress = now;
                dirty = true;
            }
            if dirty && drawn_at.is_none_or(|at| at.elapsed() >= FRAME) {
                self.screen.draw(&mut self.app, &self.backend)?;
                drawn_at = Some(Instant::now());
                dirty = false;
            }
        }
    }

    /// Handles a signal. Whether it ends the program.
    fn handle(&mut self, signal: Signal) -> anyhow::Result<bool> {
        match signal {
            Signal::Event(event) => {
                let mouse = self.app.wants_mouse();
                self.app.event(&event, &self.backend);
                if self.app.wants_mouse() != mouse {
                    self.screen.set_mouse(!mouse)?;
                }
            }
            Signal::Reply(reply) => self.app.reply(reply, &self.backend),
            Signal::Write(bytes) => {
                let mut out = io::stdout();
                out.write_all(&bytes)?;
                out.flush()?;
            }
            Signal::Quit | Signal::Gone => return Ok(true),
            Signal::Open(path) => {
                self.next = Some(path);
                return Ok(true);
            }
            Signal::Redraw => self.screen.clear()?,
            Signal::Suspend => self.screen.suspend(self.app.wants_mouse())?,
            Signal::StopReading => {
                if let Some(stop) = &self.stop {
                    stop.raise();
                }
            }
        }
        Ok(false)
    }
}

/// The terminal, as long as it is ours. It is given back when this is dropped, and before a panic is reported.
struct Screen {
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
}

impl Screen {
    fn take(mouse: bool) -> anyhow::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
        take_over(mouse).context("cannot use the terminal; --no-tui prints calls instead")?;
        Ok(Self { terminal: ManuallyDrop::new(Terminal::new(CrosstermBackend::new(io::stdout()))?) })
    }

    fn draw(&mut self, app: &mut App, backend: &ScreenBackend) -> anyhow::Result<()> {
        self.terminal.draw(|frame| {
            if let Some(position) = app.draw(frame.buffer_mut(), backend) {
                frame.set_cursor_position(position);
            }
        })?;
        Ok(())
    }

    fn set_mouse(&mut self, on: bool) -> io::Result<()> {
        match on {
            true => execute!(io::stdout(), EnableMouseCapture),
            false => execute!(io::stdout(), DisableMouseCapture),
        }
    }

    /// Gives the terminal back, stops the process group, and continues where it was when it is continued.
    fn suspend(&mut self, mouse: bool) -> anyhow::Result<()> {
        give_back();
        rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
        take_over(mouse)?;
        self.clear()
    }

    /// Clears the screen; the next drawing draws every cell. (ratatui's own way asks the terminal where its cursor is, and not
    /// every terminal answers.)
    fn clear(&mut self) -> anyhow::Result<()> {
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::new(0, 0, size.width, size.height))?;
        Ok(())
    }
}

impl Drop for Screen {
    /// ratatui's terminal is not dropped: it would show the cursor, which is done here, and panic where neither the terminal
    /// nor standard error is there any more.
    fn drop(&mut self) {
        give_back();
    }
}

fn take_over(mouse: bool) -> io::Result<()> {
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
    if mouse {
        execute!(io::stdout(), EnableMouseCapture)?;
    }
    Ok(())
}

/// As far as it can be done: the terminal may be gone.
fn give_back() {
    let _ = execute!(io::stdout(), DisableMouseCapture, DisableBracketedPaste, LeaveAlternateScreen, cursor::Show);
    let _ = disable_raw_mode();
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::num::NonZeroU16;

    use portable_pty::{CommandBuilder, PtySize, native_pty_system};

    use super::*;

    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_reported() {
        let pair =
            native_pty_system().openpty(PtySize { rows: 24, cols: 80, ..PtySize::default() }).expect("a terminal");
        let mut command = CommandBuilder::new(std::env::current_exe().expect("this test"));
        command.args(["--ignored", "--exact", "ui::terminal::tests::panics_on_the_screen", "--nocapture"]);
        command.env("TERM", "xterm-256color");
        let mut child = pair.slave.spawn_command(command).expect("the test starts");
        let mut output = pair.master.try_clone_reader().expect("the terminal can be read");
        drop(pair.slave);
        let size = |number| NonZeroU16::new(number).expect("not zero");
        let mut emulator = vt100::Parser::new(size(24), size(80), 0);
        let mut bytes = [0; 4096];
        let mut was_taken = false;
        while let Ok(read @ 1..) = output.read(&mut bytes) {
            for byte in &bytes[..read] {
                emulator.process(std::slice::from_ref(byte));
                was_taken |= emulator.screen().alternate_screen();
            }
        }
        child.wait().expect("the test ends");
        let screen = emulator.screen();
        assert!(was_taken, "{}", screen.contents());
        assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
        assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
        assert!(screen.contents().contains("a panic on purpose"), "{}", screen.contents());
    }

    #[test]
    #[ignore = "run by a_panic_gives_the_terminal_back_before_it_is_reported, in a terminal"]
    fn panics_on_the_screen() {
        let _screen = Screen::take(true).expect("a terminal");
        panic!("a panic on purpose");
    }
}
