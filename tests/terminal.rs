//! The real binary in a terminal: a pseudo-terminal, and an emulator that keeps what is on its screen.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::fs::{FileType, Mode};
use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a terminal must not be made to do by the bytes of a capture.
#[derive(Default)]
struct Watch {
    faults: Vec<String>,
}

impl vt100::Callbacks for Watch {
    fn audible_bell(&mut self, _: &mut vt100::Screen) {
        self.faults.push("bell".to_owned());
    }

    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.faults.push(format!("title {title:?}"));
    }

    fn set_window_icon_name(&mut self, _: &mut vt100::Screen, name: &[u8]) {
        self.faults.push(format!("icon name {name:?}"));
    }

    fn unhandled_char(&mut self, _: &mut vt100::Screen, c: char) {
        self.faults.push(format!("character {c:?}"));
    }

    fn unhandled_control(&mut self, _: &mut vt100::Screen, byte: u8) {
        self.faults.push(format!("control {byte:#x}"));
    }

    fn unhandled_osc(&mut self, _: &mut vt100::Screen, parameters: &[&[u8]]) {
        self.faults.push(format!("OSC {parameters:?}"));
    }
}

/// A terminal in which a program runs.
struct Terminal {
    master: Option<Box<dyn MasterPty + Send>>,
    keys: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser<Watch>>>,
    /// The thread that reads what the program writes, and what tells it to end.
    reader: Option<(JoinHandle<()>, Arc<AtomicBool>)>,
}

fn some(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("not zero")
}

fn size((width, height): (u16, u16)) -> PtySize {
    PtySize { rows: height, cols: width, pixel_width: 0, pixel_height: 0 }
}

fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_rpcshark")
}

fn capture(case: &str, name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(case).join(name).display().to_string()
}

impl Terminal {
    fn start(at: (u16, u16), program: &str, arguments: &[&str]) -> Self {
        let pair = native_pty_system().openpty(size(at)).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        for name in ["RPCSHARK_CONFIG", "XDG_CONFIG_HOME", "TMUX", "WAYLAND_DISPLAY", "DISPLAY", "NO_COLOR", "ENV"] {
            command.env_remove(name);
        }
        command.env("HOME", env!("CARGO_MANIFEST_DIR"));
        command.env("XDG_STATE_HOME", std::env::temp_dir());
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        command.env("PS1", "ready> ");
        command.cwd(env!("CARGO_MANIFEST_DIR"));
        let child = pair.slave.spawn_command(command).expect("the program starts");
        let mut output = pair.master.try_clone_reader().expect("the terminal can be read");
        let keys = pair.master.take_writer().expect("the terminal can be written");
        let parser = vt100::Parser::new_with_callbacks(some(at.1), some(at.0), 0, Watch::default());
        let screen = Arc::new(Mutex::new(parser));
        let leaves = Arc::new(AtomicBool::new(false));
        let reader = thread::spawn({
            let (screen, leaves) = (Arc::clone(&screen), Arc::clone(&leaves));
            move || {
                let mut bytes = [0; 4096];
                while let Ok(read @ 1..) = output.read(&mut bytes) {
                    screen.lock().expect("no panic").process(&bytes[..read]);
                    if leaves.load(Ordering::Acquire) {
                        return;
                    }
                }
            }
        });
        Self { master: Some(pair.master), keys: Some(keys), child, screen, reader: Some((reader, leaves)) }
    }

    /// The terminal UI on the recording of the shop.
    fn shop(at: (u16, u16)) -> Self {
        Self::start(at, binary(), &[&capture("shop", "shop.pcap"), "--proto", &capture("shop", "shop.proto")])
    }

    fn contents(&self) -> String {
        self.screen.lock().expect("no panic").screen().contents()
    }

    fn type_keys(&mut self, keys: &str) {
        let writer = self.keys.as_mut().expect("the terminal is there");
        writer.write_all(keys.as_bytes()).expect("keys are taken");
        writer.flush().expect("keys are taken");
    }

