//! Where one has been: back and forward, as in a browser.

use crate::screen::{Screen, View};

/// Somewhere one has been: a view, and the screens that were opened on top of it.
#[derive(Debug)]
pub(crate) struct Visited {
    pub(crate) view: View,
    /// The view first, then what is on top of it.
    pub(crate) screens: Vec<Box<dyn Screen>>,
}

/// Places to go back and forward to.
#[derive(Debug, Default)]
pub(crate) struct History {
    back: Vec<Visited>,
    forward: Vec<Visited>,
}

/// Places that one can go back to.
const VISITED: usize = 100;

impl History {
    /// Keeps the place that is about to be left.
    pub(crate) fn leave(&mut self, here: Visited) {
        self.back.push(here);
        if self.back.len() > VISITED {
            self.back.remove(0);
        }
        self.forward.clear();
    }

    /// The place before `here`.
    pub(crate) fn back(&mut self, here: impl FnOnce() -> Visited) -> Option<Visited> {
        let visited = self.back.pop()?;
        self.forward.push(here());
        Some(visited)
    }

    /// The place that was left by going back.
    pub(crate) fn forward(&mut self, here: impl FnOnce() -> Visited) -> Option<Visited> {
        let visited = self.forward.pop()?;
        self.back.push(here());
        Some(visited)
    }
}
