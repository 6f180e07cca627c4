//! Types with a JSON form of their own: `Any`, `Timestamp`, `Duration`, `FieldMask`, `Struct`, `Value`, `ListValue`, wrappers.

use super::entry::{Part, PathStep};
use super::printer::{Entries, Job};
use crate::Severity;
use crate::json;
use crate::protobuf::typed;
use crate::protobuf::wire::{self, MAX_DEPTH, Value};
use crate::schema::{Cardinality, Field, Message, WellKnown};

impl<'s, 'a> Job<'s, 'a, '_> {
    /// A type with a JSON form of its own.
    pub(super) fn special(&mut self, known: WellKnown, message: &'s Message, parts: &[Part], depth: u32) {
        let entries = self.gather(message, parts);
        let field_1 = message.field(1);
        let all_1 = self.entries_of(message, &entries, 1);
        match (known, field_1) {
            (WellKnown::Any, _) => self.any(message, &entries, depth),
            (WellKnown::Timestamp | WellKnown::Duration, _) => {
                let seconds = self.number(all_1) as i64;
                let nanos = self.number(self.entries_of(message, &entries, 2)) as i32;
                let fits = match known {
                    WellKnown::Timestamp => write_timestamp(self.out, seconds, nanos),
                    _ => write_duration(self.out, seconds, nanos),
                };
                if !fits {
                    self.out.extend_from_slice(b"{\"seconds\":\"");
                    json::write_signed(self.out, seconds);
                    self.out.extend_from_slice(b"\",\"nanos\":");
                    json::write_signed(self.out, i64::from(nanos));
                    self.out.push(b'}');
                }
            }
            (WellKnown::FieldMask, Some(field)) => self.field_mask(field, all_1),
            (WellKnown::Struct, Some(field @ Field { cardinality: Cardinality::Map, .. })) => {
                self.map(field, all_1, depth);
            }
            (WellKnown::ListValue, Some(field @ Field { cardinality: Cardinality::Repeated, .. })) => {
                self.list(field, all_1, depth);
            }
            (WellKnown::Value, _) => match entries.end.checked_sub(1).filter(|&last| last >= entries.start) {
                Some(last) => {
                    if let Some(field) = self.field_of(message, last) {
                        let from = self.entries_of(message, &entries, field.number);
                        self.value(field, from, depth);
                    }
                }
                None => self.out.extend_from_slice(b"null"),
            },
            (WellKnown::Wrapper, Some(field)) => self.value(field, all_1, depth),
            // A type of that name that is not what the name says.
            _ => {
                self.entries.truncate(entries.start);
                self.out.push(b'{');
                self.members(message, parts, depth);
                self.out.push(b'}');
            }
        }
        self.entries.truncate(entries.start);
    }

    /// The last number that `entries` hold, or 0.
    pub(super) fn number(&self, entries: Entries) -> u64 {
        self.last(entries).map_or(0, |wire| typed::bits(&wire.value))
    }

    pub(super) fn any(&mut self, message: &'s Message, entries: &Entries, depth: u32) {
        let bytes = |wire: Option<wire::Field<'a>>| match wire {
            Some(wire::Field { value: Value::Bytes(bytes), value_at, at, .. }) => Some((bytes, value_at, at)),
            _ => None,
        };
        let url = bytes(self.last(self.entries_of(message, entries, 1)));
        let value = bytes(self.last(self.entries_of(message, entries, 2)));
        self.out.push(b'{');
        if url.is_some_and(|(url, ..)| !url.is_empty()) || value.is_some_and(|(value, ..)| !value.is_empty()) {
            let (url, url_at, _) = url.unwrap_or_default();
            let (value, value_at, at) = value.unwrap_or_default();
            self.out.extend_from_slice(b"\"@type\":");
            if !json::write_bytes_lossy(self.out, url)
                && let Some(field) = message.field(1)
            {
                self.not_utf8(field, url_at..url_at + url.len() as u32);
            }
            self.path.push(PathStep { number: 2, at });
            self.any_value(url, value, Part { from: value_at, to: value_at + value.len() as u32 }, depth);
            self.path.pop();
        }
        self.out.push(b'}');
    }

    fn any_value(&mut self, url: &[u8], value: &'a [u8], part: Part, depth: u32) {
        // containerd sends JSON under type names that may look like those of messages. A message does not begin with a
        // brace: that would be a group of number 15.
        if value.first() == Some(&b'{') && json::is_json(value) {
            self.out.extend_from_slice(b",\"@json\":");
            return json::copy_json_draining(self.out, value, self.drain);
        }
        // Standard names are `type.googleapis.com/<name>`, containerd's have no slash.
        let name = url.rsplit(|&b| b == b'/').next().unwrap_or_default();
        let inner = std::str::from_utf8(name)
            .ok()
            .and_then(|name| self.schema.message(name))
            .and_then(|at| self.schema.messages.get(at.0 as usize));
        match inner {
            Some(inner) if depth >= MAX_DEPTH => self.too_deep(&[part], &inner.name),
            Some(inner) if matches!(inner.well_known, None | Some(WellKnown::Empty)) => {
                self.members(inner, &[part], depth + 1);
            }
            Some(inner) => {
                self.out.extend_from_slice(b",\"value\":");
                self.message(inner, &[part], depth + 1);
            }
            None => {
                self.out.extend_from_slice(b",\"@value\":");
                json::write_base64_draining(self.out, value, self.drain);
            }
        }
    }

    /// Paths in camelCase, joined by commas.
    pub(super) fn field_mask(&mut self, field: &Field, entries: Entries) {
        self.out.push(b'"');
        let mut first = true;
        for at in entries {
            let Some(&entry) = self.entries.get(at) else { continue };
            for wire in self.again(&entry).filter_map(Result::ok) {
                let Value::Bytes(path) = wire.value else { continue };
                if !first {
                    self.out.push(b',');
                }
                first = false;
                let camel = std::str::from_utf8(path).ok().and_then(camel_case);
                if camel.is_none() {
                    self.notes.add(Severity::Warning, "pb-field-mask", wire.value_at..wire.end, || {
                        format!("a path of {} has no form in JSON: it is shown as it is", field.full_name)
                    });
                }
                let text = camel.map_or_else(|| String::from_utf8_lossy(path), Into::into);
                let from = self.out.len();
                json::write_string(self.out, &text);
                // Without its quotes.
                self.out.pop();
                self.out.remove(from);
            }
        }
        self.out.push(b'"');
    }
}

