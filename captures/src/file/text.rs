//! Records in texts: the lines of strace, the blocks of socat and sockdump; and pieces of raw bytes.
//!
//! Here it is only found where a record begins and ends and what time it has. What it says is read in
//! [`streams`](crate::streams).
//!
//! Texts count their packets by lines, so that the number of a packet is the line that users see in an editor.

use super::record::{Log, Progress, Record, RecordList, Window};
use crate::streams::text::{self, Time};
use crate::{Direction, LinkType, PacketNo, Timestamp};

/// A record that is longer is cut: what strace prints of the largest buffers that servers write is shorter.
const MAX_RECORD: usize = 64 << 20;

/// Records of one batch take at most about so many bytes, as what they say is copied out of them.
const BATCH_BYTES: usize = 16 << 20;

/// What is kept of one that is longer: enough to see whose it is.
const KEPT_OF_LONG: usize = 4 << 10;

/// How many lines may come before one that tells what a text is: messages of the program that was traced, and the like.
const LINES_BEFORE: usize = 64;

/// Which text it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextKind {
    Strace,
    Socat,
    Sockdump,
}

impl TextKind {
    /// What a text is that begins with `head`. `is_all`: nothing more of it will be looked at.
    pub(crate) fn sniff(head: &[u8], is_all: bool) -> Option<Self> {
        let mut lines = head.split(|&byte| byte == b'\n').take(LINES_BEFORE).peekable();
        while let Some(line) = lines.next() {
            let is_whole = lines.peek().is_some();
            // Of a line that is not there to its end more is read first.
            if !is_whole && !is_all {
                return None;
            }
            if text::socat_header(line).is_some() {
                return Some(Self::Socat);
            }
            if text::sockdump_header(line).is_some() {
                return Some(Self::Sockdump);
            }
            if text::is_strace(line) {
                return Some(Self::Strace);
            }
        }
        None
    }

    /// The name that users know.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Strace => "strace",
            Self::Socat => "socat",
            Self::Sockdump => "sockdump",
        }
    }

    const fn link(self) -> LinkType {
        match self {
            Self::Strace => LinkType::STRACE,
            Self::Socat => LinkType::SOCAT,
            Self::Sockdump => LinkType::SOCKDUMP,
        }
    }
}

/// Finds the records of a text.
#[derive(Debug)]
pub(crate) struct Text {
    kind: TextKind,
    /// How many bytes from the place where it continues have no end of line in them.
    searched: usize,
    /// In the middle of a line that is too long.
    is_long: bool,
    /// The time of the last record.
    clock: i64,
    /// Days since the first line, if only the time of day is given.
    days: i64,
    has_begun: bool,
    /// strace dumps what is read and written.
    has_dumps: bool,
}

/// What is at the beginning of the rest.
enum Next {
    /// A record of so many bytes.
    Record(usize),
    /// So many bytes that belong to none.
    Nothing(usize),
    /// More is needed to tell.
    More,
}

impl Text {
    pub(crate) fn new(kind: TextKind) -> Self {
        Self { kind, searched: 0, is_long: false, clock: 0, days: 0, has_begun: false, has_dumps: false }
    }

    pub(crate) fn scan(
        &mut self,
        window: Window<'_>,
        from: usize,
        most: usize,
        found: &mut RecordList,
        log: &mut Log<'_>,
    ) -> Progress {
        let mut at = from;
        while found.records.len() < most && (at - from < BATCH_BYTES || found.records.is_empty()) {
            let rest = window.bytes.get(at..).unwrap_or_default();
            if rest.is_empty() && window.ended {
                return Progress { upto: at, need: 1 };
            }
            match self.next(rest, window.ended) {
                Next::More if rest.len() > MAX_RECORD => {
                    if !std::mem::replace(&mut self.is_long, true) {
                        self.record(rest, at, window.base, found, log);
                    }
                    self.searched = 0;
                    at += rest.len();
                }
                Next::More => return Progress { upto: at, need: rest.len() + 1 },
                Next::Record(len) => {
                    self.record(rest.get(..len).unwrap_or_default(), at, window.base, found, log);
                    self.searched = 0;
                    at += len;
                }
                Next::Nothing(len) => {
                    log.info.packets += lines(rest.get(..len).unwrap_or_default());
                    self.searched = 0;
                    at += len;
                }
            }
        }
        Progress { upto: at, need: 0 }
    }

    fn next(&mut self, rest: &[u8], is_all: bool) -> Next {
        let Some(line_len) = self.line(rest, is_all) else { return Next::More };
        let line = rest.get(..line_len).unwrap_or_default();
        if std::mem::take(&mut self.is_long) || line.trim_ascii().is_empty() {
            return Next::Nothing(line_len);
        }
        let len = match self.kind {
            TextKind::Strace => self.with_dump(rest, line_len, is_all),
            TextKind::Socat => match text::socat_header(line) {
                Some(header) => text::socat_block(rest, line_len, &header, is_all),
                None => return Next::Nothing(line_len),
            },
            TextKind::Sockdump => match text::sockdump_header(line) {
                Some(header) => text::sockdump_block(rest, line_len, &header, is_all),
                None => return Next::Nothing(line_len),
            },
        };
        len.map_or(Next::More, Next::Record)
    }

