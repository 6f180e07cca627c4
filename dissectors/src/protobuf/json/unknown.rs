//! Fields that a message type does not have.

use smallvec::SmallVec;

use super::entry::PathStep;
use crate::json::{self, Drain, comma};
use crate::protobuf::raw;

/// How many unknown fields of a message are kept: a message of the wrong type may be nothing else.
pub(super) const MAX_UNKNOWN: usize = 4096;

/// Fields that a message type does not have, in the message itself or nested in it.
#[derive(Debug, Default)]
pub struct Unknown {
    pub(super) fields: Vec<UnknownField>,
}

#[derive(Debug)]
pub(super) struct UnknownField {
    /// The messages that it lies in, from the outermost.
    pub(super) path: SmallVec<[PathStep; 2]>,
    pub(super) number: u32,
    /// Tag and value, or the value alone where it is in a packed field.
    pub(super) at: u32,
    pub(super) end: u32,
    /// A number of a packed field.
    pub(super) bits: Option<u64>,
}

impl Unknown {
    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.fields.len()
    }

    /// Appends them to `out` in the form of [`raw`]; `bytes` is the message that they were found in.
    ///
    /// Those of a nested message stand under the number of its field: `{"3": [{"9": [1]}]}`.
    pub fn write_json(&self, bytes: &[u8], out: &mut Vec<u8>, drain: Drain<'_>) {
        let mut all: Vec<&UnknownField> = self.fields.iter().collect();
        write_unknown(&mut all, 0, bytes, out, drain);
    }
}

fn write_unknown(fields: &mut [&UnknownField], depth: usize, bytes: &[u8], out: &mut Vec<u8>, drain: Drain<'_>) {
    let step = |f: &UnknownField| f.path.get(depth).copied().unwrap_or(PathStep { number: f.number, at: f.at });
    fields.sort_by_key(|f| (step(f).number, step(f).at));
    out.push(b'{');
    for same in fields.chunk_by_mut(|a, b| step(a).number == step(b).number) {
        let Some(number) = same.first().map(|f| step(f).number) else { continue };
        comma(out);
        out.push(b'"');
        json::write_unsigned(out, u64::from(number));
        out.extend_from_slice(b"\":[");
        for here in same.chunk_by_mut(|a, b| step(a).at == step(b).at) {
            match here {
                [field] if field.path.len() <= depth => {
                    comma(out);
                    match field.bits {
                        Some(bits) => json::write_exact(out, bits),
                        None => raw::write_field(bytes, field.at..field.end, out, drain),
                    }
                }
                nested => {
                    comma(out);
                    write_unknown(nested, depth + 1, bytes, out, drain);
                }
            }
        }
        out.push(b']');
    }
    out.push(b'}');
}
