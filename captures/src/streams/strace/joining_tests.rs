//! Names of the same socket are joined: whatever thread, descriptor or log they come from.

use std::fs;

use crate::file::{CaptureReader, OpenOptions};
use crate::streams::testing::{check, events, events_of};

/// A TCP client whose socket has its inode for a name until it is connected; lines of thread `T` come from other threads.
const CLIENT: &str = r#"100 1700000000.1 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 7<TCP:[555]>
100 1700000000.2 connect(7<TCP:[555]>, {sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("10.0.0.1")}, 16) = -1 EINPROGRESS (Operation now in progress)
T 1700000000.3 sendto(7<TCP:[10.0.0.2:40000->10.0.0.1:9]>, "request", 7, 0, NULL, 0) = 7
100 1700000000.5 recvfrom(7<TCP:[10.0.0.2:40000->10.0.0.1:9]>, "answer", 4096, 0, NULL, NULL) = 6
T 1700000000.6 sendto(7<TCP:[10.0.0.2:40000->10.0.0.1:9]>, "more", 4, 0, NULL, 0) = 4
100 1700000000.9 close(7<TCP:[10.0.0.2:40000->10.0.0.1:9]>) = 0
"#;

const CLIENT_EVENTS: &str = r#"0 opened 10.0.0.2:40000 -> 10.0.0.1:9 connect client 100
0 ToServer "request"
0 ToClient "answer"
0 ToServer "more"
0 ToServer closed Fin
0 ToClient closed Fin"#;

/// Its server, in another log, where a call is at the time at which it began to wait.
const SERVER: &str = r#"200 1700000000.1 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3<TCP:[77]>
200 1700000000.25 accept(3<TCP:[0.0.0.0:9]>, {sa_family=AF_INET, sin_port=htons(40000), sin_addr=inet_addr("10.0.0.2")}, [16]) = 7<TCP:[10.0.0.1:9->10.0.0.2:40000]>
201 1700000000.28 recvfrom(7<TCP:[10.0.0.1:9->10.0.0.2:40000]>, "request", 4096, 0, NULL, NULL) = 7
200 1700000000.4 sendto(7<TCP:[10.0.0.1:9->10.0.0.2:40000]>, "answer", 6, 0, NULL, 0) = 6
201 1700000000.55 recvfrom(7<TCP:[10.0.0.1:9->10.0.0.2:40000]>, "more", 4096, 0, NULL, NULL) = 4
201 1700000000.65 recvfrom(7<TCP:[10.0.0.1:9->10.0.0.2:40000]>, "", 4096, 0, NULL, NULL) = 0
"#;

/// What logs that are given together tell.
fn together(logs: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..logs.len()).map(|no| directory.path().join(format!("log{no}.strace"))).collect();
    for (path, log) in paths.iter().zip(logs) {
        fs::write(path, log).unwrap();
    }
    events_of(CaptureReader::open(&paths, &OpenOptions::default()).unwrap())
}

#[test]
fn a_socket_that_another_thread_uses_after_connect_is_one_connection() {
    check(CLIENT.replace("T ", "100 "), CLIENT_EVENTS);
    check(CLIENT.replace("T ", "101 "), CLIENT_EVENTS);
}

#[test]
fn a_socket_that_an_untraced_dup_renumbered_is_one_connection() {
    for thread in ["100 ", "101 "] {
        let log = CLIENT.replace("T ", thread).replace("7<TCP:[10", "9<TCP:[10");
        // Descriptor 7 is still open.
        check(log, &CLIENT_EVENTS.replace("Fin", "EndOfCapture"));
    }
}

#[test]
fn two_sockets_that_connect_to_one_server_stay_two_connections() {
    // Thread 101 uses the second one first.
    let log = r#"100 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 7<TCP:[555]>
100 connect(7<TCP:[555]>, {sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("10.0.0.1")}, 16) = -1 EINPROGRESS (Operation now in progress)
100 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 8<TCP:[556]>
100 connect(8<TCP:[556]>, {sa_family=AF_INET, sin_port=htons(9), sin_addr=inet_addr("10.0.0.1")}, 16) = -1 EINPROGRESS (Operation now in progress)
101 write(8<TCP:[10.0.0.2:50000->10.0.0.1:9]>, "second", 6) = 6
101 write(7<TCP:[10.0.0.2:40000->10.0.0.1:9]>, "first", 5) = 5
100 write(8<TCP:[10.0.0.2:50000->10.0.0.1:9]>, "!", 1) = 1
100 write(7<TCP:[10.0.0.2:40000->10.0.0.1:9]>, "!", 1) = 1
"#;
    let found = events(log);
    assert!(
        found.contains("0 opened 10.0.0.2:50000 -> 10.0.0.1:9 connect client 100\n0 ToServer \"second\""),
        "{found}"
    );
    assert!(
        found.contains("1 opened 10.0.0.2:40000 -> 10.0.0.1:9 connect client 100\n1 ToServer \"first\""),
        "{found}"
    );
    assert!(found.contains("0 ToServer \"!\"\n1 ToServer \"!\""), "{found}");
    assert_eq!(found.matches(" opened ").count(), 2, "{found}");
}

