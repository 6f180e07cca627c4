//! Options that several commands share: how times are shown, colour.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use support::pcap::{Capture, Form};
use support::run::{rpcshark, run, text};
use support::{environment, tcp};

fn capture(case: &str) -> String {
    text(&environment::captures().join(case).join(format!("{case}.pcap")))
}

/// The column of times of a listing, as written there.
fn times(arguments: &[&str]) -> Vec<String> {
    let run = run(arguments);
    assert_eq!(run.status, Some(0), "{}: {}", run.line, run.stderr);
    let mut lines = run.stdout.lines();
    let heading = lines.next().unwrap();
    // Everything before the times is ASCII.
    let end = heading.find("Time (s)").map_or_else(|| heading.find("Time").unwrap() + 4, |at| at + 8);
    let column = |line: &str| line.chars().take(end).collect::<String>();
    lines.map(|line| column(line).split_whitespace().skip(1).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn times_are_shown_in_every_form_with_the_decimals_that_the_capture_has() {
    let file = capture("hello");
    let calls = |form: &str| times(&["calls", &file, "-t", form]);
    assert_eq!(times(&["calls", &file]), ["0.002500"], "since the first packet, which is the SYN");
    assert_eq!(calls("relative"), ["0.002500"]);
    assert_eq!(calls("delta"), ["0.000000"]);
    assert_eq!(calls("utc"), ["2018-04-07 05:46:40.002500Z"]);
    assert_eq!(calls("local"), ["2018-04-07 05:46:40.002500+00:00"], "the tests run in UTC");
    assert_eq!(calls("epoch"), ["1523080000.002500"]);
    let frames = times(&["frames", &file, "--time", "delta"]);
    let deltas: Vec<&str> = frames.iter().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(deltas, ["0.000000", "0.000500", "0.000500", "0.000500", "0.000500", "0.000000", "0.000000"]);
    // Written anew with milliseconds and with nanoseconds.
    let directory = environment::temporary();
    let capture = Capture::read(Path::new(&file));
    for (resolution, relative, epoch) in [(3, "0.003", "1523080000.003"), (9, "0.002500", "1523080000.002500000")] {
        let path = directory.path().join("other.pcapng");
        std::fs::write(&path, capture.to_bytes(Form::Pcapng { big_endian: false, resolution, sections: 1 })).unwrap();
        assert_eq!(times(&["calls", &text(&path)]), [relative]);
        assert_eq!(times(&["calls", &text(&path), "-t", "epoch"]), [epoch]);
    }
}

#[test]
fn local_times_are_those_of_the_zone() {
    let output = rpcshark().env("TZ", "Asia/Kolkata").args(["calls", &capture("hello"), "-t", "local"]).output();
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(said.contains(" 2018-04-07 11:16:40.002500+05:30 "), "{said}");
}

#[test]
fn deltas_do_not_depend_on_how_the_work_is_shared() {
    // Differences add up to what has passed in all.
    let file = capture("shop");
    let utc = times(&["calls", &file, "-t", "epoch"]);
    let seconds = |text: &String| (text.parse::<f64>().unwrap() * 1e6).round() as i64;
    let passed = seconds(utc.last().unwrap()) - seconds(&utc[0]);
    let deltas: i64 = times(&["calls", &file, "-t", "delta"]).iter().map(seconds).sum();
    assert_eq!(deltas, passed);
}

#[test]
fn show_tells_times_from_the_calls_begin_unless_asked_otherwise() {
    let file = capture("hello");
    let show = |more: &[&str]| run(&[&["show", &file, "1"], more].concat()).stdout;
    assert!(show(&[]).contains("↓ response headers at 1.50 ms"), "{}", show(&[]));
    assert!(show(&["-t", "relative"]).contains("↓ response headers at 0.004000 s"), "{}", show(&["-t", "relative"]));
    assert!(show(&["-t", "epoch"]).contains("↓ response headers at 1523080000.004000 s"));
    assert!(show(&["-t", "delta"]).contains("↓ response headers after 0.001000 s"), "{}", show(&["-t", "delta"]));
}

#[test]
fn json_is_not_changed_by_the_form_of_times() {
    let file = capture("hello");
    for command in ["calls", "frames"] {
        let plain = run(&[command, &file, "--json"]).stdout;
        assert_eq!(run(&[command, &file, "--json", "-t", "epoch", "--color", "always"]).stdout, plain);
    }
    refuses_form(&file);
}

fn refuses_form(file: &str) {
    let wrong = run(&["calls", file, "-t", "sundial"]);
    assert_eq!((wrong.status, wrong.stdout.as_str()), (Some(2), ""));
    assert!(wrong.stderr.contains("sundial") && wrong.stderr.contains("epoch"), "{}", wrong.stderr);
}

/// Text without its colours.
fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').unwrap().1)
}

#[test]
fn colour_is_only_added_where_it_is_wanted_and_says_nothing_new() {
    let file = capture("shop");
    for arguments in [
        &["calls", &file][..],
        &["frames", &file],
        &["connections", &file],
        &["show", &file, "16", "2"],
        &["show", &file, "16", "--bytes"],
    ] {
        // Not a terminal, and NO_COLOR besides.
        let without = run(arguments).stdout;
        assert!(!without.contains('\x1b'), "{arguments:?}");
        let coloured = run(&[arguments, &["--color", "always"]].concat()).stdout;
        assert!(coloured.contains("\x1b["), "{arguments:?}");
        assert_eq!(plain(&coloured), without, "{arguments:?}");
        assert_eq!(run(&[arguments, &["--color", "never"]].concat()).stdout, without);
    }
}

#[test]
fn no_escape_sequence_of_a_capture_reaches_the_output() {
    let mut bytes = std::fs::read(capture("shop")).unwrap();
    // In a status message.
    let (plain, hostile) = (b"out of st", b"o\x1b[31m st");
    let places: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(plain)).collect();
    places.into_iter().for_each(|at| bytes[at..at + plain.len()].copy_from_slice(hostile));
    let directory = environment::temporary();
    let path = directory.path().join("escapes.pcap");
    std::fs::write(&path, bytes).unwrap();
    let path = text(&path);
    for arguments in [&["calls", &path][..], &["frames", &path], &["show", &path, "16", "--all-headers"]] {
        let out = run(arguments).stdout;
        assert!(out.contains("\\u{1b}"), "{arguments:?}: the sequence is there, written out");
        assert!(!out.contains('\x1b'), "{arguments:?}");
    }
}

