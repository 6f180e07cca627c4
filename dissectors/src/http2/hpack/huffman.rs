//! The Huffman code, RFC 7541 appendix B.
//!
//! The code is canonical: codes of one length are consecutive and in the order of their symbols. So the lengths say
//! everything, and the tables below are computed from them.

use super::FaultKind;

/// Bits of the code of each symbol; the last one is EOS.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// The longest code.
const MAX_BITS: usize = 30;

/// Bits that one look-up goes by. Codes of printable ASCII have 5 to 13 bits, most of them 5 to 8.
const LOOKUP_BITS: u32 = 12;

/// The code of each length, in the canonical order.
struct Canonical {
    /// Symbols, sorted by the lengths of their codes.
    symbols: [u16; 257],
    /// For each length the first code of it.
    first_code: [u32; MAX_BITS + 1],
    /// For each length where in `symbols` its first one stands.
    first_symbol: [u16; MAX_BITS + 1],
    /// For each length how many there are.
    count: [u16; MAX_BITS + 1],
}

static CANONICAL: Canonical = CANONICAL_CODE;
const CANONICAL_CODE: Canonical = canonical();

const fn canonical() -> Canonical {
    let mut canonical = Canonical {
        symbols: [0; 257],
        first_code: [0; MAX_BITS + 1],
        first_symbol: [0; MAX_BITS + 1],
        count: [0; MAX_BITS + 1],
    };
    let mut filled = 0;
    let mut code = 0u32;
    let mut bits = 1;
    while bits <= MAX_BITS {
        code <<= 1;
        canonical.first_code[bits] = code;
        canonical.first_symbol[bits] = filled as u16;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == bits {
                canonical.symbols[filled] = symbol as u16;
                filled += 1;
                code += 1;
            }
            symbol += 1;
        }
        canonical.count[bits] = filled as u16 - canonical.first_symbol[bits];
        bits += 1;
    }
    canonical
}

/// What the next [`LOOKUP_BITS`] bits begin with, in one word, since the time of one look-up after another is the time of
/// it all:
///
/// ```text
///  31      24 23      16 15       8 7   6 5         0
/// +----------+----------+----------+-----+-----------+
/// |  second  |  first   |  bits of | how | bits of   |
/// |  symbol  |  symbol  |  first   | many| all       |
/// +----------+----------+----------+-----+-----------+
/// ```
///
/// How many is 0 where the code is longer than the look-up, and 2 where the code of a second symbol fits too.
#[derive(Clone, Copy)]
struct Step(u32);

impl Step {
    const LONG: Self = Self(0);

    const fn new(symbols: [u8; 2], count: u32, first_bits: u32, bits: u32) -> Self {
        Self((symbols[1] as u32) << 24 | (symbols[0] as u32) << 16 | first_bits << 8 | count << 6 | bits)
    }

    const fn is_long(self) -> bool {
        self.0 == 0
    }

    const fn symbols(self) -> [u8; 2] {
        [(self.0 >> 16) as u8, (self.0 >> 24) as u8]
    }

    const fn count(self) -> usize {
        (self.0 >> 6 & 3) as usize
    }

    const fn first_bits(self) -> u32 {
        self.0 >> 8 & 0xff
    }

    const fn bits(self) -> u32 {
        self.0 & 0x3f
    }
}

static STEPS: [Step; 1 << LOOKUP_BITS] = steps();

const fn steps() -> [Step; 1 << LOOKUP_BITS] {
    let mut steps = [Step::LONG; 1 << LOOKUP_BITS];
    let mut at = 0;
    while at < steps.len() {
        if let Some((first, first_bits)) = short(at as u32, LOOKUP_BITS) {
            steps[at] = Step::new([first, 0], 1, first_bits, first_bits);
            let left = LOOKUP_BITS - first_bits;
            if let Some((second, second_bits)) = short(at as u32 & ((1 << left) - 1), left) {
                steps[at] = Step::new([first, second], 2, first_bits, first_bits + second_bits);
            }
        }
        at += 1;
    }
    steps
}

