//! `grpc-encoding`: messages out of their compression.
//!
//! What comes out is bounded: a few bytes can be made to stand for gigabytes.

use std::io::Read;

use flate2::{Crc, Decompress, FlushDecompress, Status};
use thiserror::Error;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use crate::Cursor;

/// A limit for callers that have none of their own. Servers accept messages of at most 4 MiB unless configured otherwise;
/// this leaves room for those that are.
pub const MAX_DECOMPRESSED: usize = 64 << 20;

/// How a message is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// zlib, RFC 1950; also bare deflate data, RFC 1951, which some send under this name.
    Deflate,
    /// Snappy's framing format; also one bare block.
    Snappy,
    /// Zstandard, RFC 8878.
    Zstd,
}

impl Encoding {
    /// The encoding that `grpc-encoding` calls `name`.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"identity" => Self::Identity,
            b"gzip" => Self::Gzip,
            b"deflate" => Self::Deflate,
            b"snappy" => Self::Snappy,
            b"zstd" => Self::Zstd,
            _ => return None,
        })
    }

    /// Its name in `grpc-encoding`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Snappy => "snappy",
            Self::Zstd => "zstd",
        }
    }
}

/// Why a message could not be decompressed, or not all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecompressError {
    /// There is more than the limit allows.
    #[error("the message decompresses to more than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The compressed bytes end too early.
    #[error("the {} data ends too early", .encoding.name())]
    Truncated {
        /// The encoding.
        encoding: Encoding,
    },
    /// The compressed bytes are wrong.
    #[error("the {} data is corrupt", .encoding.name())]
    Corrupt {
        /// The encoding.
        encoding: Encoding,
    },
}

/// Decompresses `bytes` to the end of `out`, at most `limit` bytes. After an error `out` holds what came before it.
///
/// For many messages a [`Decompressor`] is faster.
///
/// # Errors
///
/// As [`Decompressor::decompress`].
pub fn decompress(encoding: Encoding, bytes: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), DecompressError> {
    Decompressor::default().decompress(encoding, bytes, limit, out)
}

/// Compresses a message. `None` for encodings in which nothing is written.
pub fn compress(encoding: Encoding, bytes: &[u8]) -> Option<Vec<u8>> {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    match encoding {
        Encoding::Identity => Some(bytes.to_vec()),
        Encoding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).ok()?;
            encoder.finish().ok()
        }
        Encoding::Deflate => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(bytes).ok()?;
            encoder.finish().ok()
        }
        Encoding::Zstd => zstd::bulk::compress(bytes, zstd::DEFAULT_COMPRESSION_LEVEL).ok(),
        Encoding::Snappy => None,
    }
}

/// Decompresses messages one after another, and keeps its memory between them.
#[derive(Default)]
pub struct Decompressor {
    deflate: Option<Decompress>,
    zlib: Option<Decompress>,
    zstd: Option<Decoder<'static>>,
}

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decompressor").finish_non_exhaustive()
    }
}

impl Decompressor {
    /// Decompresses `bytes` to the end of `out`, at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// When there would be more than `limit` bytes, when the data is cut short, or when it is wrong. `out` then holds
    /// what came before that.
    pub fn decompress(
        &mut self,
        encoding: Encoding,
        bytes: &[u8],
        limit: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), DecompressError> {
        let mut sink = Sink { start: out.len(), limit, out, encoding };
        match encoding {
            Encoding::Identity => sink.append(bytes),
            Encoding::Gzip => self.gzip(bytes, &mut sink),
            Encoding::Deflate => self.zlib_or_bare(bytes, &mut sink),
            Encoding::Snappy => snappy(bytes, &mut sink),
            Encoding::Zstd => self.zstd(bytes, &mut sink),
        }
    }

    /// One member after another, each with its checksum (RFC 1952 §2.2).
    fn gzip(&mut self, mut bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), DecompressError> {
        loop {
            let header = gzip_header(bytes, sink)?;
            let body = bytes.get(header..).unwrap_or_default();
            let start = sink.out.len();
            let inflate = self.deflate.get_or_insert_with(|| Decompress::new(false));
            inflate.reset(false);
            let taken = run_inflate(inflate, body, sink)?;
            let mut trailer = Cursor::new(body.get(taken..).unwrap_or_default());
            let (Some(crc), Some(size)) =
                (trailer.array().map(u32::from_le_bytes), trailer.array().map(u32::from_le_bytes))
            else {
                return Err(sink.truncated());
            };
            let member = sink.out.get(start..).unwrap_or_default();
            let mut sum = Crc::new();
            sum.update(member);
            if sum.sum() != crc || member.len() as u32 != size {
                return Err(sink.corrupt());
            }
            bytes = trailer.rest();
            if bytes.is_empty() {
                return Ok(());
            }
        }
    }

