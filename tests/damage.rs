//! `tests/captures/shop` with packets missing: its beginning cut off, and one packet in a hundred lost at random. What is
//! shown then is right or said to be unknown, and what could be read is there.
//!
//! What could be read is computed from the whole recording by the independent reader in `support`.
//! `RPCSHARK_SEEDS` says how many random losses are checked; `--ignored` measures how many messages are left, beside tshark.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use support::environment;
use support::headers::{self, Block, Field};
use support::http2::{self, DATA, Frame, HEADERS, RST_STREAM};
use support::random::Random;
use support::regions::Damage;
use support::run::{run, text};
use support::shop::{self, PORT, Shop, TrueCall, TrueMessage, messages_of, notes, same};
use support::tcp::Side;

/// How many random losses are checked where `RPCSHARK_SEEDS` does not say.
const SEEDS: u64 = 200;

/// How many files with changed bytes are read, by three commands each.
const CHANGED: u64 = 24;

#[test]
fn joined_after_a_tenth() {
    joined_after(10);
}

#[test]
fn joined_after_four_tenths() {
    joined_after(40);
}

#[test]
fn joined_after_eight_tenths() {
    joined_after(80);
}

#[test]
fn text_and_json_guess_the_same_methods() {
    let shop = Shop::load();
    let raw = Raw::of(&shop);
    let count = shop.capture.packets.len();
    let kept: Vec<bool> = (0..count).map(|packet| packet >= count / 10).collect();
    let directory = environment::temporary();
    let path = directory.path().join("joined.pcap");
    Damaged::new(&shop, &raw, &kept).write(&path);
    let (schema, file) = (shop::schema(), text(&path));
    let guessed = |call: &&Value| call["guessed"].as_array().unwrap().contains(&"path".into());
    let calls = run(&["calls", "--json", &file, &schema[0], &schema[1]]).done();
    let guessed: Vec<&str> = calls.iter().filter(guessed).filter_map(|call| call["path"].as_str()).collect();
    assert!(!guessed.is_empty(), "some are guessed");
    let listing = run(&["calls", &file, &schema[0], &schema[1]]).stdout;
    let shown: Vec<&str> = listing.lines().filter(|line| line.contains("(guessed)")).collect();
    assert_eq!(shown.len(), guessed.len());
    for (line, path) in shown.iter().zip(guessed) {
        assert!(line.contains(&path[1..]), "{path}: {line}");
    }
}

/// Cuts off this part of the packets.
fn joined_after(percent: usize) {
    let shop = Shop::load();
    let raw = Raw::of(&shop);
    let count = shop.capture.packets.len();
    let kept: Vec<bool> = (0..count).map(|packet| packet >= count * percent / 100).collect();
    let directory = environment::temporary();
    let path = directory.path().join("joined.pcap");
    let truth = Damaged::new(&shop, &raw, &kept);
    truth.write(&path);
    let schema = shop::schema();
    let file = text(&path);
    let calls = run(&["calls", "--json", "--show-secrets", &file, &schema[0], &schema[1]]).done();
    let mut faults = truth.wrong(&calls, Notes::DoNotExcuse);
    faults.extend(truth.missing(&calls));
    faults.extend(truth.whole_messages(&calls));
    let frames = run(&["frames", "--json", "--show-secrets", &file]).done();
    faults.extend(truth.header_fields(&frames));
    assert!(faults.is_empty(), "{percent} % cut off: {} faults, first:\n{}", faults.len(), shop::first(&faults));
}

