//! The screens by keys only, over a real recording: what a user types, and what is on the screen then.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;
use rpcshark_dissectors::store::Keep;
use rpcshark_dissectors::view::{Guesser, Redaction};
use rpcshark_tui::{App, Theme};

use super::backend::{Decoding, ScreenBackend, Shared};
use super::terminal::Signal;
use super::workers::Workers;
use crate::decode_as::DecodeAsRules;
use crate::load::{Inputs, LoadOptions, Loader, schema};

/// The terminal UI without a terminal: events go in, a buffer of cells comes out.
struct Rig {
    app: App,
    backend: ScreenBackend,
    signals: Receiver<Signal>,
    size: (u16, u16),
    quit: bool,
}

impl Rig {
    /// Opens a recording of `tests/captures` with the schema beside it.
    fn open(case: &str) -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(case);
        let options = LoadOptions {
            inputs: Inputs::Paths(vec![directory.join(format!("{case}.pcap"))]),
            memory: rpcshark_captures::budget::MemoryLimit::default(),
            follow: false,
            stop: None,
            count: None,
            keep: Keep { bodies: true, ..Keep::default() },
            decode_as: DecodeAsRules::default(),
            spool: None,
            notice: None,
        };
        let loader = Loader::open(options.clone()).expect("the recording can be opened");
        let files = loader.files().iter().map(|file| file.name.clone()).collect();
        let store = Arc::clone(loader.shared());
        loader.start().join(|_| ()).expect("the recording can be read");
        let sources =
            schema::Sources { proto: vec![directory.join(format!("{case}.proto"))], ..schema::Sources::default() };
        let schema = sources.load().schema;
        let guesser = Guesser::new(&schema);
        let decoding = Decoding { schema, guesser, redaction: Redaction::default() };
        let shared = Arc::new(Shared::new(store, decoding, files));
        let theme = Theme::new(false, false);
        let (to_main, signals) = channel();
        let workers = Workers::start(&shared, options, sources, theme.signs, &to_main).expect("threads start");
        let backend = ScreenBackend { shared, workers };
        let app = App::new(theme, &format!("{case}.pcap"), "", &backend);
        Self { app, backend, signals, size: (100, 30), quit: false }
    }

    /// Types keys: names as in the table of commands, separated by blanks.
    fn keys(&mut self, keys: &str) -> &mut Self {
        for name in keys.split(' ') {
            let (code, modifiers) = rpcshark_tui::command::parse_key(name).expect("a key");
            self.app.event(&Event::Key(KeyEvent::new(code, modifiers)), &self.backend);
            // What a key asks for is there before the next one is typed, as it is for people.
            self.settle();
        }
        self
    }

    /// Types text.
    fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.app.event(&Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)), &self.backend);
        }
        self
    }

    /// Takes answers until none has come for a while.
    fn settle(&mut self) {
        self.draw();
        while let Ok(signal) = self.signals.recv_timeout(Duration::from_millis(60)) {
            match signal {
                Signal::Reply(reply) => self.app.reply(reply, &self.backend),
                Signal::Quit => self.quit = true,
                _ => {}
            }
            self.draw();
        }
    }

    /// Waits until the screen contains `text`.
    fn until(&mut self, text: &str) -> String {
        let began = Instant::now();
        loop {
            self.settle();
            let screen = self.draw();
            if screen.contains(text) {
                return screen;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "no {text:?} on this screen:\n{screen}");
        }
    }

    fn draw(&mut self) -> String {
        let mut buffer = Buffer::empty(Rect::new(0, 0, self.size.0, self.size.1));
        self.app.draw(&mut buffer, &self.backend);
        let row = |y| (0..self.size.0).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
        (0..self.size.1).map(row).collect::<Vec<_>>().join("\n")
    }

    /// The number of the call with the cursor.
    fn selected(&mut self) -> u32 {
        let screen = self.draw();
        let line = screen.lines().find(|line| line.starts_with('▌')).expect("a row has the cursor").to_owned();
        let no = line.trim_start_matches(['▌', '●', '!', ' ']).split_whitespace().next().map(str::parse);
        no.expect("a number").expect("a number")
    }
}

