//! Bytes that many hold and nobody changes.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// A string of bytes that is cheap to clone: short ones lie in it, long ones are shared.
#[derive(Clone)]
pub struct Octets(Kept);

/// What fits into the object where the shared slice would be.
const INLINE: usize = 16;

/// Short bytes, aligned as the references that are in their place otherwise: so that a copy of the object is the same
/// two moves whatever it holds.
#[derive(Clone, Copy)]
#[repr(align(8))]
struct Short([u8; INLINE]);

#[derive(Clone)]
enum Kept {
    Inline { len: u8, bytes: Short },
    Fixed(&'static [u8]),
    Shared(Arc<[u8]>),
}

impl Octets {
    /// Bytes that live as long as the program.
    pub const fn fixed(bytes: &'static [u8]) -> Self {
        Self(Kept::Fixed(bytes))
    }

    /// A copy of `bytes`.
    pub fn copied(bytes: &[u8]) -> Self {
        let mut inline = [0; INLINE];
        match inline.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                Self(Kept::Inline { len: bytes.len() as u8, bytes: Short(inline) })
            }
            None => Self(Kept::Shared(Arc::from(bytes))),
        }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Kept::Inline { len, bytes } => bytes.0.get(..usize::from(*len)).unwrap_or_default(),
            Kept::Fixed(bytes) => bytes,
            Kept::Shared(bytes) => bytes,
        }
    }
}

impl Deref for Octets {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for Octets {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Default for Octets {
    fn default() -> Self {
        Self::fixed(&[])
    }
}

impl PartialEq for Octets {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Octets {}

impl Hash for Octets {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.as_slice().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_kept() {
        for len in 0..100 {
            let bytes: Vec<u8> = (0..len).collect();
            let octets = Octets::copied(&bytes);
            assert_eq!(octets.as_slice(), bytes);
            assert_eq!(octets.clone(), octets);
            assert_eq!(matches!(octets.0, Kept::Inline { .. }), bytes.len() <= INLINE);
        }
        assert_eq!(Octets::fixed(b"abc"), Octets::copied(b"abc"));
        assert_ne!(Octets::fixed(b"abc"), Octets::copied(b"abd"));
    }
}
