//! Logs written out, and what must come out of them.

use std::fs;

use proptest::prelude::*;

use crate::file::{CaptureReader, OpenOptions};
use crate::streams::testing::{check, events, events_of};

/// Ends of connections of which nothing is closed.
const OPEN: &str = "0 ToServer closed EndOfCapture\n0 ToClient closed EndOfCapture";

/// A log of process 5, which connects and then does `calls` on descriptor 3.
fn client(calls: &str) -> String {
    let mut log = String::from(
        "5 1700000000.000001 socket(AF_UNIX, SOCK_STREAM, 0) = 3<UNIX-STREAM:[1]>\n\
         5 1700000000.000002 connect(3<UNIX-STREAM:[1]>, {sa_family=AF_UNIX, sun_path=\"/s\"}, 5) = 0\n",
    );
    for call in calls.lines() {
        let call = call.trim_start().replace('@', "3<UNIX-STREAM:[1->2]>");
        log += &format!("5 1700000000.000003 {call}\n");
    }
    log
}

#[track_caller]
fn check_client(calls: &str, expected: &str) {
    let opened = "0 opened unix:#1 -> unix:/s connect client 5";
    check(client(calls), &format!("{opened}\n{expected}"));
}

#[test]
fn one_end_gives_both_directions() {
    check_client(
        r#"write(@, "\x61\x62", 2) = 2
        read(@, "\x63", 4096) = 1
        sendto(@, "d", 1, MSG_NOSIGNAL, NULL, 0) = 1
        recvfrom(@, "e\0", 9, 0, NULL, NULL) = 2
        read(@, 0x7ffe, 9) = -1 EAGAIN (Resource temporarily unavailable)
        write(2</dev/pts/0<char 136:0>>, "error", 5) = 5
        write(6<pipe:[4]>, "x", 1) = 1
        read(@, "", 4096) = 0
        close(@) = 0"#,
        r#"0 ToServer "ab"
        0 ToClient "c"
        0 ToServer "d"
        0 ToClient "e\x00"
        0 ToClient closed Fin
        0 ToServer closed Fin"#,
    );
}

#[test]
fn a_write_counts_as_far_as_the_kernel_took_it() {
    check_client(
        r#"write(@, "abcdef", 6) = 2
        write(@, "cdef", 4) = -1 EAGAIN (Resource temporarily unavailable)
        writev(@, [{iov_base="cd", iov_len=2}, {iov_base="ef", iov_len=2}], 2) = 3
        sendmsg(@, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="f", iov_len=1}], msg_iovlen=1, msg_controllen=0, msg_flags=0}, 0) = 1"#,
        &format!("0 ToServer \"abcdef\"\n{OPEN}"),
    );
}

#[test]
fn a_read_into_several_buffers_counts_as_far_as_it_filled_them() {
    check_client(
        r#"readv(@, [{iov_base="ab", iov_len=2}, {iov_base="c", iov_len=8192}], 2) = 3
        recvmsg(@, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="de", iov_len=8192}], msg_iovlen=1, msg_flags=0}, 0) = 2
        recvmmsg(@, [{msg_hdr={msg_iov=[{iov_base="f", iov_len=9}], msg_iovlen=1}, msg_len=1}, {msg_hdr={msg_iov=[{iov_base="g", iov_len=9}], msg_iovlen=1}, msg_len=1}], 2, 0, NULL) = 2"#,
        &format!("0 ToClient \"abcdefg\"\n{OPEN}"),
    );
}

#[test]
fn what_is_only_looked_at_does_not_count() {
    check_client(
        r#"recvfrom(@, "ab", 9, MSG_PEEK, NULL, NULL) = 2
        recvmsg(@, {msg_iov=[{iov_base="ab", iov_len=9}], msg_iovlen=1, msg_flags=0}, MSG_PEEK) = 2
        recvfrom(@, "MSG_PEEK", 9, 0, NULL, NULL) = 8"#,
        &format!("0 ToClient \"MSG_PEEK\"\n{OPEN}"),
    );
}

#[test]
fn cut_strings_are_gaps_of_the_rest() {
    check_client(
        r#"write(@, "abc"..., 10) = 10
        write(@, "abc"..., 10) = 2
        read(@, "xyz"..., 4096) = 5
        writev(@, [{iov_base="a"..., iov_len=4}, {iov_base="b", iov_len=1}], 2) = 5
        write(@, 0x5581, 7) = 7"#,
        &format!(
            r#"0 ToServer "abc"
            0 ToServer gap 7 snapped
            0 ToServer "ab"
            0 ToClient "xyz"
            0 ToClient gap 2 snapped
            0 ToServer "a"
            0 ToServer gap 3 snapped
            0 ToServer "b"
            0 ToServer gap 7 snapped
            {OPEN}"#
        ),
    );
}

