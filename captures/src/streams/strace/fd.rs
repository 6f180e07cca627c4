//! File descriptors, and their annotations by `-y` and `-yy`; socket addresses.
//!
//! ```text
//! 3                                            no annotation
//! 3<socket:[56071]>                            -y (under -xx even this is in hexadecimal)
//! 3<UNIX-STREAM:[37834->38831]>                -yy: own inode, the other end's inode
//! 7<UNIX-STREAM:[38831->37834,"/run/x.sock"]>  … and the own path; @"name" is an abstract one
//! 3<TCP:[127.0.0.1:5000->127.0.0.1:6000]>      -yy
//! 2</dev/null<char 1:3>>                       something else
//! ```

use std::net::{IpAddr, SocketAddr};

use super::prefix::number;
use super::string;
use crate::Endpoint;

/// A file descriptor as an argument or result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fd {
    pub(super) number: u32,
    pub(super) annotation: Annotation,
}

/// What `-y` and `-yy` say of a descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Annotation {
    Nothing,
    /// A socket of unknown kind, by its inode.
    Socket(u64),
    Unix {
        inode: u64,
        peer: Option<u64>,
        name: Option<Endpoint>,
    },
    /// A TCP socket that is not connected, by its inode.
    TcpInode(u64),
    TcpListening(SocketAddr),
    Tcp(SocketAddr, SocketAddr),
    /// It is not a stream socket.
    Other,
}

/// The descriptor at the beginning of `text`, and what follows it.
pub(super) fn fd(text: &[u8]) -> Option<(Fd, &[u8])> {
    let (value, rest) = number(text)?;
    let value = u32::try_from(value).ok()?;
    let Some(inside) = rest.strip_prefix(b"<") else {
        return Some((Fd { number: value, annotation: Annotation::Nothing }, rest));
    };
    let (text, rest) = inside.split_at_checked(closing(inside)?)?;
    let rest = rest.get(1..)?;
    let rest = rest.strip_prefix(b"(deleted)").unwrap_or(rest);
    Some((Fd { number: value, annotation: annotation(text) }, rest))
}

/// Where the `>` is that belongs to the `<` before `text`. Paths have no angle brackets: strace escapes them.
fn closing(text: &[u8]) -> Option<usize> {
    let mut depth = 0;
    let mut is_quoted = false;
    let mut before = 0;
    let mut bytes = text.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'\\' if is_quoted => {
                bytes.next();
            }
            b'"' => is_quoted = !is_quoted,
            b'<' if !is_quoted => depth += 1,
            b'>' if !is_quoted && before != b'-' => {
                if depth == 0 {
                    return Some(at);
                }
                depth -= 1;
            }
            _ => {}
        }
        before = byte;
    }
    None
}

fn annotation(text: &[u8]) -> Annotation {
    /// A name of a socket in hexadecimal: `socket:[…]` with an inode.
    const LONGEST: usize = 4 * 64;

    if text.starts_with(b"\\x") {
        if text.len() > LONGEST {
            return Annotation::Other;
        }
        let quoted = [b"\"", text, b"\""].concat();
        let mut plain = Vec::new();
        return match string::decode(&quoted, LONGEST, &mut plain) {
            Some(_) if !plain.starts_with(b"\\x") => annotation(&plain),
            _ => Annotation::Other,
        };
    }
    let Some((kind, inside)) = split(text, b":[") else { return Annotation::Other };
    let Some(inside) = inside.strip_suffix(b"]") else { return Annotation::Other };
    match kind {
        b"socket" => number(inside).map_or(Annotation::Other, |(inode, _)| Annotation::Socket(inode)),
        b"UNIX-STREAM" | b"UNIX" => unix(inside).unwrap_or(Annotation::Other),
        b"TCP" | b"TCPv6" => tcp(inside).unwrap_or(Annotation::Other),
        _ => Annotation::Other,
    }
}

fn unix(text: &[u8]) -> Option<Annotation> {
    let (inode, mut rest) = number(text)?;
    let mut peer = None;
    if let Some((other, after)) = rest.strip_prefix(b"->").and_then(number) {
        (peer, rest) = (Some(other).filter(|&other| other != 0), after);
    }
    let name = rest.strip_prefix(b",").and_then(unix_name);
    Some(Annotation::Unix { inode, peer, name })
}

fn tcp(text: &[u8]) -> Option<Annotation> {
    if let Some((local, peer)) = split(text, b"->") {
        return Some(Annotation::Tcp(address(local)?, address(peer)?));
    }
    match (number(text), address(text)) {
        (_, Some(address)) => Some(Annotation::TcpListening(address)),
        (Some((inode, b"")), None) => Some(Annotation::TcpInode(inode)),
        _ => None,
    }
}

/// `"path"` or `@"name"`.
fn unix_name(text: &[u8]) -> Option<Endpoint> {
    let (is_abstract, text) = match text.strip_prefix(b"@") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let mut bytes = Vec::new();
    // The system takes 108 bytes.
    string::decode(text, 256, &mut bytes)?;
    Some(match (is_abstract, bytes.split_first()) {
        (true, _) => Endpoint::UnixAbstract(bytes.into()),
        // How it was written before there was the `@`.
        (false, Some((0, name))) => Endpoint::UnixAbstract(name.into()),
        (false, Some(_)) => Endpoint::UnixPath(bytes.into()),
        (false, None) => return None,
    })
}

