//! The two lines that a connection through a hybrid vsock socket begins with.
//!
//! Firecracker, Cloud Hypervisor and Dragonball offer a guest's vsock ports on a Unix socket: the client names the port,
//! the hypervisor answers with one of its own, and what follows is the guest's business.
//!
//! ```text
//! client  CONNECT 1024\n      in any case
//! server  OK 1073741824\n
//! ```

/// What the first bytes of a direction are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preamble {
    /// Such a line, so long, with this port.
    Line { len: usize, port: u32 },
    /// The beginning of one.
    NeedMore,
    /// Something else.
    None,
}

/// The line of a client.
pub(crate) fn connect(bytes: &[u8]) -> Preamble {
    line(bytes, b"connect ")
}

/// The line of a server.
pub(crate) fn accepted(bytes: &[u8]) -> Preamble {
    line(bytes, b"ok ")
}

/// Digits of a port: 32 bits have no more.
const MAX_DIGITS: usize = 10;

fn line(bytes: &[u8], word: &[u8]) -> Preamble {
    let seen = bytes.len().min(word.len());
    if !bytes.get(..seen).is_some_and(|begin| word.get(..seen).is_some_and(|word| begin.eq_ignore_ascii_case(word))) {
        return Preamble::None;
    }
    let rest = bytes.get(word.len()..).unwrap_or_default();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match (digits, rest.get(digits)) {
        (0..=MAX_DIGITS, None) => Preamble::NeedMore,
        (1..=MAX_DIGITS, Some(b'\n')) => {
            let port = rest.get(..digits).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
            port.map_or(Preamble::None, |port| Preamble::Line { len: word.len() + digits + 1, port })
        }
        _ => Preamble::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        assert_eq!(connect(b"CONNECT 1024\n\0\0"), Preamble::Line { len: 13, port: 1024 });
        assert_eq!(connect(b"connect 7\n"), Preamble::Line { len: 10, port: 7 });
        assert_eq!(accepted(b"OK 1073741824\n"), Preamble::Line { len: 14, port: 1 << 30 });
        for part in 0..13 {
            assert_eq!(connect(&b"CONNECT 1024\n"[..part]), Preamble::NeedMore, "{part}");
        }
        for other in
            [&b"CONNECT host:1 HTTP/1.1\r\n"[..], b"CONNECT \n", b"CONNECT 99999999999\n", b"\0", b"CONNECT 1 "]
        {
            assert_eq!(connect(other), Preamble::None);
        }
        assert_eq!(connect(b"CONNECT 9999999999\n"), Preamble::None);
    }
}
