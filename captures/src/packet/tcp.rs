//! TCP headers (RFC 9293 §3.1).
//!
//! ```text
//!  0        2        4                8                12   13   14       16         18        20
//! +--------+--------+----------------+----------------+----+----+--------+----------+---------+---------+
//! | source | dest.  | sequence       | acknowledgment |off.|flag| window | checksum | urgent  | options |
//! +--------+--------+----------------+----------------+----+----+--------+----------+---------+---------+
//! ```

use super::rest::{Rest, be16};
use super::skip::{Layer, Skip};
use crate::{Address, Segment, TcpFlags};

/// The shortest header, in bytes.
const MIN_HEADER: usize = 20;

/// A segment between two IP addresses. Its options may be cut: they are not needed.
#[inline]
pub(super) fn segment<'a>(rest: &mut Rest<'a>) -> Result<Segment<'a>, Skip> {
    let header: &[u8; MIN_HEADER] = rest.take(Layer::Tcp)?;
    let header_len = header_len(header[12]);
    if header_len < MIN_HEADER {
        return Err(Skip::Malformed(Layer::Tcp));
    }
    rest.advance_or_cut(header_len - MIN_HEADER, Layer::Tcp)?;
    Ok(Segment {
        source: Address { ip: rest.ends.source, port: be16(header[0], header[1]) },
        destination: Address { ip: rest.ends.destination, port: be16(header[2], header[3]) },
        seq: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        ack: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        flags: TcpFlags(header[13]),
        window: be16(header[14], header[15]),
        payload: rest.data,
        cut: rest.cut,
        payload_at: rest.at,
    })
}

/// The header's length in bytes, from the byte that holds the data offset.
pub(super) fn header_len(offset: u8) -> usize {
    usize::from(offset >> 4) * 4
}
