//! The bytes in the arguments of calls that read and write.
//!
//! ```text
//! write(3, "…", 22) = 22                       the string is all that was asked for; the result is what was taken
//! readv(3, [{iov_base="…", iov_len=9}, …], 2)  the lengths are room; the result is what was filled
//! sendmsg(3, {msg_name=NULL, …, msg_iov=[{iov_base="…", iov_len=9}, …], …}, 0)
//! sendmmsg(3, [{msg_hdr={…}, msg_len=9}, …], 2, 0) = 2
//! writev(3, [{"…", 9}, …], 2)                  before strace 4.21
//! ```

use std::ops::Range;

use super::fd::split;
use super::prefix::number;
use super::string;

/// Some bytes of the buffer, and how many bytes are missing after them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) bytes: Range<usize>,
    pub(super) missing: u64,
}

/// Where the bytes of a call stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One string.
    Buffer,
    /// A list of strings.
    Vector,
    /// A message with such a list in it.
    Message,
    /// A list of messages.
    Messages,
}

/// Collects what a call moved: `moved` bytes (or messages), as far as `args` (what follows the descriptor) show them.
/// They are put after `into`. Also gives what follows them in `args`.
pub(super) fn collect<'a>(shape: Shape, args: &'a [u8], moved: u64, into: &mut Vec<u8>) -> (Vec<Piece>, &'a [u8]) {
    let mut parts = Parts { pieces: Vec::new(), left: moved, into };
    let rest = match shape {
        Shape::Buffer => parts.buffer(args),
        Shape::Vector => split(args, b"[").and_then(|(_, list)| parts.list(list)),
        Shape::Message => parts.message(args),
        Shape::Messages => parts.messages(args, moved),
    };
    let left = std::mem::take(&mut parts.left);
    parts.missing(left);
    (parts.pieces, rest.unwrap_or_default())
}

struct Parts<'a> {
    pieces: Vec<Piece>,
    left: u64,
    into: &'a mut Vec<u8>,
}

impl Parts<'_> {
    fn missing(&mut self, count: u64) {
        if count > 0 {
            match self.pieces.last_mut() {
                Some(last) => last.missing += count,
                None => self.pieces.push(Piece { bytes: self.into.len()..self.into.len(), missing: count }),
            }
        }
    }

    fn buffer<'a>(&mut self, args: &'a [u8]) -> Option<&'a [u8]> {
        let start = self.into.len();
        let limit = usize::try_from(self.left).unwrap_or(usize::MAX);
        let end = string::decode(args, limit, self.into)?;
        self.took(start);
        Some(end.rest)
    }

    /// The bytes from `start` on are a piece.
    fn took(&mut self, start: usize) -> u64 {
        let bytes = start..self.into.len();
        let len = bytes.len() as u64;
        self.left -= len.min(self.left);
        match self.pieces.last_mut() {
            Some(last) if last.missing == 0 && last.bytes.end == start => last.bytes.end = bytes.end,
            _ if len == 0 => {}
            _ => self.pieces.push(Piece { bytes, missing: 0 }),
        }
        len
    }

    /// What follows the `[` of a list of strings; gives what follows the list.
    fn list<'a>(&mut self, mut text: &'a [u8]) -> Option<&'a [u8]> {
        loop {
            if let Some(rest) = text.strip_prefix(b"]") {
                return Some(rest);
            }
            // A list that is too long for strace ends with `...`.
            let item = text.strip_prefix(b"{")?;
            let item = item.strip_prefix(b"iov_base=").unwrap_or(item);
            let start = self.into.len();
            let limit = usize::try_from(self.left).unwrap_or(usize::MAX);
            let (rest, is_whole) = match string::decode(item, limit, self.into) {
                Some(end) => (end.rest, !end.is_cut),
                // An address, where strace does not show what is there.
                None => (item.get(memchr::memchr(b',', item)?..)?, false),
            };
            let rest = rest.strip_prefix(b", ")?;
            let (room, rest) = number(rest.strip_prefix(b"iov_len=").unwrap_or(rest))?;
            let left = self.left;
            let len = self.took(start);
            if !is_whole {
                let missing = room.min(left).saturating_sub(len);
                self.left -= missing;
                self.missing(missing);
            }
            let rest = rest.strip_prefix(b"}")?;
            text = rest.strip_prefix(b", ").unwrap_or(rest);
        }
    }

    fn message<'a>(&mut self, args: &'a [u8]) -> Option<&'a [u8]> {
        // `msg_iov(2)=[` before strace 4.21.
        let (_, list) = split(args, b"msg_iov")?;
        let list = list.get(memchr::memchr(b'[', list)? + 1..)?;
        self.list(list)
    }

    /// Of a list of `count` messages.
    fn messages<'a>(&mut self, mut args: &'a [u8], count: u64) -> Option<&'a [u8]> {
        self.left = 0;
        for _ in 0..count {
            let (_, list) = split(args, b"msg_iov")?;
            let list = list.get(memchr::memchr(b'[', list)? + 1..)?;
            // How long the message is follows it.
            let kept = self.into.len();
            let rest = Parts { pieces: Vec::new(), left: u64::MAX, into: self.into }.list(list)?;
            self.into.truncate(kept);
            let (_, length) = split(rest, b"msg_len=")?;
            let (length, rest) = number(length)?;
            self.left = length;
            self.list(list)?;
            let left = std::mem::take(&mut self.left);
            self.missing(left);
            args = rest;
        }
        Some(args)
    }
}

