//! The lines with which records of texts begin.
//!
//! ```text
//! > 2023/05/01 10:20:30.123456  length=5 from=0 to=4                             socat
//! 10:20:30.123 >>> process ctr [4711 -> 42] path /run/x.sock len 5(5)            sockdump
//! ```

use super::strace::fd::split;
use super::strace::prefix::{self, number};
use super::strace::{looks_like_call, string};

pub(crate) use super::strace::prefix::Time;

/// What the first line of a block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    pub(crate) time: Time,
    /// How many bytes the block shows.
    pub(crate) len: u64,
    pub(crate) tool: Tool<'a>,
}

/// What each tool says besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool<'a> {
    Socat {
        to_right: bool,
        /// The position of the first byte.
        from: u64,
    },
    Sockdump {
        comm: &'a [u8],
        pid: u32,
        peer: u32,
        path: Option<&'a [u8]>,
        /// How many bytes were sent.
        sent: u64,
    },
}

/// The header of one of socat's blocks.
pub(crate) fn socat_header(line: &[u8]) -> Option<Header<'_>> {
    let (to_right, rest) = match line {
        [b'>', b' ', rest @ ..] => (true, rest),
        [b'<', b' ', rest @ ..] => (false, rest),
        _ => return None,
    };
    let (year, rest) = number(rest)?;
    let (month, rest) = number(rest.strip_prefix(b"/")?)?;
    let (day, rest) = number(rest.strip_prefix(b"/")?)?;
    let (clock, rest) = clock(rest.strip_prefix(b" ")?)?;
    let (len, rest) = number(rest.trim_ascii_start().strip_prefix(b"length=")?)?;
    let (from, rest) = number(rest.strip_prefix(b" from=")?)?;
    rest.strip_prefix(b" to=")?;
    let time = Time::Epoch(days(year, month, day)?.checked_mul(86_400_000_000_000)?.checked_add(clock)?);
    Some(Header { time, len, tool: Tool::Socat { to_right, from } })
}

/// The header of one of sockdump's blocks.
pub(crate) fn sockdump_header(line: &[u8]) -> Option<Header<'_>> {
    let (clock, rest) = clock(line)?;
    let rest = rest.strip_prefix(b" >>> process ")?;
    // Names of processes may have anything in them.
    let at = memchr::memmem::rfind(rest, b" [")?;
    let at = memchr::memmem::find(rest, b" -> ")
        .and_then(|arrow| memchr::memmem::rfind(rest.get(..arrow)?, b" ["))
        .unwrap_or(at);
    let (comm, rest) = rest.split_at_checked(at)?;
    let (pid, rest) = number(rest.strip_prefix(b" [")?)?;
    let (peer, rest) = number(rest.strip_prefix(b" -> ")?)?;
    let rest = rest.strip_prefix(b"]")?;
    let at = memchr::memmem::rfind(rest, b" len ")?;
    let (path, rest) = rest.split_at_checked(at)?;
    let path = path.strip_prefix(b" path ").filter(|path| !path.is_empty());
    let (len, rest) = number(rest.strip_prefix(b" len ")?)?;
    let sent = rest.strip_prefix(b"(").and_then(number).map_or(len, |(sent, _)| sent);
    let [pid, peer] = [pid, peer].map(|pid| u32::try_from(pid).unwrap_or_default());
    Some(Header { time: Time::Midnight(clock), len, tool: Tool::Sockdump { comm, pid, peer, path, sent } })
}

/// `10:20:30.123456` in nanoseconds.
fn clock(text: &[u8]) -> Option<(i64, &[u8])> {
    let (hours, rest) = number(text)?;
    let (minutes, rest) = number(rest.strip_prefix(b":")?)?;
    let (seconds, rest) = number(rest.strip_prefix(b":")?)?;
    if hours > 23 || minutes > 59 || seconds > 60 {
        return None;
    }
    let digits = rest.strip_prefix(b".")?;
    let (fraction, after) = number(digits)?;
    let count = digits.len() - after.len();
    let nanos = match count {
        // socat 1.8 writes microseconds with nine digits.
        9 if fraction < 1_000_000 => fraction * 1000,
        1..=9 => fraction * 10_u64.pow(9 - count as u32),
        _ => return None,
    };
    let seconds = hours * 3600 + minutes * 60 + seconds;
    Some((i64::try_from(seconds * 1_000_000_000 + nanos).ok()?, after))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: u64, month: u64, day: u64) -> Option<i64> {
    if !(1970..=2262).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March, so that the leap day is the last one.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    Some(days as i64 - 719_468)
}