#[test]
fn one_packet_in_a_hundred_lost() {
    let seeds =
        std::env::var("RPCSHARK_SEEDS").map_or(SEEDS, |seeds| seeds.parse().expect("RPCSHARK_SEEDS is a number"));
    let shop = Shop::load();
    let raw = Raw::of(&shop);
    let faults = each_seed(seeds, |seed, path| {
        let kept = thinned(&shop, seed);
        let truth = Damaged::new(&shop, &raw, &kept);
        truth.write(path);
        let schema = shop::schema();
        let calls = run(&["calls", "--json", "--show-secrets", &text(path), &schema[0], &schema[1]]).done();
        let mut faults = truth.wrong(&calls, Notes::Excuse);
        faults.extend(truth.missing(&calls));
        faults.into_iter().map(|fault| format!("seed {seed}: {fault}")).collect::<Vec<_>>()
    })
    .concat();
    assert!(faults.is_empty(), "{} faults in {seeds} losses, first:\n{}", faults.len(), shop::first(&faults));
}

#[test]
fn bytes_changed_at_random_are_no_reason_to_fail() {
    let bytes = std::fs::read(shop::directory().join("shop.pcap")).unwrap();
    let faults = each_seed(CHANGED, |seed, path| {
        let mut random = Random::new(seed);
        let mut bytes = bytes.clone();
        // The file's own header stays, and with few changes most of the records do too.
        for _ in 0..1 << random.below(10) {
            let at = 24 + random.below(bytes.len() - 24);
            bytes[at] = random.next() as u8;
        }
        std::fs::write(path, bytes).unwrap();
        let schema = shop::schema();
        let commands: [&[&str]; 3] = [&["calls", &schema[0], &schema[1]], &["frames"], &["connections", "-v"]];
        commands.map(|command| {
            let run = run(&[command, &["--json", &text(path)]].concat());
            run.values();
            let ended = matches!(run.status, Some(0 | 4)) && !run.stderr.contains("panicked");
            (!ended).then(|| format!("seed {seed}: {command:?} ended with {:?}: {}", run.status, run.stderr))
        })
    });
    let faults: Vec<String> = faults.into_iter().flatten().flatten().collect();
    assert!(faults.is_empty(), "{} faults, first:\n{}", faults.len(), shop::first(&faults));
}

/// Prints what `docs/` says of it.
#[test]
#[ignore = "a measurement: run it with --ignored --nocapture"]
fn how_many_messages_are_left_beside_tshark() {
    let seeds = std::env::var("RPCSHARK_SEEDS").map_or(200, |seeds| seeds.parse().expect("RPCSHARK_SEEDS is a number"));
    let shop = Shop::load();
    let raw = Raw::of(&shop);
    let counts = each_seed(seeds, |seed, path| {
        let kept = thinned(&shop, seed);
        let truth = Damaged::new(&shop, &raw, &kept);
        truth.write(path);
        let schema = shop::schema();
        let calls = run(&["calls", "--json", &text(path), &schema[0], &schema[1]]).done();
        (truth.count_right(&calls), truth.count_whole(), tshark_messages(path))
    });
    let all: usize = shop.calls.values().map(|call| call.messages.iter().map(Vec::len).sum::<usize>()).sum();
    let average = |counts: &mut dyn Iterator<Item = usize>| {
        let average = counts.sum::<usize>() as f64 / seeds as f64;
        format!("{average:.1} ({:.1} %)", average * 100.0 / all as f64)
    };
    println!("messages in the recording: {all}; on average over {seeds} losses of 1 % of the packets:");
    println!("none of whose bytes is lost: {}", average(&mut counts.iter().map(|count| count.1)));
    println!("shown whole and right by rpcshark: {}", average(&mut counts.iter().map(|count| count.0)));
    if counts.iter().all(|count| count.2.is_some()) {
        println!("shown by tshark: {}", average(&mut counts.iter().filter_map(|count| count.2)));
    }
}

/// How many messages tshark shows, or `None` without it.
fn tshark_messages(path: &Path) -> Option<usize> {
    let port = format!("tcp.port=={PORT},http2");
    let file = text(path);
    let fields = ["-r", &file, "-d", &port, "-Y", "grpc", "-T", "fields", "-e", "grpc.message_length"];
    let output = Command::new("tshark").args(fields).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).split([',', '\n']).filter(|length| !length.is_empty()).count())
}

