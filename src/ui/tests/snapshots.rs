//! Whole screens, compared cell by cell: their text and their styles, at three sizes, with colours and Unicode, and in ASCII
//! without colours.
//!
//! The expected screens are in `src/ui/tests/snapshots/`. With `RPCSHARK_UPDATE=1` they are written instead of compared; read
//! the difference before committing it. To add a screen, add a line to [`SCREENS`].

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use ratatui::buffer::Buffer;
use ratatui::style::Style;
use rpcshark_tui::Theme;

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
    ("calls-none-marked", "shop", |rig| drop(rig.keys("M").until("No call is marked."))),
    ("calls-columns", "shop", |rig| drop(rig.keys("c t").until("c  columns"))),
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
];

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
            let mut rig = Rig::open_with(case, theme, SIZES[0]);
            go(&mut rig);
            for (width, height) in SIZES {
                rig.size = (width, height);
                let path = directory.join(format!("{name}-{width}x{height}{}.txt", if plain { "-ascii" } else { "" }));
                let expected = fs::read_to_string(&path).unwrap_or_default();
                let shown = shown(&mut rig, &expected, update);
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

#[test]
fn no_size_makes_a_screen_panic() {
    for (_, case, go) in SCREENS.iter().filter(|(_, case, _)| *case == "shop") {
        // With workers of its own: none answers what another screen has asked for.
        let mut rig = Rig::open_with(case, Theme::new(true, false), (100, 30));
        go(&mut rig);
        for width in (0..60).step_by(13).chain((60..=200).step_by(5)) {
            for height in (0..12).step_by(5).chain((12..=60).step_by(4)) {
                rig.size = (width, height);
                rig.buffer();
            }
        }
    }
}

/// The screen when nothing changes any more, or when it is as expected.
fn shown(rig: &mut Rig, expected: &str, update: bool) -> String {
    let began = Instant::now();
    let mut before = String::new();
    loop {
        rig.settle();
        let now = text_and_styles(&rig.buffer());
        let settled = now == before && began.elapsed() > Duration::from_millis(if update { 600 } else { 3000 });
        if now == expected || settled {
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
