//! The decoder against the RFC's own examples, against another implementation, and against itself joined later.

use hashbrown::HashMap;
use proptest::collection::vec;
use proptest::prelude::*;

use super::huffman::tests::encode as huffman;
use super::*;
use crate::header::{Coded, Octets, Text, UnknownEntry};

/// The bytes of `text`, which is hexadecimal digits, and spaces for the eye.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// `(name, value)` of every field; `?` for unknown ones.
fn pairs(block: &Block) -> Vec<(&str, &str)> {
    let text = |text| Text::as_str(text).unwrap_or("?");
    block.fields.iter().map(|field| (text(&field.name), text(&field.value))).collect()
}

#[track_caller]
fn assert_block(decoder: &mut Decoder, bytes: &str, expected: &[(&str, &str)]) -> Block {
    let block = decoder.decode(&hex(bytes));
    assert_eq!(block.faults, []);
    assert!(block.complete);
    assert_eq!(pairs(&block), expected);
    block
}

fn kinds(block: &Block) -> Vec<FaultKind> {
    block.faults.iter().map(|fault| fault.kind).collect()
}

mod rfc_7541 {
    use super::*;
    use crate::header::Coded;

    #[test]
    fn c2_1_literal_with_indexing() {
        let mut decoder = Decoder::new(true);
        let block = assert_block(
            &mut decoder,
            "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            &[("custom-key", "custom-header")],
        );
        let field = &block.fields[0];
        assert_eq!(field.coded, Coded::LiteralIndexed);
        assert_eq!((field.name_huffman, field.value_huffman, field.index), (false, false, None));
        assert_eq!((field.span.clone(), field.value_span.clone()), (0..26, 13..26));
        assert_eq!(decoder.insertions(), 1);
    }

    #[test]
    fn c2_2_literal_without_indexing() {
        let mut decoder = Decoder::new(true);
        let block = assert_block(&mut decoder, "040c 2f73 616d 706c 652f 7061 7468", &[(":path", "/sample/path")]);
        assert_eq!(block.fields[0].coded, Coded::Literal);
        assert_eq!(block.fields[0].index, Some(4));
        assert_eq!(decoder.insertions(), 0);
    }

    #[test]
    fn c2_3_literal_never_indexed() {
        let mut decoder = Decoder::new(true);
        let block = assert_block(&mut decoder, "1008 7061 7373 776f 7264 0673 6563 7265 74", &[("password", "secret")]);
        assert_eq!(block.fields[0].coded, Coded::NeverIndexed);
        assert_eq!(decoder.insertions(), 0);
    }

    #[test]
    fn c2_4_indexed() {
        let block = assert_block(&mut Decoder::new(true), "82", &[(":method", "GET")]);
        assert_eq!(block.fields[0].coded, Coded::Indexed);
        assert_eq!(block.fields[0].index, Some(2));
        assert_eq!((block.fields[0].span.clone(), block.fields[0].value_span.clone()), (0..1, 0..1));
    }

    /// What C.3 and C.4 both say, without and with Huffman coding.
    fn requests(blocks: [&str; 3]) {
        let mut decoder = Decoder::new(true);
        let start = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")];
        assert_block(&mut decoder, blocks[0], &start);
        assert_eq!(decoder.insertions(), 1);
        assert_block(&mut decoder, blocks[1], &[&start[..], &[("cache-control", "no-cache")]].concat());
        assert_eq!(decoder.insertions(), 2);
        assert_block(
            &mut decoder,
            blocks[2],
            &[
                (":method", "GET"),
                (":scheme", "https"),
                (":path", "/index.html"),
                (":authority", "www.example.com"),
                ("custom-key", "custom-value"),
            ],
        );
        // C.3.3's table: 1 custom-key, 2 cache-control, 3 :authority.
        assert_block(
            &mut decoder,
            "be bf c0",
            &[("custom-key", "custom-value"), ("cache-control", "no-cache"), (":authority", "www.example.com")],
        );
    }