    /// Waits until `is_so` holds of what is on the screen.
    fn until(&self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) {
        let began = Instant::now();
        while !is_so(self.screen.lock().expect("no panic").screen()) {
            assert!(began.elapsed() < PATIENCE, "{what} did not happen; on the screen:\n{}", self.contents());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn until_text(&self, text: &str) {
        self.until(text, |screen| screen.contents().contains(text));
    }

    fn resize(&self, at: (u16, u16)) {
        self.screen.lock().expect("no panic").set_size(some(at.1), some(at.0));
        self.master.as_ref().expect("the terminal is there").resize(size(at)).expect("the terminal is resized");
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.process_id().and_then(|pid| Pid::from_raw(pid.cast_signed())).expect("it runs");
        kill_process(pid, signal).expect("the signal is sent");
    }

    /// Closes the terminal, as one closes a window.
    fn hang_up(&mut self) {
        let (reader, leaves) = self.reader.take().expect("the terminal is there");
        leaves.store(true, Ordering::Release);
        // The reader holds the terminal, too, and leaves it at the next bytes: those of the new selection.
        self.type_keys("j");
        reader.join().expect("no panic");
        self.keys = None;
        self.master = None;
    }

    /// Waits for the end of the program. Its exit status.
    fn ends(&mut self) -> u32 {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the program can be waited for") {
                return status.exit_code();
            }
            assert!(began.elapsed() < PATIENCE, "the program does not end; on the screen:\n{}", self.contents());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The terminal is as it was before.
    fn is_given_back(&self) {
        self.until("the terminal is given back", |screen| {
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
        });
    }

    fn faults(&self) -> Vec<String> {
        self.screen.lock().expect("no panic").callbacks().faults.clone()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[test]
fn it_starts_shows_calls_and_gives_the_terminal_back() {
    let mut terminal = Terminal::shop((100, 30));
    terminal.until_text("74 calls");
    terminal.until_text("Orders/GetOrder");
    terminal.until("the screen is taken over", |screen| {
        screen.alternate_screen() && screen.hide_cursor() && screen.bracketed_paste()
    });
    for key in ["4", "5", "1", "!", "\x1b", "f", "q"] {
        terminal.type_keys(key);
        thread::sleep(Duration::from_millis(50));
    }
    terminal.until_text("74 calls");
    terminal.type_keys("q");
    assert_eq!(terminal.ends(), 0);
    terminal.is_given_back();
    assert_eq!(terminal.faults(), [""; 0]);
}

#[test]
fn any_size_is_drawn_and_a_tiny_one_says_what_it_needs() {
    let mut terminal = Terminal::shop((100, 30));
    terminal.until_text("74 calls");
    terminal.resize((20, 5));
    terminal.until_text("make the window");
    terminal.type_keys("jj4!");
    terminal.resize((160, 50));
    terminal.until_text("problems of 74 calls");
    terminal.type_keys("\x1b");
    terminal.until_text("7 methods, 74 calls");
    terminal.resize((60, 12));
    terminal.until("the last line is the keys", |screen| {
        screen.rows(0, 60).last().is_some_and(|line| line.contains("? all keys"))
    });
    terminal.type_keys("q");
    assert_eq!(terminal.ends(), 0);
    terminal.is_given_back();
}

#[test]
fn a_terminal_that_is_tiny_from_the_start_can_be_left() {
    let mut terminal = Terminal::shop((20, 5));
    terminal.until_text("make the window");
    terminal.type_keys("q");
    assert_eq!(terminal.ends(), 0);
    terminal.is_given_back();
}

#[test]
fn it_is_suspended_and_goes_on_where_it_was() {
    // A shell with job control: without one, nobody could continue it, and the system ignores the stop.
    let mut terminal = Terminal::start((100, 30), "/bin/sh", &["-i"]);
    terminal.until_text("ready>");
    terminal.type_keys(&format!("'{}' '{}'\r", binary(), capture("shop", "shop.pcap")));
    terminal.until_text("74 calls");
    terminal.type_keys("jjj");
    terminal.until_text("call 4 of 74");
    terminal.type_keys("\x1a");
    terminal.is_given_back_to_shell();
    terminal.type_keys("fg\r");
    terminal.until("it goes on", vt100::Screen::alternate_screen);
    terminal.until_text("call 4 of 74");
    terminal.type_keys("j");
    terminal.until_text("call 5 of 74");
    terminal.type_keys("q");
    terminal.is_given_back_to_shell();
    terminal.type_keys("exit\r");
    terminal.ends();
}

impl Terminal {
    /// A shell shows its prompt again, on the screen that was there before. Shells use bracketed paste themselves.
    fn is_given_back_to_shell(&self) {
        self.until("the shell is back", |screen| {
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
                && screen.contents().trim_end().ends_with("ready>")
        });
    }
}

#[test]
fn signals_end_it_and_give_the_terminal_back() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut terminal = Terminal::shop((100, 30));
        terminal.until_text("74 calls");
        terminal.signal(signal);
        assert_eq!(terminal.ends(), 130, "{signal:?}");
        terminal.is_given_back();
    }
}

#[test]
fn it_ends_when_the_terminal_goes() {
    let directory = tempfile::tempdir().expect("a directory");
    let pipe = directory.path().join("capture");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    let shop = capture("shop", "shop.pcap");
    for hang_up in ["", "trap '' HUP; "] {
        for input in [format!("'{shop}'"), format!("- --tui < '{}'", pipe.display())] {
            // Open at both ends, so that the pipe does not end as long as this lives.
            let mut writer = std::fs::File::options().read(true).write(true).open(&pipe).expect("the pipe");
            let bytes = std::fs::read(&shop).expect("a capture");
            let is_piped = input.starts_with('-');
            let writer = thread::spawn(move || {
                if is_piped {
                    writer.write_all(&bytes).expect("the pipe takes it");
                }
                writer
            });
            let line = format!("{hang_up}exec '{}' {input}", binary());
            let mut terminal = Terminal::start((100, 30), "/bin/sh", &["-c", &line]);
            terminal.until_text("Orders/GetOrder");
            terminal.hang_up();
            let began = Instant::now();
            let status = terminal.ends();
            assert!(matches!(status, 0 | 130), "{line}: it ended with {status}");
            assert!(began.elapsed() < Duration::from_secs(10), "{line}: it ended after {:?}", began.elapsed());
            drop(writer.join());
        }
    }
}

#[test]
fn standard_input_is_the_capture_and_keys_come_from_the_terminal() {
    let line = format!("exec '{}' - --tui < '{}'", binary(), capture("shop", "shop.pcap"));
    let mut terminal = Terminal::start((100, 30), "/bin/sh", &["-c", &line]);
    terminal.until_text("74 calls");
    terminal.type_keys("jj");
    terminal.until_text("call 3 of 74");
    terminal.type_keys("q");
    assert_eq!(terminal.ends(), 0);
    terminal.is_given_back();
}

/// Appends bytes to a file that the program follows.
fn append(path: &Path, bytes: &[u8]) {
    let mut file = std::fs::File::options().append(true).create(true).open(path).expect("the file");
    file.write_all(bytes).expect("the file is written");
}

#[test]
fn a_file_that_grows_shows_its_calls_as_they_come_and_stays_at_the_newest_until_the_user_moves() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("growing.pcap");
    let bytes = std::fs::read(capture("shop", "shop.pcap")).expect("a capture");
    // Cuts in the middle of a packet.
    let (begin, rest) = bytes.split_at(bytes.len() / 3);
    let (middle, end) = rest.split_at(rest.len() / 2);
    append(&path, begin);
    let mut terminal = Terminal::start((100, 30), binary(), &["--follow", &path.display().to_string()]);
    let at_newest = |screen: &vt100::Screen| {
        let place = position(screen)?;
        Some(place.0 == place.1 && screen.contents().contains("tail on"))
    };
    terminal.until("the newest call", |screen| at_newest(screen) == Some(true));
    let first = terminal.position().1;
    append(&path, middle);
    terminal.until("the newest call of more", |screen| {
        at_newest(screen) == Some(true) && position(screen).is_some_and(|(_, all)| all > first)
    });
    // The last calls of the part may be open; the list has settled when no more come.
    thread::sleep(Duration::from_millis(500));
    let (at, second) = terminal.position();
    assert_eq!(at, second);
    terminal.type_keys("k");
    terminal.until_text("tail off");
    append(&path, end);
    terminal.until("all calls", |screen| position(screen).is_some_and(|(_, all)| all == 74));
    assert_eq!(terminal.position(), (second - 1, 74), "the cursor stays where the user moved it");
    terminal.type_keys("F");
    terminal.until("the newest call again", |screen| at_newest(screen) == Some(true));
    terminal.type_keys("q");
    assert_eq!(terminal.ends(), 0);
    terminal.is_given_back();
}

#[test]
fn what_happens_to_a_followed_file_is_shown_on_the_screen_and_printed_after_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("removed.pcap");
    append(&path, &std::fs::read(capture("shop", "shop.pcap")).expect("a capture"));
    let mut terminal = Terminal::start((100, 30), binary(), &["--follow", &path.display().to_string()]);
    terminal.until("all calls", |screen| position(screen).is_some_and(|(_, all)| all == 74));
    std::fs::remove_file(&path).expect("the file is removed");
    terminal.until("a message", |screen| screen.rows(0, 100).nth(28).is_some_and(|line| line.contains("removed.pcap")));
    // Nothing else of the screen is touched.
    terminal.until("the keys", |screen| screen.rows(0, 100).nth(29).is_some_and(|line| line.contains("? all keys")));
    terminal.type_keys("q");
    terminal.ends();
    terminal.is_given_back();
    terminal.until_text("removed.pcap");
}

