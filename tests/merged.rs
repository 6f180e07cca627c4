//! Files that are read together.
#![allow(clippy::unwrap_used)]

mod support;

use support::environment;
use support::run::run;

/// Every packet of shop.pcap in one of two files in turn.
fn halves() -> (tempfile::TempDir, [String; 2]) {
    let recorded = std::fs::read(environment::captures().join("shop/shop.pcap")).unwrap();
    let mut files = [recorded[..24].to_vec(), recorded[..24].to_vec()];
    let mut rest = &recorded[24..];
    let mut index = 0;
    while let Some(length) = rest.get(8..12) {
        let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
        let (packet, behind) = rest.split_at(16 + length);
        files[index % 2].extend_from_slice(packet);
        rest = behind;
        index += 1;
    }
    let directory = environment::temporary();
    let names = ["a.pcap", "b.pcap"].map(|name| directory.path().join(name).to_str().unwrap().to_owned());
    names.iter().zip(&files).for_each(|(name, bytes)| std::fs::write(name, bytes).unwrap());
    (directory, names)
}

#[test]
fn packets_of_files_read_together_are_named_by_file_and_number() {
    let whole = run(&["calls", "--json", environment::captures().join("shop/shop.pcap").to_str().unwrap()]).values();
    let (_directory, [a, b]) = halves();
    let merged = run(&["calls", "--json", &a, &b]).values();
    assert_eq!(merged.len(), whole.len());
    // Packet n of the whole is packet (n + 1) / 2 of the one or the other.
    let place = |no: u64| if no % 2 == 1 { (a.as_str(), no.div_ceil(2)) } else { (b.as_str(), no / 2) };
    let mut others = 0;
    for (merged, whole) in merged.iter().zip(&whole) {
        let file = merged["file"].as_str().unwrap();
        let named = |other: &serde_json::Value, no: &serde_json::Value| {
            (other.as_str().unwrap_or(file).to_owned(), no.as_u64().unwrap())
        };
        let of = |no: &serde_json::Value| {
            let (file, no) = place(no.as_u64().unwrap());
            (file.to_owned(), no)
        };
        let (packets, all) = (&merged["packets"], &whole["packets"]);
        assert_eq!(named(&packets["first_file"], &packets["first"]), of(&all["first"]), "{}", merged["no"]);
        assert_eq!(named(&packets["last_file"], &packets["last"]), of(&all["last"]), "{}", merged["no"]);
        assert_eq!(packets.get("last_file").is_some(), place(all["last"].as_u64().unwrap()).0 != file);
        for side in ["request", "response"] {
            let messages = merged[side]["messages"].as_array().unwrap();
            for (message, whole) in messages.iter().zip(whole[side]["messages"].as_array().unwrap()) {
                assert_eq!(named(&message["file"], &message["packet"]), of(&whole["packet"]), "{}", merged["no"]);
                others += usize::from(message.get("file").is_some());
            }
        }
    }
    assert!(others > 10, "{others} messages are in the other file");
}