    #[test]
    fn c3_requests() {
        requests([
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ]);
    }

    #[test]
    fn c4_requests_with_huffman() {
        requests([
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ]);
    }

    /// What C.5 and C.6 both say. Their table holds 256 bytes, so that entries are evicted; ours keeps them.
    fn responses(blocks: [&str; 3]) {
        let mut decoder = Decoder::new(true);
        decoder.set_limit(256);
        let location = ("location", "https://www.example.com");
        let date = ("date", "Mon, 21 Oct 2013 20:13:21 GMT");
        let later = ("date", "Mon, 21 Oct 2013 20:13:22 GMT");
        let cookie = ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1");
        assert_block(&mut decoder, blocks[0], &[(":status", "302"), ("cache-control", "private"), date, location]);
        assert_block(&mut decoder, blocks[1], &[(":status", "307"), ("cache-control", "private"), date, location]);
        assert_block(
            &mut decoder,
            blocks[2],
            &[(":status", "200"), ("cache-control", "private"), later, location, ("content-encoding", "gzip"), cookie],
        );
        // C.5.3's table: 1 set-cookie, 2 content-encoding, 3 date.
        assert_block(&mut decoder, "be bf c0", &[cookie, ("content-encoding", "gzip"), later]);
    }

    #[test]
    fn c5_responses() {
        responses([
            "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 \
             2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "4803 3330 37c1 c0bf",
            "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 \
             5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 \
             5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
        ]);
    }

    #[test]
    fn c6_responses_with_huffman() {
        responses([
            "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b \
             ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
            "4883 640e ffc1 c0bf",
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad \
             94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 \
             65c0 03ed 4ee5 b106 3d50 07",
        ]);
    }
}

mod epochs {
    use super::*;
    use crate::header::{Text, UnknownEntry};

    /// `x-a: 1`, inserted.
    const INSERT_A: &str = "40 03 782d61 01 31";
    /// `x-b: 2`, inserted.
    const INSERT_B: &str = "40 03 782d62 01 32";

    #[test]
    fn what_was_inserted_before_is_unknown_and_the_same_unknown_is_equal() {
        let mut decoder = Decoder::new(false);
        let first = decoder.decode(&hex("be c0"));
        assert!(first.complete && first.faults.is_empty());
        assert_eq!(pairs(&first), [("?", "?"), ("?", "?")]);
        assert_ne!(first.fields[0].value, first.fields[1].value);
        assert_block(&mut decoder, INSERT_A, &[("x-a", "1")]);
        // Everything has moved by one.
        let second = decoder.decode(&hex("be bf c1"));
        assert_eq!(pairs(&second), [("x-a", "1"), ("?", "?"), ("?", "?")]);
        assert_eq!(second.fields[1].value, first.fields[0].value);
        assert_eq!(second.fields[2].value, first.fields[1].value);
        assert_eq!(second.fields[1].value, Text::Unknown(UnknownEntry { epoch: 0, number: -1 }));
    }

    #[test]
    fn a_literal_under_an_unknown_name_leaves_a_hole_for_the_name() {
        let mut decoder = Decoder::new(false);
        let block = decoder.decode(&hex("7e 01 31")); // literal, inserted, name of entry 62
        assert_eq!(pairs(&block), [("?", "1")]);
        assert_block(&mut decoder, INSERT_B, &[("x-b", "2")]);
        let again = decoder.decode(&hex("bf"));
        assert_eq!(pairs(&again), [("?", "1")]);
        assert_eq!(again.fields[0].name, block.fields[0].name);
    }

    #[test]
    fn a_new_epoch_forgets() {
        let mut decoder = Decoder::new(true);
        assert_block(&mut decoder, INSERT_A, &[("x-a", "1")]);
        decoder.new_epoch();
        assert_eq!(decoder.epoch(), 1);
        let block = decoder.decode(&hex("be 82"));
        assert!(block.faults.is_empty());
        assert_eq!(pairs(&block), [("?", "?"), (":method", "GET")]);
        assert_eq!(decoder.insertions(), 1);
    }

