//! Reads pcap files and writes captures of every kind: pcap and pcapng, both byte orders, several time resolutions,
//! several sections, compressed.
//!
//! Written for tests from the two formats' documents (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng); reads only what
//! the tests' own recordings are.

use std::io::Write;
use std::path::Path;

/// One captured packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Nanoseconds since 1970.
    pub(crate) time: u64,
    /// Its length on the wire.
    pub(crate) length: u32,
    /// What was captured of it.
    pub(crate) bytes: Vec<u8>,
}

/// A capture with one link type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Capture {
    pub(crate) link_type: u32,
    pub(crate) packets: Vec<Packet>,
}

/// A file format to write.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Pcap {
        big_endian: bool,
        nanoseconds: bool,
    },
    /// The resolution is the byte of `if_tsresol`; the packets are spread over this many sections, every second one in the
    /// other byte order.
    Pcapng {
        big_endian: bool,
        resolution: u8,
        sections: usize,
    },
}

/// What is wrapped around a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wrapping {
    None,
    Gzip,
    Zstd,
    Lz4,
}

impl Capture {
    /// Reads a pcap file of either byte order and resolution.
    pub(crate) fn read(path: &Path) -> Capture {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let magic: [u8; 4] = bytes[..4].try_into().expect("four bytes");
        let (big_endian, nanoseconds) = match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, false),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, true),
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, false),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, true),
            other => panic!("{}: not a pcap file: {other:02x?}", path.display()),
        };
        let number = |at: usize| {
            let four: [u8; 4] = bytes[at..at + 4].try_into().expect("four bytes");
            if big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
        };
        let mut packets = Vec::new();
        let mut at = 24;
        while at < bytes.len() {
            let fraction = u64::from(number(at + 4)) * if nanoseconds { 1 } else { 1_000 };
            let captured = number(at + 8) as usize;
            packets.push(Packet {
                time: u64::from(number(at)) * 1_000_000_000 + fraction,
                length: number(at + 12),
                bytes: bytes[at + 16..at + 16 + captured].to_vec(),
            });
            at += 16 + captured;
        }
        Capture { link_type: number(20), packets }
    }

    /// The same link type with other packets.
    pub(crate) fn with(&self, packets: Vec<Packet>) -> Capture {
        Capture { link_type: self.link_type, packets }
    }

    /// The file's bytes in this format.
    pub(crate) fn to_bytes(&self, form: Form) -> Vec<u8> {
        match form {
            Form::Pcap { big_endian, nanoseconds } => self.to_pcap(&Order { big_endian }, nanoseconds),
            Form::Pcapng { big_endian, resolution, sections } => self.to_pcapng(big_endian, resolution, sections),
        }
    }

    /// Writes a plain little-endian pcap file in nanoseconds.
    pub(crate) fn write(&self, path: &Path) {
        std::fs::write(path, self.to_bytes(Form::Pcap { big_endian: false, nanoseconds: true }))
            .expect("the file can be written");
    }

    fn to_pcap(&self, order: &Order, nanoseconds: bool) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(order.u32(if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 })); // magic
        out.extend(order.u16(2)); // major version
        out.extend(order.u16(4)); // minor version
        out.extend(order.u32(0)); // reserved
        out.extend(order.u32(0)); // reserved
        out.extend(order.u32(262_144)); // snap length
        out.extend(order.u32(self.link_type)); // link type
        for packet in &self.packets {
            let fraction = packet.time % 1_000_000_000;
            out.extend(order.u32((packet.time / 1_000_000_000) as u32)); // seconds
            out.extend(order.u32((if nanoseconds { fraction } else { fraction / 1_000 }) as u32)); // fraction
            out.extend(order.u32(packet.bytes.len() as u32)); // captured length
            out.extend(order.u32(packet.length)); // original length
            out.extend(&packet.bytes);
        }
        out
    }

    fn to_pcapng(&self, big_endian: bool, resolution: u8, sections: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let each = self.packets.len().div_ceil(sections).max(1);
        for (number, packets) in self.packets.chunks(each).enumerate() {
            let order = Order { big_endian: big_endian != (number % 2 == 1) };
            let mut header = Vec::new();
            header.extend(order.u32(0x1a2b_3c4d)); // byte-order magic
            header.extend(order.u16(1)); // major version
            header.extend(order.u16(0)); // minor version
            header.extend([0xff; 8]); // section length: not given
            out.extend(order.block(0x0a0d_0d0a, header));
            let mut interface = Vec::new();
            interface.extend(order.u16(self.link_type as u16)); // link type
            interface.extend(order.u16(0)); // reserved
            interface.extend(order.u32(262_144)); // snap length
            interface.extend(order.u16(9)); // option if_tsresol
            interface.extend(order.u16(1)); // its length
            interface.extend([resolution, 0, 0, 0]); // its value, padded
            interface.extend(order.u16(0)); // option opt_endofopt
            interface.extend(order.u16(0)); // its length
            out.extend(order.block(1, interface));
            for packet in packets {
                let units = in_units(packet.time, resolution);
                let mut enhanced = Vec::new();
                enhanced.extend(order.u32(0)); // interface
                enhanced.extend(order.u32((units >> 32) as u32)); // time, high half
                enhanced.extend(order.u32(units as u32)); // time, low half
                enhanced.extend(order.u32(packet.bytes.len() as u32)); // captured length
                enhanced.extend(order.u32(packet.length)); // original length
                enhanced.extend(&packet.bytes);
                enhanced.resize(enhanced.len().next_multiple_of(4), 0);
                out.extend(order.block(6, enhanced));
            }
        }
        out
    }
}

