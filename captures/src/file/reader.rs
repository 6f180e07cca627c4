//! One file, from its bytes to its packets.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::batch::Holder;
use super::bytes::Input;
use super::error::Error;
use super::pcap::Pcap;
use super::pcapng::PcapNg;
use super::record::{Log, Progress, RecordList, Window};
use super::sniff::Kind;
use super::text::{Raw, Text};
use crate::Place;

/// How much is asked for when an input is read that gives what it has: what a pipe holds.
const READ: usize = 64 << 10;

/// How much is read at once at most: as much as stays in the processor's cache until packets have been found in it.
const READ_AT_ONCE: usize = 256 << 10;

/// Packets of one batch take at most about so many bytes, where the bytes are copied.
const BATCH_BYTES: usize = 4 << 20;

/// How many buffers that were lent are remembered, to be used again when nobody has them any more.
const SPARE_BUFFERS: usize = 4;

/// Reads one file.
pub(crate) struct Reader {
    format: Format,
    stream: ByteStream,
    ended: bool,
    successor: Option<OpenSuccessor>,
}

/// Opens the file that took the place of the one that has ended, if there is one.
pub(crate) type OpenSuccessor = Box<dyn FnMut() -> Option<Result<(Kind, ByteStream), Error>> + Send>;

/// How the bytes are laid out.
enum Format {
    Pcap(Pcap),
    PcapNg(PcapNg),
    Text(Text),
    Raw(Raw),
}

/// A sequence of bytes that is read once.
pub(crate) struct ByteStream {
    pub(crate) input: Input,
    /// How much of the file was read, before decompression.
    pub(crate) read: Arc<AtomicU64>,
    pub(crate) pace: Pace,
    /// Where the first byte of the file lies.
    pub(crate) at: Place,
    /// The bytes that are there, and room after them.
    pub(crate) buffer: Buffer,
    spare: Vec<Arc<Vec<u8>>>,
    /// No further ones will come.
    ended: bool,
}

/// When packets are handed out.
pub(crate) enum Pace {
    /// As many as are wanted: more come without having to be waited for.
    Full,
    /// As soon as they have come, however few: what follows may take its time.
    Live,
    /// Those that have come to this pipe or socket.
    Piped(Arc<File>),
    /// Those that this file, which still grows, has.
    Growing(Arc<File>),
}

impl Pace {
    /// Whether it may take time until more comes than the `read` bytes so far.
    fn is_slow(&self, read: u64) -> bool {
        match self {
            Self::Full => false,
            Self::Live => true,
            Self::Piped(pipe) => rustix::io::ioctl_fionread(pipe).unwrap_or_default() == 0,
            Self::Growing(file) => file.metadata().map_or(true, |metadata| metadata.len() <= read),
        }
    }
}

/// A part of the bytes of a stream.
#[derive(Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    /// How many of `bytes` are the stream's.
    filled: usize,
    /// How many of those are used.
    upto: usize,
    /// Where in the stream it begins.
    base: u64,
}

impl Buffer {
    /// What was read of the stream already.
    pub(crate) fn new(head: Vec<u8>) -> Self {
        Self { filled: head.len(), bytes: head, upto: 0, base: 0 }
    }
}

impl ByteStream {
    pub(crate) fn new(input: Input, head: Vec<u8>, read: Arc<AtomicU64>, pace: Pace, at: Place) -> Self {
        Self { input, read, pace, at, buffer: Buffer::new(head), spare: Vec::new(), ended: false }
    }
}

impl Reader {
    /// Of bytes in the form `kind`; none where a file of that kind holds no packets.
    pub(crate) fn streamed(kind: Kind, stream: ByteStream) -> Option<Self> {
        Some(Self { format: Format::new(kind)?, stream, ended: false, successor: None })
    }

    /// Goes on with the files that `open` gives, once each has ended.
    pub(crate) fn followed_by(self, open: OpenSuccessor) -> Self {
        Self { successor: Some(open), ..self }
    }

    /// Whether there is nothing more in it.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether its packets are wanted as soon as they have come.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.stream.pace, Pace::Live | Pace::Piped(_) | Pace::Growing(_))
    }

    /// Finds packets until there are `most` in `found` (which is empty), or as many as are there without waiting for
    /// more in what is live, or as many as are handled well in one go. None: it is ended. Gives what they lie in.
    pub(crate) fn fill(&mut self, most: usize, found: &mut RecordList, log: &mut Log<'_>) -> Holder {
        let mut holder = self.stream.fill(&mut self.format, most, found, log);
        while found.records.is_empty()
            && let Some(next) = self.successor.as_mut().and_then(|open| open())
        {
            match next.map(|(kind, stream)| (Format::new(kind), stream)) {
                Ok((Some(format), stream)) => {
                    self.format = format;
                    self.stream = stream;
                    holder = self.stream.fill(&mut self.format, most, found, log);
                }
                Ok((None, _)) => break,
                Err(error) => {
                    log.info.partial = true;
                    log.note(0, format!("the file that replaced it cannot be read: {error}"));
                    break;
                }
            }
        }
        log.info.consumed = self.stream.read.load(Ordering::Relaxed);
        self.ended = found.records.is_empty();
        holder
    }
}