    #[test]
    fn from_the_start_nothing_is_before() {
        let mut decoder = Decoder::new(true);
        assert_block(&mut decoder, INSERT_A, &[("x-a", "1")]);
        let block = decoder.decode(&hex("bf 82"));
        assert_eq!(kinds(&block), [FaultKind::IndexBeyondTable]);
        assert!(block.complete);
        assert_eq!(pairs(&block), [("?", "?"), (":method", "GET")]);
        assert_eq!(decoder.epoch(), 0);
    }

    #[test]
    fn an_index_that_no_table_has_is_a_fault_even_in_the_middle() {
        let block = Decoder::new(false).decode(&hex("ff ffffff07 82"));
        assert_eq!(kinds(&block), [FaultKind::IndexBeyondTable]);
        assert_eq!(pairs(&block), [("?", "?"), (":method", "GET")]);
    }

    #[test]
    fn a_block_that_ends_early_keeps_its_fields_and_begins_an_epoch() {
        for (bytes, kind) in [
            ("82 40 03 782d", FaultKind::Truncated),
            ("82 40 03 782d61", FaultKind::Truncated),
            ("82 ff ffffffffff00", FaultKind::Integer),
            ("82 80 83", FaultKind::IndexZero),
            ("82 00 01 61 7f ffffff07", FaultKind::StringTooLong),
        ] {
            let mut decoder = Decoder::new(true);
            assert_block(&mut decoder, INSERT_A, &[("x-a", "1")]);
            let block = decoder.decode(&hex(bytes));
            assert_eq!(kinds(&block), [kind], "{bytes}");
            assert!(!block.complete && kind.ends_block());
            assert_eq!(block.faults[0].span.start, 1);
            assert_eq!(pairs(&block), [(":method", "GET")]);
            assert_eq!(decoder.epoch(), 1);
            assert_eq!(pairs(&decoder.decode(&hex("be"))), [("?", "?")]);
        }
    }

    #[test]
    fn a_bad_code_keeps_the_raw_bytes_goes_on_and_leaves_a_hole() {
        let mut decoder = Decoder::new(true);
        assert_block(&mut decoder, INSERT_A, &[("x-a", "1")]);
        // literal, inserted, x-c: one byte of padding alone; then the newest entry, and the one before.
        let block = decoder.decode(&hex("40 03 782d63 81 ff be bf 82"));
        assert_eq!(kinds(&block), [FaultKind::HuffmanPadding]);
        assert_eq!(block.faults[0].span, 6..7);
        assert!(block.complete);
        assert_eq!(block.fields[0].name, *b"x-c");
        assert_eq!(block.fields[0].value, *b"\xff");
        assert_eq!(pairs(&block)[1..], [("?", "?"), ("?", "?"), (":method", "GET")]);
        assert_eq!(decoder.epoch(), 1);
    }
}

mod sizes {
    use super::*;

    #[test]
    fn several_updates_at_the_beginning_are_fine() {
        let mut decoder = Decoder::new(true);
        assert_block(&mut decoder, "20 3f e1 1f 82", &[(":method", "GET")]); // 0, then 4096
    }

    #[test]
    fn an_update_elsewhere_is_said_and_obeyed() {
        let mut decoder = Decoder::new(true);
        let block = decoder.decode(&hex("82 20 83"));
        assert_eq!(kinds(&block), [FaultKind::LateSizeUpdate]);
        assert_eq!(block.faults[0].span, 1..2);
        assert!(block.complete);
        assert_eq!(pairs(&block), [(":method", "GET"), (":method", "POST")]);
    }

