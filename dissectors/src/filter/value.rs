//! Values of fields, their types, and how output writes them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;

use rpcshark_captures::Timestamp;

use crate::schema::{EnumIx, Schema};

/// What a field's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// No value: it is there or not.
    Label,
    /// True or false.
    Bool,
    /// A whole number, not negative.
    Unsigned,
    /// A whole number.
    Signed,
    /// A whole number that is best written in hexadecimal.
    Flags,
    /// A floating-point number.
    Float,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// A number with names; other numbers are possible.
    Enum(Names),
    /// A point in time.
    Time,
    /// A span of time.
    Duration,
    /// An IP address.
    Address,
}

/// The names of an enumeration's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Those of a protocol.
    Fixed(&'static [(u32, &'static str)]),
    /// Those of an enumeration of the schema.
    Schema(EnumIx),
}

impl Names {
    /// Every number and name.
    pub fn all(self, schema: &Schema) -> Vec<(i64, &str)> {
        match self {
            Self::Fixed(names) => names.iter().map(|&(number, name)| (i64::from(number), name)).collect(),
            Self::Schema(at) => schema
                .enums
                .get(at.0 as usize)
                .map(|names| {
                    let values = names.values.iter().chain(&names.aliases);
                    values.map(|(number, name)| (i64::from(*number), &**name)).collect()
                })
                .unwrap_or_default(),
        }
    }

    /// The name of a number.
    pub fn name(self, schema: &Schema, number: i128) -> Option<&str> {
        match self {
            Self::Fixed(names) => names.iter().find(|&&(n, _)| i128::from(n) == number).map(|&(_, name)| name),
            Self::Schema(at) => schema.enums.get(at.0 as usize)?.value_name(i32::try_from(number).ok()?),
        }
    }

    /// The number of a name, written as it is in the schema.
    pub(super) fn exact_number(self, schema: &Schema, name: &str) -> Option<i128> {
        self.all(schema).into_iter().find(|(_, known)| *known == name).map(|(number, _)| i128::from(number))
    }

    /// The number of a name, whatever its case.
    pub fn number(self, schema: &Schema, name: &str) -> Option<i128> {
        let all = self.all(schema);
        let exact = all.iter().find(|(_, known)| *known == name);
        let number = exact.or_else(|| all.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)));
        number.map(|&(number, _)| i128::from(number))
    }
}

impl Type {
    /// The type as `rpcshark fields` and messages name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Bool => "boolean",
            Self::Unsigned => "unsigned",
            Self::Signed => "signed",
            Self::Flags => "flags",
            Self::Float => "float",
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::Word(_) => "word",
            Self::Enum(_) => "enum",
            Self::Time => "time",
            Self::Duration => "duration",
            Self::Address => "address",
        }
    }

    /// The same in a sentence: what a literal of the type is.
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Label => "a label",
            Self::Bool => "true or false",
            Self::Unsigned | Self::Flags => "a whole number",
            Self::Signed => "a whole number",
            Self::Float => "a number",
            Self::Text => "text",
            Self::Bytes => "bytes",
            Self::Word(_) => "one of its words",
            Self::Enum(_) => "one of its names",
            Self::Time => "a time",
            Self::Duration => "a duration",
            Self::Address => "an address",
        }
    }

    /// Whether values of the type are made of characters or bytes: they have slices and parts.
    pub(super) const fn is_bytes(self) -> bool {
        matches!(self, Self::Text | Self::Bytes | Self::Word(_))
    }

    /// Whether values of the type are whole numbers.
    pub(super) const fn is_whole(self) -> bool {
        matches!(self, Self::Unsigned | Self::Signed | Self::Flags | Self::Enum(_) | Self::Bool)
    }

    /// Whether values of the two types can be compared with each other.
    pub(super) const fn compares_with(self, other: Self) -> bool {
        match self {
            Self::Label => false,
            Self::Time => matches!(other, Self::Time),
            Self::Duration => matches!(other, Self::Duration),
            Self::Address => matches!(other, Self::Address),
            Self::Text | Self::Bytes | Self::Word(_) => other.is_bytes(),
            _ => other.is_whole() || matches!(other, Self::Float),
        }
    }
}

/// A value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// The field is there; it has no value.
    Present,
    /// True or false.
    Bool(bool),
    /// A whole number, of an enumeration too. No protocol has more than 64 bits.
    Int(i128),
    /// A floating-point number.
    Float(f64),
    /// Text, which may not be UTF-8.
    Text(Cow<'a, [u8]>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// Nanoseconds since 1970.
    Time(i128),
    /// Nanoseconds.
    Duration(i128),
    /// An IP address.
    Address(IpAddr),
}

