//! The bytes of an input, without the compression around them.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lz4_flex::frame::FrameDecoder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::error::Error;
use super::sniff::{self, Kind, Method};
use super::text::TextKind;

/// Compression inside of compression is undone up to this depth; nobody does more than one by intent.
const MAX_LAYERS: usize = 4;

/// Bytes from anywhere.
pub(crate) type Input = Box<dyn Read + Send>;

/// An input whose kind is known.
pub(crate) struct Opened {
    pub(crate) kind: Kind,
    /// The compression around it, the outermost first.
    pub(crate) methods: Vec<Method>,
    /// Its first bytes, which have been read from `rest`.
    pub(crate) head: Vec<u8>,
    pub(crate) rest: Input,
}

/// Decompresses `input` and detects what is inside: never [`Kind::Packed`].
pub(crate) fn open(mut input: Input, name: &str) -> Result<Opened, Error> {
    let mut methods = Vec::new();
    loop {
        let mut head = Vec::new();
        if let Err(source) = read_head(&mut input, &mut head)
            && head.is_empty()
        {
            return Err(match methods.last() {
                None => Error::open(name, source),
                Some(method) => Error::Decompress { name: name.to_owned(), method: Method::name(*method), source },
            });
        }
        let kind = sniff::sniff(&head).or_else(|| TextKind::sniff(&head, true).map(Kind::Text));
        match kind {
            Some(Kind::Packed(method)) if methods.len() < MAX_LAYERS => {
                methods.push(method);
                input = unpack(method, Box::new(Cursor::new(head).chain(input)), name)?;
            }
            Some(kind @ (Kind::Pcap(_) | Kind::PcapNg | Kind::Text(_))) => {
                return Ok(Opened { kind, methods, head, rest: input });
            }
            _ if head.is_empty() => return Err(Error::Empty { name: name.to_owned() }),
            _ => return Err(Error::NoCapture { name: name.to_owned(), head: sniff::describe(&head) }),
        }
    }
}

/// Reads as many bytes as it takes to tell what they are, or all that there are.
fn read_head(input: &mut Input, head: &mut Vec<u8>) -> io::Result<()> {
    let mut bytes = [0; sniff::ENOUGH_TEXT];
    loop {
        let is_enough = match head.len() {
            ..sniff::ENOUGH => false,
            sniff::ENOUGH_TEXT.. => true,
            _ => sniff::sniff(head).is_some() || !sniff::may_be_text(head) || TextKind::sniff(head, false).is_some(),
        };
        if is_enough {
            return Ok(());
        }
        // What tells a binary format is read first, so that no more is asked for than a pipe has to give.
        let wanted = if head.len() < sniff::ENOUGH { sniff::ENOUGH } else { sniff::ENOUGH_TEXT };
        let room = wanted - head.len();
        match input.read(bytes.get_mut(..room).unwrap_or_default()) {
            Ok(0) => return Ok(()),
            Ok(len) => head.extend_from_slice(bytes.get(..len).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn unpack(method: Method, input: Input, name: &str) -> Result<Input, Error> {
    Ok(match method {
        Method::Gzip => Box::new(flate2::read::MultiGzDecoder::new(input)),
        Method::Zstd => Box::new(zstd::Decoder::new(input).map_err(|source| Error::Decompress {
            name: name.to_owned(),
            method: method.name(),
            source,
        })?),
        Method::Lz4 => Box::new(Lz4::new(input)),
    })
}

/// LZ4 frames, one after the other.
///
/// The decoder says "end" between two frames as well as where the input is cut between two blocks; only what it read
/// of its input tells the one from the other. And it takes no second frame with other sizes than the first, so that each
/// has a decoder of its own.
struct Lz4 {
    /// `None` once all is read.
    decoder: Option<FrameDecoder<Watched>>,
}

/// An input that remembers.
struct Watched {
    input: BufReader<Input>,
    /// How many bytes were read since a frame should begin.
    read: u64,
    /// Its end was reached.
    ended: bool,
}

impl Lz4 {
    fn new(input: Input) -> Self {
        let watched = Watched { input: BufReader::new(input), read: 0, ended: false };
        Self { decoder: Some(FrameDecoder::new(watched)) }
    }
}

impl Read for Lz4 {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        while let Some(decoder) = &mut self.decoder {
            let len = decoder.read(into)?;
            if len > 0 {
                return Ok(len);
            }
            let Some(mut watched) = self.decoder.take().map(FrameDecoder::into_inner) else { break };
            match watched.ended {
                true if watched.read == 0 => break,
                true => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the last lz4 frame is cut")),
                false => watched.read = 0,
            }
            self.decoder = Some(FrameDecoder::new(watched));
        }
        Ok(0)
    }
}

impl Read for Watched {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.input.read(into)?;
        self.read += len as u64;
        self.ended |= len == 0 && !into.is_empty();
        Ok(len)
    }
}

/// An input that counts how much of it was read.
pub(crate) struct Counted<R> {
    input: R,
    count: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    pub(crate) fn new(input: R) -> (Self, Arc<AtomicU64>) {
        let count = Arc::new(AtomicU64::new(0));
        (Self { input, count: Arc::clone(&count) }, count)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.input.read(into)?;
        self.count.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
}

/// A pipe, or anything else that is read as it comes.
pub(crate) struct Pipe {
    file: Arc<File>,
    /// What can be read from once nothing more is to be waited for.
    stop: Option<Arc<OwnedFd>>,
    /// When reading ends, once it is to.
    until: Option<Instant>,
}

/// What stops the reader has often stopped the writer as well, who then writes what it had kept back.
const GRACE: Duration = Duration::from_millis(300);

impl Pipe {
    pub(crate) fn new(file: Arc<File>, stop: Option<Arc<OwnedFd>>) -> Self {
        Self { file, stop, until: None }
    }

    /// Waits for bytes, or for the end; false: nothing more is to be read.
    fn has_more(&mut self) -> io::Result<bool> {
        let Some(stop) = &self.stop else { return Ok(true) };
        if self.until.is_none() {
            let mut both = [PollFd::new(&*self.file, PollFlags::IN), PollFd::new(&**stop, PollFlags::IN)];
            poll(&mut both, None)?;
            let [_, stopped] = both;
            if stopped.revents().is_empty() {
                return Ok(true);
            }
        }
        let until = *self.until.get_or_insert_with(|| Instant::now() + GRACE);
        let left = until.saturating_duration_since(Instant::now());
        Ok(!left.is_zero() && wait(&*self.file, left)?)
    }
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if !self.has_more()? {
            return Ok(0);
        }
        (&*self.file).read(into)
    }
}

/// A file that somebody still writes: at its end, more is waited for.
pub(crate) struct Growing {
    input: FromStart,
    stop: Option<Arc<OwnedFd>>,
    path: PathBuf,
    notice: Option<Notice>,
    /// The name was found without a file.
    removed: bool,
    /// The file that has the name now, once it is another one.
    successor: Successor,
}

/// The file that took the place of one that was followed, for whoever continues reading in it.
pub(crate) type Successor = Arc<Mutex<Option<File>>>;

/// Is called with what happens to a file that is followed, at the moment when it happens.
#[derive(Clone)]
pub struct Notice(pub Arc<dyn Fn(&str) + Send + Sync>);

impl std::fmt::Debug for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notice")
    }
}

