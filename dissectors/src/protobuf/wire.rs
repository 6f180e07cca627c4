//! The wire format (<https://protobuf.dev/programming-guides/encoding/>): tags, varints, groups, and where they lie.
//!
//! Nothing here knows a schema. What is wrong with the bytes comes out as [`Broken`] in its place, and reading continues
//! after it where the framing tells where that is.
//!
//! ```text
//! field  = tag value            tag = varint (number << 3 | wire type)
//! value  = varint               wire type 0
//!        | 8 bytes              1
//!        | length:varint bytes  2
//!        | field* end-tag       3, up to the tag with the same number and wire type 4
//!        | 4 bytes              5
//! ```

use std::ops::Range;

use smallvec::SmallVec;

use crate::Cursor;

/// How deep messages and groups may be nested, as in Google's implementations. Bounds every recursion over a message.
pub const MAX_DEPTH: u32 = 100;

/// The largest field number that there is: 29 bits.
const MAX_NUMBER: u64 = (1 << 29) - 1;

/// A value as the wire has it, without a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: a string, bytes, a message, packed numbers.
    Bytes(&'a [u8]),
    /// Wire types 3 and 4: what is between the tags.
    Group(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

/// One field: tag and value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Field number.
    pub number: u32,
    /// Its value.
    pub value: Value<'a>,
    /// Where the tag begins.
    pub at: u32,
    /// Where the value begins: after the tag, and after the length where there is one.
    pub value_at: u32,
    /// Where the field ends; for a group, after its end tag.
    pub end: u32,
}

/// Something that is not a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken<'a> {
    /// What is wrong.
    pub cause: Cause,
    /// The field's number, 0 where it is not known.
    pub number: u32,
    /// Where it begins.
    pub at: u32,
    /// Where reading continues: at the end of the bytes unless the framing tells.
    pub end: u32,
    /// What there is of a length-delimited value or group that is cut short, and where it begins.
    pub partial: Option<(u32, Value<'a>)>,
}

/// Why bytes are not a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The bytes end inside of the field.
    CutShort,
    /// A varint of more than 10 bytes.
    LongVarint,
    /// The field number is 0 or takes more than 29 bits.
    Number,
    /// Wire type 6 or 7.
    WireType(u8),
    /// An end-group tag without its start.
    StrayEnd,
    /// Groups within groups beyond [`MAX_DEPTH`].
    TooDeep,
}

impl Cause {
    /// The same for people: what is true of the message.
    pub const fn text(self) -> &'static str {
        match self {
            Self::CutShort => "ends inside a field",
            Self::LongVarint => "has a varint of more than 10 bytes",
            Self::Number => "has a field number that is 0 or takes more than 29 bits",
            Self::WireType(6) => "has a field of wire type 6, which does not exist",
            Self::WireType(_) => "has a field of wire type 7, which does not exist",
            Self::StrayEnd => "has the end of a group that has not begun",
            Self::TooDeep => "has groups nested more than 100 deep",
        }
    }
}

/// The fields of a message, in the order in which they lie.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    cursor: Cursor<'a>,
    /// Where the first byte of the cursor's slice lies.
    base: u32,
    /// The first field with a varint that is longer than it needs to be.
    overlong: Option<(u32, u32)>,
}

