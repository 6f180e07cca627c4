//! Reading JSON texts: values are lent from the text and found by scanning, so that nothing is built in memory.

use std::borrow::Cow;

use super::is_json;

/// A value in a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<'t> {
    /// The text of the value alone.
    text: &'t str,
}

impl<'t> Json<'t> {
    /// The value that `text` is; `None` if it [is not JSON](is_json).
    pub fn new(text: &'t [u8]) -> Option<Self> {
        // The other functions rely on this: they find no fault.
        is_json(text).then(|| std::str::from_utf8(text).ok())?.map(|text| Self { text: text.trim_matches(is_space) })
    }

    /// The text of the value.
    pub const fn text(self) -> &'t str {
        self.text
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.text == "null"
    }

    /// Whether it is an object.
    pub fn is_object(self) -> bool {
        self.text.starts_with('{')
    }

    /// Whether it is an array.
    pub fn is_array(self) -> bool {
        self.text.starts_with('[')
    }

    /// `true` or `false`.
    pub fn as_bool(self) -> Option<bool> {
        match self.text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The text of a number.
    pub fn as_number(self) -> Option<&'t str> {
        self.text.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then_some(self.text)
    }

    /// A string, without its escapes.
    pub fn as_string(self) -> Option<Cow<'t, str>> {
        Some(unescaped(self.text.strip_prefix('"')?.strip_suffix('"')?))
    }

    /// The elements of an array; none of another value.
    pub fn elements(self) -> impl Iterator<Item = Self> {
        let mut rest = self.text.strip_prefix('[').unwrap_or_default();
        std::iter::from_fn(move || next(&mut rest))
    }

    /// The names and values of an object; none of another value.
    pub fn members(self) -> impl Iterator<Item = (Cow<'t, str>, Self)> {
        let mut rest = self.text.strip_prefix('{').unwrap_or_default();
        std::iter::from_fn(move || Some((next(&mut rest)?.as_string()?, next(&mut rest)?)))
    }

    /// The member with one of these names: the last one, as most readers of JSON take it.
    pub fn member(self, names: [&str; 2]) -> Option<Self> {
        self.members().filter(|(name, _)| names.contains(&&**name)).last().map(|(_, value)| value)
    }
}

/// RFC 8259 §2: ws
const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// The next value of an object or array, whose rest is `rest`; what separates it from the next one is removed.
fn next<'t>(rest: &mut &'t str) -> Option<Json<'t>> {
    let text = rest.trim_start_matches(is_space);
    let (value, behind) = text.split_at_checked(length(text))?;
    let behind = behind.trim_start_matches(is_space);
    *rest = behind.strip_prefix([',', ':']).unwrap_or(behind);
    (!value.is_empty()).then_some(Json { text: value })
}

/// The length of the value that `text` begins with; 0 where an object or array ends.
fn length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut depth = 0_u32;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at += string_length(bytes.get(at..).unwrap_or_default()),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' | b',' | b':' if depth == 0 => return at,
            b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
        if byte == b'"' && depth == 0 {
            return at;
        }
    }
    at
}

/// The length of the string that `bytes` begin with, with its quotes.
fn string_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    loop {
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') | None => return (at + 1).min(bytes.len()),
            Some(_) => at += 1,
        }
    }
}

/// A string without its escapes; half a surrogate pair becomes U+FFFD.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut characters = escape.chars();
        let first = characters.next();
        rest = characters.as_str();
        match first {
            Some('u') => {
                let unit = hex(rest);
                rest = rest.get(4..).unwrap_or_default();
                let low = rest.strip_prefix("\\u").map(hex).filter(|_| (0xd800..0xdc00).contains(&unit));
                let pair = low.filter(|low| (0xdc00..0xe000).contains(low));
                match pair {
                    Some(low) => {
                        rest = rest.get(6..).unwrap_or_default();
                        let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    None => out.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)),
                }
            }
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn hex(text: &str) -> u32 {
    text.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_the_text() {
        let text = br#" { "a" : 1.5e3 ,"b":[1,"x,]}", {"c":null} ],"d":{"e":{}},"a":true, "":"" } "#;
        let json = Json::new(text).unwrap();
        let members: Vec<(String, &str)> =
            json.members().map(|(name, value)| (name.into_owned(), value.text())).collect();
        let expected =
            [("a", "1.5e3"), ("b", r#"[1,"x,]}", {"c":null} ]"#), ("d", r#"{"e":{}}"#), ("a", "true"), ("", "\"\"")];
        assert_eq!(members, expected.map(|(name, text)| (name.to_owned(), text)));
        assert_eq!(json.member(["a", "x"]).unwrap().as_bool(), Some(true), "the last one");
        let elements: Vec<&str> = json.member(["b", "b"]).unwrap().elements().map(Json::text).collect();
        assert_eq!(elements, ["1", r#""x,]}""#, r#"{"c":null}"#]);
        assert_eq!(Json::new(b"[]").unwrap().elements().count(), 0);
        assert_eq!(Json::new(b"{ }").unwrap().members().count(), 0);
        assert_eq!(Json::new(b"[1").map(Json::text), None);
        assert_eq!(Json::new(b"-3").unwrap().as_number(), Some("-3"));
    }

    #[test]
    fn strings_lose_their_escapes() {
        let string = |text: &str| Json::new(text.as_bytes()).unwrap().as_string().unwrap().into_owned();
        assert_eq!(string(r#""a\n\"\\\/\u00fc\ud83d\ude00""#), "a\n\"\\/ü😀");
        assert_eq!(string(r#""\ud83d!\ude00""#), "\u{fffd}!\u{fffd}");
        assert_eq!(string(r#""""#), "");
    }

    #[test]
    fn a_reader_finds_what_another_one_finds() {
        use serde_json::Value;
        fn same(json: Json<'_>, value: &Value) {
            match value {
                Value::Null => assert!(json.is_null()),
                Value::Bool(truth) => assert_eq!(json.as_bool(), Some(*truth)),
                Value::Number(number) => assert_eq!(json.as_number().unwrap().parse::<f64>().ok(), number.as_f64()),
                Value::String(text) => assert_eq!(json.as_string().as_deref(), Some(&**text)),
                Value::Array(values) => {
                    assert_eq!(json.elements().count(), values.len());
                    json.elements().zip(values).for_each(|(json, value)| same(json, value));
                }
                Value::Object(members) => {
                    assert_eq!(json.members().count(), members.len());
                    json.members().for_each(|(name, json)| same(json, &members[&*name]));
                }
            }
        }
        let text = r#"{"z": [[], [[1], {"a":[{}]}], "\"]", -0.5e-3, false, null], "ü\u0041": {"b": {"c": "d:e,f"}}, "t": "\t \\"}"#;
        same(Json::new(text.as_bytes()).unwrap(), &serde_json::from_str(text).unwrap());
        let spaced = serde_json::to_string_pretty(&serde_json::from_str::<Value>(text).unwrap()).unwrap();
        same(Json::new(spaced.as_bytes()).unwrap(), &serde_json::from_str(&spaced).unwrap());
    }
}