    /// The length of the first line.
    fn line(&mut self, rest: &[u8], is_all: bool) -> Option<usize> {
        let unsearched = rest.get(self.searched..).unwrap_or_default();
        match memchr::memchr(b'\n', unsearched) {
            Some(end) => {
                let len = self.searched + end + 1;
                // What follows may not be there yet.
                self.searched = len - 1;
                Some(len)
            }
            None if is_all => Some(rest.len()),
            None => {
                self.searched = rest.len();
                None
            }
        }
    }

    /// A line of strace and the lines of the dump after it.
    fn with_dump(&mut self, rest: &[u8], line_len: usize, is_all: bool) -> Option<usize> {
        let line = rest.get(..line_len)?;
        if text::is_dump(line) {
            self.has_dumps = true;
        }
        if !self.has_dumps && !text::may_have_dump(line) {
            return Some(line_len);
        }
        let mut len = line_len;
        loop {
            let rest = rest.get(len..)?;
            if !text::is_dump(rest) {
                // Three characters tell.
                return (is_all || rest.len() >= 3).then_some(len);
            }
            self.has_dumps = true;
            match memchr::memchr(b'\n', rest) {
                Some(end) => len += end + 1,
                None if is_all => return Some(len + rest.len()),
                None => return None,
            }
        }
    }

    fn record(&mut self, mut bytes: &[u8], start: usize, base: u64, found: &mut RecordList, log: &mut Log<'_>) {
        let number = log.info.packets + 1;
        if bytes.len() > MAX_RECORD {
            log.note(base + start as u64, "this is too long: most of it is skipped".to_owned());
            log.info.packets += lines(bytes).saturating_sub(1);
            bytes = bytes.get(..KEPT_OF_LONG).unwrap_or_default();
        }
        let time = self.time(bytes, log);
        log.info.packets += lines(bytes);
        let data = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        found.records.push(Record {
            time: Timestamp::from_nanos(time),
            start: start as u32,
            len: data.len() as u32,
            original_len: data.len() as u32,
            no: PacketNo::new(log.file, number),
            link: self.kind.link().0,
            holder: 0,
        });
    }

    /// The time of a record, in nanoseconds since 1970.
    fn time(&mut self, bytes: &[u8], log: &mut Log<'_>) -> i64 {
        const DAY: i64 = 86_400_000_000_000;

        let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let (time, took) = match self.kind {
            TextKind::Strace => text::strace_time(line),
            TextKind::Socat => (text::socat_header(line).map(|header| header.time), 0),
            TextKind::Sockdump => (text::sockdump_header(line).map(|header| header.time), 0),
        };
        if !std::mem::replace(&mut self.has_begun, true) {
            let says = match time {
                Some(Time::Epoch(_)) if self.kind == TextKind::Socat => "its times are assumed to be UTC",
                Some(Time::Epoch(_)) => "",
                Some(Time::Midnight(_)) => "its times have no date: they count from 1970-01-01T00:00:00Z",
                Some(Time::Before(_)) => {
                    "its times are those since its beginning: they count from 1970-01-01T00:00:00Z"
                }
                None => "it has no times",
            };
            if !says.is_empty() {
                log.note(0, says.to_owned());
            }
        }
        match time {
            Some(Time::Epoch(time)) => self.clock = time,
            Some(Time::Midnight(time)) => {
                let mut time = time + self.days * DAY;
                // Past midnight; or only a little out of order.
                if time + DAY / 2 < self.clock {
                    self.days += 1;
                    time += DAY;
                }
                self.clock = time;
            }
            Some(Time::Before(since)) => self.clock = self.clock.saturating_add(since),
            None => {}
        }
        self.clock.saturating_add(took)
    }
}

fn lines(bytes: &[u8]) -> u64 {
    let ends = memchr::memchr_iter(b'\n', bytes).count() as u64;
    ends + u64::from(!bytes.is_empty() && !bytes.ends_with(b"\n"))
}

/// Cuts raw bytes into pieces.
#[derive(Debug)]
pub(crate) struct Raw {
    link: LinkType,
}

impl Raw {
    pub(crate) fn new(direction: Direction) -> Self {
        Self {
            link: match direction {
                Direction::ToServer => LinkType::RAW_CLIENT,
                Direction::ToClient => LinkType::RAW_SERVER,
            },
        }
    }

    pub(crate) fn scan(
        &mut self,
        window: Window<'_>,
        from: usize,
        most: usize,
        found: &mut RecordList,
        log: &mut Log<'_>,
    ) -> Progress {
        /// A piece that is handled well in one go.
        const PIECE: usize = 64 << 10;

        let mut at = from;
        while found.records.len() < most {
            let len = window.bytes.len().saturating_sub(at).min(PIECE);
            if len == 0 {
                return Progress { upto: at, need: 1 };
            }
            found.records.push(Record {
                time: Timestamp::default(),
                start: at as u32,
                len: len as u32,
                original_len: len as u32,
                no: log.next_packet(),
                link: self.link.0,
                holder: 0,
            });
            at += len;
        }
        Progress { upto: at, need: 0 }
    }
}
