//! Opening one input: what it is, how its bytes come, and where they can be read back from.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use super::bytes::{self, Counted, Growing, Input, Notice, Opened, Pipe, Successor, Whole};
use super::error::Error;
use super::info::FileInfo;
use super::reader::{ByteStream, Pace, Reader};
use super::sniff::{Kind, Method};
use super::spool::Spool;
use crate::source::FileSource;
use crate::{Direction, Place, SourceNo};

/// How inputs are opened.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Wait for more at the end of a regular file: somebody still writes it.
    pub follow: bool,
    /// Once this becomes readable, pipes and followed files count as ended.
    pub stop: Option<Arc<OwnedFd>>,
    /// Where what is piped into standard input is kept, to be read again.
    pub spool: Option<Arc<Spool>>,
    /// Learns at once when a file that is followed is removed or replaced.
    pub notice: Option<Notice>,
}

/// One input of a reading.
pub(crate) struct OpenInput {
    pub(crate) reader: Reader,
    pub(crate) info: FileInfo,
    pub(crate) source: FileSource,
}

impl OpenInput {
    /// Standard input, wherever it stands.
    pub(crate) fn standard_input(options: &OpenOptions) -> Result<Self, Error> {
        let name = "standard input";
        // Another handle to it, as the standard one has a buffer of its own, of which nobody can see what is in it.
        let file = io::stdin().as_fd().try_clone_to_owned().map_err(|source| Error::open(name, source))?;
        let Some(spool) = &options.spool else { return Self::pipe(File::from(file), name.to_owned(), options) };
        let file = Arc::new(File::from(file));
        let pace = if spool.is_attached() { Pace::Full } else { pace(&file) };
        Self::stream(spool.attach(Box::new(Pipe::new(file, options.stop.clone()))), name.to_owned(), pace)
    }

    /// What is read as it comes.
    pub(crate) fn pipe(file: File, name: String, options: &OpenOptions) -> Result<Self, Error> {
        let file = Arc::new(file);
        let pace = pace(&file);
        Self::stream(Box::new(Pipe::new(file, options.stop.clone())), name, pace)
    }

    /// What comes from somewhere and lies nowhere.
    pub(crate) fn stream(input: Input, name: String, pace: Pace) -> Result<Self, Error> {
        let (input, read) = Counted::new(input);
        let Opened { kind, methods, head, rest } = bytes::open(Box::new(input), &name)?;
        // What a pipe has is known, but not whether it is enough to decompress anything.
        let pace = match pace {
            Pace::Piped(_) if !methods.is_empty() => Pace::Live,
            pace => pace,
        };
        let stream = ByteStream::new(rest, head, read, pace, Place::NOWHERE);
        let info = FileInfo { format: format_name(kind, &methods), name, ..FileInfo::default() };
        Self::new(Reader::streamed(kind, stream), info, FileSource::Nothing)
    }

    pub(crate) fn open(path: &Path, number: SourceNo, options: &OpenOptions) -> Result<Self, Error> {
        let name = path.display().to_string();
        let failed = |source| Error::open(&name, source);
        let file = open_for_reading(path, options).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if options.follow && metadata.is_file() {
            return Self::growing(file, path, number, options);
        }
        // What the system makes up when it is read says that it has no bytes.
        if !metadata.is_file() || metadata.len() == 0 {
            let mut part = Self::pipe(file, name, options)?;
            part.info.path = Some(path.to_owned());
            return Ok(part);
        }
        let file = Arc::new(file);
        let (input, read) = Counted::new(Whole::new(Arc::clone(&file), metadata.len()));
        let Opened { kind, methods, head, rest } = bytes::open(Box::new(input), &name)?;
        let info = FileInfo {
            format: format_name(kind, &methods),
            path: Some(path.to_owned()),
            size: Some(metadata.len()),
            name,
            ..FileInfo::default()
        };
        let at = Place::new(number, 0);
        if !methods.is_empty() {
            let stream = ByteStream::new(rest, head, read, Pace::Full, Place::NOWHERE);
            return Self::new(Reader::streamed(kind, stream), info, FileSource::Nothing);
        }
        let stream = ByteStream::new(rest, head, read, Pace::Full, at);
        Self::new(Reader::streamed(kind, stream), info, FileSource::file(file))
    }

    /// A regular file that somebody still writes.
    pub(crate) fn growing(file: File, path: &Path, number: SourceNo, options: &OpenOptions) -> Result<Self, Error> {
        let name = path.display().to_string();
        let successor = Successor::default();
        let file = Arc::new(file);
        let followed = growing_stream(Arc::clone(&file), path, options, &successor, Place::new(number, 0))?;
        let info = FileInfo {
            format: format_name(followed.kind, &followed.methods),
            path: Some(path.to_owned()),
            name,
            ..FileInfo::default()
        };
        let source = if followed.methods.is_empty() { FileSource::file(file) } else { FileSource::Nothing };
        let reader = Reader::streamed(followed.kind, followed.stream).map(|reader| {
            let (path, options) = (path.to_owned(), options.clone());
            reader.followed_by(Box::new(move || {
                let file = successor.lock().unwrap_or_else(PoisonError::into_inner).take()?;
                // Places in this source are those of the first file: what comes from another one is kept elsewhere.
                let followed = growing_stream(Arc::new(file), &path, &options, &successor, Place::NOWHERE);
                Some(followed.map(|followed| (followed.kind, followed.stream)))
            }))
        });
        Self::new(reader, info, source)
    }

