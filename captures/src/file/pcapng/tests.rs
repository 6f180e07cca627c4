//! What is read of pcapng files, whole, damaged and cut.

use std::net::IpAddr;

use proptest::prelude::*;

use super::super::info::DecryptionSecrets;
use super::super::record::ByteOrder;
use super::super::testing::{Bytes, finish, read, read_by};
use super::metadata::MAX_NAMES;
use super::section::MAX_INTERFACES;
use crate::LinkType;
use crate::file::CaptureReader;

pub(super) const BOTH: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

/// A file in the making.
pub(super) struct File(pub(super) Bytes);

impl File {
    /// With a section header.
    pub(super) fn new(order: ByteOrder) -> Self {
        let mut file = Self(Bytes::new(order));
        file.section(order);
        file
    }

    pub(super) fn section(&mut self, order: ByteOrder) {
        self.0.order = order;
        self.block(0x0a0d_0d0a, |body| {
            body.u32(0x1a2b_3c4d) // byte order
                .u16(1) // major version
                .u16(0) // minor version
                .u64(u64::MAX); // length of the section: not known
        });
    }

    pub(super) fn block(&mut self, kind: u32, write: impl FnOnce(&mut Bytes)) {
        let mut body = Bytes::new(self.0.order);
        write(&mut body);
        body.bytes.resize(body.bytes.len().next_multiple_of(4), 0);
        let len = body.bytes.len() as u32 + 12;
        self.0
            .u32(kind) // type
            .u32(len) // length
            .raw(&body.bytes)
            .u32(len); // length again
    }

    /// Microseconds, no snap length.
    pub(super) fn interface(&mut self, link: u16) {
        self.interface_with(link, 0, |_| {});
    }

    pub(super) fn interface_with(&mut self, link: u16, snaplen: u32, options: impl FnOnce(&mut Bytes)) {
        self.block(1, |body| {
            body.u16(link) // link type
                .u16(0) // reserved
                .u32(snaplen); // snap length
            options(body);
        });
    }

    pub(super) fn packet(&mut self, interface: u32, units: u64, data: &[u8]) {
        self.packet_with(interface, units, data, |_| {});
    }

    pub(super) fn packet_with(&mut self, interface: u32, units: u64, data: &[u8], options: impl FnOnce(&mut Bytes)) {
        self.block(6, |body| {
            body.u32(interface) // interface
                .u32((units >> 32) as u32) // time, upper half
                .u32(units as u32) // time, lower half
                .u32(data.len() as u32) // captured length
                .u32(data.len() as u32 + 2) // original length
                .raw(data);
            body.bytes.resize(body.bytes.len().next_multiple_of(4), 0);
            options(body);
        });
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }
}

pub(super) fn option(body: &mut Bytes, code: u16, write: impl FnOnce(&mut Bytes)) {
    let mut value = Bytes::new(body.order);
    write(&mut value);
    body.u16(code) // code
        .u16(value.bytes.len() as u16) // length
        .raw(&value.bytes);
    body.bytes.resize(body.bytes.len().next_multiple_of(4), 0);
}

#[test]
fn enhanced_packets_have_interface_time_lengths_and_options() {
    for order in BOTH {
        let mut file = File::new(order);
        file.interface(1);
        file.interface(113);
        file.packet(1, 0x0006_0000_0000_0001, b"abcde");
        file.packet_with(0, 5, b"abcd", |body| {
            option(body, 2, |value| _ = value.u32(1)); // flags
            option(body, 1, |value| _ = value.raw(b"first\0")); // comment
            option(body, 1, |value| _ = value.raw(b"second")); // comment
            option(body, 4, |value| _ = value.u64(3)); // packets dropped before this one
            option(body, 0, |_| {}); // end of options
        });
        let outcome = read(file.bytes());
        assert_eq!(outcome.data(), [&b"abcde"[..], b"abcd"]);
        let [first, second] = &*outcome.packets else { panic!("{outcome:?}") };
        assert_eq!((first.number, first.link, first.nanos), (1, 113, 0x0006_0000_0000_0001 * 1_000));
        assert_eq!((first.original_len, first.comment.as_deref()), (7, None));
        assert_eq!((second.number, second.link, second.nanos), (2, 1, 5_000));
        assert_eq!(second.comment.as_deref(), Some("first"));
        assert_eq!(outcome.info.dropped, 3);
        assert_eq!(outcome.info.link_types, [LinkType::ETHERNET, LinkType::LINUX_SLL].into());
        assert_eq!((outcome.notes(), outcome.info.partial), (vec![], false));
    }
}

