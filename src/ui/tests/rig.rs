//! The terminal UI without a terminal: events go in, a buffer of cells comes out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Rect;
use rpcshark_captures::write::{About, Ends, Party, StreamWriter};
use rpcshark_captures::{Direction, Endpoint, Timestamp};
use rpcshark_dissectors::store::Keep;
use rpcshark_dissectors::view::{Guesser, Redaction};
use rpcshark_tui::{App, Theme};

use crate::decode_as::DecodeAsRules;
use crate::load::{Inputs, LoadOptions, Loader, SharedStore, schema};
use crate::ui::backend::{Decoding, ScreenBackend, Shared};
use crate::ui::terminal::Signal;
use crate::ui::workers::Workers;

/// The terminal UI over a real recording.
pub(super) struct Rig {
    pub(super) app: App,
    pub(super) backend: ScreenBackend,
    signals: Receiver<Signal>,
    pub(super) size: (u16, u16),
    pub(super) quit: bool,
    /// What was written to the terminal beside the screen.
    written: Vec<u8>,
}

/// A recording that has been read, with its schema.
#[derive(Clone)]
struct Recording {
    store: Arc<SharedStore>,
    options: LoadOptions,
    files: Vec<String>,
    sources: schema::Sources,
    schema: Arc<rpcshark_dissectors::schema::Schema>,
}

impl Recording {
    /// Reads a recording, if no test has done so yet: screens only look at it.
    fn read_once(path: &Path, proto: Option<PathBuf>) -> Self {
        static READ: Mutex<BTreeMap<PathBuf, Recording>> = Mutex::new(BTreeMap::new());
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        read.entry(path.to_owned()).or_insert_with(|| Self::read(path, proto)).clone()
    }

    fn read(path: &Path, proto: Option<PathBuf>) -> Self {
        let options = Rig::options(path);
        let loader = Loader::open(options.clone()).expect("the recording can be opened");
        let files = loader.files().iter().map(|file| file.name.clone()).collect();
        let store = Arc::clone(loader.shared());
        loader.start().join(|_| ()).expect("the recording can be read");
        let sources = schema::Sources { proto: proto.into_iter().collect(), ..schema::Sources::default() };
        let schema = sources.load().schema;
        Self { store, options, files, sources, schema }
    }
}

/// A capture without calls: see [`Rig::open_state`].
fn without_calls(state: &str) -> Vec<u8> {
    let end = |port: u16| Party::of(Endpoint::Tcp(([127, 0, 0, 1], port).into()));
    let at = |nanos: i64| Timestamp::from_nanos(1_700_000_000_000_000_000 + nanos);
    let mut writer = StreamWriter::new(Vec::new(), &About::default()).expect("memory can be written to");
    if state != "none" {
        let mut stream = writer.open(&Ends::new(end(41_000), end(443)), at(0)).expect("memory can be written to");
        // A record of a TLS handshake: ClientHello, 3.3, without extensions; or a line of another protocol.
        let mut hello = vec![22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3];
        hello.extend([7; 32]);
        hello.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
        let line = b"EHLO example.org\r\n".to_vec();
        let bytes = if state == "tls" { hello } else { line };
        writer.data(&mut stream, Direction::ToServer, &bytes, at(1_000), None).expect("memory can be written to");
        writer.end(stream).expect("memory can be written to");
    }
    writer.finish().expect("memory can be written to")
}

/// How long workers may be busy with what they were asked for.
const BUSY: Duration = Duration::from_secs(20);

impl Rig {
    /// Opens a recording of `tests/captures` with the schema beside it.
    pub(super) fn open(case: &str) -> Self {
        Self::open_with(case, Theme::new(false, false), (100, 30))
    }

