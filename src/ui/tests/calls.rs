//! The list of calls and one call, by keys only, over a real recording.

use super::rig::Rig;

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
fn columns_are_hidden_and_shown_again() {
    let mut rig = Rig::open("shop");
    assert!(rig.until("74 calls").contains("Took"));
    rig.keys("c d");
    let screen = rig.until("c  columns");
    assert!(!screen.lines().nth(2).is_some_and(|heading| heading.contains("Took")), "{screen}");
    rig.keys("d Esc");
    assert!(rig.draw().contains("Took"));
}

#[test]
fn a_window_that_is_too_small_says_so_and_escape_still_works() {
    let mut rig = Rig::open("shop");
    rig.keys("Enter");
    rig.until("Message 1");
    rig.size = (20, 5);
    let screen = rig.draw();
    assert!(screen.contains("make the window"), "{screen}");
    rig.keys("Esc");
    rig.size = (100, 30);
    rig.until("74 calls");
}

#[test]
fn times_can_be_shown_in_four_ways() {
    let mut rig = Rig::open("shop");
    let since_start = rig.until("74 calls");
    rig.keys("T");
    let since_previous = rig.until("times: since the previous row");
    assert_ne!(since_start.lines().nth(4), since_previous.lines().nth(4));
    rig.keys("T T");
    let utc = rig.until("times: UTC");
    assert!(utc.lines().nth(3).is_some_and(|row| row.contains(':')), "{utc}");
    rig.keys("T");
    rig.until("times: since the start");
}

#[test]
fn a_field_of_the_tree_becomes_a_column_that_can_be_sorted_and_filtered_by() {
    let mut rig = Rig::open("shop");
    rig.size = (132, 36);
    rig.keys("Enter");
    rig.until("Message 1");
    rig.keys("/").text("GetOrderRequest");
    rig.keys("Enter j c");
    rig.until("rpc.request.id is a column of Calls");
    rig.keys("Esc");
    let screen = rig.until("74 calls");
    assert!(screen.lines().nth(2).is_some_and(|heading| heading.contains(" id")), "{screen}");
    // Sorted by it: the columns of the user have digits.
    rig.keys("s 1");
    rig.until("id ▴");
    // Every value of the column selects the call that it was taken from.
    rig.keys("g");
    let no = rig.selected();
    rig.keys("=");
    let screen = rig.until("rpc.request.id == order");
    let line = screen.lines().find(|line| line.contains("rpc.request.id == order")).expect("an entry of the menu");
    let key = line.split('│').nth(1).and_then(|line| line.trim().chars().next()).expect("its key").to_string();
    rig.keys(&key).keys("=");
    rig.until("/ rpc.request.id ==");
    rig.until("✓");
    assert_eq!(rig.selected(), no);
}

#[test]
fn a_line_of_the_preview_that_does_not_fit_is_a_key_away() {
    let mut rig = Rig::open("shop");
    rig.keys("# 1 3 Enter");
    let first = rig.until("Space shows them");
    rig.keys("Space");
    assert_ne!(rig.draw(), first);
    rig.keys("j k");
    assert_eq!(rig.draw(), first, "another call begins at its first line");
}

#[test]
fn the_scrollbar_shows_where_failed_calls_are() {
    let mut rig = Rig::open("shop");
    let screen = rig.until("74 calls");
    let sign = |line: &str| line.chars().nth(99);
    let signs: String = screen.lines().filter_map(sign).collect();
    assert!(signs.contains('┃') && signs.contains('•'), "{screen}");
    rig.keys("G");
    let screen = rig.draw();
    assert_eq!(screen.lines().nth(3).and_then(sign), None, "the first rows are not in view:\n{screen}");
    rig.keys("/").text("rpc.no < 5");
    rig.keys("Enter");
    let screen = rig.until("4 of 74");
    assert!(!screen.contains('┃'), "all rows are in view:\n{screen}");
}

#[test]
fn completion_offers_values_of_the_capture_with_their_counts() {
    let mut rig = Rig::open("shop");
    rig.keys("/").text("rpc.outcome == ");
    let screen = rig.until("calls here");
    assert!(screen.lines().any(|line| line.contains("│ ok ") && line.contains("67 calls here")), "{screen}");
    rig.keys("Esc /").text("rpc.method == \"Get");
    rig.until("\"GetOrder\"");
    rig.keys("Tab Enter");
    rig.until("/ rpc.method == \"GetOrder\"");
    rig.until("✓");
}

#[test]
fn an_empty_filter_line_offers_what_people_look_for_most() {
    let mut rig = Rig::open("shop");
    rig.app.set_history(vec!["rpc.no == 3".to_owned()]);
    rig.keys("/");
    let screen = rig.until("failed calls");
    for offered in ["calls without an end", "slow calls", "calls with notes", "rpc.no == 3"] {
        assert!(screen.contains(offered), "{screen}");
    }
    rig.keys("Tab Enter");
    rig.until("rpc.outcome in {error, reset}");
}

#[test]
fn columns_of_the_configuration_are_shown_in_its_order() {
    let mut rig = Rig::open("shop");
    let fields = ["rpc.path", "rpc.no", "rpc.request.id", "rpc.outcome"].map(str::to_owned);
    rig.app.set_columns(&fields, &rig.backend);
    let screen = rig.until("Method");
    let heading = screen.lines().nth(2).expect("a heading");
    let at = |title: &str| heading.find(title).unwrap_or_else(|| panic!("no {title}:\n{screen}"));
    assert!(at("Method") < at("No ▴") && at("No ▴") < at(" id") && at(" id") < at("Status"), "{screen}");
    assert!(!heading.contains("Took"), "{screen}");
}
