//! Output without waiting: a terminal that is stopped must not block whoever prints to it.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Writes in a thread of its own. While that is blocked, further output is dropped.
#[derive(Debug)]
pub struct BackgroundWriter {
    /// To the thread; `None` when everything was written.
    pieces: Option<SyncSender<Vec<u8>>>,
    /// Bytes that wait in it.
    waiting: Arc<AtomicUsize>,
    done: Receiver<()>,
}

impl BackgroundWriter {
    /// Begins to write to `out`.
    pub fn new(mut out: Box<dyn Write + Send>) -> io::Result<Self> {
        let (pieces, waiting) = sync_channel::<Vec<u8>>(PIECES);
        let (finished, done) = sync_channel(1);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let written = Arc::clone(&waiting_bytes);
        std::thread::Builder::new().name("screen".into()).spawn(move || {
            for piece in waiting {
                let result = out.write_all(&piece).and_then(|()| out.flush());
                written.fetch_sub(piece.len(), Ordering::Relaxed);
                if result.is_err() {
                    break;
                }
            }
            let _ = finished.send(());
        })?;
        Ok(Self { pieces: Some(pieces), waiting: waiting_bytes, done })
    }
}

impl Write for BackgroundWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(pieces) = &self.pieces else { return Err(io::ErrorKind::BrokenPipe.into()) };
        // One piece is always taken, however long it is.
        let waiting = self.waiting.fetch_add(bytes.len(), Ordering::Relaxed);
        if waiting > 0 && waiting + bytes.len() > BYTES {
            self.waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
            return Ok(bytes.len());
        }
        match pieces.try_send(bytes.to_vec()) {
            Ok(()) => Ok(bytes.len()),
            Err(TrySendError::Full(_)) => {
                self.waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
                Ok(bytes.len())
            }
            Err(TrySendError::Disconnected(_)) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BackgroundWriter {
    fn drop(&mut self) {
        self.pieces = None;
        let _ = self.done.recv_timeout(LAST_LINES);
    }
}

/// How many pieces may wait: some thousand lines, more than anybody reads who comes back to a stopped terminal.
const PIECES: usize = 4096;

/// How many bytes may wait.
const BYTES: usize = 1 << 20;

/// How long dropping waits for the last output.
const LAST_LINES: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::time::Instant;

    use super::*;

    struct Stopped(Receiver<()>, Sender<Vec<u8>>);

    impl Write for Stopped {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            let _ = self.1.send(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn long_output_to_a_stopped_terminal_takes_bounded_memory() {
        let (go, stopped) = channel();
        let (shown, seen) = channel();
        let mut writer = BackgroundWriter::new(Box::new(Stopped(stopped, shown))).expect("started");
        for _ in 0..100 {
            writer.write_all(&vec![b'x'; 100 << 10]).expect("never an error");
        }
        drop(go);
        drop(writer);
        let bytes: usize = seen.iter().map(|piece| piece.len()).sum();
        assert!((100 << 10..=BYTES).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_stopped_terminal_stops_nobody() {
        let (go, stopped) = channel();
        let (shown, seen) = channel();
        let mut beside = BackgroundWriter::new(Box::new(Stopped(stopped, shown))).expect("started");
        let begun = Instant::now();
        for _ in 0..10_000 {
            beside.write_all(b"a line\n").expect("never an error");
        }
        assert!(begun.elapsed() < Duration::from_secs(5));
        drop(go);
        drop(beside);
        let lines = seen.iter().count();
        assert!((PIECES..PIECES + 3).contains(&lines), "{lines}");
    }
}
