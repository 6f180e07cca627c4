//! Pausing and ending a replay from outside.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::event::CutShort;

/// Pauses and ends a replay. Both may be asked for from any thread.
#[derive(Debug)]
pub(crate) struct Control {
    paused: watch::Sender<bool>,
    stopped: watch::Sender<bool>,
    why: Mutex<Option<CutShort>>,
}

impl Default for Control {
    fn default() -> Self {
        Self { paused: watch::Sender::new(false), stopped: watch::Sender::new(false), why: Mutex::default() }
    }
}

impl Control {
    /// Holds back everything that is not yet sent, or lets it continue. Deadlines of calls in progress still pass.
    pub(crate) fn pause(&self, paused: bool) {
        self.paused.send_replace(paused);
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

    /// Waits while it is paused. Gives how long.
    pub(super) async fn while_paused(&self) -> Duration {
        if !self.is_paused() {
            return Duration::ZERO;
        }
        let began = tokio::time::Instant::now();
        let _ = self.paused.subscribe().wait_for(|paused| !*paused).await;
        began.elapsed()
    }

    /// Waits until it is paused.
    pub(super) async fn paused(&self) {
        let _ = self.paused.subscribe().wait_for(|paused| *paused).await;
    }
}
