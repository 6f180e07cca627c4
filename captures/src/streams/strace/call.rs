//! The system call on a line.
//!
//! ```text
//! write(3, "…", 22) = 22
//! write(3, "…", 22 <unfinished ...>
//! <... write resumed>) = 22 <0.000014>
//! +++ exited with 0 +++
//! ```

use super::args::Shape;
use super::fd::split;
use super::prefix::number;
use super::sockets::TransferKind;

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A call, with everything after its `(`.
    Call { name: &'a [u8], rest: &'a [u8] },
    /// The beginning of a call.
    Unfinished { name: &'a [u8], args: &'a [u8] },
    /// Its end.
    Resumed { name: &'a [u8], rest: &'a [u8] },
    /// The process or thread has ended.
    Exited,
    /// Something else.
    Other,
}

/// What a line without its columns says.
pub(super) fn line(body: &[u8]) -> Line<'_> {
    match body.first() {
        Some(b'<') => {
            let Some((name, rest)) = body.strip_prefix(b"<... ").and_then(|body| split(body, b" resumed>")) else {
                return Line::Other;
            };
            return Line::Resumed { name, rest: rest.strip_prefix(b" ").unwrap_or(rest) };
        }
        Some(b'+') if body.starts_with(b"+++ exited") || body.starts_with(b"+++ killed") => return Line::Exited,
        _ => {}
    }
    let len = body.iter().take_while(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')).count();
    let Some((name @ [b'a'..=b'z' | b'_', ..], [b'(', rest @ ..])) = body.split_at_checked(len) else {
        return Line::Other;
    };
    // `<unfinished ...>) = ?` of a call in which its process was killed.
    let end = rest.len().saturating_sub(32);
    if let Some(at) = memchr::memmem::find(rest.get(end..).unwrap_or_default(), b" <unfinished ...>") {
        return Line::Unfinished { name, args: rest.get(..end + at).unwrap_or_default() };
    }
    Line::Call { name, rest }
}

/// Whether a line (without its columns) may be one of strace's.
pub(crate) fn looks_like_call(body: &[u8]) -> bool {
    match line(body) {
        Line::Other => body.starts_with(b"--- SIG") || body.starts_with(b"strace: Process "),
        _ => true,
    }
}

/// The calls that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Moves bytes that it shows.
    Data(TransferKind, Shape),
    /// Moves bytes that it does not show; from its first and to its second descriptor, or the other way.
    Splice {
        output_first: bool,
    },
    Socket,
    SocketPair,
    Connect,
    Accept,
    Bind,
    Name,
    PeerName,
    Close,
    CloseRange,
    Shutdown,
    Dup,
    Fcntl,
    Clone,
    Execute,
    /// Makes a descriptor that is not a socket.
    Opens,
    /// Makes two of them.
    Pipe,
}

impl Call {
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        use TransferKind::{Read, Write};
        Some(match name {
            b"read" | b"recv" | b"recvfrom" => Self::Data(Read, Shape::Buffer),
            b"write" | b"send" | b"sendto" => Self::Data(Write, Shape::Buffer),
            b"readv" | b"preadv2" => Self::Data(Read, Shape::Vector),
            b"writev" | b"pwritev2" => Self::Data(Write, Shape::Vector),
            b"recvmsg" => Self::Data(Read, Shape::Message),
            b"sendmsg" => Self::Data(Write, Shape::Message),
            b"recvmmsg" | b"recvmmsg_time64" => Self::Data(Read, Shape::Messages),
            b"sendmmsg" => Self::Data(Write, Shape::Messages),
            b"splice" => Self::Splice { output_first: false },
            b"sendfile" | b"sendfile64" => Self::Splice { output_first: true },
            b"socket" => Self::Socket,
            b"socketpair" => Self::SocketPair,
            b"connect" => Self::Connect,
            b"accept" | b"accept4" => Self::Accept,
            b"bind" => Self::Bind,
            b"getsockname" => Self::Name,
            b"getpeername" => Self::PeerName,
            b"close" => Self::Close,
            b"close_range" => Self::CloseRange,
            b"shutdown" => Self::Shutdown,
            b"dup" | b"dup2" | b"dup3" => Self::Dup,
            b"fcntl" | b"fcntl64" => Self::Fcntl,
            b"clone" | b"clone3" | b"fork" | b"vfork" => Self::Clone,
            b"execve" | b"execveat" => Self::Execute,
            b"open" | b"openat" | b"openat2" | b"creat" | b"eventfd" | b"eventfd2" | b"epoll_create"
            | b"epoll_create1" | b"timerfd_create" | b"inotify_init" | b"inotify_init1" | b"memfd_create"
            | b"signalfd" | b"signalfd4" | b"pidfd_open" => Self::Opens,
            b"pipe" | b"pipe2" => Self::Pipe,
            _ => return None,
        })
    }
}

