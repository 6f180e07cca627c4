//! A message without its type: what the wire tells, and guesses at the rest.
//!
//! Field numbers to lists of values, in the order of the numbers:
//! `{"1": ["world"], "2": [{"1": [7]}], "3": [{"bytes": "<base64>"}], "4": [{"fixed32": 1}]}`. Packed numbers are
//! `{"packed": [1, 2, 3]}`, 64 bits `{"fixed64": 1}`, a group `{"group": {…}}`. Four and eight bytes that make a likely
//! floating-point number have it beside them, `{"fixed64": "4621537642612260864", "double": 9.5}`; whole numbers beyond 2^53
//! are strings, since many programs would round them.
//!
//! Strings, messages, packed numbers and bytes look alike on the wire. [`guess`] tells them apart by what real messages
//! hold; it looks at one level only, so that the whole costs no more than the bytes times the depth.

use std::ops::Range;

use super::SpanNote;
use super::note::Notes;
use super::typed::Packed;
use super::wire::{Field, Fields, MAX_DEPTH, Value};
use crate::Severity;
use crate::json::{self, Drain, comma};
use crate::schema::Kind;

/// Field numbers beyond this are assumed to be accidental: schemas count from 1, and what is higher is mostly an extension of an
/// options message (Google gives those out from 1,000 on; those of others begin at 50,000).
const LIKELY_NUMBER: u32 = 4096;

/// What the bytes of a length-delimited field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guess<'a> {
    /// A string.
    Text(&'a str),
    /// A message.
    Message,
    /// Varints, one after the other.
    Packed,
    /// None of these.
    Bytes,
}

/// Appends `bytes`, a message of unknown type, to `out`.
pub fn write_json(bytes: &[u8], out: &mut Vec<u8>) -> Vec<SpanNote> {
    write_json_draining(bytes, out, &mut json::keep)
}

/// The same for a message of any size: `drain` empties `out` as it fills.
pub fn write_json_draining(bytes: &[u8], out: &mut Vec<u8>, drain: Drain<'_>) -> Vec<SpanNote> {
    let end = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut job = Job { bytes, entries: Vec::new(), notes: Notes::default(), out, drain };
    job.message(0..end, 0);
    job.notes.finish()
}

/// Appends the value of the field at `span` of `message` to `out`.
pub(crate) fn write_field(message: &[u8], span: Range<u32>, out: &mut Vec<u8>, drain: Drain<'_>) {
    let mut job = Job { bytes: message, entries: Vec::new(), notes: Notes::default(), out, drain };
    match Fields::within(message, span).next() {
        Some(Ok(field)) => job.value(&field, 0),
        _ => job.out.extend_from_slice(b"null"),
    }
}

/// Fields of a message with the same number that follow each other: their number, the first tag, the last end. Sorted by number,
/// and by where they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    number: u32,
    at: u32,
    end: u32,
}

/// Entries of a message that are sorted at a time: a message with more is read several times.
const MAX_ENTRIES: usize = 1 << 21;

/// Numbers of one byte each that are written at a time: few enough that the buffer is drained in time.
const SMALL_RUN: usize = 4096;

/// One message on its way into `out`.
struct Job<'a, 'o> {
    bytes: &'a [u8],
    /// A stack: every message that is being printed has its fields on it.
    entries: Vec<Entry>,
    notes: Notes,
    out: &'o mut Vec<u8>,
    drain: Drain<'o>,
}

impl Job<'_, '_> {
    fn message(&mut self, range: Range<u32>, depth: u32) {
        let base = self.entries.len();
        self.out.push(b'{');
        let mut number = 0;
        let mut after = None;
        loop {
            let more = self.gather(range.clone(), base, after);
            after = self.entries.get(base..).unwrap_or_default().last().copied();
            for at in base..self.entries.len() {
                let Some(&entry) = self.entries.get(at) else { break };
                self.entry(entry, &mut number, depth);
            }
            self.entries.truncate(base);
            if !more {
                break;
            }
        }
        if number != 0 {
            self.out.push(b']');
        }
        self.out.push(b'}');
    }