#[test]
fn simple_packets_are_cut_by_the_snap_length_and_have_the_time_before() {
    for order in BOTH {
        let mut file = File::new(order);
        file.interface_with(1, 5, |_| {});
        file.packet(0, 77, b"x");
        file.block(3, |body| {
            body.u32(9) // original length
                .raw(b"abcde");
        });
        file.block(3, |body| {
            body.u32(2) // original length
                .raw(b"fg");
        });
        let outcome = read(file.bytes());
        assert_eq!(outcome.data(), [&b"x"[..], b"abcde", b"fg"]);
        assert_eq!(outcome.packets[1].original_len, 9);
        assert!(outcome.packets.iter().all(|packet| packet.nanos == 77_000));
    }
}

#[test]
fn obsolete_packets_count_what_was_dropped() {
    for order in BOTH {
        let mut file = File::new(order);
        file.interface(1);
        for (drops, data) in [(2, b"abc"), (0xffff, b"def")] {
            file.block(2, |body| {
                body.u16(0) // interface
                    .u16(drops) // packets dropped before this one; 0xffff: not known
                    .u32(1) // time, upper half
                    .u32(2) // time, lower half
                    .u32(3) // captured length
                    .u32(1500) // original length
                    .raw(data)
                    .raw(&[0]); // padding
                option(body, 1, |value| _ = value.raw(b"old"));
            });
        }
        let outcome = read(file.bytes());
        assert_eq!(outcome.data(), [b"abc", b"def"]);
        assert_eq!((outcome.packets[0].nanos, outcome.packets[0].original_len), ((1 << 32 | 2) * 1_000, 1500));
        assert_eq!(outcome.packets[1].comment.as_deref(), Some("old"));
        assert_eq!(outcome.info.dropped, 2);
    }
}

#[test]
fn resolutions_are_powers_of_10_and_of_2() {
    // (if_tsresol, if_tsoffset, units, nanoseconds)
    let cases = [
        (None, 0, 1_700_000_000_000_001, 1_700_000_000_000_001_000),
        (Some(9), 0, 1_700_000_000_000_000_001, 1_700_000_000_000_000_001),
        (Some(3), 0, 1_700_000_000_001, 1_700_000_000_001_000_000),
        (Some(0), 0, 7, 7_000_000_000),
        (Some(6), 1_700_000_000, 3, 1_700_000_000_000_003_000),
        (Some(6), -1, 3, -999_997_000),
        (Some(12), 0, 5_000_000_001_999, 5_000_000_001),
        (Some(0x80 | 10), 2, 1024 + 512, 3_500_000_000),
        (Some(0x80 | 63), 0, 1 << 62, 500_000_000),
        // A second has more units than 64 bits can count.
        (Some(25), 0, 10_000_000_000_000_000_000, 1_000),
        (Some(127), 0, u64::MAX, 0),
        (Some(255), 0, u64::MAX, 0),
        (Some(0), i64::MAX, u64::MAX, i64::MAX),
    ];
    for order in BOTH {
        for (resolution, offset, units, nanos) in cases {
            let mut file = File::new(order);
            file.interface_with(1, 0, |body| {
                if let Some(resolution) = resolution {
                    option(body, 9, |value| _ = value.raw(&[resolution]));
                }
                option(body, 14, |value| _ = value.u64(offset as u64));
            });
            file.packet(0, units, b"x");
            assert_eq!(read(file.bytes()).packets[0].nanos, nanos, "{resolution:?} {offset} {units}");
        }
    }
}

#[test]
fn names_are_kept_the_first_of_each_address() {
    for order in BOTH {
        let mut file = File::new(order);
        file.block(4, |body| {
            option(body, 1, |value| _ = value.raw(&[127, 0, 0, 1]).raw(b"localhost\0alias\0"));
            option(body, 3, |value| _ = value.raw(b"no such kind of record"));
            option(body, 1, |value| _ = value.raw(&[127, 0, 0, 1]).raw(b"later\0"));
            option(body, 1, |value| _ = value.raw(&[127, 0])); // cut short
            option(body, 2, |value| _ = value.raw(&[0; 15]).raw(&[1]).raw(b"ip6-localhost\0"));
            option(body, 0, |_| {}); // end of records
            option(body, 1, |value| _ = value.raw(b"comment, behind the end"));
        });
        let outcome = read(file.bytes());
        let names = [
            (IpAddr::from([127, 0, 0, 1]), "localhost".to_owned()),
            ("::1".parse().unwrap(), "ip6-localhost".to_owned()),
        ];
        assert_eq!(outcome.names, names);
        assert_eq!(outcome.notes(), Vec::<String>::new());
    }
}

