//! Every message of every call of `tests/captures/shop` as JSON value, against an independent reader's; from the recording
//! as it is and in every form in which the same packets can come.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::Duration;

use support::environment;
use support::pcap::{Capture, Form, Packet, Wrapping, wrap};
use support::random::Random;
use support::run::{Run, rpcshark, run, run_with_input, text};
use support::shop::{self, Shop};

/// Runs `calls --json` on these bytes as a file of this name.
fn calls(name: &str, bytes: &[u8], more: &[&str]) -> Run {
    let directory = environment::temporary();
    let path = directory.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let schema = shop::schema();
    let mut arguments = vec!["calls".to_owned(), "--json".to_owned(), text(&path)];
    arguments.extend(schema);
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    run(&arguments)
}

fn check(name: &str, capture: &Capture, form: Form, wrapping: Wrapping) {
    let shop = Shop::load();
    let run = calls(name, &wrap(capture.to_bytes(form), wrapping), &[]);
    shop.check_whole(name, &run.done());
}

const MICROSECONDS: Form = Form::Pcap { big_endian: false, nanoseconds: false };

#[test]
fn the_recording_as_it_is() {
    let shop = Shop::load();
    assert_eq!(shop.calls.len(), 74);
    let bytes = std::fs::read(shop::directory().join("shop.pcap")).unwrap();
    let run = calls("shop.pcap", &bytes, &[]);
    shop.check_whole("shop.pcap", &run.done());
    assert_eq!(run.stderr, "");
}

#[test]
fn pcap_of_both_byte_orders_and_resolutions() {
    let shop = Shop::load();
    for big_endian in [false, true] {
        for nanoseconds in [false, true] {
            check("shop.pcap", &shop.capture, Form::Pcap { big_endian, nanoseconds }, Wrapping::None);
        }
    }
}

#[test]
fn pcapng_of_both_byte_orders_resolutions_and_several_sections() {
    let shop = Shop::load();
    // if_tsresol: microseconds, nanoseconds, picoseconds are powers of 10; 0x80 and more are powers of 2.
    for (big_endian, resolution, sections) in
        [(false, 6, 1), (true, 9, 1), (false, 12, 2), (true, 0x80 | 20, 3), (false, 0x80 | 30, 7)]
    {
        check("shop.pcapng", &shop.capture, Form::Pcapng { big_endian, resolution, sections }, Wrapping::None);
    }
}

#[test]
fn times_are_the_same_in_every_form() {
    let shop = Shop::load();
    let plain = calls("a.pcap", &shop.capture.to_bytes(MICROSECONDS), &[]).done();
    let starts = |calls: &[serde_json::Value]| calls.iter().map(|call| call["start"].clone()).collect::<Vec<_>>();
    assert!(starts(&plain).iter().all(serde_json::Value::is_string));
    for form in [
        Form::Pcap { big_endian: true, nanoseconds: true },
        Form::Pcapng { big_endian: false, resolution: 6, sections: 1 },
        Form::Pcapng { big_endian: true, resolution: 9, sections: 4 },
    ] {
        let other = calls("a.pcap", &shop.capture.to_bytes(form), &[]).done();
        assert_eq!(starts(&other), starts(&plain), "{form:?}");
    }
}

#[test]
fn compressed_files() {
    let shop = Shop::load();
    let pcapng = Form::Pcapng { big_endian: false, resolution: 9, sections: 1 };
    for wrapping in [Wrapping::Gzip, Wrapping::Zstd, Wrapping::Lz4] {
        check("shop.pcap.packed", &shop.capture, MICROSECONDS, wrapping);
        check("shop.pcapng.packed", &shop.capture, pcapng, wrapping);
    }
}

#[test]
fn without_mapping_the_file() {
    let shop = Shop::load();
    let run = calls("shop.pcap", &shop.capture.to_bytes(MICROSECONDS), &["--no-mmap"]);
    shop.check_whole("--no-mmap", &run.done());
}

#[test]
fn packets_out_of_order_within_twenty() {
    let shop = Shop::load();
    for seed in 0..6 {
        let mut packets = shop.capture.packets.clone();
        Random::new(seed).shuffle_windows(&mut packets, 20);
        let run = calls("shop.pcap", &shop.capture.with(packets).to_bytes(MICROSECONDS), &[]);
        shop.check_whole(&format!("shuffled with seed {seed}"), &run.done());
    }
}

#[test]
fn packets_that_come_twice() {
    let shop = Shop::load();
    for seed in 0..3 {
        let mut random = Random::new(seed);
        let mut packets: Vec<Packet> = Vec::new();
        for packet in &shop.capture.packets {
            packets.push(packet.clone());
            if random.below(4) == 0 {
                // One of the last ten again, itself among them.
                let back = random.below(packets.len().min(10)) + 1;
                let mut again = packets[packets.len() - back].clone();
                again.time = packet.time;
                packets.push(again);
            }
        }
        let run = calls("shop.pcap", &shop.capture.with(packets).to_bytes(MICROSECONDS), &[]);
        shop.check_whole(&format!("doubled with seed {seed}"), &run.done());
    }
}

