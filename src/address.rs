//! Addresses as users give them (`ADDR`): where to listen, where to connect.

use std::fmt;
use std::str::FromStr;

/// `host:port`, `http://host:port`, `https://host:port`, `unix:/path`, `unix-abstract:name`, `vsock:cid:port`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// TCP.
    Tcp {
        /// A name or an IP address (IPv6 without its brackets).
        host: String,
        /// The port.
        port: u16,
        /// Whether the server expects TLS (`https://`).
        tls: bool,
    },
    /// A Unix socket with a path.
    UnixPath(Vec<u8>),
    /// A Unix socket with an abstract name (without its leading NUL).
    UnixAbstract(Vec<u8>),
    /// A vsock address.
    Vsock {
        /// The context: 1 is this machine, 2 its host, [`Self::ANY_CID`] any.
        cid: u32,
        /// The port.
        port: u32,
    },
}

impl Address {
    /// The context that stands for all of this machine's, when listening.
    pub const ANY_CID: u32 = u32::MAX;
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is not a port.
    #[error("{0:?} has no port: an address is host:port, unix:/path, unix-abstract:name or vsock:cid:port")]
    NoPort(String),
    /// There is no host before the port.
    #[error("{0:?} has no host before its port")]
    NoHost(String),
    /// An IPv6 address without brackets.
    #[error("{0:?}: an IPv6 address stands in brackets: [::1]:50051")]
    NoBrackets(String),
    /// Not a number, or too large.
    #[error("{number:?} in {address:?} is not a {what}")]
    Number {
        /// What was given.
        address: String,
        /// The part of it.
        number: String,
        /// What the part should be.
        what: &'static str,
    },
    /// A path or name of no bytes, or one with a NUL.
    #[error("{0:?} has an empty path or one with a NUL byte")]
    Path(String),
    /// A name that the kernel cannot hold.
    #[error("{0:?} is longer than an abstract name can be: 107 bytes")]
    TooLong(String),
    /// A scheme that is not known, or a URL with more than host and port.
    #[error("{0:?}: an address has no scheme but http:// and https://, and no path")]
    Url(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            // gRPC also writes an absolute path as unix:///path.
            let path = path.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(path);
            return match path.is_empty() || path.contains('\0') {
                true => Err(AddressError::Path(text.into())),
                false => Ok(Self::UnixPath(path.into())),
            };
        }
        if let Some(name) = text.strip_prefix("unix-abstract:") {
            return match name.len() {
                0 => Err(AddressError::Path(text.into())),
                1..=LONGEST_ABSTRACT_NAME => Ok(Self::UnixAbstract(name.into())),
                _ => Err(AddressError::TooLong(text.into())),
            };
        }
        if let Some(rest) = text.strip_prefix("vsock:") {
            let (cid, port) = rest.split_once(':').ok_or_else(|| AddressError::NoPort(text.into()))?;
            let cid = match cid {
                "any" => Self::ANY_CID,
                "local" => 1,
                "host" => 2,
                _ => number(text, cid, "vsock context")?,
            };
            return Ok(Self::Vsock { cid, port: number(text, port, "vsock port")? });
        }
        let (rest, default_port, tls) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (rest, Some(80), false),
            (_, Some(rest)) => (rest, Some(443), true),
            _ => (text, None, false),
        };
        let rest = match default_port {
            Some(_) => rest.strip_suffix('/').unwrap_or(rest),
            None => rest,
        };
        if rest.contains('/') {
            return Err(AddressError::Url(text.into()));
        }
        tcp(text, rest, default_port, tls)
    }
}

fn tcp(text: &str, rest: &str, default_port: Option<u16>, tls: bool) -> Result<Address, AddressError> {
    let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or_else(|| AddressError::Url(text.into()))?)),
        None => match rest.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => return Err(AddressError::NoBrackets(text.into())),
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    if host.is_empty() {
        return Err(AddressError::NoHost(text.into()));
    }
    let port = match (port, default_port) {
        (Some(port), _) => number(text, port, "port")?,
        (None, Some(port)) => port,
        (None, None) => return Err(AddressError::NoPort(text.into())),
    };
    Ok(Address::Tcp { host: host.into(), port, tls })
}

fn number<T: FromStr>(address: &str, number: &str, what: &'static str) -> Result<T, AddressError> {
    // `u16::from_str` takes a sign.
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let wrong = || AddressError::Number { address: address.into(), number: number.into(), what };
    number.parse().ok().filter(|_| digits).ok_or_else(wrong)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port, tls } => {
                let scheme = if *tls { "https://" } else { "" };
                match host.contains(':') {
                    true => write!(f, "{scheme}[{host}]:{port}"),
                    false => write!(f, "{scheme}{host}:{port}"),
                }
            }
            Self::UnixPath(path) => write!(f, "unix:{}", path.escape_ascii()),
            Self::UnixAbstract(name) => write!(f, "unix-abstract:{}", name.escape_ascii()),
            Self::Vsock { cid: Self::ANY_CID, port } => write!(f, "vsock:any:{port}"),
            Self::Vsock { cid, port } => write!(f, "vsock:{cid}:{port}"),
        }
    }
}

/// `sun_path` has 108 bytes, of which an abstract name's leading NUL takes one.
const LONGEST_ABSTRACT_NAME: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16, tls: bool) -> Result<Address, AddressError> {
        Ok(Address::Tcp { host: host.into(), port, tls })
    }

    #[test]
    fn every_form_is_read() {
        for (text, expected) in [
            ("localhost:50051", tcp("localhost", 50051, false)),
            ("10.0.0.7:0", tcp("10.0.0.7", 0, false)),
            ("[::1]:65535", tcp("::1", 65535, false)),
            ("http://host", tcp("host", 80, false)),
            ("http://host:8080/", tcp("host", 8080, false)),
            ("https://[::1]", tcp("::1", 443, true)),
            ("unix:/run/x.sock", Ok(Address::UnixPath(b"/run/x.sock".to_vec()))),
            ("unix:///run/x.sock", Ok(Address::UnixPath(b"/run/x.sock".to_vec()))),
            ("unix:x.sock", Ok(Address::UnixPath(b"x.sock".to_vec()))),
            ("unix-abstract:a b:1", Ok(Address::UnixAbstract(b"a b:1".to_vec()))),
            ("vsock:3:1024", Ok(Address::Vsock { cid: 3, port: 1024 })),
            ("vsock:any:1024", Ok(Address::Vsock { cid: u32::MAX, port: 1024 })),
            ("vsock:local:1", Ok(Address::Vsock { cid: 1, port: 1 })),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("localhost", "has no port"),
            (":50051", "has no host"),
            ("::1:50051", "in brackets"),
            ("host:+5", "is not a port"),
            ("host:65536", "is not a port"),
            ("host:", "is not a port"),
            ("[::1]x:5", "no scheme"),
            ("ftp://host:21", "no scheme"),
            ("http://host:80/path", "no path"),
            ("unix:", "empty path"),
            ("unix-abstract:", "empty path"),
            ("vsock:3", "has no port"),
            ("vsock:x:3", "is not a vsock context"),
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(format!("unix-abstract:{}", "x".repeat(108)).parse::<Address>().is_err());
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["[::1]:1", "host:2", "https://host:3", "unix:/x", "unix-abstract:y", "vsock:any:5", "vsock:3:1024"]
        {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
    }
}
