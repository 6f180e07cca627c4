//! Every way in which the job cannot be done: one clear message on standard error, the right exit status, and nothing on
//! standard output that is not a result.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::Stdio;

use support::pcap::{Capture, Form, Packet};
use support::run::{Run, rpcshark, run, text};
use support::{environment, shop};

/// Runs `calls --json` on a file with these bytes.
fn calls(name: &str, bytes: &[u8], more: &[&str]) -> Run {
    let directory = environment::temporary();
    let path = directory.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let file = text(&path);
    run(&[&["calls", "--json", &file][..], more].concat())
}

fn shop_pcap() -> Vec<u8> {
    std::fs::read(shop::directory().join("shop.pcap")).unwrap()
}

/// One message, which names all of these, and nothing else anywhere.
#[track_caller]
fn refused(run: &Run, status: i32, says: &[&str]) {
    assert_eq!(run.status, Some(status), "{}: {}", run.line, run.stderr);
    assert_eq!(run.stdout, "", "{}: nothing but results on standard output", run.line);
    said(run, says);
}

/// Standard error names all of these, whatever their case, and has no panic in it.
#[track_caller]
fn said(run: &Run, says: &[&str]) {
    let low = run.stderr.to_lowercase();
    assert!(!low.contains("panicked"), "{}: {}", run.line, run.stderr);
    for part in says {
        assert!(low.contains(&part.to_lowercase()), "{}: no {part:?} in: {}", run.line, run.stderr);
    }
}

#[test]
fn a_missing_file() {
    let run = run(&["calls", "no/such/file.pcap"]);
    refused(&run, 3, &["no/such/file.pcap", "no such file"]);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
}

#[test]
fn a_missing_file_beside_a_good_one_loses_nothing_of_the_good_one() {
    let good = text(&shop::directory().join("shop.pcap"));
    let run = run(&["calls", "--json", &good, "no/such/file.pcap"]);
    assert_eq!(run.status, Some(3), "{}", run.stderr);
    said(&run, &["no/such/file.pcap"]);
    assert!(run.stdout.is_empty() || run.values().len() == 74, "all of the good file or none of it");
}

#[test]
fn a_directory_without_captures() {
    let directory = environment::temporary();
    std::fs::write(directory.path().join("notes.txt"), "nothing to see").unwrap();
    let path = text(directory.path());
    refused(&run(&["calls", &path]), 3, &[&path, "no capture"]);
}

#[test]
fn a_file_that_is_no_capture() {
    let run = calls("story.txt", b"Once upon a time there was a file that held no packets at all.\n", &[]);
    refused(&run, 3, &["story.txt", "capture"]);
}

#[test]
fn an_empty_file() {
    refused(&calls("empty.pcap", b"", &[]), 3, &["empty.pcap", "empty"]);
}

#[test]
fn a_schema_with_a_syntax_error_shows_the_line_and_a_caret() {
    let directory = environment::temporary();
    let path = directory.path().join("broken.proto");
    std::fs::write(&path, "syntax = \"proto3\";\npackage broken;\nmessage Order {\n  string id == 1;\n}\n").unwrap();
    let run = calls("shop.pcap", &shop_pcap(), &["--proto", &text(&path)]);
    refused(&run, 2, &["broken.proto", "4", "string id == 1;", "^"]);
    let lines: Vec<&str> = run.stderr.lines().collect();
    let (number, line) = lines.iter().enumerate().find(|(_, line)| line.contains("string id == 1;")).unwrap();
    let caret = lines[number + 1].find('^').expect("the caret stands under the line");
    let wrong = line.find("== 1").unwrap();
    assert!((wrong..wrong + 2).contains(&caret), "the caret stands at the fault:\n{}", run.stderr);
}

#[test]
fn a_missing_schema() {
    refused(&calls("shop.pcap", &shop_pcap(), &["--proto", "no/such.proto"]), 2, &["no/such.proto"]);
    refused(&calls("shop.pcap", &shop_pcap(), &["--protoset", "no/such.binpb"]), 2, &["no/such.binpb"]);
}

