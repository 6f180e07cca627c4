//! Whole files as `pcap-parser` reads them beside what is read here, and what `pcap-parser` would lose.

use std::net::IpAddr;

use pcap_parser::{
    Block, PcapNGOption, parse_block_be, parse_block_le, parse_decryptionsecretsblock_le,
    parse_interfacedescriptionblock_be, parse_interfacedescriptionblock_le, parse_nameresolutionblock_le,
    parse_sectionheaderblock,
};
use proptest::prelude::*;

use super::super::record::ByteOrder;
use super::super::testing::{Outcome, finish, read};
use super::tests::{BOTH, File, option};
use crate::file::{CaptureReader, OpenOptions};
use crate::write::{Ends, Party, StreamWriter};
use crate::{Direction, Endpoint, Timestamp};

/// What both readers have to say about a file.
#[derive(Debug, Default, PartialEq)]
struct Reading {
    packets: Vec<PacketRead>,
    names: Vec<(IpAddr, String)>,
    secrets: Vec<(u32, Vec<u8>)>,
}

#[derive(Debug, PartialEq)]
struct PacketRead {
    link: u16,
    /// The time, in enhanced packets.
    nanos: Option<i64>,
    data: Vec<u8>,
    original_len: u32,
    /// The first comment.
    comment: Option<String>,
}

/// Reads a file of whole blocks with `pcap-parser`. Times are those of interfaces with microseconds or nanoseconds.
fn oracle(mut bytes: &[u8]) -> Reading {
    let mut reading = Reading::default();
    let mut interfaces = Vec::new();
    let mut order = ByteOrder::Little;
    while !bytes.is_empty() {
        if let Ok((_, header)) = parse_sectionheaderblock(bytes) {
            order = if header.big_endian() { ByteOrder::Big } else { ByteOrder::Little };
            interfaces.clear();
        }
        let parsed = match order {
            ByteOrder::Little => parse_block_le(bytes),
            ByteOrder::Big => parse_block_be(bytes),
        };
        let (rest, block) = parsed.expect("a block that pcap-parser reads");
        match &block {
            Block::InterfaceDescription(interface) => {
                let nanos = if interface.if_tsresol == 9 { 1 } else { 1_000 };
                interfaces.push((interface.linktype.0 as u16, nanos, interface.snaplen));
            }
            Block::EnhancedPacket(packet) => {
                let (link, nanos, _) = interfaces[packet.if_id as usize];
                let units = i64::from(packet.ts_high) << 32 | i64::from(packet.ts_low);
                let comment = comment(&packet.options);
                let data = packet.data[..packet.caplen as usize].to_vec();
                let (nanos, original_len) = (Some(units * nanos), packet.origlen);
                reading.packets.push(PacketRead { link, nanos, data, original_len, comment });
            }
            Block::SimplePacket(packet) => {
                let (link, _, snaplen) = interfaces[0];
                let len = if snaplen == 0 { packet.origlen } else { packet.origlen.min(snaplen) };
                let data = packet.data[..len as usize].to_vec();
                let original_len = packet.origlen;
                reading.packets.push(PacketRead { link, nanos: None, data, original_len, comment: None });
            }
            Block::NameResolution(names) => {
                for record in &names.nr {
                    let (addr, name) = match record.record_type.0 {
                        1 => record.record_value.split_first_chunk::<4>().map(|(ip, name)| (IpAddr::from(*ip), name)),
                        2 => record.record_value.split_first_chunk::<16>().map(|(ip, name)| (IpAddr::from(*ip), name)),
                        _ => None,
                    }
                    .map_or((None, &[][..]), |(addr, name)| (Some(addr), name));
                    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
                    let Some(addr) = addr.filter(|_| !name.is_empty()) else { continue };
                    if reading.names.iter().all(|(known, _)| *known != addr) {
                        reading.names.push((addr, String::from_utf8_lossy(name).into_owned()));
                    }
                }
            }
            Block::DecryptionSecrets(secrets) => {
                let data = secrets.data[..secrets.secrets_len as usize].to_vec();
                reading.secrets.push((secrets.secrets_type.0, data));
            }
            _ => {}
        }
        bytes = rest;
    }
    reading.names.sort();
    reading
}