    /// Puts on the stack, sorted, the first fields of a message after the entry `after`, at most some [`MAX_ENTRIES`]. Whether
    /// there are more.
    fn gather(&mut self, range: Range<u32>, base: usize, after: Option<Entry>) -> bool {
        let mut run: Option<Entry> = None;
        let mut limit = None;
        let mut fields = Fields::within(self.bytes, range);
        for item in fields.by_ref() {
            let field = match item {
                Ok(field) => field,
                Err(broken) if after.is_none() => {
                    self.notes.add(Severity::Error, "pb-broken", broken.at..broken.end, || {
                        format!("the message {}", broken.cause.text())
                    });
                    continue;
                }
                Err(_) => continue,
            };
            match &mut run {
                Some(run) if run.number == field.number && run.end == field.at => run.end = field.end,
                _ => {
                    let entry = Entry { number: field.number, at: field.at, end: field.end };
                    let whole = run.replace(entry);
                    self.gather_entry(base, whole, after, &mut limit);
                }
            }
        }
        self.gather_entry(base, run, after, &mut limit);
        if let (None, Some(span)) = (after, fields.overlong()) {
            self.notes.overlong(span);
        }
        self.entries.get_mut(base..).unwrap_or_default().sort_unstable();
        limit.is_some()
    }

    /// Puts an entry on the stack if it lies after `after` and not after `limit`, which is set when there are too many.
    fn gather_entry(&mut self, base: usize, entry: Option<Entry>, after: Option<Entry>, limit: &mut Option<Entry>) {
        let wanted =
            |entry: &Entry| after.is_none_or(|after| *entry > after) && limit.is_none_or(|limit| *entry <= limit);
        let Some(entry) = entry.filter(wanted) else { return };
        self.entries.push(entry);
        let gathered = self.entries.get_mut(base..).unwrap_or_default();
        if gathered.len() >= 2 * MAX_ENTRIES {
            let (_, last, _) = gathered.select_nth_unstable(MAX_ENTRIES - 1);
            *limit = Some(*last);
            self.entries.truncate(base + MAX_ENTRIES);
        }
    }

    /// The fields of an entry; `number` is that of the entry before.
    fn entry(&mut self, entry: Entry, number: &mut u32, depth: u32) {
        if entry.number != *number {
            if *number != 0 {
                self.out.extend_from_slice(b"],");
            }
            self.out.push(b'"');
            json::write_unsigned(self.out, u64::from(entry.number));
            self.out.extend_from_slice(b"\":[");
            *number = entry.number;
        }
        for field in Fields::within(self.bytes, entry.at..entry.end).filter_map(Result::ok) {
            comma(self.out);
            self.value(&field, depth);
            json::checkpoint(self.out, self.drain);
        }
    }

    fn value(&mut self, field: &Field<'_>, depth: u32) {
        match field.value {
            Value::Varint(number) => json::write_exact(self.out, number),
            Value::Fixed32(number) => {
                self.out.extend_from_slice(b"{\"fixed32\":");
                json::write_unsigned(self.out, u64::from(number));
                if let Some(float) = likely_float(number) {
                    self.out.extend_from_slice(b",\"float\":");
                    json::write_f32(self.out, float);
                }
                self.out.push(b'}');
            }
            Value::Fixed64(number) => {
                self.out.extend_from_slice(b"{\"fixed64\":");
                json::write_exact(self.out, number);
                if let Some(double) = likely_double(number) {
                    self.out.extend_from_slice(b",\"double\":");
                    json::write_f64(self.out, double);
                }
                self.out.push(b'}');
            }
            Value::Group(bytes) if depth < MAX_DEPTH => {
                self.out.extend_from_slice(b"{\"group\":");
                self.message(field.value_at..field.value_at + bytes.len() as u32, depth + 1);
                self.out.push(b'}');
            }
            Value::Bytes(bytes) => match guess(bytes) {
                Guess::Text(text) => {
                    json::write_bytes_lossy_draining(self.out, text.as_bytes(), self.drain);
                }
                Guess::Message if depth < MAX_DEPTH => self.message(field.value_at..field.end, depth + 1),
                Guess::Packed => self.packed(bytes),
                Guess::Message | Guess::Bytes => self.bytes(bytes),
            },
            Value::Group(bytes) => self.bytes(bytes),
        }
    }