/// Which packets are left when one in a hundred is lost.
fn thinned(shop: &Shop, seed: u64) -> Vec<bool> {
    let mut random = Random::new(seed);
    shop.capture.packets.iter().map(|_| random.below(100) != 0).collect()
}

/// Does the work for each seed, on every core, each with a file of its own; the results in the order of the seeds.
fn each_seed<T: Send>(seeds: u64, work: impl Fn(u64, &Path) -> T + Sync) -> Vec<T> {
    let directory = environment::temporary();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed) as u64;
                    if seed >= seeds {
                        return;
                    }
                    let path = directory.path().join(format!("{seed}.pcap"));
                    let result = work(seed, &path);
                    results.lock().unwrap().insert(seed, result);
                }
            });
        }
    });
    results.into_inner().unwrap().into_values().collect()
}

/// What each message of the whole recording looks like without a schema, by stream.
struct Raw(BTreeMap<u32, [Vec<Value>; 2]>);

impl Raw {
    fn of(shop: &Shop) -> Raw {
        let calls = run(&["calls", "--json", &text(&shop::directory().join("shop.pcap"))]).done();
        let raw: BTreeMap<u32, [Vec<Value>; 2]> = calls
            .iter()
            .map(|call| {
                let sides = Side::BOTH
                    .map(|side| messages_of(call, side).iter().map(|message| message["raw"].clone()).collect());
                (shop::stream_of(call).unwrap(), sides)
            })
            .collect();
        assert_eq!(raw.len(), shop.calls.len(), "every call of the whole recording is shown");
        Raw(raw)
    }

    fn of_message(&self, stream: u32, side: Side, number: usize) -> Option<&Value> {
        self.0.get(&stream)?[side as usize].get(number)
    }
}

/// Whether a note on a message excuses that it differs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Notes {
    Excuse,
    DoNotExcuse,
}

/// The recording with packets missing, and what can be known of it.
struct Damaged<'a> {
    shop: &'a Shop,
    raw: &'a Raw,
    kept: &'a [bool],
    damage: [Damage; 2],
    /// Every header block with who can know which field.
    blocks: [Vec<Block>; 2],
}