#[test]
fn two_files_with_every_second_packet_each() {
    let shop = Shop::load();
    let directory = environment::temporary();
    let mut arguments = vec!["calls".to_owned(), "--json".to_owned()];
    // Distinct times, so that there is one order to merge them in.
    let mut packets = shop.capture.packets.clone();
    for (number, packet) in packets.iter_mut().enumerate() {
        packet.time += number as u64;
    }
    for (name, parity) in [("odd.pcap", 1), ("even.pcap", 0)] {
        let path = directory.path().join(name);
        shop.capture.with(packets.iter().skip(parity).step_by(2).cloned().collect()).write(&path);
        arguments.push(text(&path));
    }
    arguments.extend(shop::schema());
    shop.check_whole("two files", &run(&arguments).done());
}

#[test]
fn a_directory_with_one_file_after_the_other() {
    let shop = Shop::load();
    let directory = environment::temporary();
    for (number, packets) in shop.capture.packets.chunks(300).enumerate() {
        // The names are in the opposite order of the times.
        shop.capture.with(packets.to_vec()).write(&directory.path().join(format!("{}.pcap", 9 - number)));
    }
    std::fs::write(directory.path().join("notes.txt"), "not a capture").unwrap();
    let schema = shop::schema();
    let run = run(&["calls", "--json", &text(directory.path()), &schema[0], &schema[1]]);
    shop.check_whole("a directory", &run.done());
}

#[test]
fn standard_input_whole() {
    let shop = Shop::load();
    let schema = shop::schema();
    for bytes in [
        shop.capture.to_bytes(MICROSECONDS),
        shop.capture.to_bytes(Form::Pcapng { big_endian: true, resolution: 9, sections: 2 }),
        wrap(shop.capture.to_bytes(MICROSECONDS), Wrapping::Gzip),
    ] {
        let run = run_with_input(&["calls", "--json", "-", &schema[0], &schema[1]], &bytes);
        shop.check_whole("standard input", &run.done());
    }
}

#[test]
fn standard_input_ten_bytes_at_a_time_prints_before_it_ends() {
    let shop = Shop::load();
    let bytes = shop.capture.to_bytes(MICROSECONDS);
    let mut child = rpcshark()
        .args(["calls", "--json", "-"])
        .args(shop::schema())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (lines, printed) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in stdout.lines() {
            lines.send(line.unwrap()).unwrap();
        }
    });
    for ten in bytes.chunks(10) {
        stdin.write_all(ten).unwrap();
        stdin.flush().unwrap();
    }
    // The pipe is still open: whatever ended in what was written is printed now.
    let mut calls =
        vec![printed.recv_timeout(Duration::from_secs(20)).expect("a call is printed while the pipe is open")];
    while calls.len() < 60 {
        calls
            .push(printed.recv_timeout(Duration::from_secs(20)).expect("the calls are printed while the pipe is open"));
    }
    drop(stdin);
    reader.join().unwrap();
    calls.extend(printed);
    assert!(child.wait().unwrap().success());
    let mut calls: Vec<serde_json::Value> = calls.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    shop.check_whole("ten bytes at a time", &calls);
    // In the order in which they ended, but with the numbers that a file gives.
    calls.sort_by_key(|call| call["no"].as_u64());
    let file = self::calls("shop.pcap", &bytes, &[]).done();
    let numbers = |calls: &[serde_json::Value]| {
        calls.iter().map(|call| (call["no"].clone(), call["stream"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&calls), numbers(&file));
}

#[test]
fn the_check_finds_each_kind_of_fault() {
    let shop = Shop::load();
    assert_eq!(shop.faults(&shop.as_printed()), Vec::<String>::new());
    let spoil = |spoil: &dyn Fn(&mut Vec<serde_json::Value>)| {
        let mut printed = shop.as_printed();
        spoil(&mut printed);
        shop.faults(&printed).len()
    };
    assert_eq!(spoil(&|calls| calls.truncate(73)), 1);
    assert_eq!(spoil(&|calls| calls.push(calls[0].clone())), 1);
    assert_eq!(spoil(&|calls| calls[0]["stream"] = 2.into()), 2);
    assert_eq!(spoil(&|calls| calls[1]["method"] = "Fail".into()), 1);
    assert_eq!(spoil(&|calls| calls[2]["outcome"] = "open".into()), 1);
    assert_eq!(spoil(&|calls| calls[3]["status"]["code"] = 1.into()), 1);
    assert_eq!(spoil(&|calls| calls[4]["response"]["messages"][0]["body"]["id"] = "order-0".into()), 1);
    assert_eq!(spoil(&|calls| calls[5]["response"]["messages"][0]["length"] = 7.into()), 1);
    assert_eq!(spoil(&|calls| calls[6]["request"]["messages"] = serde_json::json!([])), 1);
    assert_eq!(spoil(&|calls| calls[7]["guessed"] = serde_json::json!(["type"])), 1);
}