    /// The same in other colours and at another size.
    pub(super) fn open_with(case: &str, theme: Theme, size: (u16, u16)) -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(case);
        let proto = Some(directory.join(format!("{case}.proto"))).filter(|path| path.exists());
        Self::open_path(&directory.join(format!("{case}.pcap")), proto, theme, size)
    }

    /// Opens one of the states in which there are no calls, or not all of them: `none` (an empty capture), `tls` (what cannot be
    /// decrypted), `plain` (bytes of no known protocol), `loading` (the first packets, without calls), `loading-calls` (the shop's
    /// calls, while more is read). Otherwise the recording of that name.
    pub(super) fn open_state(state: &str, theme: Theme, size: (u16, u16)) -> Self {
        match state {
            "none" | "tls" | "plain" => {
                let file = tempfile::Builder::new().prefix(state).suffix(".pcapng").tempfile().expect("a file");
                fs::write(file.path(), without_calls(state)).expect("the file is written");
                let mut rig = Self::open_path(file.path(), None, theme, size);
                // The name of the file is the same in each run.
                rig.app.set_file(&format!("{state}.pcapng"));
                rig
            }
            "loading" | "loading-calls" => {
                let shop = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures/shop/shop.pcap");
                let mut loader = Loader::open(Self::options(&shop)).expect("the recording can be opened");
                let files = vec!["shop.pcap".to_owned()];
                if state == "loading-calls" {
                    // All packets; what the end of the capture ends is still to come.
                    loader.step().expect("the recording can be read");
                }
                let (store, options) = (Arc::clone(loader.shared()), loader.options().clone());
                let schema = Arc::new(rpcshark_dissectors::schema::Schema::builtin());
                let guesser = Guesser::new(&schema);
                let decoding = Decoding { schema, guesser, redaction: Redaction::default() };
                Self::start(store, options, (decoding, schema::Sources::default()), files, "shop.pcap", (theme, size))
            }
            case => Self::open_with(case, theme, size),
        }
    }

    /// Opens any file, without a schema.
    pub(super) fn open_file(path: &str) -> Self {
        Self::open_path(Path::new(path), None, Theme::new(false, false), (100, 30))
    }

    /// Opens a file that is still being read when this returns.
    pub(super) fn loading(path: &Path) -> Self {
        let loader = Loader::open(Self::options(path)).expect("the recording can be opened").in_small_batches();
        let options = loader.options().clone();
        let files = loader.files().iter().map(|file| file.name.clone()).collect();
        let store = Arc::clone(loader.shared());
        drop(loader.start());
        let schema = Arc::new(rpcshark_dissectors::schema::Schema::builtin());
        let guesser = Guesser::new(&schema);
        let decoding = Decoding { schema, guesser, redaction: Redaction::default() };
        let look = (Theme::new(true, false), (100, 30));
        Self::start(store, options, (decoding, schema::Sources::default()), files, "loading", look)
    }

    fn options(path: &Path) -> LoadOptions {
        LoadOptions {
            inputs: Inputs::Paths(vec![path.to_owned()]),
            memory: rpcshark_captures::budget::MemoryLimit::default(),
            follow: false,
            stop: None,
            count: None,
            keep: Keep { bodies: true, ..Keep::default() },
            decode_as: DecodeAsRules::default(),
            key_logs: Vec::new(),
            spool: None,
            notice: None,
        }
    }

    /// Opens any file with a schema.
    pub(super) fn open_path(path: &Path, proto: Option<PathBuf>, theme: Theme, size: (u16, u16)) -> Self {
        let Recording { store, options, files, sources, schema } = Recording::read_once(path, proto);
        let guesser = Guesser::new(&schema);
        let decoding = Decoding { schema, guesser, redaction: Redaction::default() };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self::start(store, options, (decoding, sources), files, &name, (theme, size))
    }

    fn start(
        store: Arc<SharedStore>,
        options: LoadOptions,
        (decoding, sources): (Decoding, schema::Sources),
        files: Vec<String>,
        name: &str,
        (theme, size): (Theme, (u16, u16)),
    ) -> Self {
        let shared = Arc::new(Shared::new(store, decoding, Redaction::default(), files));
        let (to_main, signals) = channel();
        let workers = Workers::start(&shared, options, sources, None, theme.signs, &to_main).expect("threads start");
        let backend = ScreenBackend { shared, workers };
        let app = App::new(theme, name, "", &backend);
        Self { app, backend, signals, size, quit: false, written: Vec::new() }
    }

    /// The screens over a store that is finished, without a capture behind it.
    pub(super) fn over(store: Arc<SharedStore>) -> Self {
        let options =
            LoadOptions { inputs: Inputs::Paths(Vec::new()), keep: Keep::default(), ..Self::options(Path::new("")) };
        let schema = Arc::new(rpcshark_dissectors::schema::Schema::builtin());
        let guesser = Guesser::new(&schema);
        let decoding = Decoding { schema, guesser, redaction: Redaction::default() };
        let look = (Theme::new(false, false), (100, 30));
        Self::start(store, options, (decoding, schema::Sources::default()), Vec::new(), "synthetic", look)
    }

    /// Types keys: names as in the table of commands, separated by blanks.
    pub(super) fn keys(&mut self, keys: &str) -> &mut Self {
        for name in keys.split(' ') {
            let (code, modifiers) = rpcshark_tui::command::parse_key(name).expect("a key");
            self.app.event(&Event::Key(KeyEvent::new(code, modifiers)), &self.backend);
            // What a key asks for is there before the next one is typed, as it is for people.
            self.settle();
        }
        self
    }

    /// Types keys without waiting for what they ask for.
    pub(super) fn keys_at_once(&mut self, keys: &str) {
        for name in keys.split(' ') {
            let (code, modifiers) = rpcshark_tui::command::parse_key(name).expect("a key");
            self.app.event(&Event::Key(KeyEvent::new(code, modifiers)), &self.backend);
        }
    }

    /// Takes the answers that come within `time`.
    pub(super) fn take_waiting(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while let Ok(signal) = self.signals.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if let Signal::Reply(reply) = signal {
                self.app.reply(reply, &self.backend);
            }
        }
    }

    /// The line of the screen that contains `text`; the last one.
    pub(super) fn line_of(&mut self, text: &str) -> u16 {
        let screen = self.draw();
        let line = screen.lines().collect::<Vec<_>>().iter().rposition(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("no {text:?} on this screen:\n{screen}")) as u16
    }

    /// Clicks.
    pub(super) fn click(&mut self, column: u16, row: u16) {
        let kind = MouseEventKind::Down(MouseButton::Left);
        let click = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
        self.app.event(&Event::Mouse(click), &self.backend);
        self.settle();
    }

    /// Types text.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.app.event(&Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)), &self.backend);
        }
        self
    }

    /// Takes answers until the workers have nothing to do any more.
    pub(super) fn settle(&mut self) {
        loop {
            // Drawing asks for what it lacks.
            self.draw();
            self.backend.workers.wait(BUSY);
            let signals: Vec<Signal> = self.signals.try_iter().collect();
            if signals.is_empty() {
                return;
            }
            for signal in signals {
                match signal {
                    Signal::Reply(reply) => self.app.reply(reply, &self.backend),
                    Signal::Quit => self.quit = true,
                    Signal::Write(bytes) => self.written.extend(bytes),
                    _ => {}
                }
            }
        }
    }

    /// What the terminal was asked to put on its clipboard; `None` where a program of the desktop was asked.
    pub(super) fn copied(&self) -> Option<String> {
        let written = String::from_utf8_lossy(&self.written);
        let encoded = written.strip_prefix("\x1b]52;c;")?.strip_suffix('\x07')?.to_owned();
        Some(String::from_utf8_lossy(&BASE64_STANDARD.decode(encoded).ok()?).into_owned())
    }

    /// Waits until the screen contains `text`, or one of several texts that `|` separates.
    pub(super) fn until(&mut self, text: &str) -> String {
        let began = Instant::now();
        loop {
            self.settle();
            let screen = self.draw();
            if text.split('|').any(|text| screen.contains(text)) {
                return screen;
            }
            std::thread::sleep(Duration::from_millis(2));
            assert!(began.elapsed() < Duration::from_secs(20), "no {text:?} on this screen:\n{screen}");
        }
    }

    /// The cells of the screen.
    pub(super) fn buffer(&mut self) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, self.size.0, self.size.1));
        self.app.draw(&mut buffer, &self.backend);
        buffer
    }

    /// The text of the screen.
    pub(super) fn draw(&mut self) -> String {
        let buffer = self.buffer();
        let row = |y| (0..self.size.0).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..self.size.1).map(row).collect::<Vec<_>>().join("\n")
    }

    /// The number of the call with the cursor.
    pub(super) fn selected(&mut self) -> u32 {
        let screen = self.draw();
        let line = screen.lines().find(|line| line.starts_with('▌')).expect("a row has the cursor").to_owned();
        let no = line.trim_start_matches(['▌', '●', '!', ' ']).split_whitespace().next().map(str::parse);
        no.expect("a number").expect("a number")
    }
}