impl<'a> Damaged<'a> {
    fn new(shop: &'a Shop, raw: &'a Raw, kept: &'a [bool]) -> Damaged<'a> {
        let damage = Side::BOTH.map(|side| Damage::of(&shop.flows[side as usize], &shop.frames[side as usize], kept));
        let blocks = Side::BOTH.map(|side| {
            headers::blocks(&shop.flows[side as usize], &shop.frames[side as usize], &damage[side as usize].restarts)
        });
        Damaged { shop, raw, kept, damage, blocks }
    }

    fn write(&self, path: &Path) {
        let packets = self.shop.capture.packets.iter().zip(self.kept).filter(|(_, kept)| **kept);
        self.shop.capture.with(packets.map(|(packet, _)| packet.clone()).collect()).write(path);
    }

    fn frames_of(&self, stream: u32) -> impl Iterator<Item = &Frame> {
        self.shop.frames.iter().flatten().filter(move |frame| frame.stream == stream)
    }

    fn blocks_of(&self, stream: u32, side: Side) -> impl DoubleEndedIterator<Item = &Block> {
        self.blocks[side as usize].iter().filter(move |block| block.stream == stream)
    }

    /// Whether the call's method can be read from its headers.
    fn knows_path(&self, stream: u32) -> bool {
        let request = self.blocks_of(stream, Side::Client).next().unwrap();
        !self.damage[Side::Client as usize].hits(&request.bytes) && request.knows(":path")
    }

    /// Calls of which none of the bytes is lost or lies between a gap and the next proven boundary.
    fn clean(&self) -> impl Iterator<Item = &TrueCall> {
        self.shop.calls.values().filter(|call| {
            self.frames_of(call.stream)
                .filter(|frame| matches!(frame.kind, DATA | RST_STREAM) || frame.is_header())
                .all(|frame| !self.damage[frame.side as usize].hits(&(frame.from..frame.to)))
        })
    }

    /// The outcome of a call whose end can be read; null where it hangs on a status that cannot be known.
    fn outcome(&self, call: &TrueCall) -> Value {
        let trailers = self.blocks_of(call.stream, Side::Server).next_back();
        match trailers {
            Some(trailers) if call.status.is_some() && !trailers.knows("grpc-status") => Value::Null,
            _ => call.outcome.into(),
        }
    }

    /// Every printed value that is not the truth.
    fn wrong(&self, calls: &[Value], excuse: Notes) -> Vec<String> {
        let mut faults = Vec::new();
        let mut seen = BTreeSet::new();
        for call in calls {
            let Some(truth) = shop::stream_of(call).and_then(|stream| self.shop.calls.get(&stream)) else {
                faults.push(format!("no such call: stream {}", call["stream"]));
                continue;
            };
            let mut fault = |text: String| faults.push(format!("stream {}: {text}", truth.stream));
            if !seen.insert(truth.stream) {
                fault("is shown twice".to_owned());
            }
            let ends = |end: &Value| end.as_str().and_then(|end| end.rsplit(':').next()?.parse::<u16>().ok());
            if ends(&call["server"]) != Some(PORT) {
                fault(format!("{} is not the server", call["server"]));
            }
            let (service, method) = truth.method.split_once('/').unwrap();
            for (member, value) in
                [("path", format!("/{}", truth.method)), ("service", service.to_owned()), ("method", method.to_owned())]
            {
                if !call[member].is_null() && call[member] != value {
                    fault(format!("{member}: {} is not {value}", call[member]));
                }
            }
            let code = &call["status"]["code"];
            if !code.is_null() && code.as_i64() != truth.status {
                fault(format!("status {code} is not {:?}", truth.status));
            }
            // A call of which a part is lost may seem to continue; a reset after lost trailers is the first end that is seen.
            let was_reset = self.frames_of(truth.stream).any(|frame| frame.kind == RST_STREAM);
            let shown = call["outcome"].as_str();
            if !(shown.is_none_or(|shown| {
                [truth.outcome, "open", "incomplete"].contains(&shown) || shown == "reset" && was_reset
            })) {
                fault(format!("outcome {} is not {}", call["outcome"], truth.outcome));
            }
            for (side, list) in [("request", "metadata"), ("response", "metadata"), ("response", "trailers")] {
                for entry in call[side][list].as_array().into_iter().flatten() {
                    if !self.is_metadata(truth.stream, side == "request", entry) {
                        fault(format!("{side} {list}: nobody sent {entry}"));
                    }
                }
            }
            for side in Side::BOTH {
                let (truths, shown) = (&truth.messages[side as usize], messages_of(call, side));
                let mut next = 0;
                for message in shown {
                    match (next..truths.len()).find(|number| self.is_message(truth, side, *number, message)) {
                        Some(number) => next = number + 1,
                        None if excuse == Notes::Excuse
                            && notes(message).as_array().is_some_and(|notes| !notes.is_empty()) => {}
                        None => fault(format!("{side:?}: nobody sent, in this order: {message}")),
                    }
                }
            }
        }
        faults
    }

    /// Whether the printed message is this one, in its JSON form or without its type.
    fn is_message(&self, call: &TrueCall, side: Side, number: usize, message: &Value) -> bool {
        let truth = &call.messages[side as usize][number];
        if message["length"].as_u64() != Some(truth.wire.length.into()) {
            return false;
        }
        match message.get("body") {
            Some(body) => same(body, &truth.body),
            None => self.raw.of_message(call.stream, side, number) == message.get("raw"),
        }
    }

    /// Whether a printed metadata entry is one that was sent, as far as it says what it is.
    fn is_metadata(&self, stream: u32, request: bool, entry: &Value) -> bool {
        let side = if request { Side::Client } else { Side::Server };
        self.blocks_of(stream, side).flat_map(|block| &block.fields).any(|field| {
            let name = entry["name"].as_str().is_none_or(|name| name == field.name);
            let value = entry["value"].as_str().is_none_or(|value| value == field.value);
            let base64 =
                entry["base64"].as_str().is_none_or(|base64| field.in_base64().iter().any(|part| part == base64));
            // A `-bin` value is bytes and never shown as text.
            let binary = !entry["name"].as_str().is_some_and(|name| name.ends_with("-bin")) || entry["value"].is_null();
            name && value && base64 && binary
        })
    }

    /// Every call that could be read whole and is not there as it was.
    fn missing(&self, calls: &[Value]) -> Vec<String> {
        let mut faults = Vec::new();
        for truth in self.clean() {
            let mut fault = |text: String| faults.push(format!("stream {} is whole: {text}", truth.stream));
            let Some(call) = calls.iter().find(|call| shop::stream_of(call) == Some(truth.stream)) else {
                fault("it is not shown".to_owned());
                continue;
            };
            let outcome = self.outcome(truth);
            if call["outcome"] != outcome {
                fault(format!("outcome {} is not {outcome}", call["outcome"]));
            }
            for side in Side::BOTH {
                let lengths: Vec<u32> =
                    truth.messages[side as usize].iter().map(|message| message.wire.length).collect();
                let shown: Vec<u64> =
                    messages_of(call, side).iter().filter_map(|message| message["length"].as_u64()).collect();
                if !lengths.iter().map(|length| u64::from(*length)).eq(shown.iter().copied()) {
                    fault(format!("{side:?} messages of {shown:?} bytes are not {lengths:?}"));
                }
            }
        }
        faults
    }

    /// Whether none of a message's bytes is lost.
    fn is_whole(&self, side: Side, message: &TrueMessage) -> bool {
        message.wire.pieces.iter().all(|piece| !self.damage[side as usize].loses(piece))
    }

    /// Every message that lies whole in the rest and is not shown; decoded where its method can be read, else decoded and
    /// marked as a guess, or raw.
    fn whole_messages(&self, calls: &[Value]) -> Vec<String> {
        let mut faults = Vec::new();
        for truth in self.shop.calls.values() {
            let call = calls.iter().find(|call| shop::stream_of(call) == Some(truth.stream));
            let known =
                self.knows_path(truth.stream) && !truth.messages.iter().flatten().any(|message| message.body.is_null());
            for side in Side::BOTH {
                let mut shown = call.map_or(&[][..], |call| messages_of(call, side)).iter();
                for (number, message) in truth.messages[side as usize].iter().enumerate() {
                    if !self.is_whole(side, message) {
                        continue;
                    }
                    let what =
                        format!("stream {} {side:?} message {number} ({} bytes)", truth.stream, message.wire.length);
                    let Some(found) = shown.find(|shown| self.is_message(truth, side, number, shown)) else {
                        faults.push(format!("{what} lies whole in the rest and is not shown"));
                        break;
                    };
                    let guessed = &call.unwrap()["guessed"];
                    let marked = guessed.as_array().unwrap().iter().any(|what| what == "type");
                    match (known, found.get("body").is_some()) {
                        (true, false) => faults.push(format!("{what} is not decoded although its method is known")),
                        (false, true) if !marked => {
                            faults.push(format!("{what} is decoded by a guess that is not marked: {guessed}"))
                        }
                        _ => {}
                    }
                }
            }
            // Only one pair of types of the schema fits these.
            let whole = truth
                .messages
                .iter()
                .zip(Side::BOTH)
                .all(|(messages, side)| messages.iter().all(|message| self.is_whole(side, message)));
            let is_order = truth.method == "acme.shop.v1.Orders/GetOrder";
            if let Some(call) = call.filter(|_| whole && is_order)
                && messages_of(call, Side::Server).iter().any(|answer| answer["type"] != "acme.shop.v1.Order")
            {
                faults.push(format!("stream {}: the one pair of types that fits is not found", truth.stream));
            }
        }
        faults
    }

    /// Header fields of every block in the rest: right where they can be known, unknown elsewhere.
    fn header_fields(&self, frames: &[Value]) -> Vec<String> {
        let mut faults = Vec::new();
        for (side, direction) in [(Side::Client, "to_server"), (Side::Server, "to_client")] {
            let damage = &self.damage[side as usize];
            let expected: Vec<&Block> =
                self.blocks[side as usize].iter().filter(|block| !damage.hits(&block.bytes)).collect();
            let shown: Vec<&Value> =
                frames.iter().filter(|frame| frame["type"] == "HEADERS" && frame["direction"] == direction).collect();
            let streams = |blocks: &mut dyn Iterator<Item = Option<u64>>| blocks.collect::<Vec<_>>();
            let expected_streams = streams(&mut expected.iter().map(|block| Some(block.stream.into())));
            let shown_streams = streams(&mut shown.iter().map(|frame| frame["stream"].as_u64()));
            if expected_streams != shown_streams {
                faults.push(format!(
                    "{direction}: header blocks of streams {expected_streams:?} and not {shown_streams:?}"
                ));
                continue;
            }
            for (block, frame) in expected.iter().zip(shown) {
                let fields: Vec<Value> = block.fields.iter().map(as_known).collect();
                let got: Vec<Value> = frame["headers"].as_array().into_iter().flatten().map(name_and_value).collect();
                if fields != got {
                    let differing = fields.iter().zip(&got).find(|(a, b)| a != b);
                    faults.push(format!(
                        "{direction} stream {}: {} fields, {} shown; expected and got {differing:?}",
                        block.stream,
                        fields.len(),
                        got.len()
                    ));
                }
            }
        }
        faults
    }

    /// How many messages are shown whole and right.
    fn count_right(&self, calls: &[Value]) -> usize {
        let mut count = 0;
        for call in calls {
            let truth = &self.shop.calls[&shop::stream_of(call).unwrap()];
            for side in Side::BOTH {
                let truths = &truth.messages[side as usize];
                let mut next = 0;
                for message in messages_of(call, side) {
                    if let Some(number) =
                        (next..truths.len()).find(|number| self.is_message(truth, side, *number, message))
                    {
                        next = number + 1;
                        count += 1;
                    }
                }
            }
        }
        count
    }

    /// How many messages have lost none of their bytes.
    fn count_whole(&self) -> usize {
        let calls = self.shop.calls.values();
        calls
            .map(|call| {
                Side::BOTH
                    .map(|side| {
                        call.messages[side as usize].iter().filter(|message| self.is_whole(side, message)).count()
                    })
                    .iter()
                    .sum::<usize>()
            })
            .sum()
    }
}

/// A field as it must be shown.
fn as_known(field: &Field) -> Value {
    let text = |known: bool, text: &str| if known { Value::from(text) } else { Value::Null };
    Value::Array(vec![text(field.name_known, &field.name), text(field.value_known, &field.value)])
}

fn name_and_value(header: &Value) -> Value {
    Value::Array(vec![header["name"].clone(), header["value"].clone()])
}

#[test]
fn the_reckoning_finds_what_it_is_for() {
    let shop = Shop::load();
    let frames = &shop.frames[Side::Server as usize];
    let raw = Raw(BTreeMap::new());
    // Nothing missing: everything is clean and known.
    let all = vec![true; shop.capture.packets.len()];
    let whole = Damaged::new(&shop, &raw, &all);
    assert_eq!(whole.clean().count(), 74);
    assert!(
        whole
            .blocks
            .iter()
            .flatten()
            .flat_map(|block| &block.fields)
            .all(|field| field.name_known && field.value_known)
    );
    // The packet with the headers of an answer in the middle: its call is not clean, its neighbour's path is known, and a
    // later answer's fields that were inserted before are not.
    let headers = frames.iter().filter(|frame| frame.kind == HEADERS).nth(5).unwrap();
    let packet = shop.flows[Side::Server as usize].packet_of(headers.from);
    let mut kept = all.clone();
    kept[packet] = false;
    let damaged = Damaged::new(&shop, &raw, &kept);
    assert!(damaged.clean().count() < 74);
    assert!(damaged.clean().all(|call| call.stream != headers.stream));
    let answers = &damaged.blocks[Side::Server as usize];
    assert!(answers.iter().flat_map(|block| &block.fields).any(|field| !field.value_known));
    assert!(
        damaged.blocks[Side::Client as usize].iter().flat_map(|block| &block.fields).all(|field| field.value_known)
    );
    // A message's bytes and nothing else: framing continues by count.
    let messages = http2::messages(&shop.flows[Side::Server as usize], frames);
    assert_eq!(
        messages.values().map(Vec::len).sum::<usize>(),
        shop.calls.values().map(|call| call.messages[1].len()).sum::<usize>()
    );
}

#[test]
fn the_checks_find_each_kind_of_fault() {
    let shop = Shop::load();
    // The one message whose type the schema does not have is empty.
    let raw = Raw(BTreeMap::from([(41, [vec![serde_json::json!({})], Vec::new()])]));
    let all = vec![true; shop.capture.packets.len()];
    let truth = Damaged::new(&shop, &raw, &all);
    let faults = |spoil: &dyn Fn(&mut Vec<Value>)| {
        let mut calls = shop.as_printed();
        calls
            .iter_mut()
            .filter(|call| call["method"] == "GetOrder")
            .for_each(|call| call["response"]["messages"][0]["type"] = "acme.shop.v1.Order".into());
        spoil(&mut calls);
        let strict = truth.wrong(&calls, Notes::DoNotExcuse).len();
        [
            strict,
            truth.wrong(&calls, Notes::Excuse).len(),
            truth.missing(&calls).len(),
            truth.whole_messages(&calls).len(),
        ]
    };
    let message = |calls: &mut [Value]| calls[12]["response"]["messages"][3].take();
    assert_eq!(faults(&|_| ()), [0, 0, 0, 0]);
    assert_eq!(faults(&|calls| drop(calls.remove(0))), [0, 0, 1, 2], "a call that is whole is missing");
    assert_eq!(faults(&|calls| calls[0]["path"] = "/a.B/C".into()), [1, 1, 0, 0], "a wrong path");
    assert_eq!(faults(&|calls| calls[0]["path"] = Value::Null), [0, 0, 0, 0], "an unknown path");
    assert_eq!(faults(&|calls| calls[0]["server"] = "127.0.0.1:40000".into()), [1, 1, 0, 0], "the sides are swapped");
    assert_eq!(faults(&|calls| calls[0]["outcome"] = "error".into()), [1, 1, 1, 0], "a wrong outcome");
    assert_eq!(faults(&|calls| calls[0]["outcome"] = "open".into()), [0, 0, 1, 0], "an end that was missed");
    assert_eq!(
        faults(&|calls| calls[12]["response"]["messages"][3]["body"]["id"] = "x".into()),
        [1, 1, 0, 1],
        "a wrong value"
    );
    assert_eq!(
        faults(&|calls| {
            let mut spoilt = message(calls);
            spoilt["body"]["id"] = "x".into();
            spoilt["notes"] = serde_json::json!([{"kind": "cut"}]);
            calls[12]["response"]["messages"][3] = spoilt;
        }),
        [1, 0, 0, 1],
        "a wrong value with a note"
    );
    assert_eq!(
        faults(&|calls| calls[0]["request"]["metadata"] = serde_json::json!([{"name": "tenant", "value": "t9"}])),
        [1, 1, 0, 0],
        "metadata that nobody sent"
    );
    assert_eq!(
        faults(&|calls| calls[0]["request"]["metadata"] =
            serde_json::json!([{"name": "tenant", "value": "t0"}, {"name": null, "value": null}])),
        [0, 0, 0, 0],
        "metadata that was sent"
    );
}