fn comment(options: &[PcapNGOption<'_>]) -> Option<String> {
    let options = options.iter().take_while(|option| option.code.0 != 0);
    let value = options.filter(|option| option.code.0 == 1).map(|option| option.as_bytes().expect("a value")).next()?;
    Some(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned())
}

/// What was read here, as [`oracle`] gives it.
fn ours(outcome: &Outcome, is_simple: impl Fn(usize) -> bool) -> Reading {
    let packets = outcome.packets.iter().enumerate().map(|(index, packet)| PacketRead {
        link: packet.link,
        nanos: (!is_simple(index)).then_some(packet.nanos),
        data: packet.data.clone(),
        original_len: packet.original_len,
        comment: packet.comment.clone(),
    });
    Reading {
        packets: packets.collect(),
        names: outcome.names.clone(),
        secrets: outcome.secrets.iter().map(|secret| (secret.kind, secret.bytes.clone())).collect(),
    }
}

#[track_caller]
fn assert_same(bytes: &[u8]) {
    let expected = oracle(bytes);
    let outcome = read(bytes);
    assert_eq!(outcome.notes(), Vec::<String>::new());
    let simple: Vec<bool> = expected.packets.iter().map(|packet| packet.nanos.is_none()).collect();
    assert_eq!(ours(&outcome, |index| simple[index]), expected);
}

/// A block of a generated file.
#[derive(Clone, Debug)]
enum Piece {
    Section(bool),
    Packet { units: u64, data: Vec<u8>, comment: Option<String> },
    Simple(Vec<u8>),
    Name([u8; 4], String),
    NameV6([u8; 16], String),
    Secrets(Vec<u8>),
    Statistics(u64),
    Unknown(Vec<u8>),
}

fn piece() -> impl Strategy<Value = Piece> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        any::<bool>().prop_map(Piece::Section),
        (0..1_u64 << 50, bytes(), proptest::option::of("[a-z ü]{1,20}"))
            .prop_map(|(units, data, comment)| Piece::Packet { units, data, comment }),
        bytes().prop_map(Piece::Simple),
        (any::<[u8; 4]>(), "[a-z.]{1,30}").prop_map(|(addr, name)| Piece::Name(addr, name)),
        (any::<[u8; 16]>(), "[a-z.]{1,30}").prop_map(|(addr, name)| Piece::NameV6(addr, name)),
        bytes().prop_map(Piece::Secrets),
        any::<u64>().prop_map(Piece::Statistics),
        bytes().prop_map(Piece::Unknown),
    ]
}

fn add(file: &mut File, piece: &Piece) {
    match piece {
        Piece::Section(big) => {
            file.section(if *big { ByteOrder::Big } else { ByteOrder::Little });
            file.interface_with(1, 0, |body| {
                option(body, 2, |value| _ = value.raw(b"eth0")); // if_name
                option(body, 9, |value| _ = value.raw(&[9])); // if_tsresol: nanoseconds
                option(body, 0, |_| {});
            });
        }
        Piece::Packet { units, data, comment } => file.packet_with(0, *units, data, |body| {
            if let Some(comment) = comment {
                option(body, 2, |value| _ = value.u32(1)); // epb_flags
                option(body, 1, |value| _ = value.raw(comment.as_bytes())); // opt_comment
                option(body, 0, |_| {});
            }
        }),
        Piece::Simple(data) => file.block(3, |body| _ = body.u32(data.len() as u32).raw(data)),
        Piece::Name(addr, name) => file.block(4, |body| {
            option(body, 1, |value| _ = value.raw(addr).raw(name.as_bytes()).raw(&[0]));
            option(body, 0, |_| {});
        }),
        Piece::NameV6(addr, name) => file.block(4, |body| {
            option(body, 2, |value| _ = value.raw(addr).raw(name.as_bytes()).raw(&[0]));
            option(body, 0, |_| {});
        }),
        Piece::Secrets(data) => {
            file.block(10, |body| _ = body.u32(0x544c_534b).u32(data.len() as u32).raw(data));
        }
        Piece::Statistics(dropped) => file.block(5, |body| {
            body.u32(0).u32(0).u32(0);
            option(body, 5, |value| _ = value.u64(*dropped)); // isb_ifdrop
            option(body, 0, |_| {});
        }),
        Piece::Unknown(data) => file.block(0x1234, |body| _ = body.raw(data)),
    }
}

proptest! {
    #[test]
    fn generated_files_are_read_as_pcap_parser_reads_them(
        big: bool,
        pieces in proptest::collection::vec(piece(), 0..30),
    ) {
        let mut file = File::new(ByteOrder::Little);
        add(&mut file, &Piece::Section(big));
        for piece in &pieces {
            add(&mut file, piece);
        }
        assert_same(file.bytes());
    }
}

