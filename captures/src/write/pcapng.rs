//! The blocks of a pcapng file (draft-ietf-opsawg-pcapng): one section, interfaces with nanosecond times, packets with
//! comments, names, secrets, and the count of what was lost.
//!
//! What is in the packets is `stream`'s matter.

use std::io::{self, Write};
use std::net::Ipv6Addr;

use crate::{LinkType, Timestamp};

/// What a file says about itself.
#[derive(Clone, Debug)]
pub struct About {
    /// The machine (`shb_hardware`).
    pub hardware: String,
    /// The system (`shb_os`).
    pub os: String,
    /// The program that writes (`shb_userappl`).
    pub application: String,
    /// The interface's name (`if_name`).
    pub interface: String,
    /// What the interface stands for (`if_description`).
    pub description: String,
    /// Where sequence numbers and synthetic addresses begin: two files with different numbers can be merged and
    /// their connections stay apart. The same number gives the same file.
    pub seed: u64,
}

impl Default for About {
    fn default() -> Self {
        Self {
            hardware: std::env::consts::ARCH.into(),
            os: std::env::consts::OS.into(),
            application: concat!("rpcshark ", env!("CARGO_PKG_VERSION")).into(),
            interface: "rpcshark".into(),
            description: "streams in synthetic TCP".into(),
            seed: 0,
        }
    }
}

/// Writes blocks, in the machine's byte order, as the format allows.
#[derive(Debug)]
pub struct Pcapng<W> {
    out: W,
    options: Vec<u8>,
    packets: u64,
    dropped: u64,
    /// Those among them that no packet states yet.
    dropped_before: u64,
    first: Option<Timestamp>,
    last: Timestamp,
}

impl<W: Write> Pcapng<W> {
    /// Begins a file: its section header and one interface, Ethernet with the number 0.
    pub fn new(out: W, about: &About) -> io::Result<Self> {
        let mut file = Self::without_interface(out, about)?;
        file.option(IF_NAME, about.interface.as_bytes());
        file.option(IF_DESCRIPTION, about.description.as_bytes());
        file.interface(LinkType::ETHERNET, 0)?;
        Ok(file)
    }

    /// Begins a file with its section header.
    pub fn without_interface(out: W, about: &About) -> io::Result<Self> {
        let zero = Timestamp::from_nanos(0);
        let mut file =
            Self { out, options: Vec::new(), packets: 0, dropped: 0, dropped_before: 0, first: None, last: zero };

        file.option(SHB_HARDWARE, about.hardware.as_bytes());
        file.option(SHB_OS, about.os.as_bytes());
        file.option(SHB_USERAPPL, about.application.as_bytes());
        let mut section = [0; 16];
        section[0..4].copy_from_slice(&BYTE_ORDER_MAGIC.to_ne_bytes());
        section[4..6].copy_from_slice(&1u16.to_ne_bytes()); // major version
        section[6..8].copy_from_slice(&0u16.to_ne_bytes()); // minor version
        section[8..16].copy_from_slice(&u64::MAX.to_ne_bytes()); // section length: not known
        file.block(SECTION_HEADER, &section, &[])?;
        Ok(file)
    }

    /// Describes an interface whose packets begin with `link`; interfaces count from 0. `snap_len`: the most bytes of a packet
    /// that were captured, 0 for no limit.
    pub fn interface(&mut self, link: LinkType, snap_len: u32) -> io::Result<()> {
        self.option(IF_TSRESOL, &[9]); // 10^-9 seconds
        let mut interface = [0; 8];
        interface[0..2].copy_from_slice(&link.0.to_ne_bytes());
        interface[4..8].copy_from_slice(&snap_len.to_ne_bytes());
        self.block(INTERFACE, &interface, &[])
    }

    /// Writes one packet of interface 0, with at most one comment.
    pub fn packet(&mut self, time: Timestamp, packet: &[u8], comment: Option<&str>) -> io::Result<()> {
        self.packet_of(0, time, packet, packet.len() as u32, comment)
    }