/// Nanoseconds as units of `if_tsresol`, rounded up so that reading rounds back to the same microsecond.
fn in_units(nanoseconds: u64, resolution: u8) -> u64 {
    let per_second: u128 = match resolution & 0x80 {
        0 => 10u128.pow(u32::from(resolution)),
        _ => 1u128 << (resolution & 0x7f),
    };
    (u128::from(nanoseconds) * per_second).div_ceil(1_000_000_000) as u64
}

/// Wraps a file's bytes.
pub(crate) fn wrap(bytes: Vec<u8>, wrapping: Wrapping) -> Vec<u8> {
    match wrapping {
        Wrapping::None => bytes,
        Wrapping::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&bytes).expect("memory can be written");
            encoder.finish().expect("memory can be written")
        }
        Wrapping::Zstd => zstd::encode_all(&bytes[..], 1).expect("memory can be written"),
        Wrapping::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(&bytes).expect("memory can be written");
            encoder.finish().expect("memory can be written")
        }
    }
}

/// A byte order to write numbers in.
struct Order {
    big_endian: bool,
}

impl Order {
    fn u16(&self, value: u16) -> [u8; 2] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u32(&self, value: u32) -> [u8; 4] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    /// A pcapng block: type, length, body, length again.
    fn block(&self, kind: u32, body: Vec<u8>) -> Vec<u8> {
        let length = self.u32(body.len() as u32 + 12);
        [&self.u32(kind)[..], &length, &body, &length].concat()
    }
}

/// A pcap file (little endian) without one of its packets.
pub(crate) fn without_packet(whole: &[u8], lost: usize) -> Vec<u8> {
    let (mut thinned, mut rest) = (whole[..24].to_vec(), &whole[24..]);
    let mut number = 0;
    while !rest.is_empty() {
        let captured = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
        let (packet, behind) = rest.split_at(16 + captured);
        number += 1;
        if number != lost {
            thinned.extend_from_slice(packet);
        }
        rest = behind;
    }
    assert!(number >= lost && thinned.len() < whole.len(), "there is no packet {lost}");
    thinned
}

/// The bytes of the packets of a pcap file (little endian).
pub(crate) fn packets(file: &[u8]) -> Vec<Vec<u8>> {
    let (mut packets, mut rest) = (Vec::new(), &file[24..]);
    while !rest.is_empty() {
        let captured = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
        packets.push(rest[16..16 + captured].to_vec());
        rest = &rest[16 + captured..];
    }
    packets
}

/// Those of a pcapng file (little endian).
pub(crate) fn pcapng_packets(file: &[u8]) -> Vec<Vec<u8>> {
    let (mut packets, mut rest) = (Vec::new(), file);
    while !rest.is_empty() {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().expect("four bytes")) as usize;
        if word(0) == 6 {
            packets.push(rest[28..28 + word(20)].to_vec());
        }
        rest = &rest[word(4)..];
    }
    packets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let capture = Capture {
            link_type: 1,
            packets: vec![Packet { time: 1_700_000_000_123_456_000, length: 70, bytes: vec![1, 2, 3] }],
        };
        let directory = super::super::environment::temporary();
        let path = directory.path().join("a.pcap");
        for big_endian in [false, true] {
            for nanoseconds in [false, true] {
                std::fs::write(&path, capture.to_bytes(Form::Pcap { big_endian, nanoseconds })).unwrap();
                assert_eq!(Capture::read(&path), capture);
            }
        }
    }
}
