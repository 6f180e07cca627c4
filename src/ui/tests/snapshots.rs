//! Whole screens, compared cell by cell: their text and their styles, at three sizes, with colours and Unicode, and in ASCII
//! without colours.
//!
//! The expected screens are in `src/ui/tests/snapshots/`. With `RPCSHARK_UPDATE=1` they are written instead of compared; read
//! the difference before committing it. To add a screen, add a line to [`SCREENS`].

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::style::Style;
use rpcshark_dissectors::compare::Verdict;
use rpcshark_tui::Theme;
use rpcshark_tui::backend::{ReplayReply, Reply};
use rpcshark_tui::model::replay::{Beside, BesideRow, Mark, Phase, ReplayPlan, ReplayRow, ReplayState};
use rpcshark_tui::theme::Role;
use rpcshark_tui::widget::{Part, Parts};

use super::rig::Rig;

/// A screen: its name, the recording, and how one gets there.
type Shown = (&'static str, &'static str, fn(&mut Rig));

/// Every screen, and every state of it that looks otherwise.
const SCREENS: &[Shown] = &[
    ("calls", "shop", |rig| drop(rig.keys("e").until("74 calls"))),
    ("calls-filtered", "shop", |rig| {
        rig.keys("/").text("rpc.outcome != ok");
        rig.keys("Enter j m j").until("1 marked");
    }),
    ("calls-sorted", "shop", |rig| drop(rig.keys("s d").until("Took ▾|Took v"))),
    ("calls-none-match", "shop", |rig| {
        rig.keys("/").text("rpc.no == 9999");
        rig.keys("Enter").until("Esc clears it.");
    }),
    ("calls-none", "none", |rig| drop(rig.until("No calls in this file."))),
    ("calls-none-tls", "tls", |rig| drop(rig.until("encrypted with TLS"))),
    ("calls-none-plain", "plain", |rig| drop(rig.until("none of gRPC or ttrpc"))),
    ("calls-none-so-far", "loading", |rig| drop(rig.until("No calls so far."))),
    ("calls-loading", "loading-calls", |rig| drop(rig.until("calls so far"))),
    ("calls-values", "shop", |rig| drop(rig.keys("/").text("rpc.outcome == ").until("calls here"))),
    ("calls-none-marked", "shop", |rig| drop(rig.keys("M").until("No call is marked."))),
    ("calls-columns", "shop", |rig| drop(rig.keys("c t").until("c  columns"))),
    ("filter-empty", "shop", |rig| drop(rig.keys("/").until("failed calls"))),
    ("filter-completing", "shop", |rig| drop(rig.keys("/").text("rpc.sta").until("Tab accept"))),
    ("filter-wrong", "shop", |rig| drop(rig.keys("/").text("rpc.sttus == 14").until("no field rpc.sttus"))),
    ("keys", "shop", |rig| drop(rig.keys("?").until("Keys and commands"))),
    ("call", "shop", |rig| drop(rig.keys("Enter j j j").until("Message 1"))),
    ("call-bytes", "shop", |rig| drop(rig.keys("Enter j j Tab Right i").until("Message 1"))),
    ("call-failed", "shop", |rig| drop(rig.keys("e Enter").until("FAILED_PRECONDITION"))),
    ("frames", "shop", |rig| drop(rig.keys("e 2").until("HTTP/2 frame"))),
    ("frames-fields", "shop", |rig| drop(rig.keys("e 2 Tab j j j j j j j").until("HTTP/2 frame|HEADERS frame"))),
    ("frames-all", "shop", |rig| {
        rig.keys("2 A").until(" Conn ");
        rig.keys("g").until("frame 1 of 936");
    }),
    ("frames-none-match", "shop", |rig| {
        rig.keys("2 /").text("http2.streamid == 999999");
        rig.keys("Enter").until("The filter hides all 936 frames.");
    }),
    ("connections", "shop", |rig| drop(rig.keys("3").until("Streams of c0"))),
    ("connections-unfolded", "shop", |rig| drop(rig.keys("3 Right").until("settings"))),
    ("connections-streams", "shop", |rig| {
        rig.keys("3").until("Streams of c0");
        rig.keys("Tab j j").until("stream 3 of");
    }),
    ("connections-none-match", "shop", |rig| {
        rig.keys("3 /").text("rpc.no == 9999");
        rig.keys("Enter").until("Esc clears it.");
    }),
    ("methods", "shop", |rig| drop(rig.keys("4").until("methods, 74 calls"))),
    ("methods-by-p99", "shop", |rig| drop(rig.keys("4 > > > > > j").until("p99 ▾|p99 v"))),
    ("methods-none", "shop", |rig| {
        rig.keys("4 /").text("rpc.no == 9999");
        rig.keys("Enter").until("The filter hides all 74 calls.");
    }),
    ("problems", "shop", |rig| drop(rig.keys("!").until("problem 1 of 1"))),
    ("problems-damaged", "cancels", |rig| drop(rig.keys("!").until("problem"))),
    ("problems-none", "shop", |rig| {
        rig.keys("/").text("rpc.no == 1");
        rig.keys("Enter !").until("No problems found.");
    }),
    ("follow", "shop", |rig| drop(rig.keys("# 1 3 Enter f j j j j").until("Message ↓1|Message v1"))),
    ("follow-differences", "shop", |rig| drop(rig.keys("# 1 3 Enter f d j j j j j j j").until("since message 1"))),
    ("follow-one-side", "shop", |rig| drop(rig.keys("# 1 3 Enter f u u").until("the server's side only"))),
    ("follow-compared", "shop", |rig| {
        rig.keys("# 1 3 Enter f j j j j Space j Space").until("13 differences");
    }),
    ("follow-fields", "shop", |rig| drop(rig.keys("# 1 3 Enter f j j j j Tab j j").until("▌Message|>Message"))),
    ("timeline", "shop", |rig| drop(rig.keys("5").until("a column is"))),
    ("timeline-measured", "shop", |rig| {
        rig.keys("# 1 3 Enter t").until("a column is");
        rig.keys("+ + + + n z n n n").until("measured");
    }),
    ("timeline-connections", "shop", |rig| {
        rig.keys("5").until("a column is");
        rig.keys("c").until("another connection");
    }),
    ("replay-nothing", "shop", |rig| drop(rig.keys("6").until("Nothing to replay yet."))),
    ("replay-options", "shop", |rig| drop(rig.keys("e m e m r").until("2 calls, recorded at"))),
    ("replay-options-wrong", "shop", |rig| {
        rig.keys("r").until("call #1, recorded at");
        rig.keys("Enter").text("nowhere");
        rig.keys("Enter p").until("has no port");
    }),
    ("replay-plan-refused", "shop", |rig| drop(plan(rig, "e m e m r", "").until("Refused"))),
    ("replay-plan", "shop", |rig| drop(plan(rig, "R", "").until("65 calls to send"))),
    ("replay-plan-changing", "shop", |rig| {
        plan(rig, "R", "j j j Enter").until("may change something on the server");
        rig.keys("Enter").until("Send calls that may change something?");
    }),
    ("replay-running", "shop", |rig| drop(replayed(rig, Phase::Running).until("RUNNING"))),
    ("replay-ended", "shop", |rig| drop(replayed(rig, Phase::Ended).until("difference 1 of 2"))),
    ("replay-ignoring", "shop", |rig| {
        replayed(rig, Phase::Ended).until("difference 1 of 2");
        rig.keys("n n N Tab i").until("ignore this field");
    }),
    ("replay-unreachable", "shop", |rig| drop(unreachable(rig).until("CUT SHORT"))),
    ("replay-editing", "shop", |rig| drop(rig.keys("Enter e").until("#1 message 1"))),
];