/// The bytes of the lines that `-e read=` and `-e write=` put after a call.
///
/// ```text
///  * 4 bytes in buffer 0
///  | 00000  00 00 00 20 68 65 6c 6c  6f 20 77 6f 72 6c 64 21  ... hello world! |
/// ```
pub(super) fn dumped(lines: &[u8], into: &mut Vec<u8>) -> Range<usize> {
    /// Where the first number follows the offset, which has five digits or more.
    const BYTES: usize = 16;

    let start = into.len();
    for line in lines.split(|&byte| byte == b'\n') {
        let Some(line) = line.strip_prefix(b" | ") else { continue };
        let Some((_, mut line)) = split(line, b"  ") else { continue };
        for count in 0..BYTES {
            let [high, low, rest @ ..] = line else { break };
            let Some(byte) = string::hex(*high, *low) else { break };
            into.push(byte);
            // One space, but two in the middle.
            let spaces = if count == BYTES / 2 - 1 { 2 } else { 1 };
            line = rest.get(spaces..).unwrap_or_default();
        }
    }
    start..into.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces as text: `abc[3]d` has a gap of three bytes.
    fn pieces(shape: Shape, args: &str, moved: u64) -> String {
        let mut buffer = b"before".to_vec();
        let (pieces, _) = collect(shape, args.as_bytes(), moved, &mut buffer);
        let mut text = String::new();
        for piece in pieces {
            text += str::from_utf8(&buffer[piece.bytes]).unwrap();
            if piece.missing > 0 {
                text += &format!("[{}]", piece.missing);
            }
        }
        text
    }

    #[test]
    fn a_buffer_is_cut_to_what_was_moved() {
        assert_eq!(pieces(Shape::Buffer, r#""abcdef", 6"#, 6), "abcdef");
        assert_eq!(pieces(Shape::Buffer, r#""abcdef", 6"#, 4), "abcd");
        assert_eq!(pieces(Shape::Buffer, r#""abc"..., 6"#, 6), "abc[3]");
        assert_eq!(pieces(Shape::Buffer, r#""abc"..., 6"#, 2), "ab");
        assert_eq!(pieces(Shape::Buffer, "0x7ffe, 6", 6), "[6]");
        assert_eq!(pieces(Shape::Buffer, "\"ab", 6), "[6]");
    }

    #[test]
    fn a_vector_is_cut_to_what_was_moved() {
        let whole = r#"[{iov_base="ab", iov_len=2}, {iov_base="cde", iov_len=3}], 2"#;
        assert_eq!(pieces(Shape::Vector, whole, 5), "abcde");
        assert_eq!(pieces(Shape::Vector, whole, 3), "abc");
        let read = r#"[{iov_base="ab", iov_len=2}, {iov_base="c", iov_len=8192}], 2"#;
        assert_eq!(pieces(Shape::Vector, read, 3), "abc");
        let cut = r#"[{iov_base="ab"..., iov_len=4}, {iov_base="c"..., iov_len=8192}], 2"#;
        assert_eq!(pieces(Shape::Vector, cut, 7), "ab[2]c[2]");
        assert_eq!(pieces(Shape::Vector, r#"[{"ab", 2}, {"c", 1}], 2"#, 3), "abc");
        assert_eq!(pieces(Shape::Vector, r#"[{iov_base=0x7f, iov_len=2}, {iov_base="c", iov_len=1}], 2"#, 3), "[2]c");
        assert_eq!(pieces(Shape::Vector, r#"[{iov_base="ab", iov_len=2}, ...], 40"#, 9), "ab[7]");
        assert_eq!(pieces(Shape::Vector, "0x7ffe", 9), "[9]");
    }

    #[test]
    fn messages_are_read() {
        let one = r#"{msg_name={sa_family=AF_UNIX, sun_path="x"}, msg_namelen=3, msg_iov=[{iov_base="ab", iov_len=9}], msg_iovlen=1, msg_flags=0}"#;
        assert_eq!(pieces(Shape::Message, &format!("{one}, 0"), 2), "ab");
        assert_eq!(pieces(Shape::Message, r#"{msg_name(0)=NULL, msg_iov(1)=[{"ab", 9}], msg_flags=0}, 0"#, 2), "ab");
        let two = format!("[{{msg_hdr={one}, msg_len=2}}, {{msg_hdr={one}, msg_len=1}}], 2, 0");
        assert_eq!(pieces(Shape::Messages, &two, 2), "aba");
        assert_eq!(pieces(Shape::Messages, &two, 1), "ab");
    }

    #[test]
    fn dumps_are_read() {
        let lines = b" * 20 bytes in buffer 0\n | 00000  00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  ................ |\n \
            | 00010  30 31 32 33                                       0123             |\n";
        let mut into = Vec::new();
        assert_eq!(dumped(lines, &mut into), 0..20);
        assert_eq!(into, b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f0123");
    }
}