#[test]
fn bytes_that_bypass_the_process_are_gaps() {
    check_client(
        r"splice(@, NULL, 7<pipe:[9]>, NULL, 65536, 0) = 10
        splice(7<pipe:[9]>, NULL, @, NULL, 65536, 0) = 4
        sendfile(@, 8</file>, [0] => [6], 6) = 6
        splice(7<pipe:[9]>, NULL, @, NULL, 65536, 0) = -1 EAGAIN (Resource temporarily unavailable)",
        &format!("0 ToClient gap 10 snapped\n0 ToServer gap 4 snapped\n0 ToServer gap 6 snapped\n{OPEN}"),
    );
}

#[test]
fn dumps_stand_in_for_cut_strings() {
    let dump = " | 00000  61 62 63 64 65 66 67 68  69 6a 6b 6c 6d 6e 6f 70  abcdefghijklmnop |\n \
                | 00010  71 72                                             qr               |\n";
    let log = client("write(@, \"abc\"..., 18) = 17\nread(@, \"x\", 9) = 1");
    let log = log.replace(" = 17\n", &format!(" = 17\n{dump}")) + " | 00000  78   x |\n";
    let expected = format!(
        "0 opened unix:#1 -> unix:/s connect client 5\n0 ToServer \"abcdefghijklmnopq\"\n0 ToClient \"x\"\n{OPEN}"
    );
    check(&log, &expected);
    // The dump comes after the second half of a call.
    let split = log.replace(
        ", 18) = 17\n",
        ", 18 <unfinished ...>\n6 1700000000.1 getpid() = 6\n5 1700000000.2 <... write resumed>) = 17\n",
    );
    check(&split, &expected);
}

#[test]
fn halves_of_calls_belong_together_by_process() {
    check(
        "5 1700000000.1 socket(AF_UNIX, SOCK_STREAM, 0 <unfinished ...>\n\
         6 1700000000.1 write(7<UNIX-STREAM:[8->9]>, \"x\", 1 <unfinished ...>\n\
         5 1700000000.1 <... socket resumed>) = 3<UNIX-STREAM:[1]>\n\
         5 1700000000.1 connect(3<UNIX-STREAM:[1]>, {sa_family=AF_UNIX, sun_path=@\"s\"}, 5) = 0\n\
         5 1700000000.1 read(3<UNIX-STREAM:[1->2]>,  <unfinished ...>\n\
         6 1700000000.1 <... write resumed>) = 1\n\
         5 1700000000.1 <... read resumed>\"answer\", 4096) = 6\n\
         5 1700000000.1 read(3<UNIX-STREAM:[1->2]>,  <unfinished ...>\n\
         5 1700000000.1 <... write resumed>) = 4\n\
         5 1700000000.1 <... read resumed>\"lost\", 4096) = 4\n\
         5 1700000000.1 read(3<UNIX-STREAM:[1->2]>,  <unfinished ...>) = ?\n\
         5 1700000000.1 +++ killed by SIGKILL +++\n",
        r#"0 opened unix:#8 -> unix:#9 path client 6 joined
        0 ToServer "x"
        1 opened unix:#1 -> unix-abstract:s connect client 5
        1 ToClient "answer"
        1 ToServer closed Fin
        1 ToClient closed Fin
        0 ToServer closed EndOfCapture
        0 ToClient closed EndOfCapture"#,
    );
}

