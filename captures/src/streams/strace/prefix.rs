//! What is on a line in front of the system call: the process and the time.
//!
//! ```text
//! 30832 1795163583.750685 write(…          -o and -f, -ttt
//! [pid  9304] 09:56:56.003895 write(…      -f without -o, -tt
//! 9174       0.000023 write(…              -r: since the line before
//! 9256<python3> 1795168617.246331 write(…  -Y
//! ```

/// The largest number that Linux gives to a process (`PID_MAX_LIMIT`). A larger one in the first column is a time.
const MAX_PID: u64 = 4 << 20;

/// From so many seconds on a time is one since 1970, and not one since the line before.
const OLDEST: u64 = 100_000_000;

const SECOND: i64 = 1_000_000_000;

/// The columns of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix<'a> {
    /// 0 where there is none.
    pub(crate) pid: u32,
    /// The process' name.
    pub(crate) comm: Option<&'a [u8]>,
    pub(crate) time: Option<Time>,
    /// What follows.
    pub(crate) body: &'a [u8],
}

/// A time in nanoseconds, and what it counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Time {
    /// 1970.
    Epoch(i64),
    /// Midnight, in some time zone.
    Midnight(i64),
    /// The line before.
    Before(i64),
}

/// Takes the columns off a line.
pub(crate) fn prefix(line: &[u8]) -> Prefix<'_> {
    let mut found = Prefix { pid: 0, comm: None, time: None, body: line };
    let mut rest = line.trim_ascii_start();
    if let Some(bracketed) = line.strip_prefix(b"[pid ") {
        let Some((pid, after)) = number(bracketed.trim_ascii_start()) else { return found };
        let (comm, after) = comm(after);
        let Some(after) = after.strip_prefix(b"]") else { return found };
        (found.pid, found.comm) = (u32::try_from(pid).unwrap_or_default(), comm);
        rest = after.trim_ascii_start();
    } else if let Some((pid, after)) = number(rest)
        && pid <= MAX_PID
        && let (comm, after @ [b' ', ..]) = comm(after)
    {
        (found.pid, found.comm) = (pid as u32, comm);
        rest = after.trim_ascii_start();
    }
    if let Some((time, after)) = time(rest) {
        found.time = Some(time);
        rest = after.trim_ascii_start();
    }
    // -r beside another time: `(+     0.000023)`; -n and -i: `[   1]`, `[00007f0c37b8d990]`.
    for (open, close) in [(&b"(+"[..], b')'), (b"[", b']')] {
        if rest.starts_with(open)
            && let Some(end) = memchr::memchr(close, rest)
        {
            rest = rest.get(end + 1..).unwrap_or_default().trim_ascii_start();
        }
    }
    found.body = rest;
    found
}

/// The name that -Y puts after a number.
fn comm(text: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match text.strip_prefix(b"<").and_then(|name| name.split_at_checked(memchr::memchr(b'>', name)?)) {
        Some((name, rest)) => (Some(name), rest.get(1..).unwrap_or_default()),
        None => (None, text),
    }
}

fn time(text: &[u8]) -> Option<(Time, &[u8])> {
    let (first, mut rest) = number(text)?;
    let mut seconds = first;
    let mut is_clock = false;
    if let Some((minutes, after)) = rest.strip_prefix(b":").and_then(number)
        && let Some((last, after)) = after.strip_prefix(b":").and_then(number)
    {
        if first > 23 || minutes > 59 || last > 60 {
            return None;
        }
        seconds = first * 3600 + minutes * 60 + last;
        is_clock = true;
        rest = after;
    }
    let mut nanos = 0;
    let has_fraction = rest.first() == Some(&b'.');
    if has_fraction {
        let digits = rest.get(1..)?;
        let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut unit = SECOND;
        for byte in digits.get(..count.min(9))? {
            unit /= 10;
            nanos += i64::from(byte - b'0') * unit;
        }
        rest = digits.get(count..)?;
    }
    if !matches!(rest.first(), Some(b' ')) {
        return None;
    }
    let nanos = i64::try_from(seconds).ok()?.checked_mul(SECOND)?.checked_add(nanos)?;
    Some(match seconds {
        _ if is_clock => (Time::Midnight(nanos), rest),
        OLDEST.. => (Time::Epoch(nanos), rest),
        _ if has_fraction => (Time::Before(nanos), rest),
        _ => return None,
    })
}

/// A decimal number at the beginning of `text`, and what follows it.
pub(crate) fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(len)?;
    // u64 has 20 digits.
    if len == 0 || len > 19 {
        return None;
    }
    Some((digits.iter().fold(0, |value, byte| value * 10 + u64::from(byte - b'0')), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, pid: u32, time: Option<Time>) {
        let found = prefix(line.as_bytes());
        assert_eq!((found.pid, found.time), (pid, time), "{line}");
        assert_eq!(found.body, b"read(3, ", "{line}");
    }

    #[test]
    fn all_columns_are_told_apart() {
        check("30832 1795163583.750685 read(3, ", 30_832, Some(Time::Epoch(1_795_163_583_750_685_000)));
        check("7     1795163583.123456789 read(3, ", 7, Some(Time::Epoch(1_795_163_583_123_456_789)));
        check("[pid  9304] 09:56:56.003895 read(3, ", 9304, Some(Time::Midnight(35_816_003_895_000)));
        check("9304  09:56:56 read(3, ", 9304, Some(Time::Midnight(35_816_000_000_000)));
        check("9174       0.000023 read(3, ", 9174, Some(Time::Before(23_000)));
        check("     0.000023 read(3, ", 0, Some(Time::Before(23_000)));
        check("9174 09:56:56 (+     0.000023) read(3, ", 9174, Some(Time::Midnight(35_816_000_000_000)));
        check("9256<python3> 1795163583 [   0] read(3, ", 9256, Some(Time::Epoch(1_795_163_583_000_000_000)));
        check("1795163583.5 [00007f0c37b8d990] read(3, ", 0, Some(Time::Epoch(1_795_163_583_500_000_000)));
        check("[pid 12<a b>] read(3, ", 12, None);
        check("9109  read(3, ", 9109, None);
        check("read(3, ", 0, None);
        assert_eq!(prefix(b"9256<python3> read(").comm, Some(&b"python3"[..]));
        assert_eq!(prefix(b"99999999999999999999999 read(").pid, 0);
    }
}