/// What a call returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Returned<'a> {
    /// `None`: it did not say, for its process was interrupted or ended.
    pub(super) value: Option<i64>,
    /// From the value on: `8<UNIX-STREAM:[1]>`, `-1 EAGAIN (Resource temporarily unavailable)`.
    pub(super) text: &'a [u8],
}

/// Divides what follows a `(` into the arguments and the result. `None`: there is no result.
pub(super) fn result(rest: &[u8]) -> Option<(&[u8], Returned<'_>)> {
    /// A result is short, even with the names of errors and paths of sockets.
    const LONGEST: usize = 4096;

    let from = rest.len().saturating_sub(LONGEST);
    let tail = rest.get(from..)?;
    for at in memchr::memrchr_iter(b'=', tail) {
        let Some(text) = tail.get(at + 1..).and_then(|text| text.strip_prefix(b" ")) else { continue };
        let before = rest.get(..from + at)?;
        // Space up to column 40.
        if let Some(args) = before.trim_ascii_end().strip_suffix(b")")
            && before.ends_with(b" ")
        {
            let value = match text.strip_prefix(b"-") {
                Some(text) => number(text).and_then(|(value, _)| i64::try_from(value).ok()).map(|value| -value),
                None => number(text).and_then(|(value, _)| i64::try_from(value).ok()),
            };
            return Some((args, Returned { value, text }));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart() {
        let call = Line::Call { name: b"write", rest: b"3, \"x\", 1) = 1" };
        assert_eq!(line(b"write(3, \"x\", 1) = 1"), call);
        assert_eq!(
            line(b"write(3, \"x\", 1 <unfinished ...>"),
            Line::Unfinished { name: b"write", args: b"3, \"x\", 1" }
        );
        assert_eq!(line(b"read(3,  <unfinished ...>) = ?"), Line::Unfinished { name: b"read", args: b"3, " });
        assert_eq!(line(b"<... read resumed>\"x\", 1) = 1"), Line::Resumed { name: b"read", rest: b"\"x\", 1) = 1" });
        assert_eq!(line(b"<... read resumed> \"x\", 1) = 1"), Line::Resumed { name: b"read", rest: b"\"x\", 1) = 1" });
        assert_eq!(line(b"+++ exited with 0 +++"), Line::Exited);
        for other in ["--- SIGCHLD {si_signo=SIGCHLD} ---", "", "(", "3(", "Read(3", "write", "<... read"] {
            assert_eq!(line(other.as_bytes()), Line::Other, "{other}");
        }
    }

    #[test]
    fn results_are_found_from_behind() {
        let check = |rest: &str, args: &str, value, text: &str| {
            let found = result(rest.as_bytes()).unwrap();
            let expected = Returned { value, text: text.as_bytes() };
            assert_eq!(found, (args.as_bytes(), expected), "{rest}");
        };
        check("3)                = 0", "3", Some(0), "0");
        check("3, \") = 7\", 5) = 5 <0.000014>", "3, \") = 7\", 5", Some(5), "5 <0.000014>");
        check("3) = -1 EAGAIN (a = b)", "3", Some(-1), "-1 EAGAIN (a = b)");
        check("3) = ? ERESTARTSYS (To be restarted)", "3", None, "? ERESTARTSYS (To be restarted)");
        check("1) = 8<UNIX-STREAM:[1,\"/a=b\"]>", "1", Some(8), "8<UNIX-STREAM:[1,\"/a=b\"]>");
        assert_eq!(result(b"3, \"abc"), None);
        assert_eq!(result(b""), None);
    }
}