/// Both ends are in it, and a read returns before the write of the same bytes.
const BOTH_ENDS: &str = r#"9 1700000000.000001 socket(AF_UNIX, SOCK_STREAM, 0) = 4<UNIX-STREAM:[7]>
9 1700000000.000002 bind(4<UNIX-STREAM:[7]>, {sa_family=AF_UNIX, sun_path="/s"}, 5) = 0
9 1700000000.000003 listen(4<UNIX-STREAM:[7,"/s"]>, 5) = 0
5 1700000000.000004 socket(AF_UNIX, SOCK_STREAM, 0) = 3<UNIX-STREAM:[1]>
9 1700000000.000005 accept(4<UNIX-STREAM:[7,"/s"]>,  <unfinished ...>
5 1700000000.000006 connect(3<UNIX-STREAM:[1]>, {sa_family=AF_UNIX, sun_path="/s"}, 5 <unfinished ...>
9 1700000000.000007 <... accept resumed>{sa_family=AF_UNIX}, [112 => 2]) = 5<UNIX-STREAM:[2->1,"/s"]>
5 1700000000.000008 <... connect resumed>) = 0
9 1700000000.000009 read(5<UNIX-STREAM:[2->1,"/s"]>,  <unfinished ...>
5 1700000000.000010 write(3<UNIX-STREAM:[1->2]>, "request", 7 <unfinished ...>
9 1700000000.000011 <... read resumed>"request", 4096) = 7
9 1700000000.000012 write(5<UNIX-STREAM:[2->1,"/s"]>, "answer", 6) = 6
5 1700000000.000013 <... write resumed>) = 7
5 1700000000.000014 read(3<UNIX-STREAM:[1->2]>, "ans", 3) = 3
5 1700000000.000015 read(3<UNIX-STREAM:[1->2]>, "wer", 4096) = 3
5 1700000000.000016 shutdown(3<UNIX-STREAM:[1->2]>, SHUT_WR) = 0
9 1700000000.000017 read(5<UNIX-STREAM:[2->1,"/s"]>, "", 4096) = 0
9 1700000000.000018 close(5<UNIX-STREAM:[2->1,"/s"]>) = 0
5 1700000000.000019 read(3<UNIX-STREAM:[1->2]>, "", 4096) = 0
5 1700000000.000020 close(3<UNIX-STREAM:[1->2]>) = 0
"#;

const BOTH_ENDS_EVENTS: &str = r#"0 opened unix:#1 -> unix:/s connect client 5 server 9
0 ToServer "request"
0 ToClient "answer"
0 ToServer closed Fin
0 ToClient closed Fin"#;

/// Without what `-yy` says of descriptors.
fn bare(log: &str) -> String {
    let mut log = log.to_owned();
    while let Some(at) = log.find("<UNIX") {
        let end = at + log[at..].find("]>").unwrap() + 2;
        log.replace_range(at..end, "");
    }
    log
}

/// With what `-y` says of them.
fn with_inodes(log: &str) -> String {
    let mut log = log.to_owned();
    while let Some(at) = log.find("<UNIX-STREAM:[") {
        let digits = at + "<UNIX-STREAM:[".len();
        let len = log[digits..].find(|c: char| !c.is_ascii_digit()).unwrap();
        let end = at + log[at..].find("]>").unwrap() + 2;
        let inode = log[digits..digits + len].to_owned();
        log.replace_range(at..end, &format!("<socket:[{inode}]>"));
    }
    log
}

#[test]
fn where_both_ends_are_seen_every_byte_comes_once() {
    check(BOTH_ENDS, BOTH_ENDS_EVENTS);
}

#[test]
fn weaker_forms_give_the_same() {
    check(with_inodes(BOTH_ENDS), BOTH_ENDS_EVENTS);
    let bare_events = events(bare(BOTH_ENDS));
    let (opened, rest) = bare_events.split_once('\n').unwrap();
    assert!(opened.ends_with(" -> unix:/s connect client 5 server 9"), "{opened}");
    assert_eq!(rest, BOTH_ENDS_EVENTS.split_once('\n').unwrap().1);
    let times = [" 1700000000.0000", " 10:00:00.0000", " 10:00:00 #", "       0.0000", " #"];
    for time in times {
        let lines = BOTH_ENDS.lines().map(|line| {
            let (start, rest) = line.split_once(" 1700000000.0000").unwrap();
            match time.strip_suffix('#') {
                Some(time) => format!("{start}{time}{}\n", &rest[3..]),
                None => format!("{start}{time}{rest}\n"),
            }
        });
        check(lines.collect::<String>(), BOTH_ENDS_EVENTS);
    }
    // Without -o.
    let lines = BOTH_ENDS.lines().map(|line| format!("[pid     {line}\n").replacen("    9 ", "    9] ", 1));
    check(lines.map(|line| line.replacen("    5 ", "    5] ", 1)).collect::<String>(), BOTH_ENDS_EVENTS);
    // -T, and another end of lines.
    check(BOTH_ENDS.replace('\n', " <0.000001>\r\n"), BOTH_ENDS_EVENTS);
}

#[test]
fn a_listener_from_before_the_log_gets_its_name_from_what_it_accepts() {
    let log = r#"5 1700000000.1 socket(AF_UNIX, SOCK_STREAM, 0) = 3
5 1700000000.1 connect(3, {sa_family=AF_UNIX, sun_path="/s"}, 5) = 0
5 1700000000.1 write(3, "request", 7) = 7
9 1700000000.1 accept4(8, {sa_family=AF_UNIX}, [112 => 2], SOCK_CLOEXEC) = 9
9 1700000000.1 getsockname(9, {sa_family=AF_UNIX, sun_path="/s"}, [112 => 5]) = 0
9 1700000000.1 read(9, "request", 4096) = 7
9 1700000000.1 write(9, "answer", 6) = 6
5 1700000000.1 read(3, "answer", 4096) = 6
"#;
    let found = events(log);
    assert!(found.ends_with(&format!("0 ToServer \"request\"\n0 updated unix:#1 -> unix:/s connect client 5 server 9\n0 ToClient \"answer\"\n{OPEN}")), "{found}");
}