#[test]
fn an_import_that_is_missing_is_said_with_where_it_was_looked_for() {
    let directory = environment::temporary();
    let path = directory.path().join("half.proto");
    let source =
        "syntax = \"proto3\";\npackage half;\nimport \"other/half.proto\";\nmessage A { other.Half half = 1; }\n";
    std::fs::write(&path, source).unwrap();
    let arguments = ["--proto", &text(directory.path())];
    let loose = calls("shop.pcap", &shop_pcap(), &arguments);
    assert_eq!(loose.done().len(), 74, "a directory only warns");
    said(&loose, &["other/half.proto", &text(directory.path())]);
    let strict = calls("shop.pcap", &shop_pcap(), &[arguments[0], arguments[1], "--strict-schema"]);
    refused(&strict, 2, &["other/half.proto"]);
}

#[test]
fn a_wrong_decode_as() {
    for (selector, fault) in [
        ("tcp.port==50051", "http2"),
        ("tcp.port==fifty,http2", "fifty"),
        ("tcp.port==50051,gopher", "gopher"),
        ("tcp.harbour==50051,http2", "tcp.harbour"),
    ] {
        refused(&calls("shop.pcap", &shop_pcap(), &["-d", selector]), 2, &[fault]);
    }
}

#[test]
fn a_wrong_command_line() {
    refused(&run(&["calls"]), 2, &["usage"]);
    refused(&run(&["calls", "--no-such-option", "a.pcap"]), 2, &["--no-such-option"]);
}

#[test]
fn a_link_type_that_is_not_known_is_said_once_by_number_and_name() {
    let packet = Packet { time: 1, length: 20, bytes: vec![0; 20] };
    // 189 is LINKTYPE_USB_LINUX.
    let capture = Capture { link_type: 189, packets: vec![packet; 5] };
    let run = calls("usb.pcap", &capture.to_bytes(Form::Pcap { big_endian: false, nanoseconds: false }), &[]);
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    said(&run, &["link type", "189", "USB_LINUX"]);
    assert_eq!(run.stderr.matches("189").count(), 1, "said once: {}", run.stderr);
}

#[test]
fn a_capture_without_packets_says_so() {
    let capture = Capture { link_type: 1, packets: Vec::new() };
    let run = calls("none.pcap", &capture.to_bytes(Form::Pcap { big_endian: false, nanoseconds: false }), &[]);
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    said(&run, &["no packets"]);
}

/// A capture of one connection over IPv4, with the client's and then the server's bytes.
fn conversation(port: u16, client: &[u8], server: &[u8]) -> Vec<u8> {
    let mut packets = Vec::new();
    let (mut sent, mut answered) = (1000u32, 5000u32);
    let mut push = |from_client: bool, flags: u8, payload: &[u8]| {
        let ends = if from_client { (40_000, port) } else { (port, 40_000) };
        let numbers = if from_client { (sent, answered) } else { (answered, sent) };
        let mut bytes = vec![0; 12]; // Ethernet addresses
        bytes.extend([8, 0]); // type: IPv4
        bytes.extend([0x45, 0]); // version and header length, service
        bytes.extend((40 + payload.len() as u16).to_be_bytes()); // total length
        bytes.extend([0, 0, 0, 0, 64, 6, 0, 0]); // id, fragment, time to live, protocol TCP, checksum
        bytes.extend([127, 0, 0, 1, 127, 0, 0, 1]); // addresses
        bytes.extend(u16::to_be_bytes(ends.0)); // source port
        bytes.extend(u16::to_be_bytes(ends.1)); // destination port
        bytes.extend(u32::to_be_bytes(numbers.0)); // sequence
        bytes.extend(u32::to_be_bytes(numbers.1)); // acknowledgment
        bytes.extend([0x50, flags, 255, 255, 0, 0, 0, 0]); // header length, flags, window, checksum, urgent
        bytes.extend(payload);
        let advance = payload.len() as u32 + u32::from(flags & 2 != 0);
        if from_client {
            sent += advance
        } else {
            answered += advance
        }
        packets.push(Packet { time: packets.len() as u64 * 1_000_000, length: bytes.len() as u32, bytes });
    };
    push(true, 0x02, b"");
    push(false, 0x12, b"");
    push(true, 0x10, b"");
    push(true, 0x18, client);
    push(false, 0x18, server);
    push(true, 0x10, b"");
    Capture { link_type: 1, packets }.to_bytes(Form::Pcap { big_endian: false, nanoseconds: false })
}