impl<'a> Fields<'a> {
    /// Those of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(bytes), base: 0, overlong: None }
    }

    /// Those of `bytes`, which lie at `base` of a message: positions count from its beginning.
    pub const fn at(bytes: &'a [u8], base: u32) -> Self {
        Self { cursor: Cursor::new(bytes), base, overlong: None }
    }

    /// Those that lie within `range` of `message`.
    pub fn within(message: &'a [u8], range: Range<u32>) -> Self {
        let bytes = message.get(range.start as usize..range.end as usize).unwrap_or_default();
        Self { cursor: Cursor::new(bytes), base: range.start, overlong: None }
    }

    /// Where the next field begins.
    #[inline]
    pub fn here(&self) -> u32 {
        self.base + self.cursor.position() as u32
    }

    /// The first field so far whose tag, length or number takes more bytes than it needs.
    pub fn overlong(&self) -> Option<Range<u32>> {
        self.overlong.map(|(at, end)| at..end)
    }

    /// Everything from `at` is lost.
    #[cold]
    fn broken(&mut self, cause: Cause, number: u32, at: u32, partial: Option<(u32, Value<'a>)>) -> Broken<'a> {
        self.cursor.take(self.cursor.rest().len());
        Broken { cause, number, at, end: self.here(), partial }
    }

    /// The wire type still tells where the next field is.
    #[cold]
    fn bad_number(&mut self, wire_type: u64, at: u32) -> Broken<'a> {
        match self.value(wire_type, 0, at) {
            Ok(_) => Broken { cause: Cause::Number, number: 0, at, end: self.here(), partial: None },
            Err(broken) => broken,
        }
    }

    // Inlined whatever its size: the result has one way to memory, not two.
    #[inline(always)]
    fn value(&mut self, wire_type: u64, number: u32, at: u32) -> Result<(u32, Value<'a>), Broken<'a>> {
        let value_at = self.here();
        let fixed = |value: Option<Value<'a>>| value.map(|value| (value_at, value)).ok_or(Cause::CutShort);
        let read = match wire_type {
            0 => varint(&mut self.cursor).map(|v| (value_at, Value::Varint(v))),
            1 => fixed(self.cursor.array().map(|b| Value::Fixed64(u64::from_le_bytes(b)))),
            2 => match varint(&mut self.cursor) {
                Ok(len) => {
                    let value_at = self.here();
                    match usize::try_from(len).ok().and_then(|len| self.cursor.take(len)) {
                        Some(bytes) => Ok((value_at, Value::Bytes(bytes))),
                        None => {
                            let partial = Some((value_at, Value::Bytes(self.cursor.rest())));
                            return Err(self.broken(Cause::CutShort, number, at, partial));
                        }
                    }
                }
                Err(cause) => Err(cause),
            },
            3 => match group(&mut self.cursor, number) {
                Ok(inside) => Ok((value_at, Value::Group(inside))),
                Err((cause, inside)) => {
                    return Err(self.broken(cause, number, at, inside.map(|inside| (value_at, Value::Group(inside)))));
                }
            },
            5 => fixed(self.cursor.array().map(|b| Value::Fixed32(u32::from_le_bytes(b)))),
            4 => return Err(Broken { cause: Cause::StrayEnd, number, at, end: value_at, partial: None }),
            other => Err(Cause::WireType(other as u8)),
        };
        read.map_err(|cause| self.broken(cause, number, at, None))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Broken<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.short() {
            Some(field) => Some(Ok(field)),
            None => self.any(),
        }
    }
}

impl<'a> Fields<'a> {
    /// The next field if it is of the commonest kind: a tag of one byte, and a varint or length of one.
    #[inline]
    fn short(&mut self) -> Option<Field<'a>> {
        let &[tag @ 8..0x80, byte @ 0..0x80, ref tail @ ..] = self.cursor.rest() else { return None };
        let (value, value_at, len) = match tag & 7 {
            0 => (Value::Varint(u64::from(byte)), 1, 2),
            2 => (Value::Bytes(tail.get(..usize::from(byte))?), 2, 2 + usize::from(byte)),
            _ => return None,
        };
        let at = self.here();
        self.cursor.take(len);
        Some(Field { number: u32::from(tag >> 3), value, at, value_at: at + value_at, end: at + len as u32 })
    }

    /// The next field of whatever kind.
    fn any(&mut self) -> Option<Result<Field<'a>, Broken<'a>>> {
        if self.cursor.is_empty() {
            return None;
        }
        let at = self.here();
        let tag = match varint(&mut self.cursor) {
            Ok(tag) => tag,
            Err(cause) => return Some(Err(self.broken(cause, 0, at, None))),
        };
        let number = tag >> 3;
        if number == 0 || number > MAX_NUMBER {
            return Some(Err(self.bad_number(tag & 7, at)));
        }
        let number = number as u32;
        let read = self.value(tag & 7, number, at);
        Some(read.map(|(value_at, value)| {
            let field = Field { number, value, at, value_at, end: self.here() };
            let needed = varint_len(tag)
                + match value {
                    Value::Bytes(bytes) => varint_len(bytes.len() as u64),
                    Value::Varint(bits) => varint_len(bits),
                    _ => 0,
                };
            let taken = if matches!(value, Value::Varint(_)) { field.end } else { value_at } - at;
            if taken > needed && self.overlong.is_none() {
                self.overlong = Some((at, field.end));
            }
            field
        }))
    }
}