#[test]
fn addresses_that_are_used_again_after_a_close_are_a_new_connection_in_any_thread() {
    let again = CLIENT.replace("T ", "101 ").replace("[555]", "[556]");
    let found = events(CLIENT.replace("T ", "101 ") + &again);
    assert_eq!(found.matches(" opened 10.0.0.2:40000 -> 10.0.0.1:9 connect client 100").count(), 2, "{found}");
    assert_eq!(found.matches("ToServer \"more\"").count(), 2, "{found}");
}

#[test]
fn threads_that_were_there_before_the_log_share_descriptors_although_it_shows_clones() {
    // Thread 102 is made while the log runs; 100 and 101 were attached. The close concerns all.
    let log = CLIENT.replace("T ", "101 ").replace(
        "100 1700000000.9",
        "100 1700000000.8 clone(flags=CLONE_VM|CLONE_FILES|CLONE_THREAD) = 102\n102 1700000000.9",
    );
    check(log, CLIENT_EVENTS);
}

#[test]
fn a_connection_goes_on_when_the_thread_that_used_it_ends() {
    let mut log = CLIENT.lines().take(4).map(|line| line.replace("T ", "101 ") + "\n").collect::<String>();
    log += "100 1700000000.51 +++ exited with 0 +++\n";
    for _ in 0..100 {
        log += "101 1700000000.52 getpid() = 101\n";
    }
    log += "101 1700000000.6 sendto(7<TCP:[10.0.0.2:40000->10.0.0.1:9]>, \"more\", 4, 0, NULL, 0) = 4\n";
    log += "101 1700000000.9 close(7<TCP:[10.0.0.2:40000->10.0.0.1:9]>) = 0\n";
    check(log, CLIENT_EVENTS);
}

#[test]
fn both_ends_in_two_logs_are_one_connection() {
    let client = CLIENT.replace("T ", "101 ");
    let all = |found: String| {
        let mut bytes = [String::new(), String::new()];
        for line in found.lines() {
            assert!(line.starts_with("0 "), "{found}");
            if let Some((flow, text)) = line.split_once(" \"") {
                bytes[usize::from(flow.ends_with("ToClient"))] += text.trim_end_matches('"');
            }
        }
        bytes
    };
    let whole = together(&[&client, SERVER]);
    assert!(whole.contains(" client 100 server 200"), "{whole}");
    assert_eq!(all(whole.clone()), ["requestmore", "answer"], "{whole}");
    assert!(whole.contains("0 ToServer closed Fin"), "{whole}");
    // Numbers of threads, descriptors and inodes of two machines may be the same.
    let colliding = SERVER.replace("200 ", "100 ").replace("201 ", "101 ").replace("[77]", "[555]");
    let found = together(&[&client, &colliding]);
    assert_eq!(all(found.clone()), ["requestmore", "answer"], "{found}");
}

#[test]
fn a_log_may_begin_anywhere_while_the_other_end_is_whole() {
    // Each piece is long enough to be recognised.
    let longer = |log: &str| {
        let log = log.replace("\", 7", "\", 17").replace("= 7\n", "= 17\n").replace("\", 6", "\", 16");
        let log = log.replace("= 6\n", "= 16\n").replace("\", 4,", "\", 14,").replace("= 4\n", "= 14\n");
        ["request", "answer", "more"].iter().fold(log, |log, piece| log.replace(piece, &format!("many bytes{piece}")))
    };
    let (client, server) = (longer(&CLIENT.replace("T ", "101 ")), longer(SERVER));
    let expected = ["many bytesrequestmany bytesmore", "many bytesanswer"];
    for (cut, other) in [(&client, &server), (&server, &client)] {
        for skipped in 0..cut.lines().count() {
            let rest: String = cut.lines().skip(skipped).map(|line| format!("{line}\n")).collect();
            let found = together(&[&rest, other]);
            for (direction, expected) in ["ToServer", "ToClient"].into_iter().zip(expected) {
                let prefix = format!("0 {direction} \"");
                let bytes: String =
                    found.lines().filter_map(|line| line.strip_prefix(&prefix)?.strip_suffix('"')).collect();
                assert_eq!(bytes, expected, "{skipped} lines left out:\n{found}");
            }
            assert_eq!(found.matches(" opened ").count(), 1, "{found}");
        }
    }
}

#[test]
fn a_log_may_begin_anywhere_between_socket_and_first_use() {
    let client = CLIENT.replace("T ", "101 ");
    for skipped in 0..3 {
        let rest: String = client.lines().skip(skipped).map(|line| format!("{line}\n")).collect();
        let found = events(&rest);
        assert_eq!(found.matches(" opened ").count(), 1, "{found}");
        for bytes in ["request", "answer", "more"] {
            assert_eq!(found.matches(bytes).count(), 1, "{found}");
        }
    }
}
