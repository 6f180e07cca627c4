//! The frames of one connection or call, read again, beside those of a full pass.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::environment;
use support::run::rpcshark;

fn lines(arguments: &[&str], stdin: Option<&Path>) -> Vec<Value> {
    let mut command = rpcshark();
    command.args(arguments);
    if let Some(path) = stdin {
        command.stdin(File::open(path).unwrap());
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every capture of the corpus.
fn captures() -> Vec<PathBuf> {
    let cases = std::fs::read_dir(environment::captures()).unwrap().map(|entry| entry.unwrap().path());
    let files = cases.filter(|case| case.is_dir()).flat_map(|case| {
        std::fs::read_dir(case).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
    });
    let is_capture = |path: &PathBuf| {
        let output = rpcshark().args(["connections", "--json"]).arg(path).output().unwrap();
        output.status.success() && !output.stdout.is_empty()
    };
    files.filter(is_capture).collect()
}

/// The frames of a full pass by what `key` gives of them, without their numbers.
fn full_pass(file: &str, key: &str) -> BTreeMap<u64, Vec<Value>> {
    let mut by_key: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    for mut frame in lines(&["frames", "--json", file], None) {
        frame["no"] = Value::Null;
        if let Some(no) = frame[key].as_u64() {
            by_key.entry(no).or_default().push(frame);
        }
    }
    by_key
}

#[test]
fn a_connection_read_again_has_the_frames_of_a_full_pass() {
    let mut compared = 0;
    for file in captures() {
        let file = file.to_str().unwrap();
        for (no, frames) in full_pass(file, "connection") {
            let again = lines(&["frames", "--json", file, "--connection", &no.to_string()], None);
            assert_eq!(again, frames, "{file}, connection {no}");
            compared += frames.len();
        }
    }
    assert!(compared > 1000, "{compared} frames were compared");
}

#[test]
fn a_call_read_again_has_its_own_frames_only() {
    let file = environment::captures().join("shop/shop.pcap");
    for (no, frames) in full_pass(file.to_str().unwrap(), "call") {
        let again = lines(&["frames", "--json", file.to_str().unwrap(), "--call", &no.to_string()], None);
        assert_eq!(again, frames, "call {no}");
    }
}

#[test]
fn standard_input_is_kept_to_be_read_again() {
    let path = environment::captures().join("shop/shop.pcap");
    let expected = full_pass(path.to_str().unwrap(), "connection").remove(&0).unwrap();
    // A file as standard input, and a pipe.
    assert_eq!(lines(&["frames", "--json", "-", "--connection", "0"], Some(&path)), expected);
    let mut command = rpcshark();
    let command = command.args(["frames", "--json", "-", "--connection", "0"]);
    let mut child = command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let feeder = std::thread::spawn(move || std::io::Write::write_all(&mut pipe, &bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let frames: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(frames, expected);
}

#[test]
fn a_call_that_is_not_there_is_an_error_of_usage() {
    let file = environment::captures().join("shop/shop.pcap");
    let output = rpcshark().args(["frames", "--call", "9999"]).arg(file).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no call 9999"));
}

/// Sixteen connections packet by packet, each without some of its packets: gaps wait for packets of the others, too.
fn interleaved_with_losses() -> tempfile::NamedTempFile {
    let recorded = std::fs::read(environment::captures().join("shop/shop.pcap")).unwrap();
    let client = 41542_u16.to_be_bytes();
    let mut bytes = recorded[..24].to_vec();
    let mut rest = &recorded[24..];
    let mut index = 0_u16;
    while let Some(length) = rest.get(8..12) {
        let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
        let (packet, behind) = rest.split_at(16 + length);
        rest = behind;
        // In the record: 16 bytes of its header, 14 of Ethernet, 20 of IPv4, then the ports.
        let at = if packet[50..52] == client { 50 } else { 52 };
        for connection in 0..16 {
            if (index * 7 + connection * 11) % 41 == 5 {
                continue;
            }
            let mut packet = packet.to_vec();
            packet[at..at + 2].copy_from_slice(&(10_000 + connection).to_be_bytes());
            bytes.extend_from_slice(&packet);
        }
        index += 1;
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    file
}

#[test]
fn packets_of_other_connections_count_where_gaps_wait() {
    let file = interleaved_with_losses();
    let path = file.path().to_str().unwrap();
    let full = full_pass(path, "connection");
    assert_eq!(full.len(), 16);
    for (no, frames) in full {
        let again = lines(&["frames", "--json", path, "--connection", &no.to_string()], None);
        assert_eq!(again, frames, "connection {no}");
    }
}
