//! What is left of a packet while layers are peeled off it.

use super::next::Ends;
use super::skip::{Layer, Skip};

/// How many layers may lie inside each other beyond the plain link, IP, TCP: VLAN tags, MPLS labels, tunnels. Real
/// networks stack fewer than ten; the limit keeps hostile packets from nesting as deep as they are long.
const MAX_DEPTH: u8 = 16;

/// The bytes that no layer has claimed yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest<'a> {
    /// As far as they were captured.
    pub(super) data: &'a [u8],
    /// How many more were sent after `data`, but not captured.
    pub(super) cut: u32,
    /// Where `data` begins, from the beginning of the packet.
    pub(super) at: u32,
    /// The addresses of the innermost IP header so far.
    pub(super) ends: Ends,
    /// How many layers deep.
    depth: u8,
}

impl<'a> Rest<'a> {
    /// A whole packet, of which `sent` bytes were sent.
    #[inline]
    pub(super) fn new(data: &'a [u8], sent: u32) -> Self {
        let cut = (sent as usize).saturating_sub(data.len()) as u32;
        Self { data, cut, at: 0, ends: Ends::default(), depth: 0 }
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

    /// Takes the next `len` bytes, which are `layer`'s.
    #[inline]
    pub(super) fn advance(&mut self, len: usize, layer: Layer) -> Result<(), Skip> {
        let Some(data) = self.data.get(len..) else { return Err(self.too_short(len, layer)) };
        self.data = data;
        self.at += len as u32;
        Ok(())
    }

    /// Takes the next `len` bytes, which are `layer`'s and may be cut themselves: then nothing of what follows was
    /// captured, but its length is known.
    #[inline]
    pub(super) fn advance_or_cut(&mut self, len: usize, layer: Layer) -> Result<(), Skip> {
        if self.data.len() >= len {
            return self.advance(len, layer);
        }
        let Some(sent) = self.sent().checked_sub(len) else { return Err(Skip::Malformed(layer)) };
        self.at += self.data.len() as u32;
        self.data = &[];
        self.cut = sent as u32;
        Ok(())
    }

    /// Keeps the first `len` bytes, where `len` is more reliable than the length that the capture file says was sent.
    #[inline]
    pub(super) fn set_len(&mut self, len: usize) {
        match self.data.get(..len) {
            Some(data) => (self.data, self.cut) = (data, 0),
            None => self.cut = (len - self.data.len()) as u32,
        }
    }

    /// Keeps the first `len` bytes, or all if there are fewer.
    pub(super) fn trim(&mut self, len: usize) {
        if len < self.sent() {
            self.set_len(len);
        }
    }

    /// Counts one nested layer more.
    pub(super) fn nest(&mut self) -> Result<(), Skip> {
        if self.depth >= MAX_DEPTH {
            return Err(Skip::TooDeep);
        }
        self.depth += 1;
        Ok(())
    }

    // By value: a reference would keep the rest in memory instead of registers on the way that nearly all packets take.
    /// Why `layer`, which needs `needed` bytes, cannot be read: the snap length cut it, or it never had them.
    #[cold]
    pub(super) fn too_short(self, needed: usize, layer: Layer) -> Skip {
        if needed <= self.sent() { Skip::Cut(layer) } else { Skip::Malformed(layer) }
    }
}

/// Two bytes in network byte order.
#[inline]
pub(super) const fn be16(high: u8, low: u8) -> u16 {
    u16::from_be_bytes([high, low])
}
