//! Integers with a prefix, RFC 7541 §5.1.

use super::FaultKind;
use crate::Cursor;

/// Bytes after the prefix. Five hold every 32-bit number, and nothing that is counted here is larger.
const MAX_CONTINUATION: u32 = 5;

/// The integer that begins in the low `prefix` bits (4 to 7 here) of `first`, which is already read.
pub(super) fn read(first: u8, prefix: u32, cursor: &mut Cursor<'_>) -> Result<u32, FaultKind> {
    let mask = (1u32 << prefix) - 1;
    let low = u32::from(first) & mask;
    if low < mask {
        return Ok(low);
    }
    let mut value = u64::from(mask);
    for place in 0..MAX_CONTINUATION {
        let byte = cursor.u8().ok_or(FaultKind::Truncated)?;
        value += u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return u32::try_from(value).map_err(|_| FaultKind::Integer);
        }
    }
    Err(FaultKind::Integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8], prefix: u32) -> Result<(u32, usize), FaultKind> {
        let mut cursor = Cursor::new(bytes);
        let first = cursor.u8().unwrap();
        let value = read(first, prefix, &mut cursor)?;
        Ok((value, cursor.position()))
    }

    #[test]
    fn rfc_7541_c1() {
        assert_eq!(read_all(&[0b1110_1010], 5), Ok((10, 1)));
        assert_eq!(read_all(&[0b1111_1111, 0b1001_1010, 0b0000_1010], 5), Ok((1337, 3)));
        assert_eq!(read_all(&[0b0010_1010], 8), Ok((42, 1)));
    }

    #[test]
    fn around_the_prefix() {
        assert_eq!(read_all(&[0x7e], 7), Ok((126, 1)));
        assert_eq!(read_all(&[0x7f, 0x00], 7), Ok((127, 2)));
        assert_eq!(read_all(&[0x7f, 0x01], 7), Ok((128, 2)));
        // Zeros after the number are allowed by the RFC as long as they are few.
        assert_eq!(read_all(&[0x7f, 0x81, 0x80, 0x00], 7), Ok((128, 4)));
    }

    #[test]
    fn the_largest_and_one_more() {
        // 0xffff_ffff - 127 in groups of seven bits.
        assert_eq!(read_all(&[0x7f, 0x80, 0xff, 0xff, 0xff, 0x0f], 7), Ok((u32::MAX, 6)));
        assert_eq!(read_all(&[0x7f, 0x81, 0xff, 0xff, 0xff, 0x0f], 7), Err(FaultKind::Integer));
        assert_eq!(read_all(&[0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 7), Err(FaultKind::Integer));
        assert_eq!(read_all(&[0x7f, 0xff, 0xff], 7), Err(FaultKind::Truncated));
        assert_eq!(read_all(&[0x7f], 7), Err(FaultKind::Truncated));
    }
}