#[test]
fn frames_of_files_read_together_name_their_files() {
    let whole = run(&["frames", "--json", environment::captures().join("shop/shop.pcap").to_str().unwrap()]).values();
    let (_directory, names) = halves();
    let merged = run(&["frames", "--json", &names[0], &names[1]]).values();
    assert_eq!(merged.len(), whole.len());
    // Sorted, since packets of the same time are read in the order of their files.
    let mut expected: Vec<_> = whole
        .iter()
        .map(|frame| {
            let no = frame["packet"].as_u64().unwrap();
            (names[usize::from(no % 2 == 0)].as_str(), no.div_ceil(2), frame["type"].as_str())
        })
        .collect();
    let mut named: Vec<_> = merged
        .iter()
        .map(|frame| (frame["file"].as_str().unwrap(), frame["packet"].as_u64().unwrap(), frame["type"].as_str()))
        .collect();
    expected.sort_unstable();
    named.sort_unstable();
    assert_eq!(named, expected);
    assert!(whole.iter().all(|frame| frame.get("file").is_none()), "one file is not named");
    assert!(names.iter().all(|name| merged.iter().any(|frame| frame["file"] == name.as_str())));

    // The listing names the files, and so can filters.
    let text = run(&["frames", &names[0], &names[1]]).stdout;
    let end = |name: &str| name.chars().skip(name.chars().count().saturating_sub(23)).collect::<String>();
    for (line, frame) in text.lines().skip(1).zip(&merged) {
        let file = end(frame["file"].as_str().unwrap());
        assert!(
            line.contains(&format!("{} …{file} ", frame["packet"])) || line.contains(&format!("{file} ")),
            "{line}"
        );
    }
    let number = merged[9]["packet"].clone();
    let filter = format!("frame.number == {number} && frame.file contains \"b.pcap\"");
    let filtered = run(&["frames", "--json", "-Y", &filter, &names[0], &names[1]]).values();
    let of_b = |frame: &&serde_json::Value| frame["file"] == names[1].as_str() && frame["packet"] == number;
    assert_eq!(filtered.iter().collect::<Vec<_>>(), merged.iter().filter(of_b).collect::<Vec<_>>());
    let one = run(&["frames", environment::captures().join("shop/shop.pcap").to_str().unwrap()]).stdout;
    assert!(!one.lines().next().unwrap().contains("File"), "{one}");
}

#[test]
fn notes_and_gaps_of_files_read_together_name_their_files() {
    let (directory, names) = halves();
    // Without some of the packets there are gaps, and notes at the packets after them.
    let thinned = directory.path().join("thinned.pcap");
    let recorded = std::fs::read(&names[1]).unwrap();
    let (mut kept, mut rest, mut index) = (recorded[..24].to_vec(), &recorded[24..], 0);
    while let Some(length) = rest.get(8..12) {
        let length = u32::from_le_bytes(length.try_into().unwrap()) as usize;
        let (packet, behind) = rest.split_at(16 + length);
        if index % 9 != 7 {
            kept.extend_from_slice(packet);
        }
        (rest, index) = (behind, index + 1);
    }
    std::fs::write(&thinned, kept).unwrap();
    let names = [names[0].clone(), thinned.to_str().unwrap().to_owned()];
    let known = |file: &serde_json::Value| names.iter().any(|name| file == name.as_str());

    // Places of problems are named by file and packet, too.
    let mut places = 0;
    let text = run(&["problems", &names[0], &names[1]]).stdout;
    for problem in run(&["problems", "--json", &names[0], &names[1]]).values() {
        for place in problem["places"].as_array().unwrap().iter().filter(|place| place["packet"].is_u64()) {
            assert!(known(&place["file"]), "{place}");
            let at = format!("packet {} of {}", place["packet"], place["file"].as_str().unwrap());
            assert!(text.contains(&at), "{at} is not in {text}");
            places += 1;
        }
    }
    assert!(places > 0, "no problem has a place");

    let (mut gaps, mut notes) = (0, 0);
    let text = run(&["connections", &names[0], &names[1]]).stdout;
    for connection in run(&["connections", "--json", &names[0], &names[1]]).values() {
        for note in connection["notes"].as_array().unwrap().iter().filter(|note| note.get("packet").is_some()) {
            assert!(known(&note["file"]), "{note}");
            let at = format!("! packet {} of {}: ", note["packet"], note["file"].as_str().unwrap());
            assert!(text.contains(&at), "{at} is not in {text}");
        }
        for side in ["to_server", "to_client"] {
            for gap in connection[side]["gaps"].as_array().unwrap() {
                assert!(known(&gap["file"]), "{gap}");
                gaps += 1;
            }
        }
    }
    assert!(gaps > 0, "there are no gaps");
    for call in run(&["calls", "--json", &names[0], &names[1]]).values() {
        for note in call["notes"].as_array().unwrap().iter().filter(|note| note.get("file").is_some()) {
            assert!(known(&note["file"]) && note["file"] != call["file"], "{note}");
            notes += 1;
        }
    }
    assert!(notes > 0, "no note is of the other file");
}