/// The length of a block of socat's that begins with a line of `line_len` bytes; `None`: more is needed to tell.
pub(crate) fn socat_block(text: &[u8], line_len: usize, header: &Header<'_>, is_all: bool) -> Option<usize> {
    let mut at = line_len;
    let mut is_first = true;
    loop {
        let rest = text.get(at..)?;
        let Some(end) = memchr::memchr(b'\n', rest) else {
            return is_all.then_some(text.len());
        };
        let line = rest.get(..end)?;
        // -x: all bytes on one line. -v: nothing but text, which says too little.
        let is_hex = matches!(line, [b' ', high, low, ..] if string::hex(*high, *low).is_some());
        if is_first && line.len() as u64 == header.len.saturating_mul(3) {
            return Some(at + end + 1);
        }
        if line == b"--" {
            return Some(at + end + 1);
        }
        if !is_hex {
            return Some(at);
        }
        at += end + 1;
        is_first = false;
    }
}

/// The length of a block of sockdump's that begins with a line of `line_len` bytes; `None`: more is needed to tell.
pub(crate) fn sockdump_block(text: &[u8], line_len: usize, header: &Header<'_>, is_all: bool) -> Option<usize> {
    let mut at = line_len;
    let mut left = header.len;
    while left > 0 {
        let rest = text.get(at..)?;
        let end = match memchr::memchr(b'\n', rest) {
            Some(end) => end,
            None if is_all => return Some(text.len()),
            None => return None,
        };
        let line = rest.get(..end)?;
        if line.starts_with(b"\\x") {
            return Some(at + end + 1);
        }
        if hex_line(line).is_none() {
            return Some(at);
        }
        at += end + 1;
        left = left.saturating_sub(16);
    }
    Some(at)
}

/// What follows the offset of a line of a dump in hexadecimal: `0010  …`.
pub(super) fn hex_line(line: &[u8]) -> Option<&[u8]> {
    let (offset, rest) = split(line, b"  ")?;
    let is_offset = offset.len() >= 4 && offset.iter().all(u8::is_ascii_hexdigit);
    is_offset.then_some(rest)
}

/// Whether a line looks like one of strace's and like nothing else.
pub(crate) fn is_strace(line: &[u8]) -> bool {
    let columns = prefix::prefix(line);
    if !looks_like_call(columns.body) {
        return false;
    }
    // Without any column, a line of a program looks much like a call; but it has no result.
    columns.time.is_some()
        || [&b") = "[..], b") ", b"<unfinished ...>", b" resumed>", b"+++ ", b"--- SIG", b"strace: Process "]
            .iter()
            .any(|part| memchr::memmem::find(columns.body, part).is_some())
            && (columns.pid != 0 || is_finished(columns.body))
}

/// A call with a result, or something else that only strace says.
fn is_finished(body: &[u8]) -> bool {
    match memchr::memmem::rfind(body, b" = ") {
        Some(at) => {
            let before = body.get(..at).unwrap_or_default().trim_ascii_end();
            let after = body.get(at + 3..).unwrap_or_default();
            before.ends_with(b")") && matches!(after.first(), Some(b'0'..=b'9' | b'-' | b'?'))
        }
        None => body.ends_with(b"<unfinished ...>") || body.starts_with(b"+++ ") || body.starts_with(b"--- SIG"),
    }
}

/// Whether a line belongs to a dump of what the call before it read or wrote.
pub(crate) fn is_dump(line: &[u8]) -> bool {
    line.starts_with(b" | ") || line.starts_with(b" * ")
}

/// Whether a dump may follow a line: its string is cut, or it is the end of a call that wrote.
pub(crate) fn may_have_dump(line: &[u8]) -> bool {
    memchr::memmem::find(line, b"\"...").is_some()
        || [&b"<... write"[..], b"<... send", b"<... pwritev2"]
            .iter()
            .any(|begins| line.len() < 256 && memchr::memmem::find(line, begins).is_some())
}

