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
    shown_with(recorded, PROTO)
}

fn shown_with(recorded: Recorded, schema: &str) -> Shown {
    let directory = tempfile::tempdir().expect("a directory");
    let proto = directory.path().join("t.proto");
    std::fs::write(&proto, schema).expect("a schema is written");
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
        let screen = self.rig.until("left out");
        assert!(screen.contains("nothing has been sent"), "{screen}");
        screen
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

impl Shown {
    /// Gives an option a value, by keys.
    fn set(&mut self, name: &str, value: &str) {
        self.rig.keys("g");
        for _ in 0..60 {
            let screen = self.rig.draw();
            let line = screen.lines().find(|line| line.starts_with('▌')).unwrap_or_default().to_owned();
            if line.trim_start_matches('▌').split_whitespace().next() == Some(name) {
                self.rig.keys("Enter");
                if !value.is_empty() {
                    self.rig.text(value);
                    self.rig.keys("Enter");
                }
                return;
            }
            self.rig.keys("j");
        }
        panic!("no option {name}:\n{}", self.rig.draw());
    }

    /// Chooses all calls, and enters where they are sent.
    fn all_to(&mut self, server: &Server) {
        self.rig.keys("R");
        self.rig.until("Options");
        self.rig.keys("Enter").text(&server.address.to_string());
        self.rig.keys("Enter");
    }

    /// Waits until a server was asked so many times.
    fn until_asked(&mut self, server: &Server, times: usize) {
        let began = std::time::Instant::now();
        while server.logged().len() < times {
            self.rig.settle();
            assert!(began.elapsed() < Duration::from_secs(20), "{:?}", server.logged());
        }
    }
}

/// A server that takes its time.
fn slow(pause: Duration) -> Server {
    Server::start(move |mut peer| async move {
        let Some(message) = peer.recv().await else { return };
        peer.note(id(&message));
        tokio::time::sleep(pause).await;
        peer.send(&m(&format!("old-{}", id(&message))));
        peer.finish(if id(&message).starts_with("bad") { 5 } else { 0 });
    })
}

#[test]
fn a_method_that_may_change_something_is_not_sent_before_it_is_allowed_and_confirmed() {
    let server = answering("old");
    let recorded = record(&server, |client| async move {
        client.unary("/t.S/Create", &m("one")).await;
    });
    let mut shown = shown(recorded);
    let target = answering("old");
    shown.rig.keys("r");
    let screen = shown.plan_to(&target);
    assert!(screen.contains("Refused: none of the calls may be sent"), "{screen}");
    assert!(screen.contains("t.S/Create") && screen.contains("not allowed"), "{screen}");
    shown.rig.keys("Enter");
    shown.rig.until("refused:");
    shown.rig.keys("o");
    shown.set("allow", "t.S/*");
    shown.rig.keys("p");
    let screen = shown.rig.until("may change something on the server");
    assert!(screen.contains("1 call to send"), "{screen}");
    // The answer that Enter gives is no.
    shown.rig.keys("Enter");
    shown.rig.until("Send calls that may change something?");
    shown.rig.keys("Enter");
    shown.rig.settle();
    assert_eq!(target.logged(), Vec::<String>::new());
    shown.rig.keys("Enter y");
    shown.rig.until("same 1");
    assert_eq!(target.logged(), ["/t.S/Create one"]);
}

#[test]
fn the_server_of_the_recording_is_refused_unless_it_is_allowed() {
    let server = answering("old");
    let recorded = record(&server, |client| async move {
        client.unary(GET, &m("one")).await;
    });
    let asked = server.logged().len();
    let mut shown = shown(recorded);
    shown.rig.keys("r");
    let screen = shown.plan_to(&server);
    assert!(screen.contains("is the server of the recording"), "{screen}");
    shown.rig.keys("Enter");
    shown.rig.until("refused:");
    assert_eq!(server.logged().len(), asked);
    shown.rig.keys("o");
    shown.set("allow-recorded-target", "");
    shown.rig.keys("p");
    shown.rig.until("1 call to send");
    shown.rig.keys("Enter");
    shown.rig.until("same 1");
    assert_eq!(server.logged().len(), asked + 1);
}

#[test]
fn a_wrong_option_is_named_and_corrected() {
    let mut shown = shown(four_calls());
    let server = answering("old");
    shown.rig.keys("r p");
    shown.rig.until("where are the calls to be sent?");
    shown.rig.keys("Enter").text("nowhere");
    shown.rig.keys("Enter p");
    let screen = shown.rig.until("has no port");
    assert!(screen.contains("--to [RECORDED=]ADDR"), "the option has the cursor:\n{screen}");
    shown.rig.keys("Delete Enter").text(&server.address.to_string());
    shown.rig.keys("Enter");
    shown.set("pace", "never");
    shown.rig.keys("p");
    shown.rig.until("is not think, recorded, asap or rate=CALLS_PER_SECOND");
    shown.rig.keys("Delete p");
    shown.rig.until("1 call to send");
}

#[test]
fn a_replay_is_paused_goes_on_and_is_stopped() {
    let mut shown = shown(four_calls());
    let server = slow(Duration::from_millis(300));
    shown.all_to(&server);
    shown.rig.keys("p");
    shown.rig.until("4 calls to send");
    shown.rig.keys("Enter");
    shown.until_asked(&server, 1);
    shown.rig.keys("Space");
    shown.rig.until("PAUSED");
    // The call in progress ends; the next one does not begin.
    shown.rig.until("1 of 4|2 of 4");
    let asked = server.logged().len();
    shown.rig.take_waiting(Duration::from_millis(700));
    assert_eq!(server.logged().len(), asked, "{}", shown.rig.draw());
    assert!(asked < 4);
    // Quitting asks first.
    shown.rig.keys("q");
    shown.rig.until("Calls are being replayed. Quit?");
    shown.rig.keys("n");
    assert!(!shown.rig.quit);
    shown.rig.keys("Space");
    shown.until_asked(&server, asked + 1);
    shown.rig.keys("s");
    let screen = shown.rig.until("CUT SHORT");
    assert!(screen.contains("stopped") && screen.contains("r sends calls again"), "{screen}");
    shown.rig.keys("q");
    assert!(shown.rig.quit);
}

#[test]
fn a_server_that_is_not_there_is_named_with_what_helps() {
    let mut shown = shown(four_calls());
    let mut server = answering("old");
    shown.all_to(&server);
    server.stop();
    shown.set("connect-for", "300ms");
    shown.rig.keys("p");
    shown.rig.until("4 calls to send");
    shown.rig.keys("Enter");
    let screen = shown.rig.until("CUT SHORT");
    assert!(screen.contains(&server.address.to_string()), "{screen}");
    assert!(screen.contains("start the server and press r, or change the target with o"), "{screen}");
}

#[test]
fn a_server_that_dies_and_one_that_never_answers_are_told_apart() {
    let mut shown = shown(four_calls());
    let mut server = slow(Duration::from_millis(400));
    shown.all_to(&server);
    shown.set("connect-for", "300ms");
    shown.rig.keys("p");
    shown.rig.until("4 calls to send");
    shown.rig.keys("Enter");
    shown.until_asked(&server, 1);
    server.stop();
    let screen = shown.rig.until("CUT SHORT|ENDED");
    assert!(screen.contains("connection-lost"), "{screen}");
    let deaf = Server::start(|mut peer| async move {
        while peer.recv().await.is_some() {}
        peer.until_reset().await;
    });
    shown.rig.keys("o");
    shown.set("to", "");
    for _ in 0..30 {
        shown.rig.keys_at_once("Backspace");
    }
    shown.rig.text(&deaf.address.to_string());
    shown.rig.keys("Enter");
    shown.set("stall-after", "300ms");
    shown.rig.keys("p");
    shown.rig.until("4 calls to send");
    shown.rig.keys("Enter");
    let screen = shown.rig.until("stalled 4");
    assert!(screen.contains("! stalled") && screen.contains("waiting for server message 1"), "{screen}");
}

#[test]
fn a_request_is_edited_from_the_call_and_what_the_schema_does_not_have_is_kept() {
    let server = Server::start(|mut peer| async move {
        drop(peer.recv().await);
        peer.send(&m("old-one"));
        peer.finish(0);
    });
    let mut message = m("one");
    message.extend_from_slice(b"\x9a\x06\x05extra"); // field 99: "extra"
    let recorded = record(&server, |client| async move {
        client.unary(GET, &message).await;
    });
    let target = Server::start(|mut peer| async move {
        let Some(message) = peer.recv().await else { return };
        peer.note(String::from_utf8_lossy(&message).into_owned());
        peer.send(&m("old-two"));
        peer.finish(0);
    });
    let mut shown = shown(recorded);
    shown.rig.keys("Enter");
    shown.rig.until("Message 1");
    shown.rig.keys("e");
    let screen = shown.rig.until("#1 message 1");
    assert!(screen.contains("unknown fields are kept"), "{screen}");
    // What is no message is refused, and what was written stays.
    shown.rig.keys("Down End").text(", \"nope\": 1");
    shown.rig.keys("Ctrl-s");
    let screen = shown.rig.until("t.M has no field nope");
    assert!(screen.contains("\"one\", \"nope\": 1"), "{screen}");
    for _ in 0..", \"nope\": 1".len() + 4 {
        shown.rig.keys_at_once("Backspace");
    }
    shown.rig.text("two\"");
    shown.rig.keys("Ctrl-s");
    shown.rig.until("where are the calls to be sent?");
    let screen = shown.plan_to(&target);
    assert!(screen.contains("1 call to send"), "{screen}");
    shown.rig.keys("Enter");
    let screen = shown.rig.until("edited");
    assert_eq!(target.logged(), ["\n\u{3}two\u{fffd}\u{6}\u{5}extra"]);
    let screen = if screen.contains("\"two\"") { screen } else { shown.rig.until("\"two\"") };
    assert!(screen.contains("\"one\""), "{screen}");
    // As recorded again.
    shown.rig.keys("o g");
    shown.rig.until("message 1 of #1");
    shown.rig.keys("Enter y");
    shown.rig.until("call #1, recorded at");
    assert!(!shown.rig.draw().contains("message 1 of #1"));
}

#[test]
fn what_a_server_says_does_not_steer_the_terminal_and_a_report_is_written_once() {
    let mut shown = shown(four_calls());
    let server = Server::start(|mut peer| async move {
        let Some(_) = peer.recv().await else { return };
        peer.send(&m("\u{1b}[2J\u{202e}x"));
        peer.finish(0);
    });
    shown.all_to(&server);
    shown.rig.keys("p");
    shown.rig.until("4 calls to send");
    shown.rig.keys("Enter");
    shown.rig.until("ENDED");
    let screen = shown.rig.until("difference 1 of");
    assert!(!screen.contains(['\u{1b}', '\u{202e}']), "{screen}");
    assert!(screen.contains("differs 2") && screen.contains("status-changed 2"), "{screen}");
    // The replayed call opens as a call.
    shown.rig.keys("Enter");
    let screen = shown.rig.until("Replay › #1");
    assert!(!screen.contains(['\u{1b}', '\u{202e}']), "{screen}");
    shown.rig.keys("]");
    shown.rig.until("Replay › #2");
    shown.rig.keys("Esc");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("report.json");
    for expected in ["report of 4 calls written to", "exists; choose another name"] {
        shown.rig.keys("x j");
        for _ in 0.."replay.json".len() {
            shown.rig.keys_at_once("Backspace");
        }
        shown.rig.text(&path.display().to_string());
        shown.rig.keys("Enter");
        shown.rig.until(expected);
    }
    let report = std::fs::read_to_string(&path).expect("the report is there");
    assert_eq!(report.matches("\"outcome\":\"status-changed\"").count(), 2, "{report}");
}

#[test]
fn the_list_is_reduced_to_what_did_not_come_back_the_same() {
    let mut shown = shown(four_calls());
    shown.rig.keys("6");
    shown.rig.until("Nothing to replay yet.");
    shown.rig.keys("Enter");
    shown.rig.until("4 calls");
    let server = answering("old");
    shown.all_to(&server);
    shown.rig.keys("p");
    shown.rig.until("4 calls to send");
    shown.rig.keys("Enter");
    shown.rig.until("same 4");
    shown.rig.keys("d");
    shown.rig.until("All 4 calls came back the same. d shows them.");
    shown.rig.keys("n");
    shown.rig.until("there are no more differences");
    shown.rig.keys("i");
    shown.rig.until("no difference is selected");
    shown.rig.keys("d Tab j j Tab");
    shown.rig.until("call 1 of 4");
    // The plan and the options stay where one can go back to them.
    shown.rig.keys("p");
    shown.rig.until("4 calls to send");
    shown.rig.keys("Esc 1 6");
    shown.rig.until("same 4");
}

#[test]
fn hidden_values_stay_hidden_beside_each_other_and_in_the_editor_and_are_sent_as_they_are() {
    let schema = PROTO.replace("string id = 1;", "string id = 1 [debug_redact = true];");
    let mut shown = shown_with(four_calls(), &schema);
    let server = answering("new");
    shown.rig.keys("r");
    shown.plan_to(&server);
    shown.rig.keys("Enter");
    let screen = shown.rig.until("difference 1 of 1");
    assert!(screen.contains("hidden") && !screen.contains("-one"), "{screen}");
    shown.rig.keys("e");
    let screen = shown.rig.until("#1 message 1");
    assert!(screen.contains("hidden") && !screen.contains("\"one\""), "{screen}");
    shown.rig.keys("Down Down Down End").text(", \"n\": 7");
    shown.rig.keys("Ctrl-s");
    shown.rig.until("edited");
    assert_eq!(server.logged(), ["/t.S/Get one", "/t.S/Get one\u{10}\u{7}"], "the hidden value was sent");
    let screen = shown.rig.until("difference 1 of 1");
    assert!(!screen.contains("-one"), "{screen}");
    // Revealed, after asking.
    shown.rig.keys("v y");
    shown.rig.until("new-one");
}

#[test]
fn options_that_changed_after_the_plan_need_another_plan() {
    let mut shown = shown(four_calls());
    let (first, second) = (answering("old"), answering("new"));
    shown.all_to(&first);
    shown.rig.keys("p");
    shown.rig.until("4 calls to send");
    shown.rig.keys("Enter");
    shown.rig.until("same 4");
    shown.rig.keys("o g Enter");
    for _ in 0..30 {
        shown.rig.keys_at_once("Backspace");
    }
    shown.rig.text(&second.address.to_string());
    shown.rig.keys("Enter Esc r Enter");
    let screen = shown.rig.until("4 calls to send");
    assert!(screen.contains("nothing has been sent"), "{screen}");
    assert!(screen.contains(&second.address.to_string()), "{screen}");
    assert_eq!((first.logged().len(), second.logged().len()), (4, 0));
    shown.rig.keys("Enter");
    shown.rig.until("differs 4");
    // Rules alone need none.
    shown.rig.keys("o");
    shown.set("ignore", "t.M.id");
    shown.rig.keys("Esc");
    shown.rig.until("same 4");
    assert_eq!(second.logged().len(), 4);
}