#[test]
fn a_file_alone_is_listed_and_a_mistyped_command_is_guessed() {
    let file = capture("hello");
    assert_eq!(run(&[&file]).stdout, run(&["calls", &file]).stdout);
    assert_eq!(run(&["--json", &file]).stdout, run(&["calls", "--json", &file]).stdout);
    let alone = run::<&str>(&[]);
    assert_eq!((alone.status, alone.stdout.as_str()), (Some(2), ""));
    assert!(alone.stderr.contains("Usage: rpcshark"), "{}", alone.stderr);
    for (arguments, command) in [
        (&["cals", &*file][..], "calls"),
        (&["conns", &*file], "connections"),
        (&["conn", "no/such/file.pcap"], "connections"),
        (&["shwo", &*file, "12", "--bytes"], "show"),
        (&["frmes", "--follow", "--no-such-option", &*file], "frames"),
    ] {
        let mistyped = run(arguments);
        assert_eq!((mistyped.status, mistyped.stdout.as_str()), (Some(2), ""));
        let question = format!("did you mean the command {command}?");
        assert!(mistyped.stderr.contains(&question), "{arguments:?}: {}", mistyped.stderr);
    }
}

#[test]
fn show_takes_ranges_and_all_and_says_which_call_is_not_there() {
    let file = capture("shop");
    let numbers = |arguments: &[&str]| {
        let run = run(&[&["show", "--json", &*file], arguments].concat());
        let numbers: Vec<u64> = run.values().iter().map(|call| call["no"].as_u64().unwrap()).collect();
        (run.status, numbers, run.stderr)
    };
    assert_eq!(numbers(&["3-5"]).1, [3, 4, 5]);
    assert_eq!(numbers(&["7", "3-4", "7"]).1, [7, 3, 4, 7]);
    assert_eq!(numbers(&["all"]).1, (1..=74).collect::<Vec<_>>());
    let (status, shown, stderr) = numbers(&["73-76"]);
    assert_eq!((status, shown), (Some(2), vec![73, 74]));
    assert!(stderr.contains("there is no call 75") && stderr.contains("which has 74 calls"), "{stderr}");
    for wrong in ["0", "5-3", "three"] {
        let (status, shown, stderr) = numbers(&[wrong]);
        assert_eq!((status, shown.len()), (Some(2), 0), "{stderr}");
    }
}