#[test]
fn statistics_say_what_was_dropped_in_all() {
    for order in BOTH {
        let mut file = File::new(order);
        file.interface(1);
        for dropped in [4, 9] {
            file.block(5, |body| {
                body.u32(0) // interface
                    .u32(0) // time, upper half
                    .u32(0); // time, lower half
                option(body, 4, |value| _ = value.u64(1_000)); // packets received
                option(body, 5, |value| _ = value.u64(dropped)); // dropped by the interface
                option(body, 7, |value| _ = value.u64(1)); // dropped by the system
            });
        }
        assert_eq!(read(file.bytes()).info.dropped, 10);
    }
}

#[test]
fn secrets_are_kept() {
    for order in BOTH {
        let mut file = File::new(order);
        file.block(10, |body| {
            body.u32(0x544c_534b) // a TLS key log
                .u32(13) // its length
                .raw(b"CLIENT_RANDOM");
        });
        file.block(10, |body| {
            body.u32(0x544c_534b) // a TLS key log
                .u32(14) // more than there is
                .raw(b"CLIENT_RANDOM");
        });
        let outcome = read(file.bytes());
        let [secret, padded] = &*outcome.secrets else { panic!("{outcome:?}") };
        assert_eq!((secret.kind, &*secret.bytes), (DecryptionSecrets::TLS_KEY_LOG, &b"CLIENT_RANDOM"[..]));
        assert_eq!(padded.bytes.len(), 14);
        assert!(!format!("{secret:?}").contains("67, 76"), "secrets are not for logs");
    }
}

#[test]
fn blocks_that_carry_no_packets_are_passed_by_and_counted() {
    let mut file = File::new(ByteOrder::Little);
    file.interface(1);
    file.block(0x0bad, |body| _ = body.u32(4711).raw(b"custom"));
    file.block(0x4000_0bad, |body| _ = body.u32(4711).raw(b"custom, not to be copied"));
    file.block(9, |body| _ = body.raw(b"__REALTIME_TIMESTAMP=1\n"));
    file.block(0x8000_0001, |_| {});
    file.block(0x1234, |body| _ = body.raw(b"whatever"));
    file.packet(0, 1, b"x");
    let outcome = read(file.bytes());
    assert_eq!(outcome.data(), [b"x"]);
    assert_eq!(outcome.skipped("custom block"), 2);
    assert_eq!(outcome.skipped("systemd journal entry"), 1);
    assert_eq!(outcome.skipped("block of unknown type"), 2);
    assert_eq!(outcome.notes(), Vec::<String>::new());
}

#[test]
fn each_section_has_its_order_and_its_interfaces() {
    let mut file = File::new(ByteOrder::Big);
    file.interface(1);
    file.packet(0, 1, b"big");
    file.section(ByteOrder::Little);
    file.packet(0, 2, b"of no interface");
    file.interface(113);
    file.packet(0, 3, b"little");
    let outcome = read_by(file.bytes(), 10);
    assert_eq!(outcome.data(), [&b"big"[..], b"little"]);
    assert_eq!((outcome.packets[1].link, outcome.packets[1].number), (113, 2));
    assert_eq!(outcome.skipped("packet of an unknown interface"), 1);
    assert_eq!(outcome.notes(), ["packet 2 at byte 0x70: interface 0 of this packet is not described"]);
    assert!(!outcome.info.partial);
}

#[test]
fn a_bad_packet_is_passed_over() {
    let mut file = File::new(ByteOrder::Little);
    file.interface(1);
    file.packet(0, 1, b"good");
    file.block(6, |body| {
        body.u32(0)
            .u32(0)
            .u32(0)
            .u32(100) // captured length, more than there is
            .u32(100)
            .raw(b"short");
    });
    file.block(6, |body| _ = body.u32(0)); // no lengths at all
    file.packet(0, 1, b"fine");
    let outcome = read(file.bytes());
    assert_eq!(outcome.data(), [b"good", b"fine"]);
    assert_eq!(
        outcome.notes(),
        [
            "packet 2 at byte 0x54: packet length 100 is more than the 8 bytes of its block",
            "packet 2 at byte 0x7c: 16 bytes are too few for a packet block",
        ]
    );
    assert_eq!(outcome.skipped("bad block"), 2);
}

#[test]
fn a_bad_interface_keeps_its_number() {
    let mut file = File::new(ByteOrder::Little);
    file.block(1, |body| _ = body.u16(1));
    file.interface(113);
    file.packet(1, 1, b"x");
    let outcome = read(file.bytes());
    assert_eq!(outcome.packets[0].link, 113);
    assert_eq!(outcome.info.notes.len(), 1);
}