#[test]
fn the_files_of_ff_are_one_log() {
    // -ff has each call on one line, with the time at which it began.
    let directory = tempfile::tempdir().unwrap();
    for (pid, log) in [("5", 0), ("9", 1)] {
        let calls = [
            r#"1700000000.04 socket(AF_UNIX, SOCK_STREAM, 0) = 3<UNIX-STREAM:[1]>
1700000000.06 connect(3<UNIX-STREAM:[1]>, {sa_family=AF_UNIX, sun_path="/s"}, 5) = 0
1700000000.10 write(3<UNIX-STREAM:[1->2]>, "request", 7) = 7
1700000000.14 read(3<UNIX-STREAM:[1->2]>, "answer", 4096) = 6
1700000000.20 close(3<UNIX-STREAM:[1->2]>) = 0
"#,
            r#"1700000000.01 socket(AF_UNIX, SOCK_STREAM, 0) = 4<UNIX-STREAM:[7]>
1700000000.02 bind(4<UNIX-STREAM:[7]>, {sa_family=AF_UNIX, sun_path="/s"}, 5) = 0
1700000000.05 accept(4<UNIX-STREAM:[7,"/s"]>, {sa_family=AF_UNIX}, [112 => 2]) = 5<UNIX-STREAM:[2->1,"/s"]>
1700000000.09 read(5<UNIX-STREAM:[2->1,"/s"]>, "request", 4096) = 7
1700000000.12 write(5<UNIX-STREAM:[2->1,"/s"]>, "answer", 6) = 6
1700000000.17 read(5<UNIX-STREAM:[2->1,"/s"]>, "", 4096) = 0
1700000000.18 close(5<UNIX-STREAM:[2->1,"/s"]>) = 0
"#,
        ];
        fs::write(directory.path().join(format!("F.{pid}")), calls[log]).unwrap();
    }
    fs::write(directory.path().join("notes.txt"), "not a log\n").unwrap();
    let found = events_of(CaptureReader::open(&[directory.path().into()], &OpenOptions::default()).unwrap());
    assert_eq!(found, BOTH_ENDS_EVENTS);
    for pid in ["5", "9"] {
        let path = directory.path().join(format!("F.{pid}"));
        let log = fs::read_to_string(&path).unwrap();
        fs::write(path, bare(&log)).unwrap();
    }
    let found = events_of(CaptureReader::open(&[directory.path().into()], &OpenOptions::default()).unwrap());
    let (opened, rest) = found.split_once('\n').unwrap();
    assert!(opened.ends_with(" -> unix:/s connect client 5 server 9"), "{opened}");
    assert_eq!(rest, BOTH_ENDS_EVENTS.split_once('\n').unwrap().1);
}

#[test]
fn a_log_may_begin_in_the_middle_of_a_connection() {
    // Bytes that were written before are read before anything is written again.
    check(
        r#"9 1700000000.1 read(5<UNIX-STREAM:[2->1,"/s"]>, "old", 4096) = 3
        5 1700000000.1 write(3<UNIX-STREAM:[1->2]>, "new", 3) = 3
        9 1700000000.1 read(5<UNIX-STREAM:[2->1,"/s"]>, "new", 4096) = 3
        9 1700000000.1 write(5<UNIX-STREAM:[2->1,"/s"]>, "answer", 6) = 6
        5 1700000000.1 read(3<UNIX-STREAM:[1->2]>, "answer", 4096) = 6
        "#,
        &format!(
            r#"0 opened unix:#1 -> unix:/s path server 9 joined
            0 ToServer "old"
            0 updated unix:#1 -> unix:/s path client 5 server 9 joined
            0 ToServer "new"
            0 ToClient "answer"
            {OPEN}"#
        ),
    );
    check(
        r#"5 1700000000.1 read(3<TCP:[127.0.0.1:5000->127.0.0.1:80]>, "old", 4096) = 3
        5 1700000000.1 write(3<TCP:[127.0.0.1:5000->127.0.0.1:80]>, "new", 3) = 3
        "#,
        &format!(
            "0 opened 127.0.0.1:5000 -> 127.0.0.1:80 port client 5 joined\n\
             0 ToClient \"old\"\n0 ToServer \"new\"\n{OPEN}"
        ),
    );
}