#[test]
fn calls_are_shown_while_they_are_recorded() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("recorded.pcapng").display().to_string();
    let [client, server] = support::shop::Shop::load().flows.map(|flow| flow.bytes);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let to = listener.local_addr().expect("an address").to_string();
    // A port that is free now.
    let from = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("an address").to_string();
    let schema = capture("shop", "shop.proto");
    let arguments = ["record", "--listen", &from, "--to", &to, "-w", &path, "--tui", "--proto", &schema];
    let mut terminal = Terminal::start((100, 30), binary(), &arguments);
    terminal.until_text("No calls so far.");
    // The server answers with what the recorded one sent, and holds the last part back.
    let half = server.len() / 2;
    let (go_on, is_wanted) = channel();
    let serving = thread::spawn(move || {
        let (mut connection, _) = listener.accept().expect("the recorder connects");
        connection.write_all(&server[..half]).expect("the answers are sent");
        is_wanted.recv().expect("the test goes on");
        connection.write_all(&server[half..]).expect("the answers are sent");
        let _ = connection.shutdown(Shutdown::Write);
        let _ = connection.read_to_end(&mut Vec::new());
    });
    let mut connection = TcpStream::connect(&from).expect("the recorder listens");
    connection.write_all(&client).expect("the requests are sent");
    terminal.until_text("Orders/GetOrder");
    terminal.until_text("tail on");
    terminal.until_text("open");
    go_on.send(()).expect("the server waits");
    let _ = connection.shutdown(Shutdown::Write);
    connection.read_to_end(&mut Vec::new()).expect("the answers are there");
    serving.join().expect("no panic");
    terminal.until("all calls", |screen| position(screen).is_some_and(|(_, all)| all == 74));
    terminal.type_keys("g");
    terminal.until_text("GetOrderRequest");
    terminal.type_keys("q");
    assert_eq!(terminal.ends(), 0);
    terminal.is_given_back();
    // What the recorder reports is not lost, and the file is whole.
    terminal.until_text("1 connection");
    let calls = std::process::Command::new(binary()).args(["calls", "--json", &path]).output().expect("it runs");
    assert!(calls.status.success());
    assert_eq!(String::from_utf8_lossy(&calls.stdout).lines().count(), 74);
}