#[test]
fn the_first_screen_shows_calls_and_a_preview_of_the_first() {
    let mut rig = Rig::open("shop");
    let screen = rig.until("GetOrderRequest");
    assert!(screen.contains("74 calls"), "{screen}");
    assert!(screen.contains("Orders/GetOrder"), "{screen}");
    assert!(screen.contains("call 1 of 74"), "{screen}");
}

#[test]
fn the_third_failed_call_is_three_keys_away() {
    let mut rig = Rig::open("shop");
    rig.keys("e e e");
    assert_eq!(rig.selected(), 18);
    rig.keys("E");
    assert_eq!(rig.selected(), 17);
}

#[test]
fn going_back_restores_filter_and_selection() {
    let mut rig = Rig::open("shop");
    rig.keys("/").text("rpc.outcome != ok");
    rig.keys("Enter");
    let screen = rig.until("of 74");
    assert!(screen.contains("/ rpc.outcome != ok"), "{screen}");
    rig.keys("j j");
    let before = rig.selected();
    rig.keys("Enter");
    rig.until("Calls ›");
    rig.keys("Esc");
    assert_eq!(rig.selected(), before);
    rig.keys("Esc");
    let screen = rig.until("call");
    assert!(!screen.contains("rpc.outcome"), "{screen}");
    rig.keys("Backspace");
    let screen = rig.until("rpc.outcome != ok");
    assert!(screen.contains("✓"), "{screen}");
    assert_eq!(rig.selected(), before);
}

#[test]
fn the_method_under_the_cursor_becomes_the_filter_with_two_keys() {
    let mut rig = Rig::open("shop");
    rig.keys("e = =");
    let screen = rig.until("rpc.path == \"/acme.shop.v1.Orders/Fail\"");
    assert!(screen.contains("✓"), "{screen}");
    assert!(!screen.contains("GetOrder "), "{screen}");
}

#[test]
fn every_columns_value_selects_the_call_that_it_was_taken_from() {
    let mut rig = Rig::open("shop");
    for no in [1, 16, 20] {
        for column in 0..8 {
            rig.keys("#").text(&no.to_string());
            rig.keys("Enter =");
            for _ in 0..column {
                rig.keys("Down");
            }
            rig.keys("Enter");
            if column > 0 {
                rig.keys("=");
            }
            rig.until("✓");
            assert_eq!(rig.selected(), no, "column {column} of call {no}");
            rig.keys("Esc");
        }
    }
}

#[test]
fn calls_are_sorted_by_duration_with_the_slowest_first() {
    let mut rig = Rig::open("shop");
    rig.keys("s d");
    let screen = rig.until("Took ▾");
    rig.keys("g");
    let slowest = rig.selected();
    assert_eq!(slowest, 19, "{screen}");
    rig.keys("o g");
    rig.until("Took ▴");
    assert_ne!(rig.selected(), slowest);
}

#[test]
fn marked_calls_can_be_shown_alone() {
    let mut rig = Rig::open("shop");
    rig.keys("m j m M");
    let screen = rig.until("2 marked");
    assert!(screen.contains("✓ 2 of 74"), "{screen}");
    rig.keys("Esc");
    rig.until("74 calls");
}

#[test]
fn a_field_is_found_and_its_bytes_are_shown() {
    let mut rig = Rig::open("shop");
    rig.keys("Enter");
    rig.until("Message 1");
    rig.keys("/").text("iban");
    rig.keys("Enter");
    let screen = rig.until("rpc.response.iban == ");
    assert!(screen.contains("[62 09") && screen.contains("30]"), "the field's bytes stand in brackets:\n{screen}");
    rig.keys("Tab Right Left Tab = =");
    rig.until("rpc.response.iban == ");
}

#[test]
fn a_wrong_filter_says_so_and_the_list_stays() {
    let mut rig = Rig::open("shop");
    rig.keys("/").text("rpc.sttus == 14");
    let screen = rig.until("no field rpc.sttus");
    assert!(screen.contains("did you mean rpc.status?"), "{screen}");
    rig.keys("Enter");
    assert!(rig.draw().contains("Orders/GetOrder"));
    rig.keys("Esc");
    rig.until("74 calls");
}