#[test]
fn bare_descriptors_from_before_the_log_may_be_sockets() {
    let log = r#"5 1700000000.000001 read(7, "old ", 4096) = 4
5 1700000000.000002 read(8, "a file", 4096) = 6
5 1700000000.000003 write(9, "\1\0\0\0\0\0\0\0", 8) = 8
5 1700000000.000004 read(9, "\1\0\0\0\0\0\0\0", 8) = 8
5 1700000000.000005 openat(AT_FDCWD, "/x", O_RDWR) = 10
5 1700000000.000006 write(10, "a file", 6) = 6
5 1700000000.000007 read(10, "a file", 6) = 6
5 1700000000.000008 writev(7, [{iov_base="answer", iov_len=6}], 1) = 6
5 1700000000.000009 recvfrom(7, "n", 1, MSG_PEEK, NULL, NULL) = 1
5 1700000000.000009 read(7, "new", 4096) = 3
5 1700000000.000010 close(7) = 0
"#;
    let found = events(log);
    let (opened, rest) = found.split_once('\n').unwrap();
    assert!(opened.ends_with(" first server 5 joined"), "{opened}");
    assert_eq!(
        rest,
        "0 ToServer \"old \"\n0 ToClient \"answer\"\n0 ToServer \"new\"\n0 ToClient closed Fin\n0 ToServer closed Fin"
    );
}

#[test]
fn numbers_that_are_used_again_are_other_connections() {
    let one = client("write(@, \"one\", 3) = 3\nclose(@) = 0");
    let two = client("write(@, \"two\", 3) = 3\nread(@, 0x7f, 1) = -1 ECONNRESET (Connection reset by peer)");
    check(
        one + &two,
        r#"0 opened unix:#1 -> unix:/s connect client 5
        0 ToServer "one"
        0 ToServer closed Timeout
        0 ToClient closed Timeout
        1 opened unix:#1 -> unix:/s connect client 5
        1 ToServer "two"
        1 ToClient closed Rst
        1 ToServer closed Rst"#,
    );
    // With ports: the same two again.
    let tcp = r#"5 socket(AF_INET, SOCK_STREAM, IPPROTO_IP) = 3<TCP:[1]>
5 connect(3<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("10.0.0.1")}, 16) = -1 EINPROGRESS (Operation now in progress)
5 write(3<TCP:[10.0.0.2:5000->10.0.0.1:80]>, "x", 1) = 1
5 read(3<TCP:[10.0.0.2:5000->10.0.0.1:80]>, "", 9) = 0
5 close(3<TCP:[10.0.0.2:5000->10.0.0.1:80]>) = 0
"#;
    check(
        tcp.to_owned() + &tcp.replace("TCP:[1]", "TCP:[2]"),
        r#"0 opened 10.0.0.2:5000 -> 10.0.0.1:80 connect client 5
        0 ToServer "x"
        0 ToClient closed Fin
        0 ToServer closed Timeout
        1 opened 10.0.0.2:5000 -> 10.0.0.1:80 connect client 5
        1 ToServer "x"
        1 ToClient closed Fin
        1 ToServer closed Fin"#,
    );
}

#[test]
fn bare_descriptors_are_followed() {
    let log = r#"5 1700000000.1 socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0) = 3
5 1700000000.1 connect(3, {sa_family=AF_UNIX, sun_path="/s"}, 5) = 0
5 1700000000.1 write(3, "a", 1) = 1
5 1700000000.1 dup(3) = 4
5 1700000000.1 write(4, "b", 1) = 1
5 1700000000.1 dup2(3, 9) = 9
5 1700000000.1 close(3) = 0
5 1700000000.1 openat(AT_FDCWD, "/file", O_RDONLY) = 3
5 1700000000.1 read(3, "no stream", 99) = 9
5 1700000000.1 fcntl(9, F_DUPFD_CLOEXEC, 10) = 10
5 1700000000.1 write(10, "c", 1) = 1
5 1700000000.1 clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD, child_tidptr=0x7f) = 6
6 1700000000.1 write(4, "d", 1) = 1
5 1700000000.1 clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD, exit_signal=0}, 88 <unfinished ...>
7 1700000000.1 socket(AF_INET, SOCK_DGRAM, 0) = 11
7 1700000000.1 sendto(11, "datagram", 8, 0, NULL, 0) = 8
5 1700000000.1 <... clone3 resumed>) = 7
7 1700000000.1 write(9, "e", 1) = 1
5 1700000000.1 write(1, "output", 6) = 6
5 1700000000.1 close_range(4, 4294967295, 0) = 0
6 1700000000.1 execve("/usr/bin/worker", ["worker"], 0x7f) = 0
6 1700000000.1 write(4, "f", 1) = 1
6 1700000000.1 write(10, "closed by execve", 16) = -1 EBADF (Bad file descriptor)
6 1700000000.1 +++ exited with 0 +++
"#;
    let found = events(log);
    let (opened, rest) = found.split_once('\n').unwrap();
    assert!(opened.ends_with(" -> unix:/s connect client 5"), "{opened}");
    assert_eq!(rest, "0 ToServer \"abcdef\"\n0 ToServer closed Fin\n0 ToClient closed Fin");
}