#[test]
fn damaged_lengths_are_got_over() {
    // (the lengths that the second packet claims, the note)
    let cases = [
        (Some(3), None, "block length 3 is shorter than its header; 40 bytes are skipped"),
        (Some(0xfff0_0000), None, "block length 4293918720 cannot be right; 40 bytes are skipped"),
        (None, Some(0), "block length 40 is followed by length 0; the block is skipped"),
        (Some(44), None, "block length 44 is followed by length 6; 40 bytes are skipped"),
    ];
    for (len, trailer, note) in cases {
        let mut file = File::new(ByteOrder::Little);
        file.interface(1);
        file.packet(0, 1, b"1234");
        let at = file.bytes().len();
        file.packet(0, 2, b"5678567\x06");
        let end = file.bytes().len();
        file.packet(0, 3, b"90ab");
        file.packet(0, 4, b"cdef");
        let mut bytes = file.bytes().to_vec();
        if let Some(len) = len {
            bytes[at + 4..at + 8].copy_from_slice(&u32::to_le_bytes(len));
        }
        if let Some(trailer) = trailer {
            bytes[end - 4..end].copy_from_slice(&u32::to_le_bytes(trailer));
        }
        for step in [1, usize::MAX] {
            let outcome = read_by(&bytes, step);
            assert_eq!(outcome.data(), [b"1234", b"90ab", b"cdef"], "{note}");
            assert_eq!(outcome.notes(), [format!("packet 2 at byte 0x54: {note}")]);
            assert!(!outcome.info.partial);
        }
    }
}

#[test]
fn a_cut_file_gives_everything_before_the_cut() {
    let mut file = File::new(ByteOrder::Big);
    let mut blocks = vec![file.bytes().len()];
    let mut packets = Vec::new();
    file.interface(1);
    blocks.push(file.bytes().len());
    for n in 0..3 {
        file.packet(0, n, b"abcdef");
        blocks.push(file.bytes().len());
        packets.push(file.bytes().len());
    }
    for cut in 1..=file.bytes().len() {
        let input = file.bytes()[..cut].to_vec();
        let outcome = match CaptureReader::from_reader(Box::new(std::io::Cursor::new(input)), "") {
            Ok(reading) => finish(reading),
            Err(error) => {
                assert!(cut < 12, "{error}");
                continue;
            }
        };
        assert_eq!(outcome.packets.len(), packets.iter().filter(|&&end| end <= cut).count(), "cut at {cut}");
        assert_eq!(outcome.info.partial, !blocks.contains(&cut), "cut at {cut}");
        assert_eq!(outcome.info.notes.len(), usize::from(outcome.info.partial), "cut at {cut}");
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let mut file = File::new(ByteOrder::Little);
    for n in 0..MAX_INTERFACES + 10 {
        file.interface(n as u16);
    }
    for n in 0..MAX_NAMES as u32 + 10 {
        file.block(4, |body| option(body, 1, |value| _ = value.raw(&n.to_be_bytes()).raw(b"name\0")));
    }
    let outcome = read(file.bytes());
    assert_eq!(outcome.skipped("interface beyond the limit"), 10);
    assert_eq!(outcome.names.len(), MAX_NAMES);
    assert_eq!(outcome.info.notes.len() as u64 + outcome.info.more_notes, 10);
}

proptest! {
    #[test]
    fn damaged_bytes_are_read_the_same_however_they_come(
        damage in proptest::collection::vec((12_usize..600, any::<u8>()), 0..6),
        step in 1_usize..60,
        noise in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let mut file = File::new(ByteOrder::Little);
        file.interface(1);
        for n in 0..6 {
            file.packet(0, n, &vec![n as u8; 9 * n as usize % 31]);
        }
        file.section(ByteOrder::Big);
        file.interface(1);
        for n in 0..6 {
            file.packet(0, n, &vec![n as u8; 9 * n as usize % 31]);
        }
        let mut bytes = file.bytes().to_vec();
        for (at, value) in damage {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        bytes.extend(noise);
        let (whole, parts) = (read(&bytes), read_by(&bytes, step));
        prop_assert_eq!(whole.notes(), parts.notes());
        prop_assert_eq!(whole.packets, parts.packets);
        prop_assert_eq!(whole.info.partial, parts.info.partial);
    }

    #[test]
    fn no_bodies_do_harm(
        blocks in proptest::collection::vec((0_u32..12, proptest::collection::vec(any::<u8>(), 0..60)), 0..40),
    ) {
        let mut file = File::new(ByteOrder::Big);
        for (kind, noise) in &blocks {
            let kind = if *kind == 11 { 0x0a0d_0d0a } else { *kind };
            file.block(kind, |body| _ = body.raw(noise));
        }
        let outcome = read_by(file.bytes(), 64);
        prop_assert!(outcome.packets.len() <= blocks.len());
    }

    #[test]
    fn no_bytes_do_harm(noise in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let mut file = File::new(ByteOrder::Little);
        file.0.raw(&noise);
        let outcome = read_by(file.bytes(), 64);
        prop_assert!(outcome.packets.len() <= noise.len() / 12);
    }
}