#[test]
fn tcp_without_http2_says_so() {
    let bytes = conversation(80, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let run = calls("web.pcap", &bytes, &[]);
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    said(&run, &["TCP", "HTTP/2"]);
}

#[test]
fn tls_without_a_key_says_so() {
    let mut hello = vec![22, 3, 1, 0, 49]; // handshake record of TLS 1.0, 49 bytes
    hello.extend([1, 0, 0, 45]); // ClientHello, 45 bytes
    hello.extend([3, 3]); // TLS 1.2
    hello.extend([7; 32]); // random
    hello.push(0); // no session
    hello.extend([0, 2, 0x13, 0x01]); // one cipher suite
    hello.extend([1, 0]); // one compression method: none
    hello.extend([0, 4, 0, 23, 0, 0]); // extensions: extended_master_secret
    let alert = [21, 3, 3, 0, 2, 2, 40]; // alert record: fatal, handshake_failure
    let run = calls("tls.pcap", &conversation(443, &hello, &alert), &[]);
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    said(&run, &["TLS", "name the key log with --keylog", "SSLKEYLOGFILE", "not the server's private key"]);
}

#[test]
fn a_decode_as_that_matches_nothing_is_reported_and_not_advised_again() {
    let bytes = conversation(80, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let run = calls("web.pcap", &bytes, &["-d", "tcp.port==9,http2"]);
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    said(&run, &["no connection matches --decode-as tcp.port==9,http2"]);
    assert!(!run.stderr.contains("name its protocol"), "{}", run.stderr);
    let fitting = calls("web.pcap", &bytes, &["-d", "tcp.port==80,http2"]);
    assert!(!fitting.stderr.contains("matches") && !fitting.stderr.contains("name its protocol"), "{}", fitting.stderr);
    said(&calls("web.pcap", &bytes, &[]), &["name its protocol with --decode-as"]);
}

#[test]
fn a_count_of_no_packets_is_a_usage_error() {
    refused(&calls("shop.pcap", &shop_pcap(), &["-c", "0"]), 2, &["--count", "0 is not in 1.."]);
    let one = calls("shop.pcap", &shop_pcap(), &["-c", "1"]);
    assert_eq!(one.status, Some(0), "{}", one.stderr);
}

#[test]
fn a_log_whose_streams_were_read_is_not_said_to_lack_tcp() {
    let log = b"7 1700000000.000001 write(3<UNIX-STREAM:[4711->4712]>, \"hello\", 5) = 5\n\
                7 1700000000.000002 read(3<UNIX-STREAM:[4711->4712]>, \"world\", 8) = 5\n";
    let run = calls("log.strace", log, &[]);
    assert_eq!((run.status, run.stdout.as_str()), (Some(0), ""), "{}", run.stderr);
    said(&run, &["no calls: the only connection is neither HTTP/2 nor ttrpc"]);
    assert!(!run.stderr.contains("()") && !run.stderr.contains("TCP"), "{}", run.stderr);
}

#[test]
fn services_that_no_given_schema_has_are_reported_once_each_with_their_calls() {
    let directory = environment::temporary();
    let path = directory.path().join("other.proto");
    std::fs::write(&path, "syntax = \"proto3\"; message A {} service Other { rpc X(A) returns (A); }").unwrap();
    let schema = ["--proto", &text(&path)];
    let run = calls("shop.pcap", &shop_pcap(), &schema);
    assert_eq!(run.done().len(), 74);
    let count = run.values().iter().filter(|call| call["service"] == "acme.shop.v1.Orders").count();
    let line = format!("no given schema has the service acme.shop.v1.Orders ({count} calls)");
    assert_eq!(run.stderr.matches(&line).count(), 1, "{}", run.stderr);
    let fitting = calls("shop.pcap", &shop_pcap(), &shop::schema().each_ref().map(|argument| argument.as_str()));
    assert!(!fitting.stderr.contains("acme.shop.v1.Orders"), "{}", fitting.stderr);
    // Without a schema nothing is missing, and -q is quiet.
    assert_eq!(calls("shop.pcap", &shop_pcap(), &[]).stderr, "");
    assert_eq!(calls("shop.pcap", &shop_pcap(), &[schema[0], schema[1], "-q"]).stderr, "");
    // `show` counts what it shows.
    let shop = text(&shop::directory().join("shop.pcap"));
    let shown = self::run(&["show", &shop, "12", "13", schema[0], schema[1]]);
    said(&shown, &["no given schema has the service acme.shop.v1.Orders (2 calls)"]);
}

#[test]
fn bytes_that_the_snap_length_cut_off_are_reported_with_how_to_capture_them() {
    let mut capture = Capture::read(&shop::directory().join("shop.pcap"));
    capture.packets.iter_mut().for_each(|packet| packet.bytes.truncate(300));
    let run = calls("cut.pcap", &capture.to_bytes(Form::Pcap { big_endian: false, nanoseconds: false }), &[]);
    assert!(run.done().len() > 20, "{}", run.stderr);
    said(&run, &["calls lack bytes: the snap length cut off", "KiB in all", "tcpdump -s 0"]);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert_eq!(calls("shop.pcap", &shop_pcap(), &[]).stderr, "");
}

#[test]
fn strings_that_strace_cut_off_are_reported_with_how_to_record_them() {
    let source = std::fs::read_to_string(environment::captures().join("unix/unix.strace")).unwrap();
    // As with `-s 64`: 64 bytes of each string, four characters a byte.
    let cut_line = |line: &str| match line.split_once('"').and_then(|(head, rest)| Some((head, rest.rsplit_once('"')?)))
    {
        Some((head, (string, tail))) if string.len() > 256 && !string.contains('"') => {
            format!("{head}\"{}\"...{tail}", &string[..256])
        }
        _ => line.to_owned(),
    };
    let log: String = source.lines().map(|line| cut_line(line) + "\n").collect();
    assert!(log.contains("\"..."));
    let run = calls("cut.strace", log.as_bytes(), &[]);
    said(&run, &["strace's limit on strings cut off", "run strace with -s 8388608"]);
}

#[test]
fn a_file_cut_in_the_middle_gives_everything_before_the_cut_and_status_4() {
    let bytes = shop_pcap();
    let cut = bytes.len() / 2 + 7;
    let run = calls("cut.pcap", &bytes[..cut], &[]);
    assert_eq!(run.status, Some(4), "{}", run.stderr);
    said(&run, &["cut.pcap"]);
    let calls_before = run.values().len();
    // What there was is the same as in a file that ends after its last whole packet.
    let whole = Capture::read(&shop::directory().join("shop.pcap"));
    let mut length = 24;
    let kept: Vec<Packet> = whole
        .packets
        .iter()
        .take_while(|packet| {
            length += 16 + packet.bytes.len();
            length <= cut
        })
        .cloned()
        .collect();
    let expected =
        calls("cut.pcap", &whole.with(kept).to_bytes(Form::Pcap { big_endian: false, nanoseconds: false }), &[]);
    assert!(calls_before > 10);
    assert_eq!(expected.done().len(), calls_before);
}

#[test]
fn a_bad_block_is_skipped_and_said() {
    let capture = Capture::read(&shop::directory().join("shop.pcap"));
    let mut bytes = capture.to_bytes(Form::Pcapng { big_endian: false, resolution: 9, sections: 1 });
    // A packet whose captured length is longer than its block; the first packets are the handshake, which is not needed.
    let first_packet = bytes.windows(4).position(|four| four == [6, 0, 0, 0]).unwrap();
    bytes[first_packet + 20..first_packet + 24].copy_from_slice(&0xffff_u32.to_le_bytes());
    let run = calls("bad.pcapng", &bytes, &[]);
    assert_eq!(run.values().len(), 74, "{}", run.stderr);
    assert_eq!(run.status, Some(4), "{}", run.stderr);
    said(&run, &["bad.pcapng", "block"]);
}

#[test]
fn a_closed_pipe_ends_the_program_quietly() {
    let directory = environment::temporary();
    let path: PathBuf = directory.path().join("long.pcap");
    // Long enough that the output does not fit into a pipe's buffer.
    let capture = Capture::read(&shop::directory().join("shop.pcap"));
    capture.write(&path);
    let mut child = rpcshark()
        .args(["calls", "--json", &text(&path)])
        .args(shop::schema())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::with_capacity(64, child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert!(line.starts_with('{'), "a line came before the pipe was closed");
    drop(stdout);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(said, "", "it is not mentioned");
    assert!(status.success() || status.code().is_none(), "{status}");
}

#[test]
fn a_recording_onto_a_symbolic_link_is_refused_for_safety() {
    let directory = environment::temporary();
    let [target, link] = ["target.pcapng", "link.pcapng"].map(|name| directory.path().join(name));
    std::fs::write(&target, "precious").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let run = run(&["record", "--listen", "127.0.0.1:0", "--to", "127.0.0.1:9", "-w", &text(&link)]);
    refused(&run, 5, &["link.pcapng", "target.pcapng", "--follow-symlink"]);
    assert_eq!(std::fs::read(&target).unwrap(), b"precious");
}
