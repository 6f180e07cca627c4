//! What is known of a TLS connection.

use super::suite::suite_name;

/// What a TLS connection agreed on, as far as it can be seen, and whether it was decrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// The version, as in the hellos: 0x0303 is TLS 1.2, 0x0304 TLS 1.3.
    pub version: Option<u16>,
    /// The number of the cipher suite.
    pub suite: Option<u16>,
    /// The application protocol that the server chose (RFC 7301). TLS 1.3 encrypts it.
    pub alpn: Option<Box<str>>,
    /// The application protocols that the client offered.
    pub offered: Vec<Box<str>>,
    /// The server's name that the client gave (RFC 6066 §3).
    pub server_name: Option<Box<str>>,
    /// Whether the application's bytes could be read.
    pub decryption: Decryption,
    /// The randoms of its ClientHellos, by which a key log names its secrets: one, or more after renegotiations. At most
    /// [`MAX_HELLOS`].
    pub randoms: Vec<[u8; 32]>,
}

/// ClientHellos of one connection whose randoms are kept.
pub const MAX_HELLOS: usize = 16;

/// Whether the content of a TLS connection could be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decryption {
    /// Nothing is known of it yet.
    #[default]
    Pending,
    /// There are no secrets for it.
    NoKeys,
    /// Its hellos are not in the capture, so that its secrets cannot be found.
    NoHello,
    /// Its version or cipher suite is not supported.
    Unsupported,
    /// There are secrets for it, but they open none of its records.
    WrongKeys,
    /// Its records are opened.
    Decrypted,
}

impl TlsFacts {
    /// The version as people write it.
    pub fn version_name(&self) -> Option<&'static str> {
        Some(match self.version? {
            0x0300 => "SSL 3.0",
            0x0301 => "TLS 1.0",
            0x0302 => "TLS 1.1",
            0x0303 => "TLS 1.2",
            0x0304 => "TLS 1.3",
            _ => "TLS of an unknown version",
        })
    }

    /// The registered name of the cipher suite.
    pub fn suite_name(&self) -> Option<String> {
        self.suite.map(suite_name)
    }

    /// The application protocol, if it is known; what the client offers if it offers only one.
    pub fn protocol(&self) -> Option<&str> {
        match (&self.alpn, &*self.offered) {
            (Some(alpn), _) => Some(alpn),
            (None, [only]) => Some(only),
            _ => None,
        }
    }
}

impl Decryption {
    /// The word that output and filters use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::NoKeys => "no-keys",
            Self::NoHello => "no-hello",
            Self::Unsupported => "unsupported",
            Self::WrongKeys => "wrong-keys",
            Self::Decrypted => "decrypted",
        }
    }
}
