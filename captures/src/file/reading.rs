//! All inputs of a reading, as one sequence of packets.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::batch::{Batch, Holder};
use super::bytes::{self, Counted, FromStart, Input, Opened};
use super::error::Error;
use super::info::{FileInfo, Secret};
use super::map::Map;
use super::reader::{Reader, Stream};
use super::record::{Found, Known, Log, Record};
use super::sniff::{Kind, Method};
use crate::source::{FileSource, Sources};
use crate::{Place, SourceNo, Timestamp};

/// As many files as can be read together: each needs a number, and spill files need some too.
const MAX_FILES: usize = 60_000;

/// So many packets of each file are looked at in advance when several are merged.
const AHEAD: usize = 1024;

/// How inputs are opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions {
    /// Read files instead of mapping them. A mapped file that is made shorter meanwhile kills the program.
    pub no_mmap: bool,
}

/// One or several inputs, read as one: packets in the order of their times, those of one input in the order in which
/// they stand there whatever their times, those of the same time in the order of the inputs.
///
/// ```no_run
/// use rpcshark_captures::file::{OpenOptions, Reading};
///
/// let mut reading = Reading::open(&["a.pcap".into(), "b.pcapng.gz".into()], &OpenOptions::default())?;
/// while let Some(batch) = reading.next_batch(4096)? {
///     for index in 0..batch.len() {
///         println!("{:?}", batch.packet(index).packet);
///     }
/// }
/// # Ok::<(), rpcshark_captures::file::Error>(())
/// ```
pub struct Reading {
    readers: Vec<Reader>,
    files: Vec<FileInfo>,
    known: Known,
    sources: Arc<Sources>,
    /// How many packets were handed out.
    handed_out: u64,
    merge: Merge,
    found: Found,
}

impl Reading {
    /// Opens `paths` to be read together: files, `-` for standard input, directories for the captures in them (not in
    /// directories in them), sorted by name.
    ///
    /// Of a pipe this waits for the first bytes.
    ///
    /// # Errors
    ///
    /// If one of them is missing, may not be read, or is no capture, or if there is no capture in a directory.
    pub fn open(paths: &[PathBuf], options: &OpenOptions) -> Result<Self, Error> {
        let mut inputs = Vec::new();
        for path in paths {
            if path.as_os_str() != "-" && path.is_dir() {
                inputs.extend(captures_in(path)?);
            } else {
                inputs.push(path.clone());
            }
        }
        if inputs.len() > MAX_FILES {
            return Err(Error::TooManyFiles { count: inputs.len(), limit: MAX_FILES });
        }
        let mut parts = Vec::new();
        for (path, number) in inputs.iter().zip(0..) {
            parts.push(match path.as_os_str() == "-" {
                true => Part::stream(Box::new(io::stdin()), "standard input".to_owned())?,
                false => Part::open(path, SourceNo(number), options)?,
            });
        }
        Ok(Self::new(parts))
    }

    /// Reads what `input` gives, as soon as it gives it.
    ///
    /// # Errors
    ///
    /// If it cannot be read or is no capture.
    pub fn from_reader(input: Box<dyn Read + Send>, name: impl Into<String>) -> Result<Self, Error> {
        Ok(Self::new(vec![Part::stream(input, name.into())?]))
    }

    fn new(parts: Vec<Part>) -> Self {
        let mut readers = Vec::new();
        let mut files = Vec::new();
        let mut sources = Vec::new();
        for part in parts {
            readers.push(part.reader);
            files.push(part.info);
            sources.push(part.source);
        }
        Self {
            merge: Merge::new(readers.len()),
            readers,
            files,
            known: Known::default(),
            sources: Arc::new(Sources::new(sources)),
            handed_out: 0,
            found: Found::default(),
        }
    }

    /// The next packets, at most `max_packets` of them and at least one; `None` at the end.
    ///
    /// Regular files give as many as are asked for, or some megabytes where they are not mapped. Pipes give what has
    /// come: as soon as there is a whole packet it is handed out.
    ///
    /// # Errors
    ///
    /// None at present: an input that cannot be read any further says so in its [`FileInfo`], and the others go on.
    pub fn next_batch(&mut self, max_packets: usize) -> Result<Option<Batch>, Error> {
        let mut batch = Batch::default();
        Ok(self.next_batch_into(max_packets, &mut batch)?.then_some(batch))
    }