    fn zlib_or_bare(&mut self, bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), DecompressError> {
        // RFC 1950 §2.2: method 8 in the low bits of the first byte, and both bytes a multiple of 31.
        let zlib = matches!(bytes, [first, second, ..]
            if first & 0x0f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31));
        if zlib {
            let inflate = self.zlib.get_or_insert_with(|| Decompress::new(true));
            inflate.reset(true);
            let start = sink.out.len();
            match run_inflate(inflate, bytes, sink) {
                Ok(_) => return Ok(()),
                // One in a thousand bare streams begins like this.
                Err(DecompressError::Corrupt { .. }) if sink.out.len() == start => {}
                Err(error) => return Err(error),
            }
        }
        let inflate = self.deflate.get_or_insert_with(|| Decompress::new(false));
        inflate.reset(false);
        run_inflate(inflate, bytes, sink).map(drop)
    }

    fn zstd(&mut self, bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), DecompressError> {
        let decoder = match &mut self.zstd {
            Some(decoder) => decoder,
            none => none.insert(Decoder::new().map_err(|_| sink.corrupt())?),
        };
        decoder.reinit().map_err(|_| sink.corrupt())?;
        let mut input = InBuffer::around(bytes);
        loop {
            sink.make_room(bytes.len())?;
            let (before, read) = (sink.out.len(), input.pos());
            let mut output = OutBuffer::around_pos(sink.out, before);
            let hint = decoder.run(&mut input, &mut output).map_err(|_| sink.corrupt())?;
            sink.check()?;
            // 0: a frame has ended. Another one may follow.
            if hint == 0 && input.pos() == bytes.len() {
                return Ok(());
            }
            if sink.out.len() == before && input.pos() == read {
                return Err(sink.truncated());
            }
        }
    }
}

/// Inflates one stream and says how many bytes it had.
fn run_inflate(inflate: &mut Decompress, bytes: &[u8], sink: &mut Sink<'_>) -> Result<usize, DecompressError> {
    loop {
        sink.make_room(bytes.len())?;
        let (before, taken) = (sink.out.len(), inflate.total_in());
        let rest = bytes.get(taken as usize..).unwrap_or_default();
        let status = inflate.decompress_vec(rest, sink.out, FlushDecompress::None).map_err(|_| sink.corrupt())?;
        sink.check()?;
        match status {
            Status::StreamEnd => return Ok(inflate.total_in() as usize),
            _ if sink.out.len() == before && inflate.total_in() == taken => return Err(sink.truncated()),
            _ => {}
        }
    }
}

/// Bytes of the header of a gzip member.
fn gzip_header(bytes: &[u8], sink: &Sink<'_>) -> Result<usize, DecompressError> {
    let mut cursor = Cursor::new(bytes);
    let Some([id1, id2, method, flags, ..]) = cursor.array::<10>() else { return Err(sink.truncated()) };
    if [id1, id2, method] != [0x1f, 0x8b, 8] {
        return Err(sink.corrupt());
    }
    let mut skip = || -> Option<()> {
        if flags & 0x04 != 0 {
            // FEXTRA
            let len = cursor.array().map(u16::from_le_bytes)?;
            cursor.take(usize::from(len))?;
        }
        for text in [0x08, 0x10] {
            // FNAME, FCOMMENT: up to a zero.
            if flags & text != 0 {
                let len = memchr::memchr(0, cursor.rest())?;
                cursor.take(len + 1)?;
            }
        }
        if flags & 0x02 != 0 {
            cursor.take(2)?; // FHCRC
        }
        Some(())
    };
    skip().ok_or_else(|| sink.truncated())?;
    Ok(cursor.position())
}

/// What a stream in Snappy's framing format begins with.
const SNAPPY_STREAM: &[u8] = b"\xff\x06\x00\x00sNaPpY";