/// `foo_bar.baz` as `fooBar.baz`, if that can be turned back.
fn camel_case(path: &str) -> Option<String> {
    let mut camel = String::with_capacity(path.len());
    let mut after_underscore = false;
    for c in path.chars() {
        match c {
            'A'..='Z' => return None,
            'a'..='z' if after_underscore => camel.push(c.to_ascii_uppercase()),
            _ if after_underscore => return None,
            '_' => {}
            c => camel.push(c),
        }
        after_underscore = c == '_';
    }
    (!after_underscore).then_some(camel)
}

/// `"2023-11-14T22:13:20.123Z"`; false (and nothing written) outside of the years 1 to 9999.
pub(super) fn write_timestamp(out: &mut Vec<u8>, seconds: i64, nanos: i32) -> bool {
    const FIRST: i64 = -62_135_596_800; // 0001-01-01T00:00:00Z
    const LAST: i64 = 253_402_300_799; // 9999-12-31T23:59:59Z
    if !(FIRST..=LAST).contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        return false;
    }
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    out.push(b'"');
    for (number, digits, after) in [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (second / 3600, 2, b':'),
        (second / 60 % 60, 2, b':'),
        (second % 60, 2, 0),
    ] {
        write_padded(out, number as u64, digits);
        if after != 0 {
            out.push(after);
        }
    }
    write_fraction(out, nanos.unsigned_abs());
    out.extend_from_slice(b"Z\"");
    true
}

/// `"-1.500s"`; false (and nothing written) beyond 10,000 years or where the signs differ.
fn write_duration(out: &mut Vec<u8>, seconds: i64, nanos: i32) -> bool {
    const LONGEST: u64 = 315_576_000_000;
    let signs_differ = (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0);
    if seconds.unsigned_abs() > LONGEST || nanos.unsigned_abs() >= 1_000_000_000 || signs_differ {
        return false;
    }
    out.push(b'"');
    if seconds < 0 || nanos < 0 {
        out.push(b'-');
    }
    json::write_unsigned(out, seconds.unsigned_abs());
    write_fraction(out, nanos.unsigned_abs());
    out.extend_from_slice(b"s\"");
    true
}

/// Nothing, or a point and 3, 6 or 9 digits.
fn write_fraction(out: &mut Vec<u8>, nanos: u32) {
    let (number, digits) = match nanos {
        0 => return,
        n if n % 1_000_000 == 0 => (n / 1_000_000, 3),
        n if n % 1000 == 0 => (n / 1000, 6),
        n => (n, 9),
    };
    out.push(b'.');
    write_padded(out, u64::from(number), digits);
}

fn write_padded(out: &mut Vec<u8>, number: u64, digits: usize) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(number);
    out.extend(std::iter::repeat_n(b'0', digits.saturating_sub(text.len())));
    out.extend_from_slice(text.as_bytes());
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Years run from March here, so that the leap day is their last day, and an era is 400 of them.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468; // from 0000-03-01
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153; // 0 is March
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + i64::from(month >= 10);
    (year, if month < 10 { month + 3 } else { month - 9 }, day)
}
