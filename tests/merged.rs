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