    /// Writes one packet of an interface as far as it was captured; it had `original_len` bytes.
    pub fn packet_of(
        &mut self,
        interface: u32,
        time: Timestamp,
        packet: &[u8],
        original_len: u32,
        comment: Option<&str>,
    ) -> io::Result<()> {
        let len = packet.len() as u32;
        let mut head = [0; 20];
        head[0..4].copy_from_slice(&interface.to_ne_bytes());
        write_time(&mut head[4..12], time);
        head[12..16].copy_from_slice(&len.to_ne_bytes()); // captured
        head[16..20].copy_from_slice(&original_len.to_ne_bytes());
        if let Some(comment) = comment {
            self.option(COMMENT, comment.as_bytes());
        }
        if self.dropped_before > 0 {
            self.option(EPB_DROPCOUNT, &self.dropped_before.to_ne_bytes());
            self.dropped_before = 0;
        }
        self.packets += 1;
        self.first.get_or_insert(time);
        self.last = self.last.max(time);
        self.block(ENHANCED_PACKET, &head, packet)
    }

    /// Gives an address a name.
    pub fn name(&mut self, address: Ipv6Addr, name: &str) -> io::Result<()> {
        // A name ends at its NUL, so it cannot hold one.
        let name: Vec<u8> = name.bytes().filter(|&byte| byte != 0).take(LONGEST_NAME).collect();
        let mut body = Vec::with_capacity(32 + name.len());
        body.extend_from_slice(&NRB_RECORD_IPV6.to_ne_bytes());
        body.extend_from_slice(&(16 + name.len() as u16 + 1).to_ne_bytes());
        body.extend_from_slice(&address.octets());
        body.extend_from_slice(&name);
        body.push(0);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend_from_slice(&[0; 4]); // nrb_record_end
        self.block(NAME_RESOLUTION, &body, &[])
    }

    /// Writes the secrets of TLS connections (a Decryption Secrets Block, `text` as `SSLKEYLOGFILE` has it). Readers want it
    /// before the packets that it opens.
    pub fn tls_key_log(&mut self, text: &str) -> io::Result<()> {
        let mut head = [0; 8];
        head[0..4].copy_from_slice(&TLS_KEY_LOG.to_ne_bytes());
        head[4..8].copy_from_slice(&(text.len() as u32).to_ne_bytes());
        self.block(DECRYPTION_SECRETS, &head, text.as_bytes())
    }

    /// Ends the file with the interface's statistics, and returns what it was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.statistics()?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Writes the interface's statistics as of now: packets received and dropped since the beginning.
    pub fn statistics(&mut self) -> io::Result<()> {
        let mut time = [0; 8];
        write_time(&mut time, self.first.unwrap_or(self.last));
        self.option(ISB_STARTTIME, &time);
        write_time(&mut time, self.last);
        self.option(ISB_ENDTIME, &time);
        self.option(ISB_IFRECV, &(self.packets + self.dropped).to_ne_bytes());
        self.option(ISB_IFDROP, &self.dropped.to_ne_bytes());
        let mut head = [0; 12]; // begins with the interface: 0
        write_time(&mut head[4..12], self.last);
        self.block(INTERFACE_STATISTICS, &head, &[])
    }

    /// Hands on what was written so far.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// How many packets were written.
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// How many packets were reported as lost.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Counts packets as lost; the next packet (`epb_dropcount`) and the statistics tell of them.
    pub const fn count_lost(&mut self, packets: u64) {
        self.dropped += packets;
        self.dropped_before += packets;
    }

    /// Puts an option down for the next block.
    fn option(&mut self, code: u16, value: &[u8]) {
        let value = value.get(..LONGEST_OPTION).unwrap_or(value);
        self.options.extend_from_slice(&code.to_ne_bytes());
        self.options.extend_from_slice(&(value.len() as u16).to_ne_bytes());
        self.options.extend_from_slice(value);
        self.options.resize(self.options.len().next_multiple_of(4), 0);
    }

