//! Writing header blocks (RFC 7541) that need no table: every field is a literal without indexing and without Huffman
//! codes, so a block means the same wherever it stands.
//!
//! What a listener does not know stays unknown: a name or a value that refers to an entry from before the capture is
//! written as that reference. Its reader must not know the entry either, so such blocks belong after a gap.

use crate::header::{Coded, Field};

/// A value to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldToWrite<'a> {
    /// The name; `None`: it is that of the entry `index`.
    pub name: Option<&'a [u8]>,
    /// The value; `None`: the whole field is the entry `index`.
    pub value: Option<&'a [u8]>,
    /// The entry that what is `None` refers to.
    pub index: u32,
    /// Whether it is marked as never to be put into a table (RFC 7541 §6.2.3).
    pub never_indexed: bool,
}

impl<'a> FieldToWrite<'a> {
    /// A field that was read, with all that is known of it.
    pub fn of(field: &'a Field) -> Self {
        Self {
            name: field.name.known(),
            value: field.value.known(),
            index: field.index.unwrap_or(0),
            never_indexed: field.coded == Coded::NeverIndexed,
        }
    }
}

/// Appends a field to a header block. A field of which something is unknown, and that refers to no entry, is left out: false.
pub fn encode(field: FieldToWrite<'_>, block: &mut Vec<u8>) -> bool {
    let FieldToWrite { name, value, index, never_indexed } = field;
    // RFC 7541 §6.2.2, §6.2.3: 0000 or 0001, then the index of the name in four bits, 0 for a name that follows.
    let literal = if never_indexed { 0x10 } else { 0 };
    match (name, value) {
        (Some(name), Some(value)) => {
            block.push(literal);
            string(name, block);
            string(value, block);
        }
        (None, Some(value)) if index > 0 => {
            integer(index, 4, literal, block);
            string(value, block);
        }
        // RFC 7541 §6.1: 1, then the index in seven bits.
        (_, None) if index > 0 => integer(index, 7, 0x80, block),
        _ => return false,
    }
    true
}

/// A string without Huffman codes (RFC 7541 §5.2).
fn string(bytes: &[u8], block: &mut Vec<u8>) {
    integer(u32::try_from(bytes.len()).unwrap_or(u32::MAX), 7, 0, block);
    block.extend_from_slice(bytes);
}

/// An integer after the upper bits `first` (RFC 7541 §5.1); `prefix`: how many bits are left for it.
fn integer(value: u32, prefix: u32, first: u8, block: &mut Vec<u8>) {
    let mask = (1u32 << prefix) - 1;
    if value < mask {
        block.push(first | value as u8);
        return;
    }
    block.push(first | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        block.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    block.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http2::hpack::Decoder;
    use proptest::prelude::*;

    fn known<'a>(name: &'a [u8], value: &'a [u8], never_indexed: bool) -> FieldToWrite<'a> {
        FieldToWrite { name: Some(name), value: Some(value), index: 0, never_indexed }
    }

    #[test]
    fn integers_are_those_of_the_rfc() {
        for (value, prefix, bytes) in
            [(10, 5, &[0b0000_1010][..]), (1337, 5, &[0b0001_1111, 0b1001_1010, 0b0000_1010]), (42, 8, &[0b0010_1010])]
        {
            let mut block = Vec::new();
            integer(value, prefix, 0, &mut block);
            assert_eq!(block, bytes);
        }
    }

    #[test]
    fn a_reference_to_an_unknown_entry_stays_one() {
        let mut decoder = Decoder::new(false);
        let block = decoder.decode(&[0xbe, 0x0f, 0x30, 0x01, b'v', 0x10, 0x01, b'k', 0x00]);
        assert!(block.faults.is_empty());
        let mut written = Vec::new();
        assert!(block.fields.iter().all(|field| encode(FieldToWrite::of(field), &mut written)));
        let again = Decoder::new(false).decode(&written);
        let facts = |fields: &[Field]| -> Vec<_> {
            fields
                .iter()
                .map(|f| (f.name.known().map(<[u8]>::to_vec), f.value.known().map(<[u8]>::to_vec), f.index, f.coded))
                .collect()
        };
        assert_eq!(facts(&again.fields), facts(&block.fields));
        assert!(again.faults.is_empty() && again.complete);
    }

    #[test]
    fn what_refers_to_nothing_is_left_out() {
        let mut block = Vec::new();
        assert!(!encode(FieldToWrite { name: None, value: Some(b"v"), index: 0, never_indexed: false }, &mut block));
        assert!(block.is_empty());
    }

    proptest! {
        #[test]
        fn any_fields_are_read_back_by_both_decoders(
            fields in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 1..40), prop::collection::vec(any::<u8>(), 0..300), any::<bool>()),
                0..20,
            ),
        ) {
            let mut block = Vec::new();
            for (name, value, never) in &fields {
                prop_assert!(encode(known(name, value, *never), &mut block));
            }
            let read = Decoder::new(true).decode(&block);
            prop_assert!(read.faults.is_empty() && read.complete);
            let own: Vec<_> = read
                .fields
                .iter()
                .map(|f| (f.name.known().unwrap().to_vec(), f.value.known().unwrap().to_vec(), f.coded == Coded::NeverIndexed))
                .collect();
            prop_assert_eq!(&own, &fields);
            let theirs = ::hpack::Decoder::new().decode(&block).unwrap();
            let expected: Vec<_> = fields.iter().map(|(name, value, _)| (name.clone(), value.clone())).collect();
            prop_assert_eq!(theirs, expected);
        }
    }
}