    #[test]
    fn an_update_above_the_limit_is_said() {
        let mut decoder = Decoder::new(true);
        decoder.set_limit(100);
        assert_eq!(kinds(&decoder.decode(&hex("3f 45"))), []); // 31 + 69
        assert_eq!(kinds(&decoder.decode(&hex("3f 46"))), [FaultKind::SizeUpdateAboveLimit]);
    }

    #[test]
    fn entries_stay_when_the_table_shrinks() {
        let mut decoder = Decoder::new(true);
        assert_block(&mut decoder, "40 03 782d61 01 31", &[("x-a", "1")]);
        decoder.set_limit(0);
        assert_block(&mut decoder, "20 be", &[("x-a", "1")]);
    }

    #[test]
    fn an_entry_larger_than_the_table_empties_it() {
        let mut decoder = Decoder::new(true);
        assert_block(&mut decoder, "40 03 782d61 01 31", &[("x-a", "1")]);
        let mut large = hex("40 03 782d62 7f e11e"); // 127 + 3937 = 4064 bytes, in all 4099
        large.extend([b'v'; 4064]);
        let block = decoder.decode(&large);
        assert!(block.complete && block.faults.is_empty());
        assert_eq!(block.fields[0].value.known().map(<[u8]>::len), Some(4064));
        let block = decoder.decode(&hex("bf be"));
        assert_eq!(pairs(&block), [("?", "?"), ("?", "?")]);
        // Where the size is not known, the entry may well have been kept.
        let mut decoder = Decoder::new(false);
        decoder.decode(&large);
        assert_eq!(decoder.decode(&hex("be")).fields[0].name, *b"x-b");
    }

    #[test]
    fn what_is_kept_has_an_end() {
        let mut decoder = Decoder::new(false);
        let mut insert = hex("40 03 782d61 7f c906"); // 127 + 841 = 968 bytes, in all 1003
        insert.extend([b'v'; 968]);
        for _ in 0..200 {
            assert!(decoder.decode(&insert).complete);
        }
        let newest = KEPT_AT_LEAST as usize / 1003;
        for (back, known) in [(newest, true), (newest + 1, false)] {
            let mut indexed = Vec::new();
            integer(&mut indexed, 0x80, 7, 61 + back);
            let block = decoder.decode(&indexed);
            assert_eq!(block.faults, []);
            assert_eq!(block.fields[0].value.is_known(), known, "{back}");
        }
    }
}

mod limits {
    use super::*;

    #[test]
    fn references_to_a_large_entry_end_somewhere() {
        let mut decoder = Decoder::new(false);
        let mut insert = hex("40 01 61 7f 81f501"); // 127 + 31361 = 31488 bytes
        insert.extend([b'v'; 31488]);
        let block = decoder.decode(&insert);
        assert!(block.complete, "{:?}", block.faults);
        let block = decoder.decode(&[0xbe; 2000]);
        assert_eq!(kinds(&block), [FaultKind::DecodedTooLarge]);
        assert!(!block.complete);
        assert_eq!(block.fields.len(), MAX_DECODED / (31488 + 1 + 32));
    }

    #[test]
    fn so_do_fields() {
        let block = Decoder::new(true).decode(&vec![0x82; MAX_FIELDS + 1]);
        assert_eq!(kinds(&block), [FaultKind::TooManyFields]);
        assert_eq!(block.fields.len(), MAX_FIELDS);
        assert!(Decoder::new(true).decode(&vec![0x82; MAX_FIELDS]).complete);
    }

    #[test]
    fn and_blocks_and_faults() {
        let block = Decoder::new(true).decode(&vec![0x82; MAX_BLOCK + 1]);
        assert_eq!(kinds(&block), [FaultKind::BlockTooLong]);
        let block = Decoder::new(true).decode(&[0xbe; 1000]);
        assert_eq!(block.faults.len(), MAX_FAULTS);
        assert_eq!(block.fields.len(), 1000);
    }
}

mod repeated {
    use super::*;

