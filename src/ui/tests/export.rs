//! Exporting and copying, by keys.

use std::os::unix::fs::PermissionsExt;

use super::rig::Rig;

/// A file name in a directory of the test's own.
fn fresh(name: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(name).display().to_string();
    (directory, path)
}

/// Replaces the name that is proposed.
fn name(rig: &mut Rig, path: &str) {
    rig.keys("Ctrl-u").text(path);
    rig.keys("Enter");
}

#[test]
fn two_marked_calls_are_exported_as_a_capture_that_stands_alone() {
    let (_directory, path) = fresh("two.pcapng");
    let mut rig = Rig::open("shop");
    rig.keys("m j m x");
    let screen = rig.until("the 2 calls marked");
    assert!(screen.contains("pcapng"), "{screen}");
    rig.keys("p");
    name(&mut rig, &path);
    rig.until("2 calls written to");
    let mode = std::fs::metadata(&path).expect("the file is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let written = Rig::open_file(&path).draw();
    assert!(written.contains("2 calls"), "{written}");
}

#[test]
fn an_export_without_secrets_has_none() {
    let (_directory, path) = fresh("redacted.pcapng");
    let mut rig = Rig::open("secrets");
    rig.keys("x r");
    name(&mut rig, &path);
    rig.until("secret values replaced|secret value replaced");
    let written = std::fs::read(&path).expect("the file is there");
    // What is sent as authorization, and in a cookie.
    for secret in [&b"SEKRET000zz"[..], b"SEKRET004zz"] {
        assert!(!written.windows(secret.len()).any(|part| part == secret));
    }
}

#[test]
fn what_the_filter_shows_is_exported_as_json_and_as_csv() {
    let mut rig = Rig::open("shop");
    rig.keys("/").text("rpc.outcome == error");
    rig.keys("Enter");
    rig.until("6 of 74");
    for (key, file) in [("j", "failed.jsonl"), ("c", "failed.csv")] {
        let (_directory, path) = fresh(file);
        rig.keys("x");
        rig.until("the calls that the filter shows");
        rig.keys(key);
        name(&mut rig, &path);
        rig.until("6 calls written to");
        let lines = std::fs::read_to_string(&path).expect("the file is there").lines().count();
        assert_eq!(lines, if key == "c" { 7 } else { 6 });
    }
}

#[test]
fn a_file_that_exists_is_not_written() {
    let (_directory, path) = fresh("calls.jsonl");
    std::fs::write(&path, "mine").expect("a file");
    let mut rig = Rig::open("shop");
    rig.keys("x j");
    name(&mut rig, &path);
    rig.until("exists; choose another name");
    assert_eq!(std::fs::read_to_string(&path).expect("the file is there"), "mine");
}

#[test]
fn the_message_with_the_failing_field_is_copied_as_json_with_five_keys() {
    let mut rig = Rig::open("shop");
    let keys = "e Enter j y j";
    assert_eq!(keys.split(' ').count(), 5);
    rig.keys("e Enter");
    rig.until("Message 1");
    rig.keys("j y");
    let screen = rig.until("copy…");
    assert!(screen.contains("message as JSON") || screen.contains("call as JSON"), "{screen}");
    rig.keys("j");
    rig.until("sent to the terminal|copied by");
    if let Some(copied) = rig.copied() {
        assert!(copied.contains("\"id\""), "{copied}");
    }
}