/// The plan of the calls that `keys` choose, for a server that nobody asks; `options`: keys that change options first.
fn plan<'r>(rig: &'r mut Rig, keys: &str, options: &str) -> &'r mut Rig {
    rig.keys(keys).until("recorded at");
    rig.keys("Enter").text("127.0.0.1:9");
    rig.keys("Enter");
    if !options.is_empty() {
        rig.keys(options);
    }
    rig.keys("p")
}

/// A replay as the worker tells of it, with times that do not change.
fn replayed(rig: &mut Rig, phase: Phase) -> &mut Rig {
    let ok = || vec![Part::new("OK", Role::Ok)];
    let row = |no: u32, verdict: Verdict, replayed: Parts, differs: &str, differences: u64| ReplayRow {
        no,
        method: "acme.shop.v1.Orders/GetOrder".to_owned(),
        recorded: ok(),
        replayed,
        took: if verdict == Verdict::ConnectionLost { String::new() } else { "4.20 ms".to_owned() },
        was: "905 µs".to_owned(),
        verdict: Some(verdict),
        differs: differs.to_owned(),
        differences,
        edited: no == 4,
        is_there: verdict != Verdict::ConnectionLost,
    };
    let failed = vec![Part::new("✗ UNAVAILABLE  no database", Role::Error)];
    let lost = vec![Part::new("! connection-lost", Role::Warning)];
    let rows = vec![
        row(1, Verdict::Same, ok(), "", 0),
        row(2, Verdict::Differs, ok(), "response.items.price, response.note.value", 2),
        row(3, Verdict::StatusChanged, failed, "status.code, status.message", 2),
        row(4, Verdict::Same, ok(), "", 0),
        row(5, Verdict::ConnectionLost, lost, "the server closed the connection", 0),
    ];
    let state = ReplayState {
        phase,
        total: 12,
        counts: [Verdict::Same, Verdict::Differs, Verdict::StatusChanged, Verdict::ConnectionLost]
            .into_iter()
            .zip([2, 1, 1, 1])
            .collect(),
        in_flight: if phase == Phase::Running { 3 } else { 0 },
        elapsed_ns: 21_000_000_000,
        rate: vec![1, 4, 9, 16, 9, 4, 1, 0, 7],
        took: Some([(905_000, 1_500_000), (4_200_000, 18_000_000)]),
        left_out: 9,
        rows: Arc::new(rows),
        ..ReplayState::default()
    };
    rig.keys("6");
    told(rig, state);
    rig.keys("j");
    let value = |text: &str| Some(vec![Part::new(text, Role::Value)]);
    let line = |depth: u16, name: &str, values: [Option<Parts>; 2], mark: Mark| BesideRow {
        depth,
        name: vec![Part::new(name, if mark == Mark::Part { Role::Text } else { Role::Name })],
        values,
        mark,
        rules: vec![
            "acme.shop.v1.Item.price".to_owned(),
            "acme.shop.v1.Orders/GetOrder.response.items.price".to_owned(),
        ],
        path: format!("response.{name}"),
    };
    let text = "a text that is longer than its column, and whose only difference comes after all that is the same: ";
    let rows = vec![
        line(0, "Status", [Some(ok()), Some(ok())], Mark::Part),
        line(0, "↓ Message 1", [value("acme.shop.v1.Order  351 B"), value("acme.shop.v1.Order  344 B")], Mark::Part),
        line(1, "id", [value("\"order-1\""), value("\"order-1\"")], Mark::Same),
        line(2, "price", [value("9.99"), value("9.98")], Mark::Differs),
        line(2, "barcode", [value("\"AAEC\""), None], Mark::Ignored),
        line(1, "note", [value(&format!("\"{text}a\"")), value(&format!("\"{text}b\""))], Mark::Differs),
    ];
    let beside = Beside {
        no: 2,
        method: "acme.shop.v1.Orders/GetOrder".to_owned(),
        rows,
        differences: 2,
        ignored: 1,
        ..Beside::default()
    };
    rig.app.reply(Reply::Replay(ReplayReply::Beside(Arc::new(beside))), &rig.backend);
    rig
}