    /// As [`Reading::next_batch`], into a batch that is not needed any more, to spare its memory; `false` at the end.
    ///
    /// # Errors
    ///
    /// As for [`Reading::next_batch`].
    pub fn next_batch_into(&mut self, max_packets: usize, batch: &mut Batch) -> Result<bool, Error> {
        batch.clear();
        batch.first = self.handed_out;
        let most = max_packets.clamp(1, u32::MAX as usize);
        match self.readers.len() {
            1 => self.fill_from_one(most, batch),
            _ => self.fill_merged(most, batch),
        }
        self.handed_out += batch.len() as u64;
        Ok(!batch.is_empty())
    }

    /// The inputs in their order, as far as they have been read.
    pub fn files(&self) -> &[FileInfo] {
        &self.files
    }

    /// Names that the captures themselves give to addresses, as far as they have been read.
    pub fn names(&self) -> &BTreeMap<IpAddr, Box<str>> {
        &self.known.names
    }

    /// Key material that the captures themselves carry, as far as they have been read.
    pub fn secrets(&self) -> &[Secret] {
        &self.known.secrets
    }

    /// What the places of this reading lie in, to read bytes back.
    pub fn sources(&self) -> Arc<Sources> {
        Arc::clone(&self.sources)
    }

    /// How many bytes have been read, and of how many where that is known.
    pub fn progress(&self) -> (u64, Option<u64>) {
        let consumed = self.files.iter().map(|file| file.consumed).sum();
        (consumed, self.files.iter().map(|file| file.size).sum())
    }

    fn fill_from_one(&mut self, most: usize, batch: &mut Batch) {
        let (Some(reader), Some(info)) = (self.readers.first_mut(), self.files.first_mut()) else { return };
        if reader.is_ended() {
            return;
        }
        std::mem::swap(&mut self.found.records, &mut batch.records);
        std::mem::swap(&mut self.found.comments, &mut batch.comments);
        let mut log = Log { file: 0, info, known: &mut self.known };
        let holder = reader.fill(most, &mut self.found, &mut log);
        std::mem::swap(&mut self.found.records, &mut batch.records);
        std::mem::swap(&mut self.found.comments, &mut batch.comments);
        batch.holders.push(holder);
    }

    fn fill_merged(&mut self, most: usize, batch: &mut Batch) {
        for file in std::mem::take(&mut self.merge.wanting) {
            self.look_ahead(file);
        }
        while batch.len() < most && batch.holders.len() < usize::from(u16::MAX) {
            let Some(Reverse((_, file))) = self.merge.heads.pop() else { return };
            let until = self.merge.heads.peek().map(|Reverse(head)| *head);
            if self.merge.hand_out(file, until, most, batch) {
                continue;
            }
            // Its packets were all handed out, and which one is next cannot be said before it has been read further.
            // If it may have to be waited for, what there is must not wait with it.
            let live = self.readers.get(usize::from(file)).is_some_and(Reader::is_live);
            if live && !batch.is_empty() {
                self.merge.wanting.push(file);
                return;
            }
            self.look_ahead(file);
        }
    }

    /// Reads on in a file of which no packet is at hand.
    fn look_ahead(&mut self, file: u16) {
        let index = usize::from(file);
        let (Some(reader), Some(info)) = (self.readers.get_mut(index), self.files.get_mut(index)) else { return };
        let Some(ahead) = self.merge.ahead.get_mut(index) else { return };
        ahead.found.clear();
        ahead.next = 0;
        ahead.next_comment = 0;
        ahead.holder = None;
        ahead.entered = None;
        if reader.is_ended() {
            return;
        }
        let mut log = Log { file, info, known: &mut self.known };
        ahead.holder = Some(reader.fill(AHEAD, &mut ahead.found, &mut log));
        if let Some(first) = ahead.found.records.first() {
            self.merge.heads.push(Reverse((first.time, file)));
        }
    }
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("files", &self.files).finish_non_exhaustive()
    }
}

/// Several files becoming one sequence.
#[derive(Default)]
struct Merge {
    /// What was read of each file and not handed out yet.
    ahead: Vec<Ahead>,
    /// The time of the next packet of each file that has one at hand.
    heads: BinaryHeap<Reverse<(Timestamp, u16)>>,
    /// Files that have none at hand and may have more.
    wanting: Vec<u16>,
}