/// The cursor's place in the list, and how long the list is: `call 3 of 74`.
fn position(screen: &vt100::Screen) -> Option<(u64, u64)> {
    let (rows, columns) = screen.size();
    let line = screen.rows(0, columns.get()).nth(usize::from(rows.get()).checked_sub(2)?)?;
    let mut words = line.strip_prefix(" call ")?.split_whitespace();
    let at = words.next()?.replace(',', "").parse().ok()?;
    let of = words.nth(1)?.replace(',', "").parse().ok()?;
    Some((at, of))
}

impl Terminal {
    fn position(&self) -> (u64, u64) {
        position(self.screen.lock().expect("no panic").screen()).expect("the position of the cursor")
    }
}

#[test]
fn a_closed_pipe_as_standard_output_ends_it_without_a_panic() {
    let line = format!("'{}' --tui '{}' | true; echo over", binary(), capture("shop", "shop.pcap"));
    let mut terminal = Terminal::start((100, 30), "/bin/sh", &["-c", &line]);
    terminal.until_text("over");
    terminal.ends();
    assert!(!terminal.contents().contains("panicked"), "{}", terminal.contents());
}

#[test]
fn names_and_messages_of_a_capture_cannot_control_the_terminal() {
    for (case, name) in [("esc", "esc.pcap"), ("hidden-characters", "bidi-path.strace")] {
        let mut terminal = Terminal::start((120, 36), binary(), &[&capture(case, name)]);
        terminal.until_text("call 1 of");
        // Every screen: the list, the preview, a call with its bytes, the conversation, methods, problems, the timeline.
        for key in [
            "\r", "\t", "\t", "f", "d", "\x1b", "\x1b", "4", "5", "!", "\x1b", "1", "=", "\x1b", "y", "\x1b", "?",
            "\x1b",
        ] {
            terminal.type_keys(key);
            thread::sleep(Duration::from_millis(150));
        }
        terminal.type_keys("1");
        terminal.until_text("call 1 of");
        let screen = terminal.contents();
        let hidden = |c: char| {
            c.is_control() && c != '\n'
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!screen.contains(hidden), "{case}:\n{screen}");
        terminal.type_keys("\x03");
        assert_eq!(terminal.ends(), 0);
        terminal.is_given_back();
        assert_eq!(terminal.faults(), [""; 0], "{case}");
    }
}