/// How often is looked whether a file has grown.
const LOOK: Duration = Duration::from_millis(100);

impl Growing {
    pub(crate) fn new(
        file: Arc<File>,
        path: PathBuf,
        stop: Option<Arc<OwnedFd>>,
        notice: Option<Notice>,
        successor: Successor,
    ) -> Self {
        Self { input: FromStart::new(file), stop, path, notice, removed: false, successor }
    }

    /// Whether another file has the name now; it is then opened.
    fn is_replaced(&mut self) -> io::Result<bool> {
        let own = self.input.file.metadata()?;
        match std::fs::metadata(&self.path) {
            Ok(other) => {
                if (other.dev(), other.ino()) == (own.dev(), own.ino()) {
                    self.removed = false;
                    return Ok(false);
                }
                // Opening anything else might wait.
                let Some(file) = other.is_file().then(|| File::open(&self.path).ok()).flatten() else {
                    return Ok(false);
                };
                *self.successor.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
                Ok(true)
            }
            Err(_) => {
                if !std::mem::replace(&mut self.removed, true) {
                    self.notify("the file was removed; waiting for a new one with its name");
                }
                Ok(false)
            }
        }
    }

    fn notify(&self, what: &str) {
        if let Some(Notice(notice)) = &self.notice {
            notice(&format!("{}: {what}", self.path.display()));
        }
    }

    /// Whether nothing more is to be read; waits so long for that.
    fn stopped(&self, time: Duration) -> io::Result<bool> {
        match &self.stop {
            Some(stop) => wait(&**stop, time),
            None => {
                std::thread::sleep(time);
                Ok(false)
            }
        }
    }
}

impl Read for Growing {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut stopped = self.stopped(Duration::ZERO)?;
        while !stopped {
            let len = self.input.read(into)?;
            if len > 0 || into.is_empty() {
                return Ok(len);
            }
            if self.input.file.metadata()?.len() < self.input.at {
                return Err(io::Error::other("the file was truncated: it has become shorter"));
            }
            if self.is_replaced()? {
                // What its writer appended before it went over to the new file.
                let len = self.input.read(into)?;
                if len == 0 {
                    self.notify("the file was replaced; following the new one");
                }
                return Ok(len);
            }
            stopped = self.stopped(LOOK)?;
        }
        Ok(0)
    }
}

/// Waits so long for something to be read from `from`, or its end; whether there is.
fn wait(from: impl AsFd, time: Duration) -> io::Result<bool> {
    let mut one = [PollFd::new(&from, PollFlags::IN)];
    let time = Timespec::try_from(time).ok();
    Ok(poll(&mut one, time.as_ref())? > 0)
}

/// A file as it was when it was opened: up to its length then, and an error where it has become shorter.
pub(crate) struct Whole {
    input: FromStart,
    size: u64,
}

impl Whole {
    pub(crate) fn new(file: Arc<File>, size: u64) -> Self {
        Self { input: FromStart::new(file), size }
    }
}

impl Read for Whole {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.input.at);
        let most = usize::try_from(left).map_or(into.len(), |left| left.min(into.len()));
        match self.input.read(into.get_mut(..most).unwrap_or_default())? {
            0 if most > 0 => {
                let (size, at) = (self.size, self.input.at);
                let why = format!("the file became shorter while it was read: {at} of its {size} bytes are there");
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, why))
            }
            len => Ok(len),
        }
    }
}

/// A file from its beginning, whoever else reads from it.
pub(crate) struct FromStart {
    file: Arc<File>,
    at: u64,
}

impl FromStart {
    pub(crate) fn new(file: Arc<File>) -> Self {
        Self { file, at: 0 }
    }
}

impl Read for FromStart {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.file.read_at(into, self.at)?;
        self.at += len as u64;
        Ok(len)
    }
}
