//! When to stop: a signal, or a file that nobody reads any more.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Raised once, seen by every thread that polls.
#[derive(Debug)]
pub(crate) struct Stop {
    event: Arc<OwnedFd>,
    raised: AtomicBool,
}

impl Stop {
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Arc::new(Self { event: Arc::new(event), raised: AtomicBool::new(false) }))
    }

    /// One that signals raise.
    pub(crate) fn watched() -> anyhow::Result<Arc<Self>> {
        let stop = Self::new()?;
        watch(Arc::clone(&stop))?;
        Ok(stop)
    }

    pub(crate) fn raise(&self) {
        self.raised.store(true, Ordering::Release);
        // The counter is never read, so that the descriptor stays readable; it cannot overflow by a few ones.
        let _ = rustix::io::write(&*self.event, &1u64.to_ne_bytes());
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    /// What can be read from once it is raised.
    pub(crate) fn event(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.event)
    }

    /// Waits until it is raised, for at most `longest`. Whether it was raised.
    pub(crate) fn wait_for(&self, longest: Duration) -> bool {
        let pause = Timespec { tv_sec: longest.as_secs().cast_signed(), tv_nsec: longest.subsec_nanos().into() };
        if !self.is_raised() {
            let _ = poll(&mut [PollFd::new(&*self.event, PollFlags::IN)], Some(&pause));
        }
        self.is_raised()
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// Raises `stop` at the first signal that asks the program to end; at the second one ends it at once.
/// When this returns the signals no longer kill.
pub(crate) fn watch(stop: Arc<Stop>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let guard = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for signals")?;
    let mut terminate = signal(SignalKind::terminate())?;
    // Whoever starts the program with `nohup` wants it to continue when the terminal goes.
    let mut hang_up = if is_ignored(SignalKind::hangup()) { None } else { Some(signal(SignalKind::hangup())?) };
    // A write beyond the limit on the size of files then fails with a reason instead of ending the program.
    let file_size = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
    drop(guard);
    let watcher = move || {
        let _file_size = file_size;
        runtime.block_on(async {
            for _ in 0..2 {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = next(&mut hang_up) => {}
                }
                if stop.is_raised() {
                    std::process::exit(INTERRUPTED.into());
                }
                stop.raise();
            }
        });
    };
    std::thread::Builder::new().name("signals".into()).spawn(watcher)?;
    Ok(())
}

/// The next signal of a kind that may not be watched for.
async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether the program was started with a signal ignored.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (kind.as_raw_value() - 1) & 1 > 0
}

/// The exit status of a program that a signal ended.
pub(crate) const INTERRUPTED: u8 = 130;