fn address(text: &[u8]) -> Option<SocketAddr> {
    let address: SocketAddr = str::from_utf8(text).ok()?.parse().ok()?;
    Some(plain(address.ip(), address.port()))
}

/// IPv4 addresses stand as such, also where an IPv6 socket has them.
fn plain(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip.to_canonical(), port)
}

/// The address in `{sa_family=AF_UNIX, sun_path="/run/x.sock"}` and the like, the first in `text`.
pub(super) fn sockaddr(text: &[u8]) -> Option<Endpoint> {
    let (_, rest) = split(text, b"sa_family=AF_")?;
    if rest.starts_with(b"UNIX") {
        return unix_name(split(rest, b"sun_path=")?.1);
    }
    let (_, port) = split(rest, b"port=htons(")?;
    let (port, _) = number(port)?;
    let (_, quoted) = split(rest, b"inet_addr(").or_else(|| split(rest, b"inet_pton(AF_INET6, "))?;
    let mut ip = Vec::new();
    string::decode(quoted, 64, &mut ip)?;
    let ip: IpAddr = str::from_utf8(&ip).ok()?.parse().ok()?;
    Some(Endpoint::Tcp(plain(ip, u16::try_from(port).ok()?)))
}

/// What is before and after `by`.
pub(crate) fn split<'a>(text: &'a [u8], by: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memchr::memmem::find(text, by)?;
    Some((text.get(..at)?, text.get(at + by.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> Option<Endpoint> {
        Some(Endpoint::UnixPath(path.as_bytes().into()))
    }

    #[track_caller]
    fn check(text: &str, annotation: Annotation) {
        let (found, rest) = fd(format!("{text}, \"x\"").as_bytes()).map(|(fd, rest)| (fd, rest.to_vec())).unwrap();
        assert_eq!((found.number, found.annotation), (3, annotation), "{text}");
        assert_eq!(rest, b", \"x\"", "{text}");
    }

    #[test]
    fn annotations_of_descriptors_are_read() {
        check("3", Annotation::Nothing);
        check("3<socket:[56071]>", Annotation::Socket(56_071));
        check(r"3<\x73\x6f\x63\x6b\x65\x74\x3a\x5b\x31\x32\x5d>", Annotation::Socket(12));
        check("3<UNIX-STREAM:[37834]>", Annotation::Unix { inode: 37_834, peer: None, name: None });
        check("3<UNIX:[1->2]>", Annotation::Unix { inode: 1, peer: Some(2), name: None });
        check(r#"3<UNIX-STREAM:[1->2,"/a]>b"]>"#, Annotation::Unix { inode: 1, peer: Some(2), name: path("/a]>b") });
        check(r#"3<UNIX-STREAM:[1,"\x2f\x61"]>"#, Annotation::Unix { inode: 1, peer: None, name: path("/a") });
        let name = Some(Endpoint::UnixAbstract(b"a\"b".as_slice().into()));
        check(r#"3<UNIX-STREAM:[1->2,@"a\"b"]>"#, Annotation::Unix { inode: 1, peer: Some(2), name });
        check("3<TCP:[114085]>", Annotation::TcpInode(114_085));
        check("3<TCP:[127.0.0.1:5599]>", Annotation::TcpListening("127.0.0.1:5599".parse().unwrap()));
        let pair = Annotation::Tcp("127.0.0.1:5000".parse().unwrap(), "[::1]:6000".parse().unwrap());
        check("3<TCPv6:[[::ffff:127.0.0.1]:5000->[::1]:6000]>", pair);
        check("3</dev/null<char 1:3>>", Annotation::Other);
        check("3</tmp/x>(deleted)", Annotation::Other);
        check("3<UNIX-DGRAM:[1->2]>", Annotation::Other);
        check(r"3<\x2f\x74\x6d\x70>", Annotation::Other);
    }

    #[test]
    fn addresses_are_read() {
        assert_eq!(sockaddr(br#"{sa_family=AF_UNIX, sun_path="/x"}, 17"#), path("/x"));
        let name = Endpoint::UnixAbstract(b"x".as_slice().into());
        assert_eq!(sockaddr(br#"{sa_family=AF_UNIX, sun_path=@"x"}, 17"#), Some(name.clone()));
        assert_eq!(sockaddr(br#"{sa_family=AF_UNIX, sun_path="\0x"}, 17"#), Some(name));
        assert_eq!(sockaddr(b"{sa_family=AF_UNIX}, [112 => 2]"), None);
        let v4 = br#"{sa_family=AF_INET, sin_port=htons(55), sin_addr=inet_addr("\x31\x2e\x30\x2e\x30\x2e\x31")}, 16"#;
        assert_eq!(sockaddr(v4), Some(Endpoint::Tcp("1.0.0.1:55".parse().unwrap())));
        let v4 = br#"{sa_family=AF_INET, sin_port=htons(5599), sin_addr=inet_addr("10.0.0.1")}, 16"#;
        assert_eq!(sockaddr(v4), Some(Endpoint::Tcp("10.0.0.1:5599".parse().unwrap())));
        let v6 = br#"{sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}"#;
        assert_eq!(sockaddr(v6), Some(Endpoint::Tcp("[::1]:80".parse().unwrap())));
    }
}