#[test]
fn without_utf_8_only_ascii_is_drawn() {
    let line = format!("LC_ALL=C exec '{}' '{}'", binary(), capture("shop", "shop.pcap"));
    let mut terminal = Terminal::start((100, 30), "/bin/sh", &["-c", &line]);
    terminal.until_text("74 calls");
    for key in ["4", "5", "f", "!"] {
        terminal.type_keys(key);
        thread::sleep(Duration::from_millis(300));
        let screen = terminal.contents();
        assert!(screen.is_ascii(), "{screen}");
    }
    terminal.type_keys("\x03");
    assert_eq!(terminal.ends(), 0);
}

#[test]
fn a_wrong_configuration_is_reported_with_its_line_before_the_screen_opens() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("config.toml").display().to_string();
    for (text, line, part) in [
        ("[keys]\nmark = [\"q\"]", 2, "q has two commands"),
        ("[filters]\n\nslow = \"rpc.durtion > 1s\"", 3, "did you mean rpc.duration"),
        ("[theme]\nerror = \"redd\"", 2, "redd is not a colour"),
    ] {
        std::fs::write(&path, text).expect("a file");
        let line_of = format!("RPCSHARK_CONFIG='{path}' exec '{}' '{}'", binary(), capture("shop", "shop.pcap"));
        let mut terminal = Terminal::start((160, 10), "/bin/sh", &["-c", &line_of]);
        assert_eq!(terminal.ends(), 2);
        terminal.until_text(part);
        assert!(
            terminal.contents().replace('\n', "").contains(&format!("config.toml:{line}:")),
            "{}",
            terminal.contents()
        );
        assert!(!terminal.screen.lock().expect("no panic").screen().alternate_screen());
    }
}

#[test]
fn the_printed_configuration_is_one_that_is_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("config.toml").display().to_string();
    let line = format!(
        "'{0}' --print-config > '{path}' && RPCSHARK_CONFIG='{path}' exec '{0}' '{1}'",
        binary(),
        capture("shop", "shop.pcap")
    );
    let mut terminal = Terminal::start((100, 30), "/bin/sh", &["-c", &line]);
    terminal.until_text("74 calls");
    terminal.type_keys("q");
    assert_eq!(terminal.ends(), 0);
}

#[test]
fn a_dumb_terminal_gets_a_listing() {
    let line = format!("TERM=dumb exec '{}' '{}'", binary(), capture("shop", "shop.pcap"));
    let mut terminal = Terminal::start((100, 30), "/bin/sh", &["-c", &line]);
    assert_eq!(terminal.ends(), 0);
    terminal.until_text("Orders/GetOrder");
    assert!(!terminal.contents().contains("all keys"));
}