    /// Writes a block: type, length, `head`, `body` padded to 32 bits, the options put down, length again.
    fn block(&mut self, kind: u32, head: &[u8], body: &[u8]) -> io::Result<()> {
        if !self.options.is_empty() {
            self.options.extend_from_slice(&[0; 4]); // opt_endofopt
        }
        let padding = body.len().next_multiple_of(4) - body.len();
        let len = (12 + head.len() + body.len() + padding + self.options.len()) as u32;

        self.out.write_all(&kind.to_ne_bytes())?;
        self.out.write_all(&len.to_ne_bytes())?;
        self.out.write_all(head)?;
        self.out.write_all(body)?;
        self.out.write_all(&[0; 3][..padding])?;
        self.out.write_all(&self.options)?;
        self.options.clear();
        self.out.write_all(&len.to_ne_bytes())
    }
}

/// A time as blocks hold it: units since the epoch, the upper 32 bits first. Times before the epoch are held at it.
fn write_time(to: &mut [u8], time: Timestamp) {
    let nanos = time.as_nanos().max(0) as u64;
    to[..4].copy_from_slice(&((nanos >> 32) as u32).to_ne_bytes());
    to[4..8].copy_from_slice(&(nanos as u32).to_ne_bytes());
}

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const INTERFACE: u32 = 1;
const NAME_RESOLUTION: u32 = 4;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const DECRYPTION_SECRETS: u32 = 10;

/// The type of secrets that are a key log ("TLSK").
const TLS_KEY_LOG: u32 = 0x544c_534b;

const COMMENT: u16 = 1;
const SHB_HARDWARE: u16 = 2;
const SHB_OS: u16 = 3;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const IF_TSRESOL: u16 = 9;
const EPB_DROPCOUNT: u16 = 4;
const NRB_RECORD_IPV6: u16 = 2;
const ISB_STARTTIME: u16 = 2;
const ISB_ENDTIME: u16 = 3;
const ISB_IFRECV: u16 = 4;
const ISB_IFDROP: u16 = 5;

/// An option's length has 16 bits; this leaves room for its padding.
const LONGEST_OPTION: usize = 0xfff0;

/// Packet tools keep host names of DNS length; a Unix socket's path has at most 108 bytes.
const LONGEST_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_block_is_laid_out_as_the_format_says() {
        let mut file = Pcapng::new(Vec::new(), &About::default()).expect("memory");
        let begin = file.out.len();
        file.count_lost(7);
        file.packet(Timestamp::from_nanos(0x1_0000_0002), b"abc", Some("hey")).expect("memory");
        let written: Vec<u32> =
            file.out[begin..].chunks(4).map(|word| u32::from_ne_bytes(word.try_into().unwrap())).collect();
        let expected = [
            6,                             // enhanced packet block
            60,                            // block length
            0,                             // interface
            1,                             // time, upper half
            2,                             // time, lower half
            3,                             // captured length
            3,                             // original length
            u32::from_ne_bytes(*b"abc\0"), // the packet, padded
            1 | 3 << 16,                   // opt_comment, 3 bytes
            u32::from_ne_bytes(*b"hey\0"), // the comment, padded
            4 | 8 << 16,                   // epb_dropcount, 8 bytes
            7,                             // 7 packets
            0,                             //
            0,                             // opt_endofopt
            60,                            // block length
        ];
        assert_eq!(written, expected);
    }

    #[test]
    fn a_name_ends_at_its_nul_and_is_padded() {
        let mut file = Pcapng::new(Vec::new(), &About::default()).expect("memory");
        let begin = file.out.len();
        file.name("fd00::1".parse().expect("an address"), "a\0b").expect("memory");
        let block = &file.out[begin..];
        assert_eq!(block.len() % 4, 0);
        assert_eq!(block[8..12], [2u16.to_ne_bytes(), 19u16.to_ne_bytes()].concat());
        assert_eq!(&block[28..32], b"ab\0\0");
        assert_eq!(block[32..36], [0; 4]);
    }

    #[test]
    fn options_longer_than_their_length_field_are_cut() {
        let mut file = Pcapng::new(Vec::new(), &About::default()).expect("memory");
        let begin = file.out.len();
        let long = "x".repeat(100_000);
        file.packet(Timestamp::from_nanos(-5), b"a", Some(&long)).expect("memory");
        let len = u32::from_ne_bytes(file.out[begin + 4..begin + 8].try_into().unwrap());
        assert_eq!(len as usize, file.out.len() - begin);
    }
}