/// A server that could not be reached.
fn unreachable(rig: &mut Rig) -> &mut Rig {
    rig.keys("6");
    let why = "cannot connect to 127.0.0.1:9: Connection refused (os error 111)";
    told(
        rig,
        ReplayState {
            phase: Phase::Ended,
            total: 2,
            elapsed_ns: 10_000_000_000,
            cut_short: Some(why.to_owned()),
            help: "start the server and press r, or change the target with o".to_owned(),
            ..ReplayState::default()
        },
    );
    rig
}

fn told(rig: &mut Rig, state: ReplayState) {
    let plan = ReplayPlan {
        lines: vec!["12 calls to send, 9 left out".to_owned()],
        calls: 12,
        target: "127.0.0.1:9".to_owned(),
        manner: "pace think   order global".to_owned(),
        ..ReplayPlan::default()
    };
    for reply in [ReplayReply::Planned(Arc::new(plan)), ReplayReply::State(Arc::new(state))] {
        rig.app.reply(Reply::Replay(reply), &rig.backend);
    }
}

const SIZES: [(u16, u16); 3] = [(160, 50), (120, 36), (80, 24)];

#[test]
fn screens_look_as_they_are_meant_to() {
    let update = std::env::var_os("RPCSHARK_UPDATE").is_some_and(|value| !value.is_empty());
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ui/tests/snapshots");
    let mut faults = Vec::new();
    for (name, case, go) in SCREENS {
        for plain in [false, true] {
            let theme = Theme::new(!plain, plain);
            // With workers of its own: none answers what another screen has asked for.
            let mut rig = Rig::open_state(case, theme, SIZES[0]);
            go(&mut rig);
            for (width, height) in SIZES {
                rig.size = (width, height);
                let path = directory.join(format!("{name}-{width}x{height}{}.txt", if plain { "-ascii" } else { "" }));
                let expected = fs::read_to_string(&path).unwrap_or_default();
                let shown = shown(&mut rig, &expected);
                if shown == expected {
                    continue;
                }
                match update {
                    true => fs::write(&path, &shown).expect("a snapshot is written"),
                    false => faults.push(format!("{}:\n{}", path.display(), difference(&expected, &shown))),
                }
            }
        }
    }
    let count = faults.len();
    assert!(
        faults.is_empty(),
        "{count} screens differ (RPCSHARK_UPDATE=1 writes them anew):\n\n{}",
        faults.join("\n\n")
    );
}