    /// Varints, one after the other.
    fn packed(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(b"{\"packed\":[");
        let mut rest = bytes;
        while !rest.is_empty() {
            comma(self.out);
            let small = rest.iter().take(SMALL_RUN).take_while(|&&byte| byte < 0x80).count();
            let len = if small > 0 {
                json::write_small_numbers(self.out, rest.get(..small).unwrap_or_default());
                small
            } else {
                let Some(Ok((bits, range))) = Packed::new(Kind::Uint64, rest, 0).next() else { break };
                json::write_exact(self.out, bits);
                range.end as usize
            };
            rest = rest.get(len..).unwrap_or_default();
            json::checkpoint(self.out, self.drain);
        }
        self.out.extend_from_slice(b"]}");
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(b"{\"bytes\":");
        json::write_base64_draining(self.out, bytes, self.drain);
        self.out.push(b'}');
    }
}

/// The floating-point number that eight bytes probably are: none for whole numbers and bytes of chance, which are mostly very
/// small or very large as such.
pub fn likely_double(bits: u64) -> Option<f64> {
    Some(f64::from_bits(bits)).filter(|value| (1e-9..1e15).contains(&value.abs()))
}

/// The same of four bytes.
pub fn likely_float(bits: u32) -> Option<f32> {
    Some(f32::from_bits(bits)).filter(|value| (1e-6..1e9).contains(&value.abs()))
}

/// What `bytes` probably are.
///
/// 1. Nothing at all is an empty message: a string without presence would not be there.
/// 2. Printable text is text, unless it begins with the line feed that is also the tag of a first field 1 and its length
///    and all that follows fit.
/// 3. What reads as a message to the last byte, with likely field numbers, is one.
/// 4. UTF-8 with a few odd characters is text.
/// 5. Varints that are written as short as can be, and mostly small, are packed numbers.
pub fn guess(bytes: &[u8]) -> Guess<'_> {
    if bytes.is_empty() {
        return Guess::Message;
    }
    let text = std::str::from_utf8(bytes).ok();
    let odd = text.map_or(usize::MAX, odd_characters);
    if let Some(text) = text
        && odd == 0
    {
        let may_be_message = bytes.first() == Some(&b'\n') && reads_as_message(bytes);
        return if may_be_message { Guess::Message } else { Guess::Text(text) };
    }
    if reads_as_message(bytes) {
        return Guess::Message;
    }
    if let Some(text) = text
        && !text.contains('\0')
        && odd * 8 <= text.len()
    {
        return Guess::Text(text);
    }
    if reads_as_packed(bytes) {
        return Guess::Packed;
    }
    Guess::Bytes
}

/// How many control characters other than line feed, carriage return and tab there are.
fn odd_characters(text: &str) -> usize {
    let bytes = text.as_bytes();
    // Without a branch a byte.
    let is_control = |byte: u8| (byte < 0x20) & (byte != b'\n') & (byte != b'\r') & (byte != b'\t') | (byte == 0x7f);
    let ascii = bytes.iter().map(|&byte| usize::from(is_control(byte))).sum::<usize>();
    if text.is_ascii() {
        return ascii;
    }
    // U+0080 to U+009F in UTF-8.
    ascii + bytes.windows(2).filter(|pair| matches!(pair, [0xc2, 0x80..=0x9f])).count()
}

fn reads_as_message(bytes: &[u8]) -> bool {
    Fields::new(bytes).all(|item| item.is_ok_and(|field| field.number <= LIKELY_NUMBER))
}

