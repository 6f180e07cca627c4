//! TCP headers (RFC 9293 §3.1).
//!
//! ```text
//!  0        2        4                8                12   13   14       16         18        20
//! +--------+--------+----------------+----------------+----+----+--------+----------+---------+---------+
//! | source | dest.  | sequence       | acknowledgment |off.|flag| window | checksum | urgent  | options |
//! +--------+--------+----------------+----------------+----+----+--------+----------+---------+---------+
//! ```

use super::peel::PeelResult;
use super::rest::{Rest, be16};
use super::{Layer, Peeled, Skip};
use crate::{Address, Segment, TcpFlags};

/// The shortest header, in bytes.
const MIN_HEADER: usize = 20;

/// A segment between two IP addresses.
#[inline]
pub(super) fn segment<'a>(mut rest: Rest<'a>, source: u128, destination: u128) -> PeelResult<'a> {
    let header: &[u8; MIN_HEADER] = rest.take(Layer::Tcp)?;
    let header_len = header_len(header[12]);
    if header_len < MIN_HEADER {
        return Err(Skip::Malformed(Layer::Tcp));
    }
    let rest = rest.after_or_cut(header_len - MIN_HEADER, Layer::Tcp)?;
    Ok(Peeled::Segment(Segment {
        source: Address { ip: source, port: be16(header[0], header[1]) },
        destination: Address { ip: destination, port: be16(header[2], header[3]) },
        seq: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        ack: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        flags: TcpFlags(header[13]),
        window: be16(header[14], header[15]),
        payload: rest.data,
        cut: rest.cut,
        payload_at: rest.at,
    }))
}

/// The header's length in bytes, from the byte that holds the data offset.
pub(super) fn header_len(offset: u8) -> usize {
    usize::from(offset >> 4) * 4
}