fn snappy(bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), DecompressError> {
    if bytes.is_empty() {
        return Ok(());
    }
    if !bytes.starts_with(SNAPPY_STREAM) {
        return snappy_block(bytes, sink);
    }
    let room = (sink.limit as u64).saturating_add(1);
    let read = snap::read::FrameDecoder::new(bytes).take(room).read_to_end(sink.out);
    sink.check()?;
    match read {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err(sink.truncated()),
        Err(_) => Err(sink.corrupt()),
    }
}

fn snappy_block(bytes: &[u8], sink: &mut Sink<'_>) -> Result<(), DecompressError> {
    let len = snap::raw::decompress_len(bytes).map_err(|_| sink.corrupt())?;
    if len > sink.limit {
        return Err(sink.too_large());
    }
    // A byte of a block stands for at most 64 / 3: a length beyond that is a lie, and not worth its memory.
    if len / 22 > bytes.len() {
        return Err(sink.corrupt());
    }
    let decompressed = snap::raw::Decoder::new().decompress_vec(bytes).map_err(|_| sink.corrupt())?;
    sink.append(&decompressed)
}

/// Where decompressed bytes go.
struct Sink<'a> {
    out: &'a mut Vec<u8>,
    /// What was in `out` before.
    start: usize,
    limit: usize,
    encoding: Encoding,
}