/// The fewest bytes that a varint takes.
const fn varint_len(value: u64) -> u32 {
    (64 - (value | 1).leading_zeros()).div_ceil(7)
}

/// The next varint. More bytes than needed are fine as long as there are at most ten; bits beyond 64 are dropped.
#[inline]
pub(crate) fn varint(cursor: &mut Cursor<'_>) -> Result<u64, Cause> {
    match cursor.u8() {
        Some(byte) if byte < 0x80 => Ok(u64::from(byte)),
        Some(byte) => long_varint(cursor, byte),
        None => Err(Cause::CutShort),
    }
}

fn long_varint(cursor: &mut Cursor<'_>, first: u8) -> Result<u64, Cause> {
    let mut value = u64::from(first & 0x7f);
    for shift in (7..70).step_by(7) {
        let byte = cursor.u8().ok_or(Cause::CutShort)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Cause::LongVarint)
}

/// What lies between the start tag of group `number`, which is read, and its end tag, which will be.
///
/// Where it is broken: why, and all that there is.
fn group<'a>(cursor: &mut Cursor<'a>, number: u32) -> Result<&'a [u8], (Cause, Option<&'a [u8]>)> {
    let inside = cursor.rest();
    let from = cursor.position();
    let mut open: SmallVec<[u64; 8]> = SmallVec::new();
    open.push(u64::from(number));
    loop {
        let end = cursor.position() - from;
        let all = |cause| (cause, Some(inside));
        let tag = varint(cursor).map_err(all)?;
        let skipped = match tag & 7 {
            0 => varint(cursor).map(|_| ()),
            1 => cursor.take(8).map(|_| ()).ok_or(Cause::CutShort),
            2 => varint(cursor).and_then(|len| {
                let len = usize::try_from(len).map_err(|_| Cause::CutShort)?;
                cursor.take(len).map(|_| ()).ok_or(Cause::CutShort)
            }),
            3 if open.len() >= MAX_DEPTH as usize => return Err((Cause::TooDeep, None)),
            3 => {
                open.push(tag >> 3);
                Ok(())
            }
            4 => {
                if open.pop() != Some(tag >> 3) {
                    return Err(all(Cause::StrayEnd));
                }
                if open.is_empty() {
                    return Ok(inside.get(..end).unwrap_or_default());
                }
                Ok(())
            }
            5 => cursor.take(4).map(|_| ()).ok_or(Cause::CutShort),
            other => Err(Cause::WireType(other as u8)),
        };
        skipped.map_err(all)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(bytes: &[u8]) -> Vec<Result<Field<'_>, Broken<'_>>> {
        Fields::new(bytes).collect()
    }

    #[test]
    fn every_wire_type_with_its_place() {
        let bytes = [
            &[0x08, 0x96, 0x01][..],                     // 1: varint 150
            &[0x11, 1, 0, 0, 0, 0, 0, 0, 0x80],          // 2: 64 bits
            &[0x1a, 2, b'h', b'i'],                      // 3: two bytes
            &[0x23, 0x08, 0x01, 0x2b, 0x2c, 0x24],       // 4: a group with 1: 1 and an empty group 5
            &[0xfd, 0xff, 0xff, 0xff, 0x0f, 7, 0, 0, 0], // 536870911: 32 bits
        ]
        .concat();
        let got: Vec<_> = fields(&bytes).into_iter().map(Result::unwrap).collect();
        let field = |number, value, at, value_at, end| Field { number, value, at, value_at, end };
        assert_eq!(
            got,
            [
                field(1, Value::Varint(150), 0, 1, 3),
                field(2, Value::Fixed64(0x8000_0000_0000_0001), 3, 4, 12),
                field(3, Value::Bytes(b"hi"), 12, 14, 16),
                field(4, Value::Group(&[8, 1, 0x2b, 0x2c]), 16, 17, 22),
                field(536_870_911, Value::Fixed32(7), 22, 27, 31),
            ]
        );
        let shifted: Vec<_> = Fields::within(&bytes, 12..16).map(Result::unwrap).collect();
        assert_eq!(shifted, got[2..3]);
    }

    #[test]
    fn varints_may_be_longer_than_needed_but_not_than_ten_bytes() {
        let mut bytes = vec![0x08];
        bytes.extend([0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]);
        assert_eq!(fields(&bytes)[0].unwrap().value, Value::Varint(1));
        bytes[10] = 0xff;
        bytes.push(0);
        assert_eq!(fields(&bytes)[0].unwrap_err().cause, Cause::LongVarint);
        // The tenth byte has room for one bit.
        let all = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(fields(&all)[0].unwrap().value, Value::Varint(u64::MAX));
    }

    #[test]
    fn reading_goes_on_behind_what_the_framing_still_tells() {
        let got = fields(&[
            0x00, 0x05, // field number 0
            0x0c, // end of group 1, which has not begun
            0x10, 0x01, // 2: 1
        ]);
        assert_eq!(got.len(), 3);
        assert_eq!(got[0].unwrap_err(), Broken { cause: Cause::Number, number: 0, at: 0, end: 2, partial: None });
        assert_eq!(got[1].unwrap_err(), Broken { cause: Cause::StrayEnd, number: 1, at: 2, end: 3, partial: None });
        assert_eq!(got[2].unwrap().value, Value::Varint(1));
    }

    #[test]
    fn what_is_cut_short_shows_what_there_is() {
        let got = fields(&[0x08, 0x01, 0x12, 0x05, 0x08, 0x07]);
        assert_eq!(got[1].unwrap_err().partial, Some((4, Value::Bytes(&[0x08, 0x07]))));
        let got = fields(&[0x13, 0x08, 0x07]);
        assert_eq!(got[0].unwrap_err().partial, Some((1, Value::Group(&[0x08, 0x07]))));
        assert_eq!(fields(&[0x0e])[0].unwrap_err().cause, Cause::WireType(6));
        // A group that another one's end closes.
        assert_eq!(fields(&[0x0b, 0x14])[0].unwrap_err().cause, Cause::StrayEnd);
    }

    #[test]
    fn groups_nest_to_a_limit() {
        let nested = |depth: usize| [vec![0x0b; depth], vec![0x0c; depth]].concat();
        assert!(fields(&nested(100))[0].is_ok());
        assert_eq!(fields(&nested(101))[0].unwrap_err().cause, Cause::TooDeep);
    }

    proptest! {
        #[test]
        fn all_bytes_are_accounted_for(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut at = 0;
            for item in Fields::new(&bytes) {
                let (from, end) = item.map_or_else(|b| (b.at, b.end), |f| (f.at, f.end));
                prop_assert_eq!(from, at);
                prop_assert!(end > from);
                at = end;
            }
            prop_assert_eq!(at as usize, bytes.len());
        }
    }
}