/// Heights from 12 to 60.
const HEIGHTS: usize = 49;

/// Every width from 60 to 200 and every height from 12 to 60, and some that are smaller. A size is drawn by one screen after
/// another, so that each screen is drawn at each width and each height.
#[test]
fn no_size_makes_a_screen_panic() {
    let open = |&(_, case, go): &Shown| {
        let mut rig = Rig::open_state(case, Theme::new(true, false), (100, 30));
        go(&mut rig);
        rig
    };
    let mut rigs: Vec<Rig> = SCREENS.iter().map(open).collect();
    let count = rigs.len();
    let mut drawn = vec![std::collections::BTreeSet::new(); count];
    for width in (0..60).step_by(7).chain(60..=200) {
        for height in (0..12).step_by(3).chain(12..=60) {
            for turn in 0..count.div_ceil(HEIGHTS) {
                let index = (usize::from(width) + usize::from(height) + turn * HEIGHTS) % count;
                let rig = &mut rigs[index];
                rig.size = (width, height);
                rig.buffer();
                drawn[index].insert(width);
            }
        }
    }
    assert!(drawn.iter().all(|widths| (60..=200).all(|width| widths.contains(&width))));
}

/// The screen when nothing changes any more, or when it is as expected.
fn shown(rig: &mut Rig, expected: &str) -> String {
    let mut before = String::new();
    loop {
        rig.settle();
        let now = text_and_styles(&rig.buffer());
        if now == expected || now == before {
            return now;
        }
        before = now;
    }
}

/// The text of a screen, and below it a letter for each cell that has a style, with a list of the styles.
fn text_and_styles(buffer: &Buffer) -> String {
    let mut text = String::new();
    let mut styles = String::new();
    let mut letters: BTreeMap<String, char> = BTreeMap::new();
    let mut unused = ('a'..='z').chain('A'..='Z');
    // The line of views is the same on all screens.
    let is_views = (0..3).any(|x| buffer[(x, 0)].symbol() == "1");
    for y in u16::from(is_views)..buffer.area.height {
        let mut line = String::new();
        let mut line_styles = String::new();
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            line.push_str(cell.symbol());
            let letter = match cell.style() {
                style if is_plain(style) => ' ',
                style => {
                    let letter = letters.entry(described(style));
                    *letter.or_insert_with(|| unused.next().unwrap_or('?'))
                }
            };
            line_styles.push(letter);
        }
        let _ = writeln!(text, "{}", line.trim_end());
        let _ = writeln!(styles, "{}", line_styles.trim_end());
    }
    let mut whole = format!("{text}---- styles\n{styles}----\n");
    let mut legend: Vec<_> = letters.into_iter().collect();
    legend.sort_by_key(|&(_, letter)| letter);
    for (style, letter) in legend {
        let _ = writeln!(whole, "{letter} {style}");
    }
    whole
}

fn is_plain(style: Style) -> bool {
    described(style).is_empty()
}

/// `red bold`.
fn described(style: Style) -> String {
    let colour = |name: &str, colour: Option<ratatui::style::Color>| {
        let colour = colour.filter(|colour| *colour != ratatui::style::Color::Reset)?;
        Some(format!("{name}{}", colour.to_string().to_lowercase()))
    };
    let modifiers = style.add_modifier.iter_names().map(|(name, _)| name.to_lowercase());
    colour("", style.fg).into_iter().chain(colour("on ", style.bg)).chain(modifiers).collect::<Vec<_>>().join(" ")
}

/// The lines that differ, with their numbers.
fn difference(expected: &str, shown: &str) -> String {
    let mut text = String::new();
    let (mut expected, mut shown) = (expected.lines(), shown.lines());
    for number in 1.. {
        let (before, now) = (expected.next(), shown.next());
        if before.is_none() && now.is_none() {
            break;
        }
        if before != now {
            let _ = writeln!(text, "{number:>3} - {}\n    + {}", before.unwrap_or(""), now.unwrap_or(""));
        }
    }
    text
}

#[test]
fn a_window_that_is_too_small_says_what_it_needs() {
    let mut rig = Rig::open("shop");
    for size in [(59, 12), (60, 11), (20, 5), (30, 1)] {
        rig.size = size;
        let screen = rig.draw();
        let lines: Vec<&str> = screen.lines().filter(|line| !line.is_empty()).collect();
        let expected: &[&str] = match size {
            (_, 1) => &["make the window larger:"],
            (20, _) => &["make the window lar…", "60 by 12 at least"],
            _ => &["make the window larger:", "60 by 12 at least"],
        };
        assert_eq!(lines, expected, "{size:?}");
    }
    rig.size = (60, 12);
    assert!(rig.draw().contains("? all keys"));
}