/// A screen of the documents: its name, the keys that lead to it, and what it shows when it is there.
type Shown = (&'static str, &'static [&'static str], &'static str);

/// The screens in `docs/screens`, of the real binary on the recording of the shop.
const SCREENS: &[Shown] = &[
    ("calls", &["e", "e", "e"], "call 18 of 74"),
    ("call", &["\r", "j", "j"], "rpc.request.id =="),
    ("follow", &["#", "13\r", "f", "j", "j", "j", "j"], "Message ↓1"),
    ("methods", &["4"], "methods, 74 calls"),
    ("timeline", &["#", "13\r", "t", "+", "+", "+", "+"], "a column is"),
    ("replay", &["R", "\r", "localhost:50052", "\r", "p"], "65 calls to send"),
];

/// Compares the screens in the documents with what the program shows. With `RPCSHARK_UPDATE=1` they are written.
#[test]
fn screens_in_the_documents_are_those_of_the_program() {
    let update = std::env::var_os("RPCSHARK_UPDATE").is_some_and(|value| !value.is_empty());
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/screens");
    for (name, keys, text) in SCREENS {
        let mut terminal = Terminal::shop((100, 30));
        terminal.until_text("GetOrderRequest");
        for key in *keys {
            terminal.type_keys(key);
            thread::sleep(Duration::from_millis(100));
        }
        terminal.until_text(text);
        let (text_path, picture_path) = (directory.join(format!("{name}.txt")), directory.join(format!("{name}.svg")));
        let expected = std::fs::read_to_string(&text_path).unwrap_or_default();
        let began = Instant::now();
        let text = loop {
            thread::sleep(Duration::from_millis(300));
            let text = text_of(terminal.screen.lock().expect("no panic").screen());
            if text == expected || began.elapsed() > Duration::from_secs(if update { 2 } else { 20 }) {
                break text;
            }
        };
        let picture = picture(terminal.screen.lock().expect("no panic").screen());
        if update {
            std::fs::create_dir_all(&directory).expect("a directory");
            std::fs::write(&text_path, &text).expect("the text is written");
            std::fs::write(&picture_path, &picture).expect("the picture is written");
        }
        let on_disk = std::fs::read_to_string(&picture_path).unwrap_or_default();
        assert!(text == expected || update, "{name}: RPCSHARK_UPDATE=1 writes the screens anew\n{text}");
        assert!(picture == on_disk, "{name}.svg: RPCSHARK_UPDATE=1 writes the pictures anew");
        terminal.type_keys("\x03");
        terminal.ends();
    }
}

fn text_of(screen: &vt100::Screen) -> String {
    screen.rows(0, 100).map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The screen as a picture (SVG): a rectangle for each run of cells with a background, a text for each run of one style.
fn picture(screen: &vt100::Screen) -> String {
    use std::fmt::Write as _;
    const CELL: (usize, usize) = (8, 17);
    const MARGIN: usize = 10;
    let (rows, columns) = screen.size();
    let (width, height) =
        (usize::from(columns.get()) * CELL.0 + 2 * MARGIN, usize::from(rows.get()) * CELL.1 + 2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"ui-monospace, \
         Menlo, Consolas, 'DejaVu Sans Mono', monospace\" font-size=\"13\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"#1c1e26\"/>\n"
    );
    for row in 0..rows.get() {
        let mut column = 0;
        while column < columns.get() {
            let Some(style) = screen.cell(row, column).map(style_of) else { break };
            let begin = column;
            let mut text = String::new();
            while let Some(cell) = screen.cell(row, column).filter(|cell| style_of(cell) == style) {
                if !cell.is_wide_continuation() {
                    text.push_str(if cell.has_contents() { cell.contents() } else { " " });
                }
                column += 1;
                if column == columns.get() {
                    break;
                }
            }
            let (x, y) = (MARGIN + usize::from(begin) * CELL.0, MARGIN + usize::from(row) * CELL.1);
            let wide = usize::from(column - begin) * CELL.0;
            let (color, background, attributes) = &style;
            if let Some(background) = background {
                let _ = writeln!(
                    svg,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{}\" fill=\"{background}\"/>",
                    CELL.1
                );
            }
            if !text.trim().is_empty() {
                let text = text.replace('&', "&amp;").replace('<', "&lt;");
                let _ = writeln!(
                    svg,
                    "<text x=\"{x}\" y=\"{}\" textLength=\"{wide}\" xml:space=\"preserve\" fill=\"{color}\"{attributes}>{text}</text>",
                    y + 13
                );
            }
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// The colour of a cell's text, its background, and other attributes.
fn style_of(cell: &vt100::Cell) -> (&'static str, Option<&'static str>, &'static str) {
    let color = |color| match color {
        vt100::Color::Idx(1 | 9) => "#e95678",
        vt100::Color::Idx(2 | 10) => "#29d398",
        vt100::Color::Idx(5 | 13) => "#ee64ac",
        vt100::Color::Idx(6 | 14) => "#59e1e3",
        _ => "#d5d8da",
    };
    let attributes = match (cell.bold(), cell.dim()) {
        (true, _) => " font-weight=\"bold\"",
        (_, true) => " opacity=\"0.6\"",
        _ => "",
    };
    match cell.inverse() {
        // How a blank came about does not matter.
        false if cell.contents().trim().is_empty() => ("#d5d8da", None, ""),
        true => ("#1c1e26", Some(color(cell.fgcolor())), attributes),
        false => (color(cell.fgcolor()), None, attributes),
    }
}
