//! Messages on standard error, and where they go while the terminal UI has the screen.
//!
//! What is written to a terminal while the UI draws on it destroys what is shown. So messages wait meanwhile: the UI shows
//! them in its last line but one, and they are printed when it has given the terminal back.

use std::collections::VecDeque;
use std::io::Write;
use std::mem::take;

use parking_lot::Mutex;
use rpcshark_captures::text::Escaped;

/// Messages that wait.
#[derive(Debug, Default)]
struct Waiting {
    /// All of them, to be printed later.
    lines: VecDeque<String>,
    /// Those that the UI has not shown yet.
    new: Vec<String>,
    /// Older ones that are no longer kept.
    dropped: u64,
}

/// Present while the UI has the screen.
static WAITING: Mutex<Option<Waiting>> = Mutex::new(None);

/// Messages that are kept: a file that is followed for days may cause any number.
const KEPT: usize = 100;

/// Prints one line on standard error. `styled`: the same with colours, where it is printed at once. Nothing can be done when not
/// even standard error can be written to.
pub(crate) fn print(line: &str, styled: impl FnOnce()) {
    let mut waiting = WAITING.lock();
    let Some(waiting) = &mut *waiting else { return styled() };
    waiting.new.push(line.to_owned());
    waiting.lines.push_back(line.to_owned());
    if waiting.lines.len() > KEPT {
        waiting.lines.pop_front();
        waiting.dropped += 1;
    }
    if waiting.new.len() > KEPT {
        waiting.new.remove(0);
    }
}

/// As long as this lives, messages wait.
#[derive(Debug)]
pub(crate) struct Hold(());

impl Hold {
    /// From now on messages wait.
    pub(crate) fn begin() -> Self {
        WAITING.lock().get_or_insert_default();
        Self(())
    }

    /// The messages that have come since this was called last.
    pub(crate) fn take_new(&self) -> Vec<String> {
        WAITING.lock().as_mut().map(|waiting| take(&mut waiting.new)).unwrap_or_default()
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let Some(waiting) = WAITING.lock().take() else { return };
        let mut text = String::new();
        if waiting.dropped > 0 {
            text.push_str(&format!("note: {} earlier messages\n", waiting.dropped));
        }
        for line in &waiting.lines {
            text.push_str(&format!("{}\n", Escaped(line.as_bytes())));
        }
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_wait_while_the_screen_is_taken() {
        let mut printed = 0;
        let hold = Hold::begin();
        print("note: of this test", || printed += 1);
        assert!(hold.take_new().contains(&"note: of this test".to_owned()));
        assert!(!hold.take_new().contains(&"note: of this test".to_owned()));
        for number in 0..2 * KEPT {
            print(&format!("note: {number}"), || printed += 1);
        }
        assert_eq!(hold.take_new().len(), KEPT);
        drop(hold);
        assert_eq!(printed, 0);
    }
}