/// The symbol whose whole code `code`, `width` bits wide, begins with.
const fn short(code: u32, width: u32) -> Option<(u8, u32)> {
    let mut bits = 5;
    while bits <= width {
        let prefix = code >> (width - bits);
        let first = CANONICAL_CODE.first_code[bits as usize];
        if prefix >= first && prefix - first < CANONICAL_CODE.count[bits as usize] as u32 {
            let at = CANONICAL_CODE.first_symbol[bits as usize] as u32 + prefix - first;
            return Some((CANONICAL_CODE.symbols[at as usize] as u8, bits));
        }
        bits += 1;
    }
    None
}

/// The symbol whose code, longer than a look-up, is at the top of `window`, and its bits.
#[cold]
fn long(window: u64) -> (u16, u32) {
    let lengths = CANONICAL.first_code.iter().zip(&CANONICAL.first_symbol).zip(&CANONICAL.count).enumerate();
    for (bits, ((&first, &at), &count)) in lengths.skip(LOOKUP_BITS as usize + 1) {
        let prefix = (window >> (64 - bits)) as u32;
        if let Some(beyond) = prefix.checked_sub(first)
            && beyond < u32::from(count)
        {
            let symbol = CANONICAL.symbols.get(usize::from(at) + beyond as usize).copied();
            return (symbol.unwrap_or(EOS), bits as u32);
        }
    }
    (EOS, MAX_BITS as u32)
}

/// The end-of-string symbol, which must not be sent.
const EOS: u16 = 256;

/// Bytes that `coded` decodes to at most, with room for a pair written at the end.
const fn room(coded: usize) -> usize {
    // The shortest code has five bits.
    coded * 8 / 5 + 2
}

/// Decodes `coded` into the beginning of `scratch`, which grows as needed, and returns how long it is.
pub(super) fn decode(coded: &[u8], scratch: &mut Vec<u8>) -> Result<usize, FaultKind> {
    if scratch.len() < room(coded.len()) {
        scratch.resize(room(coded.len()), 0);
    }
    let mut out = Out { scratch, len: 0 };
    let mut rest = coded;
    // The next bits, from the top; `bits` of them are there. Below them stand zeros, or bits that will be read again.
    let mut window = 0u64;
    let mut bits = 0u32;
    loop {
        if let Some(next) = rest.first_chunk::<8>() {
            window |= u64::from_be_bytes(*next) >> bits;
            let bytes = (63 - bits) / 8;
            rest = rest.get(bytes as usize..).unwrap_or_default();
            bits += bytes * 8;
        } else {
            while bits <= 56
                && let Some((&next, behind)) = rest.split_first()
            {
                window |= u64::from(next) << (56 - bits);
                bits += 8;
                rest = behind;
            }
        }
        if bits < MAX_BITS as u32 {
            break;
        }
        while bits >= MAX_BITS as u32 {
            let step = STEPS[(window >> (64 - LOOKUP_BITS)) as usize];
            let mut taken = step.bits();
            if step.is_long() {
                let (symbol, long_bits) = long(window);
                taken = long_bits;
                out.push(u8::try_from(symbol).map_err(|_| FaultKind::HuffmanEos)?);
            } else {
                out.push_some(step);
            }
            window <<= taken;
            bits -= taken;
        }
    }
    // All is in the window. Ones below it make what is left of the padding look like the beginning of EOS.
    window |= u64::MAX >> bits;
    while bits > 0 {
        // RFC 7541 §5.2: padding longer than 7 bits, or other than the first bits of EOS, is an error.
        if window == u64::MAX {
            return if bits <= 7 { Ok(out.len) } else { Err(FaultKind::HuffmanPadding) };
        }
        let step = STEPS[(window >> (64 - LOOKUP_BITS)) as usize];
        let (symbol, taken) = match step.is_long() {
            true => long(window),
            false => (u16::from(step.symbols()[0]), step.first_bits()),
        };
        if taken > bits {
            return Err(FaultKind::HuffmanPadding);
        }
        out.push(u8::try_from(symbol).map_err(|_| FaultKind::HuffmanEos)?);
        window = (window << taken) | ((1 << taken) - 1);
        bits -= taken;
    }
    Ok(out.len)
}

/// The decoded bytes so far.
struct Out<'a> {
    scratch: &'a mut [u8],
    len: usize,
}