impl<'a> Value<'a> {
    /// A text.
    pub fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text.as_bytes()))
    }

    /// A text that is made for this.
    pub fn owned(text: String) -> Self {
        Self::Text(Cow::Owned(text.into_bytes()))
    }

    /// A whole number.
    pub fn int(number: impl Into<i128>) -> Self {
        Self::Int(number.into())
    }

    /// A point in time.
    pub fn time(time: Timestamp) -> Self {
        Self::Time(i128::from(time.as_nanos()))
    }

    /// The bytes of a text or of bytes.
    pub(super) fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(bytes) | Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The number, of a boolean too.
    pub(super) const fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Bool(truth) => Some(*truth as i128),
            _ => None,
        }
    }

    /// How the value stands to another one; `None` if they cannot be compared.
    pub(super) fn order(&self, other: &Value<'_>) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Text(a) | Self::Bytes(a), Value::Text(b) | Value::Bytes(b)) => Some(a.as_ref().cmp(b.as_ref())),
            (Self::Time(a), Value::Time(b)) | (Self::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
            (Self::Address(a), Value::Address(b)) => Some(a.cmp(b)),
            (Self::Float(a), Value::Float(b)) => a.partial_cmp(b),
            (Self::Float(a), b) => a.partial_cmp(&(b.as_int()? as f64)),
            (a, Value::Float(b)) => (a.as_int()? as f64).partial_cmp(b),
            (a, b) => Some(a.as_int()?.cmp(&b.as_int()?)),
        }
    }

    /// Appends the value as one column of output: times as RFC 3339, durations in seconds with nanoseconds, bytes in
    /// hexadecimal, enumerations by name where they have one. Text is appended as it is.
    pub fn write(&self, ty: Type, schema: &Schema, out: &mut Vec<u8>) {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = match (self, ty) {
            (Self::Text(bytes), _) => return out.extend_from_slice(bytes),
            (Self::Bytes(bytes), _) => bytes.iter().try_for_each(|byte| write!(text, "{byte:02x}")),
            (Self::Present, _) => write!(text, "1"),
            (Self::Bool(truth), _) => write!(text, "{}", u8::from(*truth)),
            (Self::Int(number), Type::Flags) => write!(text, "0x{number:02x}"),
            (Self::Int(number), Type::Enum(names)) => match names.name(schema, *number) {
                Some(name) => write!(text, "{name}"),
                None => write!(text, "{number}"),
            },
            (Self::Int(number), _) => write!(text, "{number}"),
            (Self::Float(number), _) => write!(text, "{number}"),
            (Self::Time(nanos), _) => match jiff::Timestamp::from_nanosecond(*nanos) {
                Ok(stamp) => write!(text, "{stamp:.9}"),
                Err(_) => write_seconds(*nanos, &mut text),
            },
            (Self::Duration(nanos), _) => write_seconds(*nanos, &mut text),
            (Self::Address(addr), _) => write!(text, "{addr}"),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

/// Nanoseconds as seconds with nine digits after the point.
fn write_seconds(nanos: i128, out: &mut String) -> std::fmt::Result {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    write!(out, "{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

/// One thing that a field is found to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Item<'a> {
    /// A value.
    Value(Value<'a>),
    /// A value that is not shown, and how many bytes it has.
    Hidden(usize),
    /// There may be a value, which the capture does not hold.
    Unknown,
}

impl<'a> From<Value<'a>> for Item<'a> {
    fn from(value: Value<'a>) -> Self {
        Self::Value(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_as_columns() {
        let schema = Schema::default();
        let text = |value: Value<'_>, ty: Type| {
            let mut out = Vec::new();
            value.write(ty, &schema, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(Value::Duration(1_500_000), Type::Duration), "0.001500000");
        assert_eq!(text(Value::Duration(-61_000_000_000), Type::Duration), "-61.000000000");
        assert_eq!(text(Value::Time(1_523_080_000_002_500_000), Type::Time), "2018-04-07T05:46:40.002500000Z");
        assert_eq!(text(Value::int(4), Type::Flags), "0x04");
        assert_eq!(text(Value::int(14), Type::Enum(Names::Fixed(&[(14, "UNAVAILABLE")]))), "UNAVAILABLE");
        assert_eq!(text(Value::int(99), Type::Enum(Names::Fixed(&[(14, "UNAVAILABLE")]))), "99");
        assert_eq!(text(Value::Bytes(Cow::Borrowed(&[0, 0xff])), Type::Bytes), "00ff");
    }

    #[test]
    fn numbers_of_every_kind_compare() {
        use std::cmp::Ordering::{Equal, Greater, Less};
        assert_eq!(Value::Int(2).order(&Value::Float(1.5)), Some(Greater));
        assert_eq!(Value::Float(1.0).order(&Value::Int(1)), Some(Equal));
        assert_eq!(Value::Bool(false).order(&Value::Int(1)), Some(Less));
        assert_eq!(Value::Float(f64::NAN).order(&Value::Int(1)), None);
        assert_eq!(Value::Int(1).order(&Value::text("1")), None);
    }
}
