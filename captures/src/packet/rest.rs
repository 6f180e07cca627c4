//! What is left of a packet while layers are peeled off it.

use super::{Layer, Skip};

/// How many layers may lie inside each other beyond the plain link, IP, TCP: VLAN tags, MPLS labels, tunnels. Real
/// networks stack fewer than ten; the limit keeps hostile packets from nesting as deep as they are long.
const MAX_DEPTH: u8 = 16;

/// The bytes that no layer has claimed yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest<'a> {
    /// As far as they were captured.
    pub(super) data: &'a [u8],
    /// How many more were sent behind `data`, but not captured.
    pub(super) cut: u32,
    /// Where `data` begins, from the beginning of the packet.
    pub(super) at: u32,
    /// How many layers deep.
    depth: u8,
}

impl<'a> Rest<'a> {
    /// A whole packet, of which `sent` bytes were sent.
    #[inline]
    pub(super) fn new(data: &'a [u8], sent: u32) -> Self {
        Self { data, cut: (sent as usize).saturating_sub(data.len()) as u32, at: 0, depth: 0 }
    }

    /// How many bytes were sent.
    #[inline]
    pub(super) fn sent(&self) -> usize {
        self.data.len() + self.cut as usize
    }

    /// Takes the `N` bytes with which `layer` begins.
    #[inline]
    pub(super) fn take<const N: usize>(&mut self, layer: Layer) -> Result<&'a [u8; N], Skip> {
        let Some((head, data)) = self.data.split_first_chunk() else { return Err(self.too_short(N, layer)) };
        self.data = data;
        self.at += N as u32;
        Ok(head)
    }

    /// The `N` bytes with which `layer` begins, without taking them.
    pub(super) fn peek<const N: usize>(&self, layer: Layer) -> Result<&'a [u8; N], Skip> {
        self.data.first_chunk().ok_or_else(|| self.too_short(N, layer))
    }

    /// What follows the next `len` bytes, which are `layer`'s.
    #[inline]
    pub(super) fn after(self, len: usize, layer: Layer) -> Result<Self, Skip> {
        match self.data.get(len..) {
            Some(data) => Ok(Self { data, at: self.at + len as u32, ..self }),
            None => Err(self.too_short(len, layer)),
        }
    }

    /// What follows the next `len` bytes, which are `layer`'s and may be cut themselves: then nothing of what follows was
    /// captured, but how much it was is known.
    #[inline]
    pub(super) fn after_or_cut(self, len: usize, layer: Layer) -> Result<Self, Skip> {
        if self.data.len() >= len {
            return self.after(len, layer);
        }
        match self.sent().checked_sub(len) {
            Some(sent) => Ok(Self { data: &[], cut: sent as u32, at: self.at + self.data.len() as u32, ..self }),
            None => Err(Skip::Malformed(layer)),
        }
    }

    /// The first `len` bytes, where `len` is to be trusted more than what the capture file says was sent.
    #[inline]
    pub(super) fn sized(self, len: usize) -> Self {
        match self.data.get(..len) {
            Some(data) => Self { data, cut: 0, ..self },
            None => Self { cut: (len - self.data.len()) as u32, ..self },
        }
    }

    /// The first `len` bytes, or all where there are fewer.
    pub(super) fn trimmed(self, len: usize) -> Self {
        if len < self.sent() { self.sized(len) } else { self }
    }

    /// The same bytes, one layer further in.
    pub(super) fn deeper(self) -> Result<Self, Skip> {
        if self.depth < MAX_DEPTH { Ok(Self { depth: self.depth + 1, ..self }) } else { Err(Skip::TooDeep) }
    }

    #[cold]
    fn too_short(&self, needed: usize, layer: Layer) -> Skip {
        if needed <= self.sent() { Skip::Cut(layer) } else { Skip::Malformed(layer) }
    }
}

/// Two bytes in network byte order.
#[inline]
pub(super) const fn be16(high: u8, low: u8) -> u16 {
    u16::from_be_bytes([high, low])
}
