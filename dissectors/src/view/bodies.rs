//! Where the bytes of messages are read from.

use rpcshark_captures::Place;

/// Where the bytes of messages are read from.
pub trait Bodies: Sync {
    /// The `len` bytes at `at`: lent where they are in memory, else read into `scratch`, whose contents are replaced. `None` if
    /// they cannot be read.
    fn get<'a>(&'a self, at: Place, len: usize, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]>;
}

/// For those who keep no bodies.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoBodies;

impl Bodies for NoBodies {
    fn get<'a>(&'a self, _: Place, _: usize, _: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        None
    }
}