impl ByteStream {
    fn fill(&mut self, format: &mut Format, most: usize, found: &mut RecordList, log: &mut Log<'_>) -> Holder {
        self.reuse_buffer();
        loop {
            let Buffer { bytes, filled, upto, base } = &mut self.buffer;
            let window = Window { bytes: bytes.get(..*filled).unwrap_or_default(), base: *base, ended: self.ended };
            let progress = format.scan(window, *upto, most, found, log);
            *upto = progress.upto;
            let some = !found.records.is_empty();
            if progress.need == 0 || self.ended || some && progress.upto > BATCH_BYTES {
                return self.lend(found);
            }
            if !some {
                self.buffer.forget();
            }
            let wanted = self.buffer.upto + progress.need;
            while self.buffer.filled < wanted && !self.ended {
                if some && self.pace.is_slow(self.read.load(Ordering::Relaxed)) {
                    return self.lend(found);
                }
                match self.buffer.read(&mut self.input) {
                    Ok(0) => self.ended = true,
                    Ok(_) => {}
                    Err(error) => {
                        // Packets that were found before are good all the same, and so is what other files hold.
                        self.ended = true;
                        log.info.partial = true;
                        let at = self.buffer.base + self.buffer.filled as u64;
                        log.note(at, format!("what follows cannot be read: {error}"));
                    }
                }
            }
        }
    }

    /// Gives the buffer away to who reads the packets found in it; continues with the bytes that are not done with.
    fn lend(&mut self, found: &RecordList) -> Holder {
        let at = self.at.plus(self.buffer.base);
        if found.records.is_empty() {
            return Holder { bytes: Arc::default(), at };
        }
        // Only what is needed: the next buffer is taken when it is filled, so that there is one less.
        let rest = self.buffer.bytes.get(self.buffer.upto..self.buffer.filled).unwrap_or_default();
        let rest = Buffer { base: self.buffer.base + self.buffer.upto as u64, ..Buffer::new(rest.to_vec()) };
        let bytes = Arc::new(std::mem::replace(&mut self.buffer, rest).bytes);
        if self.spare.len() < SPARE_BUFFERS {
            self.spare.push(Arc::clone(&bytes));
        }
        Holder { bytes, at }
    }

    /// Goes on in a buffer that was lent and that nobody has any more, if there is one.
    fn reuse_buffer(&mut self) {
        let Buffer { bytes: current, filled, .. } = &mut self.buffer;
        let is_better = |spare: &Arc<Vec<u8>>| Arc::strong_count(spare) == 1 && spare.len() > current.len();
        let Some(at) = self.spare.iter().position(is_better) else { return };
        if let Ok(mut bytes) = Arc::try_unwrap(self.spare.swap_remove(at))
            && let (Some(room), Some(filled)) = (bytes.get_mut(..*filled), current.get(..*filled))
        {
            room.copy_from_slice(filled);
            *current = bytes;
        }
    }
}

impl Buffer {
    /// Makes room by giving up the bytes that are done with; when they are half of all, so that no byte is moved often.
    fn forget(&mut self) {
        if self.upto > 0 && self.upto >= self.filled - self.upto {
            self.bytes.copy_within(self.upto..self.filled, 0);
            self.filled -= self.upto;
            self.base += self.upto as u64;
            self.upto = 0;
        }
    }

    /// Reads what can be read without waiting.
    fn read(&mut self, input: &mut Input) -> io::Result<usize> {
        if self.bytes.len() < self.filled + READ {
            self.bytes.resize(self.filled + READ, 0);
        }
        let room = self.bytes.len() - self.filled;
        loop {
            let into = self.bytes.get_mut(self.filled..self.filled + room.min(READ_AT_ONCE)).unwrap_or_default();
            match input.read(into) {
                Ok(len) => {
                    self.filled += len;
                    return Ok(len);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Format {
    fn new(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Pcap(kind) => Some(Self::Pcap(Pcap::new(kind))),
            Kind::PcapNg => Some(Self::PcapNg(PcapNg::new())),
            Kind::Text(kind) => Some(Self::Text(Text::new(kind))),
            Kind::Raw(direction) => Some(Self::Raw(Raw::new(direction))),
            Kind::Packed(_) => None,
        }
    }

    fn scan(
        &mut self,
        window: Window<'_>,
        from: usize,
        most: usize,
        found: &mut RecordList,
        log: &mut Log<'_>,
    ) -> Progress {
        match self {
            Self::Pcap(pcap) => pcap.scan(window, from, most, found, log),
            Self::PcapNg(pcapng) => pcapng.scan(window, from, most, found, log),
            Self::Text(text) => text.scan(window, from, most, found, log),
            Self::Raw(raw) => raw.scan(window, from, most, found, log),
        }
    }
}
