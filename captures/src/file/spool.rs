//! A copy of what was piped in, so that it can be read again.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use super::bytes::{FromStart, Input};
use crate::temporary::temporary_file;

/// Keeps what is read from a pipe in a file without a name, which leaves nothing behind however the program ends.
///
/// The first reading that is opened with it fills it; those that are opened later read what it has then.
#[derive(Debug, Default)]
pub struct Spool(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    file: Option<Arc<File>>,
    len: u64,
    fault: Option<io::Error>,
}

impl Spool {
    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        self.with(|state| state.len)
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Why it lacks bytes that were piped in, if it does: the disk is full. The first reading continued without it.
    pub fn fault(&self) -> Option<String> {
        self.with(|state| state.fault.as_ref().map(ToString::to_string))
    }

    /// What `input` gives, kept; or what was kept, where it was filled before.
    pub(super) fn attach(self: &Arc<Self>, input: Input) -> Input {
        let filled = self.with(|state| {
            let filled = state.file.clone().map(|file| (file, state.len));
            if filled.is_none() && state.fault.is_none() {
                match temporary_file() {
                    Ok(file) => state.file = Some(Arc::new(file)),
                    Err(error) => state.fault = Some(error),
                }
            }
            filled
        });
        match filled {
            Some((file, len)) => Box::new(FromStart::new(file).take(len)),
            None => Box::new(Filling { input, spool: Arc::clone(self) }),
        }
    }

    /// Whether a reading has filled it, or fills it.
    pub(super) fn is_attached(&self) -> bool {
        self.with(|state| state.file.is_some())
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An input whose bytes are kept.
struct Filling {
    input: Input,
    spool: Arc<Spool>,
}

impl Read for Filling {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.input.read(into)?;
        let bytes = into.get(..len).unwrap_or_default();
        self.spool.with(|state| {
            let (Some(file), None) = (&state.file, &state.fault) else { return };
            match file.write_all_at(bytes, state.len) {
                Ok(()) => state.len += len as u64,
                Err(error) => state.fault = Some(error),
            }
        });
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_once_is_read_again() {
        let spool = Arc::new(Spool::default());
        let mut first = spool.attach(Box::new(&b"0123456789"[..]));
        let mut bytes = [0; 4];
        first.read_exact(&mut bytes).unwrap();
        let mut again = Vec::new();
        spool.attach(Box::new(io::empty())).read_to_end(&mut again).unwrap();
        assert_eq!(again, b"0123");
        first.read_to_end(&mut Vec::new()).unwrap();
        again.clear();
        spool.attach(Box::new(io::empty())).read_to_end(&mut again).unwrap();
        assert_eq!((again.as_slice(), spool.len(), spool.fault()), (&b"0123456789"[..], 10, None));
    }
}