#[test]
fn written_files_are_read_as_pcap_parser_reads_them() {
    let ends = Ends::new(
        Party::of(Endpoint::UnixInode(4711)),
        Party::of(Endpoint::UnixPath(b"/run/x.sock".as_slice().into())),
    );
    let at = Timestamp::from_nanos;
    let mut writer = StreamWriter::new(Vec::new(), &Default::default()).expect("memory");
    let mut stream = writer.open(&ends, at(1_000)).expect("memory");
    for (direction, len, nanos) in [(Direction::ToServer, 100_000, 2_000), (Direction::ToClient, 3, 3_000)] {
        writer.data(&mut stream, direction, &vec![7; len], at(nanos), Some("a comment")).expect("memory");
    }
    writer.lost(&mut stream, Direction::ToServer, 70_000, at(4_000)).expect("memory");
    writer.close(&mut stream, Direction::ToServer, at(5_000)).expect("memory");
    assert_same(&writer.finish().expect("memory"));
}

/// Files of other writers: those of the repository, and all of a directory given for the tests.
#[test]
fn recorded_files_are_read_as_pcap_parser_reads_them() {
    let mut directories = vec![concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/captures").into()];
    directories.extend(std::env::var_os("RPCSHARK_CAPTURES").map(std::path::PathBuf::from));
    let mut compared = 0;
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "pcapng") {
                let bytes = std::fs::read(&path).expect("a file");
                compared += u32::from(compare_packets(&path, &bytes));
            }
        }
    }
    println!("{compared} files compared");
}

/// Compares numbers and bytes of packets, in files that `pcap-parser` reads to their end.
fn compare_packets(path: &std::path::Path, bytes: &[u8]) -> bool {
    let readable = || {
        let mut rest = bytes;
        let mut order = ByteOrder::Little;
        let mut interfaces = 0;
        while !rest.is_empty() {
            if let Ok((_, header)) = parse_sectionheaderblock(rest) {
                order = if header.big_endian() { ByteOrder::Big } else { ByteOrder::Little };
                interfaces = 0;
            }
            // The process block of Apple makes it panic, and it does not know the obsolete packet block.
            let kind = order.u32_at(rest, 0)?;
            if kind == 0x8000_0001 || kind == 2 {
                return None;
            }
            let parsed = match order {
                ByteOrder::Little => parse_block_le(rest),
                ByteOrder::Big => parse_block_be(rest),
            };
            let (after, block) = parsed.ok()?;
            match block {
                Block::InterfaceDescription(_) => interfaces += 1,
                Block::EnhancedPacket(packet) if packet.if_id >= interfaces => return None,
                Block::SimplePacket(_) if interfaces == 0 => return None,
                _ => {}
            }
            rest = after;
        }
        Some(())
    };
    if readable().is_none() {
        return false;
    }
    let reader = CaptureReader::open(&[path.to_owned()], &OpenOptions::default()).expect("a capture");
    let outcome = finish(reader);
    let expected: Vec<_> = oracle(bytes).packets.into_iter().map(|packet| (packet.link, packet.data)).collect();
    let packets: Vec<_> = outcome.packets.into_iter().map(|packet| (packet.link, packet.data)).collect();
    assert_eq!(packets, expected, "{}", path.display());
    true
}

/// The last block of a file: its bytes alone.
fn last_block(file: &File, begin: usize) -> &[u8] {
    &file.bytes()[begin..]
}

#[test]
fn names_without_an_end_record_are_not_lost() {
    let mut file = File::new(ByteOrder::Little);
    let begin = file.bytes().len();
    file.block(4, |body| option(body, 1, |value| _ = value.raw(&[127, 0, 0, 1]).raw(b"localhost\0")));
    assert!(parse_nameresolutionblock_le(last_block(&file, begin)).is_err(), "pcap-parser refuses the block");
    assert_eq!(read(file.bytes()).names, [(IpAddr::from([127, 0, 0, 1]), "localhost".to_owned())]);
}