#[test]
fn the_list_of_keys_runs_what_it_finds() {
    let mut rig = Rig::open("shop");
    rig.keys("?").text("next failed");
    rig.until("Go to the next failed call");
    rig.keys("Enter");
    assert_eq!(rig.selected(), 16);
    rig.keys("q");
    assert!(rig.quit);
}

#[test]
fn no_size_makes_the_screens_panic() {
    let mut rig = Rig::open("shop");
    rig.settle();
    for in_call in [false, true] {
        if in_call {
            rig.keys("Enter");
            rig.until("Message 1");
        }
        for width in (1..=200).step_by(7) {
            for height in (1..=60).step_by(5) {
                rig.size = (width, height);
                rig.draw();
            }
        }
        rig.size = (100, 30);
    }
}

#[test]
fn methods_are_counted_sorted_and_opened() {
    let mut rig = Rig::open("shop");
    rig.keys("4");
    let screen = rig.until("methods, 74 calls");
    assert!(screen.contains("acme.shop.v1.Orders/GetOrder"), "{screen}");
    assert!(screen.contains("NOT_FOUND") || screen.contains("OK "), "{screen}");
    rig.keys("> > >");
    let screen = rig.until("p50 ▾");
    assert!(screen.contains("took"), "{screen}");
    rig.keys("g Enter");
    let screen = rig.until("rpc.path == ");
    assert!(screen.contains("✓"), "{screen}");
    rig.keys("Backspace");
    rig.until("methods, 74 calls");
}

#[test]
fn methods_show_the_calls_that_the_filter_leaves() {
    let mut rig = Rig::open("shop");
    rig.keys("/").text("rpc.outcome == error");
    rig.keys("Enter");
    rig.until("of 74");
    rig.keys("4");
    let screen = rig.until("method");
    assert!(screen.contains("/ rpc.outcome == error"), "{screen}");
    rig.keys("Enter");
    rig.until("(rpc.outcome == error) && rpc.path == ");
}

#[test]
fn problems_are_listed_by_kind_and_lead_to_their_calls() {
    let mut rig = Rig::open("shop");
    rig.keys("!");
    let screen = rig.until("problems of 74 calls");
    assert!(screen.contains("problem 1 of"), "{screen}");
    rig.keys("Enter");
    let screen = rig.until("call 1 of");
    assert!(screen.contains("✓"), "{screen}");
}

#[test]
fn a_call_is_followed_and_its_messages_are_compared() {
    let mut rig = Rig::open("shop");
    rig.keys("/").text("rpc.messages > 6");
    rig.keys("Enter");
    rig.until("of 74");
    rig.keys("f");
    let screen = rig.until("half-close");
    assert!(screen.contains("client 127.0.0.1") && screen.contains("server 127.0.0.1"), "{screen}");
    rig.keys("u u");
    let screen = rig.until("the server's side only");
    assert!(!screen.contains("half-close"), "{screen}");
    rig.keys("u d");
    let screen = rig.until("since message 1");
    assert!(screen.contains("differences"), "{screen}");
    rig.keys("d");
    rig.keys("/").text("{");
    rig.keys("Enter Space n Space");
    rig.until("difference");
    rig.keys("Esc Tab");
    rig.until("▌Message");
    rig.keys("Esc Esc");
    rig.until("rpc.messages > 6");
}

#[test]
fn the_timeline_shows_the_streams_of_the_calls_connection() {
    let mut rig = Rig::open("shop");
    rig.keys("t");
    let screen = rig.until("a column is");
    assert!(screen.contains("Timeline c0"), "{screen}");
    assert!(screen.contains("#1 GetOrder") && screen.contains("✓"), "{screen}");
    let before = rig.until("stream 1 of");
    rig.keys("+ + n z n");
    let screen = rig.until("measured: +");
    assert_ne!(before, screen);
    rig.keys("Esc 0");
    assert!(!rig.draw().contains("measured"));
    rig.keys("c");
    rig.until("another connection");
    rig.keys("1");
    rig.until("a column is");
    rig.keys("j Enter");
    rig.until("Calls ›");
}
