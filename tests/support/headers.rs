//! What every header block of a whole flow says (decoded by an independent HPACK decoder), and how much of it somebody can
//! know who did not see the flow's beginning.
//!
//! RFC 7541 §6: a field names table entries by how many insertions ago they were made. Whoever saw that insertion knows the
//! entry; whoever did not, cannot.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::http2::{CONTINUATION, Frame, HEADERS};
use super::tcp::Flow;

/// One header field and who can know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) value: String,
    /// The value as it was sent.
    pub(crate) bytes: Vec<u8>,
    pub(crate) name_known: bool,
    pub(crate) value_known: bool,
}

impl Field {
    /// The values of a `-bin` field as padded base64, whether it was sent in base64 or, as gRPC's own libraries agree on
    /// between themselves, as a zero and the bytes.
    pub(crate) fn in_base64(&self) -> Vec<String> {
        match self.bytes.split_first() {
            Some((0, plain)) => vec![STANDARD.encode(plain)],
            _ => self
                .value
                .split(',')
                .map(|part| STANDARD.encode(STANDARD_NO_PAD.decode(part.trim_end_matches('=')).unwrap_or_default()))
                .collect(),
        }
    }
}

/// One header block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) stream: u32,
    /// Its frames' bytes in the flow, headers of the frames included.
    pub(crate) bytes: Range<usize>,
    pub(crate) fields: Vec<Field>,
}

impl Block {
    /// The value of the first field of this name, whoever knows it.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.name == name).map(|field| field.value.as_str())
    }

    /// Whether the first field of this name can be known.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.fields.iter().find(|field| field.name == name).is_some_and(|field| field.name_known && field.value_known)
    }
}

/// Decodes every block of a flow. A block that begins at or after one of `restarts` knows nothing of what was inserted
/// before that place.
pub(crate) fn blocks(flow: &Flow, frames: &[Frame], restarts: &[usize]) -> Vec<Block> {
    let mut decoder = hpack::Decoder::new();
    let mut table = Table::default();
    let mut epoch = 0;
    let mut out: Vec<Block> = Vec::new();
    let mut parts: Vec<u8> = Vec::new();
    for (number, frame) in frames.iter().enumerate() {
        match frame.kind {
            HEADERS => {
                out.push(Block { stream: frame.stream, bytes: frame.from..frame.to, fields: Vec::new() });
                parts = flow.bytes[frame.content(flow)].to_vec();
            }
            CONTINUATION => {
                out.last_mut().expect("HEADERS came first").bytes.end = frame.to;
                parts.extend(&flow.bytes[frame.content(flow)]);
            }
            _ => continue,
        }
        if frames.get(number + 1).is_some_and(|next| next.kind == CONTINUATION) {
            continue;
        }
        let block = out.last_mut().expect("HEADERS came first");
        let passed = restarts.iter().filter(|restart| **restart <= block.bytes.start).count();
        if passed > epoch {
            epoch = passed;
            table.forget();
        }
        let values = decoder.decode(&parts).expect("a whole flow decodes");
        block.fields = table.fields(&parts, &values);
    }
    out
}

/// Which insertions were seen: for each, newest last, whether its name and its value are known.
#[derive(Default)]
struct Table {
    entries: Vec<(bool, bool)>,
}

/// RFC 7541 appendix A has this many entries.
const STATIC_ENTRIES: usize = 61;

impl Table {
    fn forget(&mut self) {
        self.entries.fill((false, false));
    }

    /// What is known of the entry with this index.
    fn entry(&self, index: usize) -> (bool, bool) {
        if index <= STATIC_ENTRIES {
            return (true, true);
        }
        self.entries[self.entries.len() - (index - STATIC_ENTRIES)]
    }

    /// Walks the representations of a block beside its decoded fields.
    fn fields(&mut self, block: &[u8], values: &[(Vec<u8>, Vec<u8>)]) -> Vec<Field> {
        let mut fields = Vec::new();
        let mut at = 0;
        while at < block.len() {
            let first = block[at];
            // RFC 7541 §6.3: a size update is not a field.
            if first & 0xe0 == 0x20 {
                integer(block, &mut at, 5);
                continue;
            }
            let (known, inserted) = match first {
                0x80.. => (self.entry(integer(block, &mut at, 7)), false),
                0x40..=0x7f => (self.literal(block, &mut at, 6), true),
                _ => (self.literal(block, &mut at, 4), false),
            };
            if inserted {
                self.entries.push(known);
            }
            let (name, value) = &values[fields.len()];
            fields.push(Field {
                name: String::from_utf8_lossy(name).into_owned(),
                value: String::from_utf8_lossy(value).into_owned(),
                bytes: value.clone(),
                name_known: known.0,
                value_known: known.1,
            });
        }
        assert_eq!(fields.len(), values.len(), "both walks find the same fields");
        fields
    }

    /// RFC 7541 §6.2: an index for the name, or 0 and the name; then the value.
    fn literal(&self, block: &[u8], at: &mut usize, bits: u32) -> (bool, bool) {
        let index = integer(block, at, bits);
        let name_known = if index == 0 {
            skip_string(block, at);
            true
        } else {
            self.entry(index).0
        };
        skip_string(block, at);
        (name_known, true)
    }
}

/// RFC 7541 §5.1.
fn integer(block: &[u8], at: &mut usize, bits: u32) -> usize {
    let most = (1usize << bits) - 1;
    let mut value = usize::from(block[*at]) & most;
    *at += 1;
    if value < most {
        return value;
    }
    let mut shift = 0;
    loop {
        let byte = block[*at];
        *at += 1;
        value += usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return value;
        }
    }
}

/// RFC 7541 §5.2.
fn skip_string(block: &[u8], at: &mut usize) {
    let length = integer(block, at, 7);
    *at += length;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_known_to_those_who_saw_it_inserted() {
        let mut decoder = hpack::Decoder::new();
        let mut table = Table::default();
        // Literal with indexing, new name "a" and value "b".
        let insert = [0x40, 1, b'a', 1, b'b'];
        let first = table.fields(&insert, &decoder.decode(&insert).unwrap());
        assert!(first[0].name_known && first[0].value_known);
        table.forget();
        // Indexed 62; literal with the name of 62 and the value "c".
        let later = [0xbe, 0x7e, 1, b'c', 0xbe];
        let fields = table.fields(&later, &decoder.decode(&later).unwrap());
        let known = |field: &Field| (field.name_known, field.value_known);
        assert_eq!((fields[0].value.as_str(), known(&fields[0])), ("b", (false, false)));
        assert_eq!((fields[1].value.as_str(), known(&fields[1])), ("c", (false, true)));
        assert_eq!(fields[2], fields[1]);
    }
}
