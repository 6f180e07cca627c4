//! Replaying calls from the screens, by keys only, against real servers in this process.

use std::time::Duration;

use rpcshark_tui::Theme;

use super::rig::Rig;
use crate::replay::tests::harness::{PROTO, Recorded, Server, id, m, record};

const GET: &str = "/t.S/Get";

/// A recording on the screens.
struct Shown {
    rig: Rig,
    _recorded: Recorded,
    _proto: tempfile::TempDir,
}

fn shown(recorded: Recorded) -> Shown {
    let directory = tempfile::tempdir().expect("a directory");
    let proto = directory.path().join("t.proto");
    std::fs::write(&proto, PROTO).expect("a schema is written");
    let rig = Rig::open_path(&recorded.path(), Some(proto), Theme::new(false, false), (120, 36));
    Shown { rig, _recorded: recorded, _proto: directory }
}

/// A server that answers each call with `WORD-ID`, and fails those whose ids begin with `bad`.
fn answering(word: &'static str) -> Server {
    Server::start(move |mut peer| async move {
        let Some(message) = peer.recv().await else { return };
        let asked = id(&message);
        peer.note(format!("{} {asked}", peer.path));
        peer.send(&m(&format!("{word}-{asked}")));
        peer.finish(if asked.starts_with("bad") { 5 } else { 0 });
    })
}

/// Four calls, of which the second and the third fail.
fn four_calls() -> Recorded {
    let server = answering("old");
    record(&server, |client| async move {
        for asked in ["one", "bad2", "bad3", "four"] {
            client.unary(GET, &m(asked)).await;
        }
    })
}

impl Shown {
    /// Enters where calls are sent, and looks at the plan.
    fn plan_to(&mut self, server: &Server) -> String {
        self.rig.until("Options");
        self.rig.keys("Enter").text(&server.address.to_string());
        self.rig.keys("Enter p");
        self.rig.until("nothing has been sent")
    }
}

#[test]
fn two_failed_calls_are_marked_replayed_compared_ignored_sent_again_edited_and_sent() {
    let mut shown = shown(four_calls());
    let server = answering("new");
    shown.rig.keys("e m e m r");
    let screen = shown.rig.until("2 calls, recorded at");
    assert!(screen.contains("[6 Replay]"), "{screen}");
    let screen = shown.plan_to(&server);
    assert!(screen.contains("2 calls to send, 0 left out"), "{screen}");
    assert!(screen.contains("t.S/Get"), "{screen}");
    assert!(server.logged().is_empty(), "nothing was sent before the plan was confirmed");
    shown.rig.keys("Enter");
    let screen = shown.rig.until("differs 2");
    assert_eq!(server.logged(), ["/t.S/Get bad2", "/t.S/Get bad3"]);
    assert!(screen.contains("2 of 2") && screen.contains("ENDED"), "{screen}");
    // Recorded beside replayed, the difference selected.
    let screen = shown.rig.until("difference 1 of 1");
    assert!(screen.contains("\"old-bad2\"") && screen.contains("\"new-bad2\""), "{screen}");
    assert!(screen.lines().any(|line| line.contains('~') && line.contains("new-bad2")), "{screen}");
    // The next difference is in the next call.
    shown.rig.keys("n");
    let screen = shown.rig.until("new-bad3");
    assert!(screen.contains("difference 1 of 1"), "{screen}");
    shown.rig.keys("n");
    shown.rig.until("there are no more differences");
    // Ignored: compared again, nothing sent.
    shown.rig.keys("i Enter");
    let screen = shown.rig.until("same 2");
    assert!(screen.contains("1 field ignored"), "{screen}");
    assert_eq!(server.logged().len(), 2);
    // Again, with the rule.
    shown.rig.keys("r Enter");
    shown.rig.until("same 2");
    let began = std::time::Instant::now();
    while server.logged().len() < 4 && began.elapsed() < Duration::from_secs(10) {
        shown.rig.settle();
    }
    assert_eq!(server.logged().len(), 4);
    // A message is edited and sent.
    shown.rig.until("ENDED");
    shown.rig.keys("e");
    let screen = shown.rig.until("#3 message 1");
    assert!(screen.contains("\"id\": \"bad3\""), "{screen}");
    shown.rig.keys("Down End Backspace Backspace Backspace Backspace Backspace").text("fine\"");
    shown.rig.keys("Ctrl-s");
    let screen = shown.rig.until("status-changed 1");
    assert_eq!(server.logged().last().map(String::as_str), Some("/t.S/Get fine"));
    assert!(screen.contains("edited"), "{screen}");
    let screen = shown.rig.until("\"fine\"");
    assert!(screen.contains("\"bad3\""), "the request stands beside the recorded one:\n{screen}");
}