#[derive(Default)]
struct Ahead {
    found: Found,
    /// The index of the next record.
    next: usize,
    /// The index of the next comment.
    next_comment: usize,
    holder: Option<Holder>,
    /// The batch in which `holder` was entered last, by its first packet, and at which index.
    entered: Option<(u64, u16)>,
}

impl Merge {
    fn new(files: usize) -> Self {
        let ahead = std::iter::repeat_with(Ahead::default).take(files).collect();
        Self { ahead, heads: BinaryHeap::new(), wanting: (0..).take(files).collect() }
    }

    /// Hands out packets of `file` as long as they come before `until`, the first one of another file. Says whether
    /// there are further ones at hand.
    fn hand_out(&mut self, file: u16, until: Option<(Timestamp, u16)>, most: usize, batch: &mut Batch) -> bool {
        let Some(ahead) = self.ahead.get_mut(usize::from(file)) else { return true };
        // A file that takes turns with others has many runs in one batch; what holds them is entered once.
        let holder = match (ahead.entered, &ahead.holder) {
            (Some((first, index)), _) if first == batch.first => index,
            (_, None) => return false,
            (_, Some(holder)) => {
                let index = batch.holders.len() as u16;
                ahead.entered = Some((batch.first, index));
                batch.holders.push(holder.clone());
                index
            }
        };
        while let Some(record) = ahead.found.records.get(ahead.next) {
            if until.is_some_and(|until| (record.time, file) > until) || batch.records.len() >= most {
                self.heads.push(Reverse((record.time, file)));
                return true;
            }
            if let Some((index, comment)) = ahead.found.comments.get_mut(ahead.next_comment)
                && *index as usize == ahead.next
            {
                batch.comments.push((batch.records.len() as u32, std::mem::take(comment)));
                ahead.next_comment += 1;
            }
            batch.records.push(Record { holder, ..*record });
            ahead.next += 1;
        }
        false
    }
}

/// One input of a reading.
struct Part {
    reader: Reader,
    info: FileInfo,
    source: FileSource,
}

impl Part {
    /// What comes from somewhere and lies nowhere.
    fn stream(input: Input, name: String) -> Result<Self, Error> {
        let (input, read) = Counted::new(input);
        let Opened { kind, methods, head, rest } = bytes::open(Box::new(input), &name)?;
        let stream = Stream::new(rest, head, read, true, Place::NOWHERE);
        let info = FileInfo { format: format_name(kind, &methods), name, ..FileInfo::default() };
        Self::new(Reader::streamed(kind, stream), info, FileSource::Nothing)
    }

    fn open(path: &Path, number: SourceNo, options: &OpenOptions) -> Result<Self, Error> {
        let name = path.display().to_string();
        let failed = |source| Error::open(&name, source);
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        // What the system makes up when it is read says that it has no bytes.
        if !metadata.is_file() || metadata.len() == 0 {
            let mut part = Self::stream(Box::new(file), name)?;
            part.info.path = Some(path.to_owned());
            return Ok(part);
        }
        let file = Arc::new(file);
        let (input, read) = Counted::new(FromStart::new(Arc::clone(&file)));
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
            let stream = Stream::new(rest, head, read, false, Place::NOWHERE);
            return Self::new(Reader::streamed(kind, stream), info, FileSource::Nothing);
        }
        if !options.no_mmap
            && let Ok(map) = Map::new(&file)
        {
            let map = Arc::new(map);
            return Self::new(Reader::mapped(kind, Arc::clone(&map), at), info, FileSource::Map(map));
        }
        let stream = Stream::new(rest, head, read, false, at);
        Self::new(Reader::streamed(kind, stream), info, FileSource::File(file))
    }

    fn new(reader: Option<Reader>, info: FileInfo, source: FileSource) -> Result<Self, Error> {
        match reader {
            Some(reader) => Ok(Self { reader, info, source }),
            None => Err(Error::NoCapture { name: info.name, head: info.format }),
        }
    }
}

/// `pcapng in gzip`.
fn format_name(kind: Kind, methods: &[Method]) -> String {
    let mut name = match kind {
        Kind::Pcap(_) => "pcap",
        Kind::PcapNg | Kind::Packed(_) => "pcapng",
    }
    .to_owned();
    for method in methods.iter().rev() {
        name += " in ";
        name += method.name();
    }
    name
}

/// The captures in a directory, by what they begin with; never none.
fn captures_in(directory: &Path) -> Result<Vec<PathBuf>, Error> {
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