#[test]
fn descriptors_are_followed_to_other_processes() {
    let log = r#"5 socketpair(AF_UNIX, SOCK_STREAM, 0, [3, 4]) = 0
5 clone(child_stack=NULL, flags=SIGCHLD) = 6
5 close(4) = 0
6 close(3) = 0
5 socket(AF_UNIX, SOCK_STREAM, 0) = 4
5 connect(4, {sa_family=AF_UNIX, sun_path="/s"}, 5) = 0
5 sendmsg(3, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="x", iov_len=1}], msg_iovlen=1, msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[4]}], msg_controllen=24, msg_flags=0}, 0) = 1
5 write(4, "by five ", 8) = 8
6 recvmsg(4, {msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base="x", iov_len=1}], msg_iovlen=1, msg_control=[{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[9]}], msg_controllen=24, msg_flags=0}, 0) = 1
6 write(9, "by six", 6) = 6
"#;
    let found = events(log);
    assert!(found.contains("1 ToServer \"by five by six\""), "{found}");
}

#[test]
fn threads_whose_making_was_not_seen_share_descriptors() {
    let log = r#"5 socket(AF_UNIX, SOCK_STREAM, 0) = 3
5 connect(3, {sa_family=AF_UNIX, sun_path="/s"}, 5) = 0
6 write(3, "request", 7) = 7
7 read(3, "answer", 99) = 6
"#;
    let found = events(log);
    assert!(found.contains("0 ToServer \"request\"\n0 ToClient \"answer\""), "{found}");
    // With -yy all of them have it; the one that closes it closes it for all.
    let log = client("write(@, \"request\", 7) = 7\n");
    let log =
        log + &client("read(@, \"answer\", 99) = 6").replace("5 1", "6 1").lines().last().unwrap().replace('^', "");
    check(
        log + "\n5 1700000000.1 close(3<UNIX-STREAM:[1->2]>) = 0\n",
        r#"0 opened unix:#1 -> unix:/s connect client 5
        0 ToServer "request"
        0 ToClient "answer"
        0 ToServer closed Fin
        0 ToClient closed Fin"#,
    );
}

#[test]
fn a_socket_that_another_process_goes_on_with_is_not_closed() {
    // How process 6 was made is not in the log.
    let log = client("write(@, \"one \", 4) = 4\nclose(@) = 0\n");
    let mut log = log + "6 1700000000.1 write(3<UNIX-STREAM:[1->2]>, \"two\", 3) = 3\n";
    for _ in 0..200 {
        log += "6 1700000000.1 getpid() = 6\n";
    }
    log += "6 1700000000.1 write(3<UNIX-STREAM:[1->2]>, \"!\", 1) = 1\n";
    let opened = "0 opened unix:#1 -> unix:/s connect client 5";
    check(&log, &format!("{opened}\n0 ToServer \"one two!\"\n{OPEN}"));
}

#[test]
fn an_end_comes_soon_after_its_close() {
    let mut log = client("write(@, \"x\", 1) = 1\nclose(@) = 0\n");
    for _ in 0..100 {
        log += "6 1700000000.1 getpid() = 6\n";
    }
    log += "6 1700000000.1 write(4<UNIX-STREAM:[8->9]>, \"y\", 1) = 1\n";
    let found = events(log);
    assert!(found.find("0 ToServer closed Fin").unwrap() < found.find("1 opened").unwrap(), "{found}");
}

#[test]
fn what_the_terminal_mixes_up_is_read() {
    check(
        "strace: Process 5 attached\n\
         hello from the program\n\
         1700000000.1 socket(AF_UNIX, SOCK_STREAM, 0) = 3\n\
         1700000000.1 connect(3, {sa_family=AF_UNIX, sun_path=\"/s\"}, 5) = 0\n\
         1700000000.1 clone(child_stack=NULL, flags=CLONE_FILES|SIGCHLDstrace: Process 6 attached\n\
         , child_tidptr=0x7f14032aae50) = 6\n\
         [pid     6] 1700000000.1 write(3, \"x\", 1) = 1\n\
         [pid     6] 1700000000.1 --- SIGCHLD {si_signo=SIGCHLD} ---\n",
        &events(
            "1700000000.1 socket(AF_UNIX, SOCK_STREAM, 0) = 3\n\
               1700000000.1 connect(3, {sa_family=AF_UNIX, sun_path=\"/s\"}, 5) = 0\n\
               1700000000.1 write(3, \"x\", 1) = 1\n",
        ),
    );
}