/// The port that the shop's server listens on.
const SHOP_PORT: u16 = 50051;

fn shop_capture() -> Capture {
    Capture::read(Path::new(&capture("shop")))
}

#[test]
fn two_raw_files_are_one_connection() {
    let directory = environment::temporary();
    let files = ["client", "server"].map(|name| directory.path().join(name));
    for (flow, file) in tcp::assemble(&shop_capture(), SHOP_PORT).iter().zip(&files) {
        std::fs::write(file, &flow.bytes).unwrap();
    }
    let [client, server] = files.each_ref().map(|file| text(file));
    let run = run(&["calls", "--json", "--raw-client", &client, "--raw-server", &server]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let printed = run.values();
    assert_eq!(printed.len(), 74);
    let whole = self::run(&["calls", "--json", &capture("shop")]).values();
    for call in &printed {
        let same = whole.iter().find(|other| other["stream"] == call["stream"]).unwrap();
        assert_eq!(call["path"], same["path"]);
        let lengths = |call: &serde_json::Value| -> Vec<serde_json::Value> {
            let messages = call["response"]["messages"].as_array().unwrap().iter();
            messages.map(|message| message["length"].clone()).collect()
        };
        assert_eq!(lengths(call), lengths(same), "stream {}", call["stream"]);
    }
    let alone = self::run(&["calls", "--raw-client", &client]);
    assert_eq!(alone.status, Some(2), "{}", alone.stderr);
}

#[test]
fn raw_bytes_have_no_times() {
    let shop = tcp::assemble(&shop_capture(), SHOP_PORT);
    let directory = environment::temporary();
    let files = ["client", "server"].map(|name| directory.path().join(name));
    for (file, flow) in files.iter().zip(&shop) {
        std::fs::write(file, &flow.bytes).unwrap();
    }
    let [client, server] = files.each_ref().map(|file| text(file));
    let raw = ["--raw-client", &client, "--raw-server", &server];
    let printed = |command: &[&str]| run(&[command, &raw].concat());
    for command in [&["calls"][..], &["frames"], &["connections"]] {
        let run = printed(&[command, &["--json"]].concat());
        assert!(!run.values().is_empty(), "{}", run.stderr);
        run.values().iter().for_each(assert_without_times);
    }
    for command in [&["calls"][..], &["frames"], &["calls", "-t", "delta"], &["calls", "-t", "utc"]] {
        let text = printed(command).stdout;
        let column = text.find("Time").unwrap()..text.find(" Conn").unwrap();
        for line in text.lines().skip(1) {
            assert!(line.get(column.clone()).unwrap().trim().is_empty(), "{line}");
        }
    }
}

/// Every time and every duration between two times of the capture is null.
fn assert_without_times(value: &serde_json::Value) {
    match value {
        serde_json::Value::Array(items) => items.iter().for_each(assert_without_times),
        serde_json::Value::Object(members) => {
            for (name, member) in members {
                let is_time = ["start", "time", "first", "last", "duration_ns"].contains(&&**name);
                // What is in `packets` are numbers.
                if name.ends_with("_at_ns") || name == "at_ns" || is_time && !member.is_number() {
                    assert!(member.is_null(), "{name}: {member}");
                }
                assert_ne!(name, "negative-duration");
                // The bodies of messages are the application's.
                if name != "body" && name != "raw" {
                    assert_without_times(member);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn names_that_a_capture_gives_to_addresses_are_shown_in_their_place() {
    let mut bytes = shop_capture().to_bytes(Form::Pcapng { big_endian: false, resolution: 6, sections: 1 });
    bytes.extend(4_u32.to_le_bytes()); // block type: name resolution
    bytes.extend(36_u32.to_le_bytes()); // block length
    bytes.extend([1, 0, 15, 0]); // record: IPv4, 15 bytes
    bytes.extend([127, 0, 0, 1]);
    bytes.extend(b"shop.local\0\0"); // the name, its end, padding
    bytes.extend([0; 4]); // end of records
    bytes.extend(36_u32.to_le_bytes());
    let directory = environment::temporary();
    let file = directory.path().join("named.pcapng");
    std::fs::write(&file, bytes).unwrap();
    let file = text(&file);
    let connection = &run(&["connections", "--json", &file]).values()[0];
    assert_eq!(connection["server_name"], "shop.local");
    assert_eq!(connection["server"], format!("127.0.0.1:{SHOP_PORT}"));
    for command in [&["connections", &*file][..], &["show", &*file, "1"]] {
        let run = run(command);
        assert!(run.stdout.contains(&format!("shop.local:{SHOP_PORT}")), "{}", run.stdout);
    }
}

#[test]
fn a_protocol_that_is_named_is_looked_for_whatever_the_beginning_looks_like() {
    let mut capture = shop_capture();
    let at = capture.packets.iter().position(|packet| packet.bytes.windows(3).any(|bytes| bytes == b"PRI")).unwrap();
    let bytes = &mut capture.packets[at].bytes;
    let preface = bytes.windows(3).position(|bytes| bytes == b"PRI").unwrap();
    // As TLS begins: a handshake record.
    bytes[preface..preface + 5].copy_from_slice(&[0x16, 3, 1, 0, 200]);
    let directory = environment::temporary();
    let file = directory.path().join("disguised.pcap");
    capture.write(&file);
    let file = text(&file);
    assert_eq!(run(&["connections", "--json", &file]).values()[0]["protocol"], "tls");
    let told = run(&["calls", "--json", &file, "-d", &format!("tcp.port=={SHOP_PORT},http2")]);
    assert_eq!(told.values().len(), 74, "{}", told.stderr);
    let wrong = run(&["calls", "--json", &file, "-d", &format!("tcp.port=={SHOP_PORT},ttrpc")]);
    assert_eq!(wrong.values().len(), 0, "{}", wrong.stdout);
    // If nothing of the kind is found, that is reported.
    let plain = directory.path().join("noise.pcap");
    let mut capture = shop_capture();
    capture.packets.truncate(3);
    let mut last = capture.packets[2].clone();
    last.bytes.extend([b'x'; 40]);
    let ip_len = (last.bytes.len() - 14) as u16;
    last.bytes[16..18].copy_from_slice(&ip_len.to_be_bytes());
    capture.packets[2] = last;
    capture.write(&plain);
    let said = run(&["connections", "--json", &text(&plain), "-d", &format!("tcp.port=={SHOP_PORT},http2")]);
    let notes = said.values()[0]["notes"].to_string();
    assert!(notes.contains("no such frames were found"), "{notes}");
}

#[test]
fn a_call_says_which_file_it_is_of_and_counts_packets_there() {
    let files = [capture("hello"), capture("shop")];
    let calls = run(&["calls", "--json", &files[0], &files[1]]).values();
    assert_eq!(calls.len(), 75);
    assert_eq!(calls[0]["file"], files[0]);
    assert_eq!(calls[0]["packets"], serde_json::json!({"first": 6, "last": 9}));
    let alone = &run(&["calls", "--json", &files[1]]).values()[0];
    assert_eq!(calls[1]["file"], files[1]);
    assert_eq!(calls[1]["packets"], alone["packets"]);
}

/// A strace log of a client that sends `pieces` on a Unix socket, each at its time in microseconds.
fn strace_of_client(pieces: &[(u32, &[u8])]) -> String {
    let line = |&(micros, bytes): &(u32, &[u8])| {
        let string: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        let length = bytes.len();
        format!("7 1700000000.{micros:06} write(3<UNIX-STREAM:[4711->4712]>, \"{string}\", {length}) = {length}\n")
    };
    pieces.iter().map(line).collect()
}

#[test]
fn a_call_that_its_client_cancelled_at_its_deadline_says_so() {
    let mut request = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    request.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]); // empty SETTINGS
    let mut block = vec![0x83]; // :method POST
    let fields: [(&[u8], &[u8]); 3] =
        [(b":path", b"/a.B/C"), (b"content-type", b"application/grpc"), (b"grpc-timeout", b"200m")];
    for (name, value) in fields {
        block.push(0); // literal without indexing, new name
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend(text);
        }
    }
    request.extend([0, 0, block.len() as u8, 1, 4, 0, 0, 0, 1]); // HEADERS with END_HEADERS, stream 1
    request.extend(block);
    let cancel = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8]; // RST_STREAM of stream 1: CANCEL
    let directory = environment::temporary();
    let path = directory.path().join("cancel.strace");
    for (at, status) in [
        (200_800, "✗ RST CANCEL at its deadline (200 ms)"),
        (199_100, "✗ RST CANCEL at its deadline (200 ms)"),
        (120_000, "✗ RST CANCEL (CANCELLED)"),
    ] {
        std::fs::write(&path, strace_of_client(&[(0, &request), (at, &cancel)])).unwrap();
        let run = run(&["calls", &text(&path)]);
        assert!(run.stdout.trim_end().ends_with(status), "{}{}", run.stdout, run.stderr);
    }
}

/// What `arguments` print on a terminal of this many columns, without colours; `None` where there is no program to open one with.
fn on_terminal(columns: usize, arguments: &[&str]) -> Option<String> {
    on_terminal_with(columns, &[("NO_COLOR", "1")], arguments)
}

fn on_terminal_with(columns: usize, environment: &[(&str, &str)], arguments: &[&str]) -> Option<String> {
    support::environment::tool("script", &["--version"])?;
    let quoted: Vec<String> = arguments.iter().map(|argument| format!("'{argument}'")).collect();
    let line = format!("stty cols {columns}; '{}' {}", env!("CARGO_BIN_EXE_rpcshark"), quoted.join(" "));
    let output = std::process::Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env_remove("NO_COLOR")
        .envs(environment.iter().copied())
        .env("TERM", "xterm")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    Some(String::from_utf8(output.stdout).unwrap().replace('\r', ""))
}

#[test]
fn on_a_terminal_every_row_fits_its_width_and_keeps_method_and_status_in_sight() {
    let (shop, containerd) = (capture("shop"), text(&environment::captures().join("containerd/containerd.strace")));
    for width in [80, 100, 120, 200] {
        let Some(listing) = on_terminal(width, &["calls", &shop]) else { return };
        assert_eq!(listing.lines().count(), 75);
        for (line, no) in listing.lines().zip(0..) {
            assert!(line.chars().count() <= width, "{width}: {line}");
            let method =
                ["Method", "/GetOrder ", "/ListOrders ", "/UploadItems ", "/Chat ", "/Fail ", "/Slow ", "/Nope "];
            assert!(method.iter().any(|method| line.contains(method)), "{width}: {line}");
            let status = ["Status", "OK", "✗ FAILED_PRECONDITION", "✗ DEADLINE_EXCEEDED", "✗ RST CANCEL", "✗ UN", "✗ "];
            assert!(status.iter().any(|status| line.contains(status)), "{width}: {line}");
            if no == 16 {
                assert!(line.contains("Orders/Fail ") && line.contains("✗ FAILED_PRECONDITI"), "{width}: {line}");
            }
        }
        for arguments in [
            &["frames", &*shop][..],
            &["calls", &*containerd],
            &["calls", "-t", "utc", &*containerd],
            &["connections", &*shop],
        ] {
            let listing = on_terminal(width, arguments).unwrap();
            // Notes below a connection are sentences, not rows.
            for line in listing.lines().filter(|line| !line.starts_with("       ")) {
                assert!(line.chars().count() <= width, "{width} {arguments:?}: {line}");
            }
        }
    }
    // Not on a terminal, rows are whole.
    let whole = run(&["calls", &shop]).stdout;
    assert!(whole.contains("acme.shop.v1.Orders/UploadItems ") && whole.contains("out of stöck: order-0"), "{whole}");
}

#[test]
fn errors_of_the_command_line_write_out_what_would_steer_a_terminal() {
    let hostile = "\x1b]0;owned\x07\x1b[2J\u{202e}gnp.paces\u{200b}\nerror: forged";
    let file = capture("hello");
    let option = format!("--{hostile}");
    for arguments in [
        &["calls", &*file, &option][..],
        &["calls", &*file, "--color", hostile],
        &["calls", &*file, "-c", hostile],
        &["calls", &*file, "-d", hostile],
        &["show", &*file, hostile],
        &["calls", hostile],
        &[hostile],
    ] {
        let Some(said) = on_terminal_with(100, &[], arguments) else { return };
        assert!(said.contains("owned"), "{said:?}");
        // Its own colours are the only escape sequences.
        let plain = plain(&said);
        let wild = |c: char| c.is_control() && c != '\n' || "\u{202e}\u{200b}".contains(c);
        assert!(!plain.contains(wild), "{said:?}");
        assert!(!plain.lines().any(|line| line.starts_with("error: forged")), "{said:?}");
        assert!(plain.contains("\\u{1b}]0;owned") && plain.contains("\\u{202e}gnp"), "{said:?}");
    }
}

/// What `show` prints of the call whose header fields have telling names, and how the run ended.
fn show_secrets_with(configuration: Option<&Path>, home: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let mut command = rpcshark();
    command.env_remove("RPCSHARK_CONFIG").env("XDG_CONFIG_HOME", home.join("config")).env("HOME", home);
    if let Some(path) = configuration {
        command.env("RPCSHARK_CONFIG", path);
    }
    let output = command.args(["calls", "--json", &capture("hello"), "--all-headers"]).args(more).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_configuration_file_names_more_fields_to_hide() {
    let home = environment::temporary();
    let agent = r#"{"name":"user-agent","value":"#;
    let hidden = r#"{"name":"user-agent","hidden":"#;
    let (status, plain, said) = show_secrets_with(None, home.path(), &[]);
    assert_eq!((status, said.as_str()), (Some(0), ""), "without a file there is no configuration");
    assert!(plain.contains(agent) && !plain.contains(hidden), "{plain}");
    // In the user's directory of configurations.
    let directory = home.path().join("config/rpcshark");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("config.toml"), "hidden = [\"User_Agent\"]\n").unwrap();
    let (_, text, _) = show_secrets_with(None, home.path(), &[]);
    assert!(text.contains(hidden) && !text.contains(agent), "{text}");
    assert_eq!(show_secrets_with(None, home.path(), &["--no-config"]).1, plain);
    assert_eq!(show_secrets_with(None, home.path(), &["--show-secrets"]).1, plain);
    // A file that is named takes its place.
    let named = home.path().join("other.toml");
    std::fs::write(&named, "hidden = []\n").unwrap();
    assert_eq!(show_secrets_with(Some(&named), home.path(), &[]).1, plain);
    let (_, text, _) = show_secrets_with(Some(&named), home.path(), &["--hide", "user-agent"]);
    assert!(text.contains(hidden), "{text}");
}

#[test]
fn a_wrong_configuration_file_is_an_error_with_its_line() {
    let home = environment::temporary();
    let file = home.path().join("mine.toml");
    for (text, says) in [
        ("# mine\nhiden = [\"x\"]\n", "mine.toml:2: unknown field `hiden`"),
        ("hidden = 7\n", "mine.toml:1: invalid type"),
        ("\n\nhidden = [\"a b\"]\n", "mine.toml:3: the name of a header field"),
    ] {
        std::fs::write(&file, text).unwrap();
        let (status, stdout, said) = show_secrets_with(Some(&file), home.path(), &[]);
        assert_eq!((status, stdout.as_str()), (Some(2), ""), "{text}: {said}");
        assert!(said.contains(says) && said.lines().count() == 1, "{text}: {said}");
        assert_eq!(show_secrets_with(Some(&file), home.path(), &["--no-config"]).0, Some(0));
    }
    let missing = home.path().join("missing.toml");
    let (status, _, said) = show_secrets_with(Some(&missing), home.path(), &[]);
    assert_eq!(status, Some(2));
    assert!(said.contains("missing.toml cannot be read"), "{said}");
}
