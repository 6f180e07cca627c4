//! JSON from a capture, indented for people to read.

use super::text::write_escaped;
use crate::json::{Drain, checkpoint};

/// Levels of objects and arrays that get lines of their own. Deeper ones stay on one line, so that indentation never makes
/// up most of the output.
const MAX_INDENTED: usize = 16;

/// Spaces per level.
const STEP: usize = 2;

/// Appends `text`, a JSON value or the beginning of one, with its members on lines of their own. The first line continues the
/// current one; the others are indented by `indent` spaces at least. Strings and numbers are copied word for word, except
/// for characters that must not reach a terminal, which are escaped.
pub(super) fn write_indented(text: &[u8], indent: usize, out: &mut Vec<u8>, drain: Drain<'_>) {
    Indenter { indent, depth: 0, out, drain }.write(text);
}

struct Indenter<'o> {
    indent: usize,
    /// How many objects and arrays are open.
    depth: usize,
    out: &'o mut Vec<u8>,
    drain: Drain<'o>,
}

impl Indenter<'_> {
    fn write(&mut self, text: &[u8]) {
        let mut rest = text.trim_ascii_start();
        while let Some(&byte) = rest.first() {
            let (token, behind) = rest.split_at(token_length(rest));
            rest = behind.trim_ascii_start();
            match byte {
                b'{' | b'[' => {
                    self.out.push(byte);
                    self.depth += 1;
                    if !matches!(rest.first(), Some(b'}' | b']') | None) && self.is_indented() {
                        self.new_line(self.depth);
                    }
                }
                b'}' | b']' => {
                    // Strings end with a quote: only the token before can have left a bracket there.
                    let is_empty = matches!(self.out.last(), Some(b'{' | b'['));
                    let level = self.depth.saturating_sub(1);
                    if !is_empty && self.is_indented() {
                        self.new_line(level);
                    }
                    self.depth = level;
                    self.out.push(byte);
                }
                b',' => {
                    self.out.push(byte);
                    if self.is_indented() { self.new_line(self.depth) } else { self.out.push(b' ') }
                }
                b':' => self.out.extend_from_slice(b": "),
                _ => write_escaped(token, self.out, self.drain),
            }
        }
    }

    /// Whether the members of the innermost object or array are on lines of their own.
    const fn is_indented(&self) -> bool {
        self.depth <= MAX_INDENTED
    }

    fn new_line(&mut self, level: usize) {
        checkpoint(self.out, self.drain);
        self.out.push(b'\n');
        self.out.resize(self.out.len() + self.indent + level * STEP, b' ');
    }
}

/// The length of the token that `text` begins with: a string, a structural character, or a number or word.
fn token_length(text: &[u8]) -> usize {
    let is_outside = |byte: &u8| byte.is_ascii_whitespace() || b"{}[],:\"".contains(byte);
    let end = match text {
        [b'"', inside @ ..] => end_of_string(inside).map(|end| end + 1),
        [b'{' | b'}' | b'[' | b']' | b',' | b':', ..] => Some(1),
        _ => text.iter().position(is_outside),
    };
    end.unwrap_or(text.len())
}

/// Where the string whose first quote precedes `text` ends, with its last quote.
fn end_of_string(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::keep;

    fn indented(text: &str, indent: usize) -> String {
        let mut out = Vec::new();
        write_indented(text.as_bytes(), indent, &mut out, &mut keep);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn members_have_lines_of_their_own() {
        let text = r#" {"a":[1, -2.50e+3,{}],"b" : {"c":null,"d":[ ]},"e":"x"} "#;
        let expected = r#"{
      "a": [
        1,
        -2.50e+3,
        {}
      ],
      "b": {
        "c": null,
        "d": []
      },
      "e": "x"
    }"#;
        assert_eq!(indented(text, 4), expected);
        assert_eq!(indented("[]", 4), "[]");
    }

    #[test]
    fn strings_are_copied_with_their_escapes_and_cannot_steer_a_terminal() {
        let text = "[\"\\\"{[,:]}\\u001b\\\\\",\"\u{202e}\u{9b}ü\"]";
        assert_eq!(indented(text, 0), "[\n  \"\\\"{[,:]}\\u001b\\\\\",\n  \"\\u{202e}\\u{9b}ü\"\n]");
    }

    #[test]
    fn the_beginning_of_a_text_is_indented_as_far_as_it_goes() {
        assert_eq!(indented(r#"{"a":{"b":"cut he"#, 0), "{\n  \"a\": {\n    \"b\": \"cut he");
        assert_eq!(indented(r#"{"a\"#, 0), "{\n  \"a\\");
        assert_eq!(indented("[1,[", 0), "[\n  1,\n  [");
    }

    #[test]
    fn indentation_has_a_limit() {
        let deep = |levels: usize| format!("{}1,2{}", "[".repeat(levels), "]".repeat(levels));
        let text = indented(&deep(100), 0);
        let spaces = text.lines().map(|line| line.len() - line.trim_start().len()).max();
        assert_eq!(spaces, Some(MAX_INDENTED * STEP));
        assert!(text.contains(&format!("\n{}[", " ".repeat(MAX_INDENTED * STEP))), "{text}");
        assert!(text.contains("1, 2"), "{text}");
        assert_eq!(text.lines().count(), 2 * MAX_INDENTED + 1);
    }

    #[test]
    fn large_texts_are_drained_while_they_are_written() {
        let text = format!("[{}1]", r#"{"name":"value"},"#.repeat(50_000));
        let (mut out, mut written, mut largest) = (Vec::new(), 0, 0);
        write_indented(text.as_bytes(), 4, &mut out, &mut |out| {
            largest = largest.max(out.len());
            crate::json::drain_to(out, |text| written += text.len());
        });
        assert_eq!(written + out.len(), indented(&text, 4).len());
        assert!(largest < 2 * crate::json::DRAIN_AT, "{largest}");
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            "[ -~]{0,9}".prop_map(Into::into),
        ];
        leaf.prop_recursive(6, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map("[ -~]{0,5}", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_indented_means_the_same(value in any_json()) {
            let text = indented(&value.to_string(), 3);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), value);
        }

        #[test]
        fn no_bytes_break_it(bytes: Vec<u8>) {
            write_indented(&bytes, 2, &mut Vec::new(), &mut keep);
        }
    }
}