impl Out<'_> {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.scratch.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    /// One or two: both are written, and as many count.
    fn push_some(&mut self, step: Step) {
        if let Some(place) = self.scratch.get_mut(self.len..self.len + 2) {
            place.copy_from_slice(&step.symbols());
            self.len += step.count();
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bits of `symbol`'s code, aligned to the right, and how many.
    fn code(symbol: u16) -> (u32, u32) {
        let bits = u32::from(LENGTHS[usize::from(symbol)]);
        let same = CANONICAL.symbols.iter().position(|&other| other == symbol).unwrap();
        let beyond = same - usize::from(CANONICAL.first_symbol[bits as usize]);
        (CANONICAL.first_code[bits as usize] + beyond as u32, bits)
    }

    /// The code of `text`, padded with ones.
    pub(in super::super) fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits: Vec<bool> = Vec::new();
        for &byte in text {
            let (code, len) = code(u16::from(byte));
            bits.extend((0..len).rev().map(|bit| code >> bit & 1 == 1));
        }
        pack(&bits)
    }

    fn pack(bits: &[bool]) -> Vec<u8> {
        bits.chunks(8)
            .map(|bits| (0..8).fold(0, |byte, bit| byte << 1 | u8::from(bits.get(bit).copied().unwrap_or(true))))
            .collect()
    }

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, FaultKind> {
        let mut scratch = Vec::new();
        let len = decode(coded, &mut scratch)?;
        Ok(scratch[..len].to_vec())
    }

    #[test]
    fn codes_of_the_rfc() {
        assert_eq!(code(0), (0x1ff8, 13));
        assert_eq!(code(u16::from(b'0')), (0x0, 5));
        assert_eq!(code(u16::from(b'a')), (0x3, 5));
        assert_eq!(code(u16::from(b'Z')), (0xfd, 8));
        assert_eq!(code(u16::from(b'~')), (0x1ffd, 13));
        assert_eq!(code(22), (0x3fff_fffe, 30));
        assert_eq!(code(EOS), (0x3fff_ffff, 30));
    }

    #[test]
    fn every_symbol_at_every_place() {
        for byte in 0..=255u8 {
            for before in 0..9 {
                for after in 0..3 {
                    let mut text = vec![b'a'; before];
                    text.push(byte);
                    text.extend(std::iter::repeat_n(b'~', after));
                    assert_eq!(decoded(&encode(&text)).as_deref(), Ok(&text[..]));
                }
            }
        }
    }

    #[test]
    fn the_other_decoder_reads_every_symbol_alike() {
        for byte in 0..=255u8 {
            let mut block = vec![0x00, 1, b'n', 0];
            let coded = encode(&[byte]);
            block[3] = 0x80 | coded.len() as u8;
            block.extend(coded);
            let fields = hpack::Decoder::new().decode(&block).unwrap();
            assert_eq!(fields[0].1.as_ref() as &[u8], [byte]);
        }
    }

    #[test]
    fn padding() {
        assert_eq!(decoded(&[]), Ok(vec![]));
        // 'a' is 00011: three ones of padding.
        assert_eq!(decoded(&[0b0001_1111]), Ok(b"a".to_vec()));
        assert_eq!(decoded(&[0b0001_1110]), Err(FaultKind::HuffmanPadding));
        assert_eq!(decoded(&[0b0001_1000]), Err(FaultKind::HuffmanPadding));
        // Eight bits of padding and more.
        assert_eq!(decoded(&[0xff]), Err(FaultKind::HuffmanPadding));
        assert_eq!(decoded(&[0b0001_1111, 0xff]), Err(FaultKind::HuffmanPadding));
        assert_eq!(decoded(&[0b0001_1111, 0xff, 0xff]), Err(FaultKind::HuffmanPadding));
        assert_eq!(decoded(&[0xff; 3]), Err(FaultKind::HuffmanPadding));
    }

    #[test]
    fn end_of_string_symbol() {
        assert_eq!(decoded(&[0xff; 4]), Err(FaultKind::HuffmanEos));
        assert_eq!(decoded(&[0xff; 40]), Err(FaultKind::HuffmanEos));
    }

    proptest! {
        #[test]
        fn back_and_forth(text: Vec<u8>) {
            prop_assert_eq!(decoded(&encode(&text)), Ok(text));
        }

        #[test]
        fn any_bytes_are_a_code_or_a_fault(coded: Vec<u8>) {
            if let Ok(text) = decoded(&coded) {
                prop_assert_eq!(encode(&text), coded);
            }
        }
    }
}