#[test]
fn a_log_that_is_cut_ends_with_a_gap() {
    let log = client("write(@, \"abc\", 3) = 3\nwrite(@, \"\\x61\\x62");
    check(
        log.trim_end(),
        &format!("0 opened unix:#1 -> unix:/s connect client 5\n0 ToServer \"abc\"\n0 ToServer gap ? lost\n{OPEN}"),
    );
}

#[test]
fn connections_without_a_byte_are_reported_too() {
    check_client("close(@) = 0", "0 ToServer closed Fin\n0 ToClient closed Fin");
    check("5 socketpair(AF_UNIX, SOCK_STREAM, 0, [3, 4]) = 0\n5 close(3) = 0\n5 close(4) = 0\n", "");
    let refused = r#"5 socket(AF_UNIX, SOCK_STREAM, 0) = 3<UNIX-STREAM:[1]>
5 connect(3<UNIX-STREAM:[1]>, {sa_family=AF_UNIX, sun_path="/s"}, 5) = -1 ECONNREFUSED (Connection refused)
5 close(3<UNIX-STREAM:[1]>) = 0
"#;
    check(refused, "");
}

#[test]
fn times_are_read() {
    let times = |log: &str| {
        let input = std::io::Cursor::new(log.as_bytes().to_vec());
        let mut reading = CaptureReader::from_reader(Box::new(input), "x").unwrap();
        let mut times = Vec::new();
        while let Some(batch) = reading.next_batch(99).unwrap() {
            times.extend((0..batch.len()).map(|index| batch.packet(index).time.as_nanos()));
        }
        (times, reading.files()[0].notes.first().map(|note| note.text.clone()))
    };
    let day = 86_400_000_000_000;
    let (found, note) = times("5 23:59:59.5 getpid() = 5\n5 00:00:00.25 getpid() = 5\n5 23:59:00 getpid() = 5\n");
    assert_eq!(found, [day - 500_000_000, day + 250_000_000, 2 * day - 60_000_000_000]);
    assert!(note.unwrap().contains("no date"));
    let (found, _) =
        times("5      0.000000 getpid() = 5\n5      0.000010 getpid() = 5\n5      0.000005 getpid() = 5\n");
    assert_eq!(found, [0, 10_000, 15_000]);
    let (found, note) = times("5 getpid() = 5\n5 getpid() = 5\n");
    assert_eq!((found, note.unwrap().as_str()), (vec![0, 0], "it has no times"));
    let (found, note) = times("5 1700000000.5 read(0, \"x\", 1) = 1 <1.5>\n");
    assert_eq!((found, note), (vec![1_700_000_002_000_000_000], None));
}

#[test]
fn lines_are_numbered_as_editors_do() {
    let log = format!("\n{}", client("write(@, \"abc\"..., 16) = 16\nread(@, \"x\", 1) = 1"));
    let log =
        log.replace("= 16\n", "= 16\n | 00000  61 62 63 64 65 66 67 68  69 6a 6b 6c 6d 6e 6f 70  abcdefghijklmnop |\n");
    let mut reading = CaptureReader::from_reader(Box::new(std::io::Cursor::new(log.into_bytes())), "x").unwrap();
    let mut numbers = Vec::new();
    while let Some(batch) = reading.next_batch(99).unwrap() {
        numbers.extend((0..batch.len()).map(|index| batch.packet(index).packet.no.number()));
    }
    assert_eq!(numbers, [2, 3, 4, 6]);
}

#[test]
fn a_line_without_end_takes_bounded_memory() {
    let mut log = client("write(@, \"a\", 1) = 1").into_bytes();
    log.extend_from_slice(b"5 1700000000.1 write(3<UNIX-STREAM:[1->2]>, \"");
    log.resize(log.len() + (70 << 20), b'x');
    log.extend_from_slice(b"\", 73400320) = 73400320\n5 1700000000.1 write(3<UNIX-STREAM:[1->2]>, \"b\", 1) = 1\n");
    check(
        log,
        &format!(
            "0 opened unix:#1 -> unix:/s connect client 5\n\
             0 ToServer \"a\"\n0 ToServer gap ? lost\n0 ToServer \"b\"\n{OPEN}"
        ),
    );
}