/// The time of a line of strace, and how long (-T) the call on it took.
pub(crate) fn strace_time(line: &[u8]) -> (Option<Time>, i64) {
    let columns = prefix::prefix(line);
    let mut took = 0;
    // The second line of a call says when it returned.
    if !columns.body.starts_with(b"<...")
        && let Some(inside) = line.trim_ascii_end().strip_suffix(b">")
        && let Some(at) = memchr::memrchr(b'<', inside.get(inside.len().saturating_sub(24)..).unwrap_or_default())
        && let Some((seconds, rest)) = inside.get(inside.len().saturating_sub(24) + at + 1..).and_then(number)
        && let Some(digits) = rest.strip_prefix(b".")
        && let Some((fraction, b"")) = number(digits)
        && digits.len() <= 9
    {
        let nanos = fraction * 10_u64.pow(9 - digits.len() as u32);
        took = i64::try_from(seconds.saturating_mul(1_000_000_000).saturating_add(nanos)).unwrap_or_default();
    }
    (columns.time, took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_socat_are_read() {
        let header = socat_header(b"< 2026/11/20 09:56:59.000829845  length=12 from=3 to=14").unwrap();
        // 2026-11-20T09:56:59Z
        assert_eq!(header.time, Time::Epoch(1_795_168_619_829_845_000));
        assert_eq!((header.len, header.tool), (12, Tool::Socat { to_right: false, from: 3 }));
        let header = socat_header(b"> 2023/05/01 10:20:30.123456  length=5 from=0 to=4").unwrap();
        assert_eq!(header.time, Time::Epoch(1_682_936_430_123_456_000));
        assert_eq!(socat_header(b"> 2023/13/01 10:20:30.123456  length=5 from=0 to=4"), None);
        assert_eq!(days(2000, 2, 29).unwrap() + 1, days(2000, 3, 1).unwrap());
        assert_eq!(days(1970, 1, 1), Some(0));
    }

    #[test]
    fn headers_of_sockdump_are_read() {
        let line = b"10:20:30.123 >>> process a [b [4711 -> 42] path /run/x y len 5(9)";
        let header = sockdump_header(line).unwrap();
        assert_eq!(header.time, Time::Midnight(37_230_123_000_000));
        let path = Some(&b"/run/x y"[..]);
        assert_eq!(header.tool, Tool::Sockdump { comm: b"a [b", pid: 4711, peer: 42, path, sent: 9 });
        let header = sockdump_header(b"10:20:30.123 >>> process ctr [4711 -> 42] len 5(5)").unwrap();
        assert_eq!(header.tool, Tool::Sockdump { comm: b"ctr", pid: 4711, peer: 42, path: None, sent: 5 });
    }

    #[test]
    fn lines_of_strace_are_known() {
        for line in [
            "30832 1795163583.750685 write(2</log>, \"x\", 154) = 154",
            "[pid  9304] 09:56:56.003895 read(3,  <unfinished ...>",
            "execve(\"/bin/true\", [\"true\"], 0x7ffd /* 39 vars */) = 0",
            "1795168617.393097 brk(NULL)             = 0x55732b7d3000",
            "9109  <... read resumed>\"x\", 1) = 1",
            "+++ exited with 0 +++",
        ] {
            assert!(is_strace(line.as_bytes()), "{line}");
        }
        for line in
            ["int main(void) {", "main() is here", "10:20:30 hello", "", "x = f(3) = y", "{\"a\": 1}", "12 monkeys"]
        {
            assert!(!is_strace(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn durations_are_added() {
        let line = b"12 1795163583.5 read(3, \"x\", 1) = 1 <0.000014>";
        assert_eq!(strace_time(line), (Some(Time::Epoch(1_795_163_583_500_000_000)), 14_000));
        assert_eq!(strace_time(b"12 <... read resumed>\"x\", 1) = 1 <0.000014>"), (None, 0));
        assert_eq!(strace_time(b"12 read(3</a>, \"<0.1>"), (None, 100_000_000));
    }
}
