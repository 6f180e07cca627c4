//! Pausing and ending a replay from outside.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::event::CutShort;

/// Pauses and ends a replay. Both may be asked for from any thread.
#[derive(Debug)]
pub(crate) struct Control {
    paused: watch::Sender<bool>,
    stopped: watch::Sender<bool>,
    why: Mutex<Option<CutShort>>,
    /// The pauses so far, in order: from when until when.
    pauses: Mutex<Vec<(Instant, Option<Instant>)>>,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            paused: watch::Sender::new(false),
            stopped: watch::Sender::new(false),
            why: Mutex::default(),
            pauses: Mutex::default(),
        }
    }
}

impl Control {
    /// Holds back everything that is not yet sent, or lets it continue. Deadlines of calls in progress still pass.
    pub(crate) fn pause(&self, paused: bool) {
        {
            let mut pauses = self.pauses.lock();
            match (pauses.last_mut(), paused) {
                (Some((_, end @ None)), false) => *end = Some(Instant::now()),
                (None | Some((_, Some(_))), true) => pauses.push((Instant::now(), None)),
                _ => {}
            }
        }
        self.paused.send_replace(paused);
    }

    /// How long it was paused since `from`.
    pub(super) fn paused_since(&self, from: Instant) -> Duration {
        let (pauses, now) = (self.pauses.lock(), Instant::now());
        let later = pauses.iter().rev().take_while(|(_, end)| end.is_none_or(|end| end > from));
        later.map(|&(begin, end)| end.unwrap_or(now).saturating_duration_since(begin.max(from))).sum()
    }

    /// When the last pause ended, if it has.
    pub(super) fn resumed_at(&self) -> Option<Instant> {
        self.pauses.lock().last().and_then(|(_, end)| *end)
    }

    /// Whether it is paused.
    pub(crate) fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Ends the replay. Only the first reason counts.
    pub(crate) fn stop(&self, why: CutShort) {
        self.why.lock().get_or_insert(why);
        self.stopped.send_replace(true);
    }

    /// Whether it is ended.
    pub(crate) fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Why it was ended, if it was.
    pub(crate) fn why(&self) -> Option<CutShort> {
        self.why.lock().clone()
    }

    /// Waits until it is ended.
    pub(super) async fn stopped(&self) {
        // The sender lives as long as `self`.
        let _ = self.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }

    /// Waits while it is paused.
    pub(super) async fn while_paused(&self) {
        let _ = self.paused.subscribe().wait_for(|paused| !*paused).await;
    }

    /// Waits until it is paused.
    pub(super) async fn paused(&self) {
        let _ = self.paused.subscribe().wait_for(|paused| *paused).await;
    }
}