/// Lines that know each other's numbers.
const LINES: &[&str] = &[
    "socket(AF_UNIX, SOCK_STREAM, 0) = 3<UNIX-STREAM:[1]>",
    "socket(AF_UNIX, SOCK_STREAM, 0) = 3",
    "connect(3<UNIX-STREAM:[1]>, {sa_family=AF_UNIX, sun_path=\"/s\"}, 5) = 0",
    "connect(3, {sa_family=AF_UNIX, sun_path=\"/s\"}, 5 <unfinished ...>",
    "<... connect resumed>) = 0",
    "accept4(4<UNIX-STREAM:[7,\"/s\"]>, {sa_family=AF_UNIX}, [112 => 2], 0) = 3<UNIX-STREAM:[2->1,\"/s\"]>",
    "accept4(4, {sa_family=AF_UNIX}, [112 => 2], 0) = 5",
    "bind(4, {sa_family=AF_UNIX, sun_path=\"/s\"}, 5) = 0",
    "write(3<UNIX-STREAM:[1->2]>, \"\\x61\\x62\", 2) = 2",
    "write(3<UNIX-STREAM:[1->2]>, \"ab\"..., 9 <unfinished ...>",
    "<... write resumed>) = 9",
    " | 00000  61 62 63 64 65 66 67 68  69                       abcdefghi        |",
    "read(3<UNIX-STREAM:[2->1,\"/s\"]>, \"ab\", 9) = 2",
    "read(3, \"ab\", 9) = 2",
    "read(3, \"\", 9) = 0",
    "recvmsg(5, {msg_iov=[{iov_base=\"ab\", iov_len=9}], msg_control=[{cmsg_type=SCM_RIGHTS, cmsg_data=[6, 7]}]}, 0) = 2",
    "sendmsg(3, {msg_iov=[{iov_base=\"ab\", iov_len=2}], msg_control=[{cmsg_type=SCM_RIGHTS, cmsg_data=[3]}]}, 0) = 2",
    "sendfile(3, 4, NULL, 9) = 9",
    "socketpair(AF_UNIX, SOCK_STREAM, 0, [5<UNIX-STREAM:[1->2]>, 6<UNIX-STREAM:[2->1]>]) = 0",
    "write(3<TCP:[1.0.0.1:1->1.0.0.1:2]>, \"x\", 1) = 1",
    "read(4<TCP:[1.0.0.1:2->1.0.0.1:1]>, \"x\", 1) = 1",
    "dup2(3, 4) = 4",
    "close(3) = 0",
    "close(3<UNIX-STREAM:[1->2]>) = 0",
    "clone(flags=SIGCHLD) = 6",
    "clone(flags=CLONE_FILES <unfinished ...>",
    "execve(\"/bin/x\", [\"x\"], 0x7f) = 0",
    "+++ exited with 0 +++",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever lines come in whatever order, and however they are damaged: no panic, two ends for each connection,
    /// nothing after an end.
    #[test]
    fn no_log_does_harm(
        lines in prop::collection::vec((5_u32..8, prop::sample::select(LINES)), 0..60),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut log = b"5 getpid() = 5\n".to_vec();
        for (pid, line) in lines {
            match line.starts_with(' ') {
                true => log.extend_from_slice(format!("{line}\n").as_bytes()),
                false => log.extend_from_slice(format!("{pid} {line}\n").as_bytes()),
            }
        }
        let start = 15;
        for (index, value) in changes {
            if log.len() > start {
                let at = start + index.index(log.len() - start);
                log[at] = value;
            }
        }
        log.truncate(start + cut.index(log.len() - start + 1));
        let found = events(log);
        let mut ends = std::collections::HashMap::new();
        for line in found.lines() {
            let mut words = line.split(' ');
            let (no, what) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
            match what.as_str() {
                "opened" => prop_assert!(ends.insert(no, Vec::new()).is_none(), "{}", found),
                "updated" => prop_assert!(ends.contains_key(&no), "{}", found),
                _ => {
                    let ended: &mut Vec<String> = ends.get_mut(&no).unwrap();
                    prop_assert!(!ended.contains(&what), "{}", found);
                    if line.contains(" closed ") {
                        ended.push(what);
                    }
                }
            }
        }
        for ended in ends.values() {
            prop_assert_eq!(ended.len(), 2, "{}", &found);
        }
    }

    /// Any bytes at all.
    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = events([&b"5 getpid() = 5\n5 write(3<UNIX-STREAM:[1->2]>, "[..], &bytes].concat());
    }
}