    #[test]
    fn what_means_the_same_again_is_said() {
        let mut decoder = Decoder::new(true);
        assert!(decoder.decode(&hex("82 86 84")).repeatable);
        assert!(!decoder.decode(&hex("40 03 782d61 01 31")).repeatable, "it inserts");
        assert!(decoder.decode(&hex("be")).repeatable);
        assert!(!decoder.decode(&hex("20 82")).repeatable, "it changes the table's size");
        assert!(!decoder.decode(&hex("ff")).repeatable, "it is cut short");
    }

    #[test]
    fn an_insertion_between_makes_it_another() {
        let mut decoder = Decoder::new(true);
        assert_block(&mut decoder, "40 03 782d61 01 31", &[("x-a", "1")]);
        assert_block(&mut decoder, "be", &[("x-a", "1")]);
        assert_block(&mut decoder, "be", &[("x-a", "1")]);
        assert_block(&mut decoder, "40 03 782d62 01 32", &[("x-b", "2")]);
        assert_block(&mut decoder, "be", &[("x-b", "2")]);
        decoder.new_epoch();
        assert_eq!(pairs(&decoder.decode(&hex("be"))), [("?", "?")]);
    }

    #[test]
    fn a_block_that_inserts_inserts_again() {
        let mut decoder = Decoder::new(true);
        for count in 1..4 {
            assert_block(&mut decoder, "40 03 782d61 01 31", &[("x-a", "1")]);
            assert_eq!(decoder.insertions(), count);
        }
    }

    #[test]
    fn a_size_update_is_obeyed_again() {
        let mut decoder = Decoder::new(true);
        decoder.decode(&hex("20 82"));
        decoder.decode(&hex("3f e1 1f 82"));
        decoder.decode(&hex("20 82"));
        // The table has size 0: an entry does not stay in it.
        decoder.decode(&hex("40 03 782d61 01 31"));
        assert_eq!(pairs(&decoder.decode(&hex("be"))), [("?", "?")]);
    }
}

/// One field as some encoder may send it; numbers are reduced modulo the table's size.
#[derive(Clone, Debug)]
enum Op {
    Indexed(usize),
    Literal { coded: Coded, name: Result<usize, Vec<u8>>, name_huffman: bool, value: Vec<u8>, value_huffman: bool },
}

fn coded() -> impl Strategy<Value = Coded> {
    // Insertions are what makes it interesting.
    prop_oneof![3 => Just(Coded::LiteralIndexed), 1 => Just(Coded::Literal), 1 => Just(Coded::NeverIndexed)]
}

fn op() -> impl Strategy<Value = Op> {
    let text = || prop_oneof![vec(any::<u8>(), 0..40), "[a-z-]{1,12}".prop_map(String::into_bytes)];
    let name = prop_oneof![any::<usize>().prop_map(Ok), text().prop_map(Err)];
    let value = prop_oneof![9 => text(), 1 => vec(any::<u8>(), 200..600)];
    prop_oneof![
        any::<usize>().prop_map(Op::Indexed),
        (coded(), name, any::<bool>(), value, any::<bool>()).prop_map(
            |(coded, name, name_huffman, value, value_huffman)| Op::Literal {
                coded,
                name,
                name_huffman,
                value,
                value_huffman
            }
        ),
    ]
}

/// The blocks of one direction: for each its size update, if any, and its fields.
fn session() -> impl Strategy<Value = Vec<(Option<u32>, Vec<Op>)>> {
    let update = prop_oneof![8 => Just(None), 1 => (0..4097u32).prop_map(Some)];
    vec((update, vec(op(), 0..12)), 1..12)
}

/// An encoder that follows instructions and keeps its table only as sizes.
#[derive(Default)]
struct Encoder {
    sizes: std::collections::VecDeque<(Vec<u8>, usize)>,
    size: usize,
}