fn reads_as_packed(bytes: &[u8]) -> bool {
    let mut count = 0;
    let mut rest = bytes;
    while !rest.is_empty() {
        // The common case: numbers of one byte.
        let small = rest.iter().take_while(|&&byte| byte < 0x80).count();
        count += small;
        rest = rest.get(small..).unwrap_or_default();
        let Some(item) = Packed::new(Kind::Uint64, rest, 0).next() else { break };
        let Ok((bits, range)) = item else { return false };
        let shortest = (64 - bits.leading_zeros()).div_ceil(7).max(1);
        if range.end != shortest {
            return false;
        }
        // A negative int32 or int64 has ten bytes; else numbers are small much more often than not.
        count += if shortest == 10 { 10 } else { 1 };
        rest = rest.get(range.end as usize..).unwrap_or_default();
    }
    // Every other byte of chance has its highest bit set: two bytes a number.
    bytes.len() <= 8 || count * 3 >= bytes.len() * 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        write_json(bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_to_lists_of_guesses() {
        let bytes = [
            &[0x25, 1, 0, 0, 0][..],                  // 4: 32 bits
            &[0x0a, 5, b'w', b'o', b'r', b'l', b'd'], // 1: "world"
            &[0x12, 2, 0x08, 7],                      // 2: a message with 1: 7
            &[0x1a, 2, 0xff, 0xfe],                   // 3: bytes
            &[0x29, 2, 0, 0, 0, 0, 0, 0, 0],          // 5: 64 bits
            &[0x33, 0x08, 1, 0x34],                   // 6: a group with 1: 1
            &[0x3a, 4, 0x01, 0xac, 0x02, 0x03],       // 7: packed 1, 300, 3
            &[0x0a, 2, b'h', b'i'],                   // 1: "hi"
            &[0x42, 0],                               // 8: nothing
        ]
        .concat();
        assert_eq!(
            json(&bytes),
            concat!(
                r#"{"1":["world","hi"],"2":[{"1":[7]}],"3":[{"bytes":"//4="}],"4":[{"fixed32":1}],"5":[{"fixed64":2}],"#,
                r#""6":[{"group":{"1":[1]}}],"7":[{"packed":[1,300,3]}],"8":[{}]}"#
            )
        );
        assert_eq!(json(&[]), "{}");
    }

    #[test]
    fn numbers_that_a_double_cannot_hold_are_strings_and_likely_floats_are_shown() {
        let bytes = [
            &[0x09][..],
            &9.5_f64.to_le_bytes(),                                  // 1
            &[0x11, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // 2: 2^64-1
            &[0x1d],
            &(-2.5_f32).to_le_bytes(),                               // 3
            &[0x20, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10], // 4: 2^53
            &[0x28, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10], // 5: 2^53+1
            &[0x35, 7, 0, 0, 0],                                     // 6: a small number
        ]
        .concat();
        assert_eq!(
            json(&bytes),
            concat!(
                r#"{"1":[{"fixed64":"4621537642612260864","double":9.5}],"2":[{"fixed64":"18446744073709551615"}],"#,
                r#""3":[{"fixed32":3223322624,"float":-2.5}],"4":[9007199254740992],"5":["9007199254740993"],"6":[{"fixed32":7}]}"#
            )
        );
    }

    #[test]
    fn packed_numbers_are_written_one_by_one_however_many_of_one_byte_follow_each_other() {
        let mut numbers: Vec<u64> = (0..128).chain([128, 300, 1 << 53, (1 << 53) + 1, u64::MAX, 0, 7]).collect();
        numbers.extend(std::iter::repeat_n(5, 2 * SMALL_RUN + 1));
        let mut packed = Vec::new();
        numbers.iter().for_each(|&number| prost::encoding::encode_varint(number, &mut packed));
        assert_eq!(guess(&packed), Guess::Packed);
        let mut message = vec![0x0a];
        prost::encoding::encode_varint(packed.len() as u64, &mut message);
        message.extend(packed);
        let text = |&number: &u64| if number > 1 << 53 { format!("\"{number}\"") } else { number.to_string() };
        let expected: Vec<String> = numbers.iter().map(text).collect();
        assert_eq!(json(&message), format!("{{\"1\":[{{\"packed\":[{}]}}]}}", expected.join(",")));
    }

    #[test]
    fn varints_that_are_longer_than_they_need_to_be_are_noted_once() {
        let mut out = Vec::new();
        // 1: 1 in two bytes, and a length in two bytes.
        let notes = write_json(&[0x08, 0x81, 0x00, 0x12, 0x81, 0x00, b'x'], &mut out);
        assert_eq!(out, br#"{"1":[1],"2":["x"]}"#);
        assert_eq!(notes.len(), 1);
        assert_eq!((notes[0].kind, notes[0].span.clone()), ("pb-overlong", 0..3));
        // A negative int32 has ten bytes.
        let minus_one = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(write_json(&minus_one, &mut Vec::new()), []);
    }

    #[test]
    fn a_large_message_of_many_fields_is_printed_through_a_small_buffer() {
        // Fields 1 and 2 in turns, more than are sorted at a time.
        let pairs = 2 * MAX_ENTRIES / 2 + 10;
        let bytes = [0x08, 5, 0x10, 6].repeat(pairs);
        let (mut out, mut written, mut largest) = (Vec::new(), Vec::new(), 0);
        write_json_draining(&bytes, &mut out, &mut |out| {
            largest = largest.max(out.len());
            json::drain_to(out, |text| written.extend_from_slice(text));
        });
        written.extend(out);
        assert!(largest < 2 * json::DRAIN_AT);
        let list = |value: &str| vec![value; pairs].join(",");
        assert!(written == format!("{{\"1\":[{}],\"2\":[{}]}}", list("5"), list("6")).into_bytes());
    }

    #[test]
    fn what_is_broken_is_said_and_the_rest_is_shown() {
        let mut out = Vec::new();
        let notes = write_json(&[0x08, 1, 0x12, 9, b'x'], &mut out);
        assert_eq!(out, br#"{"1":[1]}"#);
        assert_eq!((notes.len(), notes[0].kind, notes[0].span.clone()), (1, "pb-broken", 2..5));
    }

    #[test]
    fn text_messages_numbers_and_bytes_are_told_apart() {
        let long = [&b"\n\x20"[..], &[b'x'; 32]].concat();
        let uuid = [0x9f, 0x1c, 0x83, 0x52, 0xe6, 0x44, 0xbb, 0x0d, 0xa1, 0x77, 0xd8, 0x90, 0xfe, 0x31, 0xc5, 0xf2];
        let cases = [
            (&b"(7"[..], Guess::Text("(7")), // also 5: 55
            (b"\nfirst line", Guess::Text("\nfirst line")),
            (&long, Guess::Message), // 1: 32 characters
            ("gr\u{fc}n".as_bytes(), Guess::Text("gr\u{fc}n")),
            (b"\x0a\x01a", Guess::Message),
            (b"\x08\x96\x01", Guess::Message),
            (b"\x01\x02\x03", Guess::Packed),
            (b"\x05\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", Guess::Packed), // 5, -1
            (b"coloured \x1b[31mtext\x1b[0m", Guess::Text("coloured \u{1b}[31mtext\u{1b}[0m")),
            (&uuid, Guess::Bytes),
            (b"\x80", Guess::Bytes),
        ];
        for (bytes, expected) in cases {
            assert_eq!(guess(bytes), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn a_message_in_a_message_costs_no_more_than_its_depth() {
        let mut bytes = vec![0x08, 1];
        for _ in 0..20_000 {
            let mut outer = vec![0x0a];
            prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
            outer.extend(&bytes);
            bytes = outer;
        }
        // Were every level looked at by all above it, this would not end.
        assert_eq!(json(&bytes).matches("\"1\":[").count(), MAX_DEPTH as usize + 1);
    }

    proptest! {
        #[test]
        fn any_bytes_give_json(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = json(&bytes);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
        }
    }
}