#[test]
fn names_before_a_record_that_is_cut_short_are_not_lost() {
    let mut file = File::new(ByteOrder::Little);
    let begin = file.bytes().len();
    file.block(4, |body| {
        option(body, 1, |value| _ = value.raw(&[127, 0, 0, 1]).raw(b"localhost\0"));
        body.u16(1).u16(200).raw(&[127, 0, 0, 2]).raw(b"cut\0"); // length 200: more than there is
    });
    assert!(parse_nameresolutionblock_le(last_block(&file, begin)).is_err(), "pcap-parser refuses the block");
    assert_eq!(read(file.bytes()).names, [(IpAddr::from([127, 0, 0, 1]), "localhost".to_owned())]);
}

#[test]
fn the_last_option_counts_without_its_padding() {
    for order in BOTH {
        let mut file = File::new(order);
        let begin = file.bytes().len();
        let len = 12 + 8 + 5;
        file.0
            .u32(1) // interface description
            .u32(len) // length: not a multiple of 4
            .u16(1) // Ethernet
            .u16(0) // reserved
            .u32(0) // snap length
            .u16(9) // if_tsresol
            .u16(1) // its length
            .raw(&[9]) // nanoseconds; no padding
            .u32(len); // length again
        if order == ByteOrder::Little {
            let (_, block) = parse_interfacedescriptionblock_le(last_block(&file, begin)).expect("a block");
            assert_eq!(block.if_tsresol, 6, "pcap-parser ignores the option");
        }
        file.packet(0, 5_000, b"x");
        let outcome = read(file.bytes());
        assert_eq!((outcome.packets[0].nanos, outcome.notes()), (5_000, vec![]));
    }
}

#[test]
fn secrets_count_without_their_padding() {
    let mut file = File::new(ByteOrder::Little);
    let begin = file.bytes().len();
    let len = 12 + 8 + 13;
    file.0
        .u32(10) // secrets
        .u32(len) // length: not a multiple of 4
        .u32(0x544c_534b) // a TLS key log
        .u32(13) // its length
        .raw(b"CLIENT_RANDOM") // no padding
        .u32(len); // length again
    assert!(parse_decryptionsecretsblock_le(last_block(&file, begin)).is_err(), "pcap-parser refuses the block");
    assert_eq!(read(file.bytes()).secrets[0].bytes, b"CLIENT_RANDOM");
}

#[test]
fn times_of_big_endian_sections_and_of_powers_of_2_are_right() {
    let mut file = File::new(ByteOrder::Big);
    let begin = file.bytes().len();
    file.interface_with(1, 0, |body| {
        option(body, 9, |value| _ = value.raw(&[0x80 | 10])); // if_tsresol: 2^-10 seconds
        option(body, 14, |value| _ = value.u64(5)); // if_tsoffset: 5 seconds
    });
    let (_, block) = parse_interfacedescriptionblock_be(last_block(&file, begin)).expect("a block");
    assert_eq!(block.ts_offset(), 5 << 56, "pcap-parser reads it as little-endian");
    assert_eq!(block.ts_resolution(), None, "pcap-parser knows no powers of 2");
    file.packet(0, 1024 + 512, b"x");
    assert_eq!(read(file.bytes()).packets[0].nanos, 6_500_000_000);
}

#[test]
fn a_bad_block_costs_that_block_only() {
    let mut file = File::new(ByteOrder::Little);
    file.interface(1);
    let begin = file.bytes().len();
    file.block(6, |body| {
        body.u32(0) // interface
            .u32(0) // time, upper half
            .u32(0) // time, lower half
            .u32(100) // captured length: more than there is
            .u32(100) // original length
            .raw(b"short");
    });
    let bad = last_block(&file, begin).to_vec();
    file.packet(0, 1, b"x");
    let error = parse_block_le(&bad).expect_err("pcap-parser refuses the block");
    assert!(error.is_incomplete(), "and asks for more bytes, so that its reader ends there");
    assert_eq!(read(file.bytes()).data(), [b"x"]);
}

#[test]
fn options_behind_the_end_of_options_are_ignored() {
    let mut file = File::new(ByteOrder::Little);
    let begin = file.bytes().len();
    file.interface_with(1, 0, |body| {
        option(body, 0, |_| {}); // end of options
        option(body, 9, |value| _ = value.raw(&[3])); // looks like if_tsresol
    });
    let (_, block) = parse_interfacedescriptionblock_le(last_block(&file, begin)).expect("a block");
    assert_eq!(block.if_tsresol, 3, "pcap-parser reads on behind the end");
    file.packet(0, 7, b"x");
    assert_eq!(read(file.bytes()).packets[0].nanos, 7_000);
}