impl Encoder {
    fn encode(&mut self, (update, ops): &(Option<u32>, Vec<Op>)) -> Vec<u8> {
        let mut block = Vec::new();
        // The other decoder refuses an update that nothing follows, which the RFC allows.
        if let Some(size) = *update
            && !ops.is_empty()
        {
            self.size = size as usize;
            self.evict(0);
            integer(&mut block, 0x20, 5, size as usize);
        }
        for op in ops {
            match op {
                Op::Indexed(index) => integer(&mut block, 0x80, 7, 1 + index % (61 + self.sizes.len())),
                Op::Literal { coded, name, name_huffman, value, value_huffman } => {
                    let (first, prefix) = match coded {
                        Coded::LiteralIndexed => (0x40, 6),
                        Coded::NeverIndexed => (0x10, 4),
                        _ => (0x00, 4),
                    };
                    let index = name.as_ref().map_or(0, |index| 1 + index % (61 + self.sizes.len()));
                    integer(&mut block, first, prefix, index);
                    let name = match name {
                        Err(name) => {
                            string(&mut block, name, *name_huffman);
                            name.clone()
                        }
                        Ok(_) if index <= 61 => static_table::entry(index as u32).unwrap().0.to_vec(),
                        Ok(_) => self.sizes[index - 62].0.clone(),
                    };
                    string(&mut block, value, *value_huffman);
                    if *coded == Coded::LiteralIndexed {
                        let bytes = name.len() + value.len() + 32;
                        self.evict(bytes);
                        if bytes <= self.size {
                            self.sizes.push_front((name, bytes));
                        }
                    }
                }
            }
        }
        block
    }

    fn evict(&mut self, coming: usize) {
        while self.sizes.iter().map(|(_, bytes)| bytes).sum::<usize>() + coming > self.size
            && self.sizes.pop_back().is_some()
        {}
    }
}

fn integer(block: &mut Vec<u8>, first: u8, prefix: u32, value: usize) {
    let mask = (1 << prefix) - 1;
    if value < mask {
        block.push(first | value as u8);
        return;
    }
    block.push(first | mask as u8);
    let mut left = value - mask;
    while left >= 128 {
        block.push(0x80 | (left % 128) as u8);
        left /= 128;
    }
    block.push(left as u8);
}

fn string(block: &mut Vec<u8>, text: &[u8], coded: bool) {
    let bytes = if coded { huffman(text) } else { text.to_vec() };
    integer(block, if coded { 0x80 } else { 0 }, 7, bytes.len());
    block.extend(bytes);
}

fn blocks(session: &[(Option<u32>, Vec<Op>)]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder { size: 4096, ..Encoder::default() };
    session.iter().map(|block| encoder.encode(block)).collect()
}

