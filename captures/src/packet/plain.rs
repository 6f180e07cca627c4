//! Ethernet, IPv4 without options, TCP, all of it captured: what nearly every packet is. Its headers lie at fixed places and
//! are read at once, in a quarter of the instructions that going from layer to layer takes.
//!
//! ```text
//!  0                   12     14   15   16     18   20     22    23    24         26       30          34
//! +-------------------+------+----+----+------+----+------+-----+-----+----------+--------+-----------+--------+
//! | Ethernet addresses| 0800 | 45 | ToS| len. | id | frag.| TTL | 06  | checksum | source | dest.     | TCP …  |
//! +-------------------+------+----+----+------+----+------+-----+-----+----------+--------+-----------+--------+
//! ```

use super::rest::be16;
use super::tcp;
use crate::{Address, Segment, TcpFlags};

/// The headers of Ethernet, of IPv4 without options, and of TCP without options.
const HEADERS: usize = ETHERNET + IPV4 + TCP;
const ETHERNET: usize = 14;
const IPV4: usize = 20;
const TCP: usize = 20;

/// The TCP segment in an Ethernet frame, if the frame is as plain as that. `None`: it has to be read layer by layer.
#[inline]
pub(super) fn segment(data: &[u8]) -> Option<Segment<'_>> {
    let header: &[u8; HEADERS] = data.first_chunk()?;
    let is_tcp = be16(header[12], header[13]) == 0x0800 && header[14] == 0x45 && header[23] == 6;
    // The bits for "more fragments" and the offset.
    let is_fragment = be16(header[20], header[21]) & 0x3fff != 0;
    let header_len = tcp::header_len(header[46]);
    if !is_tcp || is_fragment || header_len < TCP {
        return None;
    }
    let payload_at = ETHERNET + IPV4 + header_len;
    let end = ETHERNET + usize::from(be16(header[16], header[17]));
    Some(Segment {
        source: Address::v4([header[26], header[27], header[28], header[29]], be16(header[34], header[35])),
        destination: Address::v4([header[30], header[31], header[32], header[33]], be16(header[36], header[37])),
        seq: u32::from_be_bytes([header[38], header[39], header[40], header[41]]),
        ack: u32::from_be_bytes([header[42], header[43], header[44], header[45]]),
        flags: TcpFlags(header[47]),
        window: be16(header[48], header[49]),
        // None where the length is 0, or bytes were not captured.
        payload: data.get(payload_at..end)?,
        cut: 0,
        payload_at: payload_at as u32,
    })
}

#[cfg(test)]
mod tests {
    use super::super::peel::layer_by_layer;
    use super::super::samples::{PAYLOAD, TCP as SAMPLE, ethernet, ipv4, ipv4_fragment, ipv6};
    use super::super::{Peeled, peel};
    use super::segment;
    use crate::{LinkType, Segment};

    /// What going from layer to layer finds.
    fn by_layers(frame: &[u8], sent: usize) -> Option<Segment<'_>> {
        match layer_by_layer(LinkType::ETHERNET, frame, sent as u32) {
            Peeled::Segment(segment) => Some(segment),
            _ => None,
        }
    }

    #[test]
    fn a_plain_frame_is_read_as_layer_by_layer() {
        let whole = ethernet(0x0800, &ipv4(6, &SAMPLE));
        // Whole, with Ethernet's padding, and without payload.
        let padded = [&whole[..], &[0; 9]].concat();
        let empty = ethernet(0x0800, &ipv4(6, &SAMPLE[..24]));
        for frame in [&whole, &padded, &empty] {
            let found = segment(frame).expect("plain");
            assert_eq!(format!("{found:?}"), format!("{:?}", by_layers(frame, frame.len()).expect("a segment")));
        }
        assert_eq!(segment(&padded).expect("plain").payload, PAYLOAD);
    }

    #[test]
    fn whatever_one_byte_is_the_result_is_the_same() {
        let whole = ethernet(0x0800, &ipv4(6, &SAMPLE));
        for at in 0..whole.len() {
            for byte in 0..=u8::MAX {
                let mut frame = whole.clone();
                frame[at] = byte;
                for len in [frame.len(), frame.len() - 1] {
                    let Some(found) = segment(&frame[..len]) else { continue };
                    let expected = by_layers(&frame[..len], whole.len()).map(|found| format!("{found:?}"));
                    assert_eq!(Some(format!("{found:?}")), expected, "byte {at} is {byte}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_layers() {
        let plain = ethernet(0x0800, &ipv4(6, &SAMPLE));
        assert!(segment(&plain[..plain.len() - 1]).is_none(), "cut");
        assert!(segment(&ethernet(0x86dd, &ipv6(6, &SAMPLE))).is_none(), "IPv6");
        for flags in [0x2000, 0x0001] {
            assert!(segment(&ethernet(0x0800, &ipv4_fragment(6, flags, &SAMPLE))).is_none());
        }
        let mut offloaded = plain.clone();
        offloaded[16..18].copy_from_slice(&[0, 0]);
        assert!(segment(&offloaded).is_none(), "length 0");
        assert!(matches!(peel(LinkType::ETHERNET, &offloaded, offloaded.len() as u32), Peeled::Segment(_)));
    }
}
