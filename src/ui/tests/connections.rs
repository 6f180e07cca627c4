//! Connections by keys only.

use super::rig::Rig;

#[test]
fn connections_are_listed_with_their_streams_and_lead_to_their_calls() {
    let mut rig = Rig::open("shop");
    rig.keys("3");
    let screen = rig.until("Streams of c0");
    assert!(screen.contains("127.0.0.1:50051") && screen.contains("Orders/GetOrder"), "{screen}");
    rig.keys("Enter");
    let screen = rig.until("/ connection == 0");
    assert!(screen.contains("✓"), "{screen}");
    rig.keys("Backspace");
    rig.until("Streams of c0");
}

#[test]
fn unfolding_a_connection_shows_its_settings() {
    let mut rig = Rig::open("shop");
    rig.keys("3");
    rig.until("Streams of c0");
    rig.keys("Right");
    let screen = rig.until("settings ↑");
    assert!(screen.contains("MAX_CONCURRENT_STREAMS"), "{screen}");
    rig.keys("j j Left");
    let screen = rig.until("connection c0");
    assert!(!screen.contains("settings ↑"), "{screen}");
}

#[test]
fn a_stream_opens_its_call() {
    let mut rig = Rig::open("shop");
    rig.keys("3");
    rig.until("Streams of c0");
    rig.keys("Tab G");
    rig.until("stream ");
    rig.keys("g Enter");
    rig.until("Calls › #1 ");
    rig.keys("Esc");
    rig.until("Streams of c0");
    rig.keys("= Enter");
    rig.until("rpc.no == 1");
}

#[test]
fn a_filter_leaves_the_connections_of_the_calls_that_match() {
    let mut rig = Rig::open("shop");
    rig.keys("3 /").text("rpc.outcome == reset");
    rig.keys("Enter");
    let screen = rig.until("✓ ");
    assert!(screen.contains("connection"), "{screen}");
    rig.keys("Esc /").text("rpc.path == \"/nothing\"");
    rig.keys("Enter");
    rig.until("Esc clears it.");
}