proptest! {
    /// Another decoder reads valid blocks alike.
    #[test]
    fn another_decoder_agrees(session in session()) {
        let mut ours = Decoder::new(true);
        let mut theirs = hpack::Decoder::new();
        for bytes in blocks(&session) {
            let block = ours.decode(&bytes);
            prop_assert!(block.complete && block.faults.is_empty(), "{:?}", block.faults);
            let expected = theirs.decode(&bytes).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
            let fields: Vec<_> = block.fields.iter().map(|field| (field.name.known(), field.value.known())).collect();
            let expected: Vec<_> = expected.iter().map(|(name, value)| (Some(&name[..]), Some(&value[..]))).collect();
            prop_assert_eq!(fields, expected);
        }
    }

    /// What another encoder writes is read.
    #[test]
    fn another_encoder_is_understood(lists in vec(vec(("[a-c]{1,3}", "[a-f]{0,2}"), 0..12), 1..12)) {
        let mut ours = Decoder::new(true);
        let mut theirs = hpack::Encoder::new();
        for list in lists {
            let bytes = theirs.encode(list.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())));
            let block = ours.decode(&bytes);
            prop_assert!(block.complete && block.faults.is_empty());
            let list: Vec<_> = list.iter().map(|(name, value)| (&name[..], &value[..])).collect();
            prop_assert_eq!(pairs(&block), list);
        }
    }

    /// Joined later, every field is right or unknown, and an unknown always stands for the same thing.
    #[test]
    fn joined_in_the_middle_nothing_is_wrong(session in session(), missed in 0usize..12) {
        let mut whole = Decoder::new(true);
        let mut late = Decoder::new(false);
        let mut meant: HashMap<(bool, UnknownEntry), Octets> = HashMap::new();
        for (number, bytes) in blocks(&session).iter().enumerate() {
            let full = whole.decode(bytes);
            if number < missed {
                continue;
            }
            let seen = late.decode(bytes);
            prop_assert!(seen.complete && seen.faults.is_empty());
            prop_assert_eq!(seen.fields.len(), full.fields.len());
            for (seen, full) in seen.fields.iter().zip(full.fields.iter()) {
                prop_assert_eq!(
                    (seen.coded, seen.index, &seen.span, &seen.value_span),
                    (full.coded, full.index, &full.span, &full.value_span)
                );
                prop_assert!(seen.value.is_known() || seen.coded == Coded::Indexed);
                for (is_name, seen, full) in [(true, &seen.name, &full.name), (false, &seen.value, &full.value)] {
                    let Text::Known(full) = full else { unreachable!("the whole session is known") };
                    match seen {
                        Text::Known(seen) => prop_assert_eq!(seen, full),
                        Text::Unknown(unknown) => {
                            let before = meant.entry((is_name, *unknown)).or_insert_with(|| full.clone());
                            prop_assert_eq!(&*before, full);
                        }
                    }
                }
            }
        }
    }

    /// After any gap that is reported, nothing is wrong either.
    #[test]
    fn after_lost_blocks_nothing_is_wrong(session in session(), lost in vec(any::<bool>(), 12)) {
        let mut whole = Decoder::new(true);
        let mut holed = Decoder::new(true);
        for (bytes, lost) in blocks(&session).iter().zip(lost) {
            let full = whole.decode(bytes);
            if lost {
                holed.new_epoch();
                continue;
            }
            let seen = holed.decode(bytes);
            prop_assert!(seen.complete && seen.faults.is_empty());
            for (seen, full) in seen.fields.iter().zip(full.fields.iter()) {
                prop_assert!(!seen.name.is_known() || seen.name == full.name);
                prop_assert!(!seen.value.is_known() || seen.value == full.value);
            }
        }
    }

    /// Any bytes: an end, fields within the block, in order, and a fault wherever it is not complete.
    #[test]
    fn any_bytes_are_read(blocks in vec(vec(any::<u8>(), 0..200), 1..8), from_start: bool) {
        let mut decoder = Decoder::new(from_start);
        for bytes in blocks {
            let epoch = decoder.epoch();
            let block = decoder.decode(&bytes);
            let mut at = 0;
            for field in block.fields.iter() {
                prop_assert!(field.span.start >= at && field.span.end as usize <= bytes.len());
                prop_assert!(field.span.start <= field.value_span.start && field.value_span.end <= field.span.end);
                at = field.span.end;
            }
            let ended = block.faults.iter().any(|fault| fault.kind.ends_block());
            prop_assert_eq!(block.complete, !ended);
            prop_assert!(block.complete || decoder.epoch() > epoch);
        }
    }

    /// A block cut anywhere gives the fields before the cut.
    #[test]
    fn cut_blocks_keep_what_is_there(session in session(), cut: prop::sample::Index) {
        for bytes in blocks(&session).iter().take(1) {
            let full = Decoder::new(true).decode(bytes);
            let cut = cut.index(bytes.len() + 1);
            let mut decoder = Decoder::new(true);
            let part = decoder.decode(&bytes[..cut]);
            let whole: Vec<_> = full.fields.iter().filter(|field| field.span.end as usize <= cut).collect();
            prop_assert_eq!(part.fields.iter().collect::<Vec<_>>(), whole);
            prop_assert_eq!(decoder.epoch() == 0, part.complete);
        }
    }
}
