//! The list of frames by keys only.

use super::rig::Rig;

fn frames(keys: &str) -> Rig {
    let mut rig = Rig::open("shop");
    rig.keys(keys);
    rig.until("HTTP/2 frame");
    rig
}

#[test]
fn the_frames_of_a_calls_connection_open_at_the_call() {
    let mut rig = frames("e 2");
    let screen = rig.draw();
    let row = screen.lines().find(|line| line.starts_with('▌')).expect("a row has the cursor");
    assert!(row.contains("HEADERS") && row.contains("POST acme"), "{screen}");
    assert!(screen.contains("frames of c0"), "{screen}");
    rig.keys("Enter");
    let screen = rig.until("Calls ›");
    assert!(screen.contains("#16 acme.shop.v1.Orders/Fail"), "{screen}");
    rig.keys("Esc");
    rig.until("frames of c0");
    rig.keys("Backspace Backspace");
    rig.until("74 calls");
    assert_eq!(rig.selected(), 16);
}

#[test]
fn the_whole_capture_is_indexed_and_its_frames_have_bytes() {
    let mut rig = frames("2 A");
    let screen = rig.until(" Conn ");
    assert!(!screen.contains("of c0"), "{screen}");
    rig.keys("g");
    let screen = rig.until("SETTINGS");
    assert!(screen.contains("▌       1"), "{screen}");
    let screen = rig.until("0000 [00 00");
    assert!(screen.contains("frame 1 of"), "{screen}");
}

#[test]
fn a_filter_of_frames_leaves_frames() {
    let mut rig = frames("2 /");
    rig.text("http2.type == RST_STREAM").keys("Enter");
    rig.until("✓ 5 of 936 frames");
    rig.keys("g");
    let screen = rig.until("↓  RST_STREAM           4");
    assert!(!screen.contains("HEADERS "), "{screen}");
    rig.keys("Esc");
    rig.until("frames of c0");
    assert!(rig.draw().contains("HEADERS"));
}

#[test]
fn every_columns_value_selects_the_frame_that_it_was_taken_from() {
    let mut rig = frames("2 A");
    for number in ["1", "40", "60"] {
        for column in 0..9 {
            rig.keys("#").text(number).keys("Enter");
            rig.until(&format!("frame {number} of"));
            rig.keys("=");
            for _ in 0..column {
                rig.keys("Down");
            }
            rig.keys("Enter");
            if column > 0 && rig.draw().contains("only these") {
                rig.keys("=");
            }
            let screen = rig.until("✓ ");
            let has_number = |line: &str| line.trim_start_matches(['▌', ' ', '!']).starts_with(&format!("{number} "));
            assert!(screen.lines().any(has_number), "{number}, column {column}:\n{screen}");
            rig.keys("Esc");
            rig.until("frames ");
        }
    }
}

#[test]
fn e_goes_to_frames_that_end_something_early() {
    let mut rig = frames("2 g e");
    let screen = rig.draw();
    let row = screen.lines().find(|line| line.starts_with('▌')).expect("a row has the cursor");
    assert!(row.contains("RST_STREAM") || row.contains('!') || row.contains("GOAWAY"), "{screen}");
}

#[test]
fn a_header_that_comes_from_the_dynamic_table_leads_to_the_frame_that_put_it_there() {
    let mut rig = frames("j j j 2");
    rig.keys("Tab /").text("content-type").keys("Enter");
    let screen = rig.until("→ packet");
    assert!(screen.contains("indexed"), "{screen}");
    let before = rig.draw().lines().find(|line| line.starts_with('▌')).expect("a row").to_owned();
    rig.keys("Enter");
    let after = rig.draw().lines().find(|line| line.starts_with('▌')).expect("a row").to_owned();
    assert_ne!(before, after);
    rig.keys("Tab /").text("content-type").keys("Enter");
    rig.until("literal-indexed");
}