    /// A file that holds what one side sent.
    pub(crate) fn open_raw(
        path: &Path,
        direction: Direction,
        number: SourceNo,
        options: &OpenOptions,
    ) -> Result<Self, Error> {
        let name = path.display().to_string();
        let failed = |source| Error::open(&name, source);
        let file = open_for_reading(path, options).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let kind = Kind::Raw(direction);
        let info =
            FileInfo { format: format_name(kind, &[]), path: Some(path.to_owned()), name, ..FileInfo::default() };
        if !metadata.is_file() || metadata.len() == 0 {
            let file = Arc::new(file);
            let (input, read) = Counted::new(Pipe::new(Arc::clone(&file), options.stop.clone()));
            let stream = ByteStream::new(Box::new(input), Vec::new(), read, Pace::Piped(file), Place::NOWHERE);
            return Self::new(Reader::streamed(kind, stream), info, FileSource::Nothing);
        }
        let info = FileInfo { size: Some(metadata.len()), ..info };
        let (file, at) = (Arc::new(file), Place::new(number, 0));
        let (input, read) = Counted::new(Whole::new(Arc::clone(&file), metadata.len()));
        let stream = ByteStream::new(Box::new(input), Vec::new(), read, Pace::Full, at);
        Self::new(Reader::streamed(kind, stream), info, FileSource::file(file))
    }

    pub(crate) fn new(reader: Option<Reader>, info: FileInfo, source: FileSource) -> Result<Self, Error> {
        match reader {
            Some(reader) => Ok(Self { reader, info, source }),
            None => Err(Error::NoCapture { name: info.name, head: info.format }),
        }
    }
}

/// A file that is followed, opened.
struct Followed {
    kind: Kind,
    methods: Vec<Method>,
    stream: ByteStream,
}

fn growing_stream(
    file: Arc<File>,
    path: &Path,
    options: &OpenOptions,
    successor: &Successor,
    at: Place,
) -> Result<Followed, Error> {
    let (stop, notice) = (options.stop.clone(), options.notice.clone());
    let growing = Growing::new(Arc::clone(&file), path.to_owned(), stop, notice, Arc::clone(successor));
    let (input, read) = Counted::new(growing);
    let Opened { kind, methods, head, rest } = bytes::open(Box::new(input), &path.display().to_string())?;
    let (pace, at) = match methods.is_empty() {
        true => (Pace::Growing(file), at),
        false => (Pace::Live, Place::NOWHERE),
    };
    Ok(Followed { kind, methods, stream: ByteStream::new(rest, head, read, pace, at) })
}

/// How fast a file gives its packets that is read as it comes.
fn pace(file: &Arc<File>) -> Pace {
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Pace::Full,
        _ => Pace::Piped(Arc::clone(file)),
    }
}

/// Opens a file. A FIFO is waited for here until it has a writer, or nothing more is to be waited for: open(2) would wait
/// whatever signals come.
fn open_for_reading(path: &Path, options: &OpenOptions) -> io::Result<File> {
    if !fs::metadata(path)?.file_type().is_fifo() {
        return File::open(path);
    }
    let file = File::options().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?;
    let mut ends = vec![PollFd::new(&file, PollFlags::IN)];
    ends.extend(options.stop.as_ref().map(|stop| PollFd::new(&**stop, PollFlags::IN)));
    while let Err(error) = poll(&mut ends, None) {
        if error != Errno::INTR {
            return Err(error.into());
        }
    }
    fcntl_setfl(&file, fcntl_getfl(&file)? & !OFlags::NONBLOCK)?;
    Ok(file)
}

/// `pcapng in gzip`.
fn format_name(kind: Kind, methods: &[Method]) -> String {
    let mut name = match kind {
        Kind::Pcap(_) => "pcap",
        Kind::PcapNg | Kind::Packed(_) => "pcapng",
        Kind::Text(kind) => kind.name(),
        Kind::Raw(_) => "raw bytes",
    }
    .to_owned();
    for method in methods.iter().rev() {
        name += " in ";
        name += method.name();
    }
    name
}

/// The captures in a directory, by what they begin with; never none.
pub(crate) fn captures_in(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let name = directory.display().to_string();
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(|source| Error::open(&name, source))? {
        let path = entry.map_err(|source| Error::open(&name, source))?.path();
        // Reading from a pipe or a socket that lies there would take bytes from somebody.
        if path.is_file() && is_capture(&path)? {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(Error::EmptyDirectory { name });
    }
    paths.sort();
    Ok(paths)
}

fn is_capture(path: &Path) -> Result<bool, Error> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|source| Error::open(&name, source))?;
    match bytes::open(Box::new(file), &name) {
        Ok(_) => Ok(true),
        Err(Error::Empty { .. } | Error::NoCapture { .. } | Error::Decompress { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
