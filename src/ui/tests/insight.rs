//! Methods, problems, conversations and the timeline, by keys only.

use super::rig::Rig;

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

#[test]
fn a_click_selects_a_stream_and_a_double_click_opens_its_call() {
    let mut rig = Rig::open("shop");
    rig.keys("5");
    rig.until("a column is");
    let y = rig.line_of("#3 GetOrder");
    rig.click(15, y);
    rig.until("stream 3 of 74");
    rig.click(15, y);
    rig.until("Calls › #3 ");
}

#[test]
fn a_click_on_a_message_goes_to_its_line_and_one_on_a_field_to_the_field() {
    let mut rig = Rig::open("shop");
    rig.keys("# 1 3 Enter f");
    rig.until("half-close");
    let y = rig.line_of("  2  Order ");
    rig.click(60, y);
    rig.until("Message ↓2");
    let y = rig.line_of("\"order-1\"   ");
    rig.click(10, y);
    rig.until("▌Message ↓2");
}