impl Sink<'_> {
    fn append(&mut self, bytes: &[u8]) -> Result<(), DecompressError> {
        self.out.extend_from_slice(bytes.get(..self.limit).unwrap_or(bytes));
        if bytes.len() > self.limit { Err(self.too_large()) } else { Ok(()) }
    }

    /// Makes room for more, where there is none: as much again, and not more than one byte beyond the limit.
    fn make_room(&mut self, compressed: usize) -> Result<(), DecompressError> {
        if self.out.len() < self.out.capacity() {
            return Ok(());
        }
        let have = self.out.len() - self.start;
        let want = have.max(compressed.saturating_mul(3)).max(512);
        let most = self.limit.saturating_add(1).saturating_sub(have);
        if most == 0 {
            return Err(self.too_large());
        }
        self.out.reserve_exact(want.min(most));
        Ok(())
    }

    /// Cuts what is beyond the limit.
    fn check(&mut self) -> Result<(), DecompressError> {
        if self.out.len() - self.start <= self.limit {
            return Ok(());
        }
        self.out.truncate(self.start + self.limit);
        Err(self.too_large())
    }

    fn too_large(&self) -> DecompressError {
        DecompressError::TooLarge { limit: self.limit }
    }

    fn truncated(&self) -> DecompressError {
        DecompressError::Truncated { encoding: self.encoding }
    }

    fn corrupt(&self) -> DecompressError {
        DecompressError::Corrupt { encoding: self.encoding }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    const ALL: [Encoding; 5] =
        [Encoding::Identity, Encoding::Gzip, Encoding::Deflate, Encoding::Snappy, Encoding::Zstd];

    fn compressed(encoding: Encoding, text: &[u8]) -> Vec<u8> {
        match encoding {
            Encoding::Identity => text.to_vec(),
            Encoding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            Encoding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(text).unwrap();
                encoder.finish().unwrap()
            }
            Encoding::Snappy => {
                let mut encoder = snap::write::FrameEncoder::new(Vec::new());
                encoder.write_all(text).unwrap();
                encoder.into_inner().unwrap()
            }
            Encoding::Zstd => zstd::encode_all(text, 3).unwrap(),
        }
    }

    fn bare(text: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn all_of(encoding: Encoding, bytes: &[u8]) -> (Result<(), DecompressError>, Vec<u8>) {
        let mut out = b"before".to_vec();
        let result = decompress(encoding, bytes, 1 << 20, &mut out);
        (result, out.strip_prefix(b"before").unwrap().to_vec())
    }

    #[test]
    fn names() {
        for encoding in ALL {
            assert_eq!(Encoding::from_name(encoding.name().as_bytes()), Some(encoding));
        }
        assert_eq!(Encoding::from_name(b"br"), None);
    }

    #[test]
    fn a_bomb_is_stopped_and_what_came_before_is_there() {
        for encoding in ALL {
            let bomb = compressed(encoding, &vec![7; 3 << 20]);
            let (result, out) = all_of(encoding, &bomb);
            assert_eq!(result, Err(DecompressError::TooLarge { limit: 1 << 20 }), "{encoding:?}");
            assert_eq!(out, vec![7; 1 << 20], "{encoding:?}");
            assert_eq!(result.unwrap_err().to_string(), "the message decompresses to more than 1048576 bytes");
        }
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        for encoding in ALL {
            let (result, out) = all_of(encoding, &compressed(encoding, &vec![7; 1 << 20]));
            assert_eq!((result, out.len()), (Ok(()), 1 << 20), "{encoding:?}");
            let (result, _) = all_of(encoding, &compressed(encoding, &vec![7; (1 << 20) + 1]));
            assert_eq!(result, Err(DecompressError::TooLarge { limit: 1 << 20 }), "{encoding:?}");
        }
    }

    #[test]
    fn cut_data_says_so() {
        let text: Vec<u8> = (0..20_000u32).flat_map(|number| (number * number).to_le_bytes()).collect();
        for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Snappy, Encoding::Zstd] {
            let whole = compressed(encoding, &text);
            for cut in [whole.len() / 3, whole.len() - 1] {
                let (result, out) = all_of(encoding, &whole[..cut]);
                assert!(result.is_err(), "{encoding:?} {cut}");
                assert!(text.starts_with(&out), "{encoding:?} {cut}");
            }
        }
    }

    #[test]
    fn gzip_with_everything_in_its_header_and_two_members() {
        let mut bytes = vec![
            0x1f, 0x8b, // magic
            0x08, // deflate
            0x1e, // FHCRC, FEXTRA, FNAME, FCOMMENT
            0, 0, 0, 0, // time
            0, 255, // flags, system
            2, 0, b'x', b'y', // extra
            b'n', 0, // name
            b'c', 0, // comment
            0, 0, // header checksum
        ];
        bytes.extend(bare(b"abc"));
        let mut crc = Crc::new();
        crc.update(b"abc");
        bytes.extend(crc.sum().to_le_bytes());
        bytes.extend(3u32.to_le_bytes());
        bytes.extend(compressed(Encoding::Gzip, b"def"));
        assert_eq!(all_of(Encoding::Gzip, &bytes), (Ok(()), b"abcdef".to_vec()));
        for cut in 1..bytes.len() {
            let (result, out) = all_of(Encoding::Gzip, &bytes[..cut]);
            // Where the first member ends is a good end.
            assert_eq!(result.is_ok(), out == b"abc" && cut == bytes.len() - 23, "{cut}");
        }
    }

    #[test]
    fn a_wrong_checksum_is_corrupt() {
        let mut bytes = compressed(Encoding::Gzip, b"abc");
        let at = bytes.len() - 5;
        bytes[at] ^= 1;
        assert_eq!(all_of(Encoding::Gzip, &bytes).0, Err(DecompressError::Corrupt { encoding: Encoding::Gzip }));
    }

    #[test]
    fn bare_forms_are_tolerated() {
        assert_eq!(all_of(Encoding::Deflate, &bare(b"abcabcabc")), (Ok(()), b"abcabcabc".to_vec()));
        let block = snap::raw::Encoder::new().compress_vec(b"abcabcabcabcabc").unwrap();
        assert_eq!(all_of(Encoding::Snappy, &block), (Ok(()), b"abcabcabcabcabc".to_vec()));
        // A block that claims four gigabytes.
        let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, b'a'];
        assert_eq!(all_of(Encoding::Snappy, &lie).0, Err(DecompressError::TooLarge { limit: 1 << 20 }));
        let lie = [0xff, 0xff, 0x3f, 0x00, b'a'];
        assert_eq!(all_of(Encoding::Snappy, &lie).0, Err(DecompressError::Corrupt { encoding: Encoding::Snappy }));
    }

    proptest! {
        #[test]
        fn back_and_forth_with_one_decompressor(texts in prop::collection::vec(any::<Vec<u8>>(), 1..6)) {
            let mut decompressor = Decompressor::default();
            for text in &texts {
                for encoding in ALL {
                    let mut out = Vec::new();
                    let bytes = compressed(encoding, text);
                    prop_assert_eq!(decompressor.decompress(encoding, &bytes, 1 << 20, &mut out), Ok(()));
                    prop_assert_eq!(&out, text);
                    // What failed before spoils nothing.
                    let _ = decompressor.decompress(encoding, &bytes[..bytes.len() / 2], 1 << 20, &mut Vec::new());
                }
            }
        }

        #[test]
        fn any_bytes_end(bytes: Vec<u8>) {
            for encoding in ALL {
                let mut out = Vec::new();
                let _ = decompress(encoding, &bytes, 1000, &mut out);
                prop_assert!(out.len() <= 1000);
            }
        }
    }
}
