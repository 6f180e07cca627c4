//! The secrets of TLS connections, as endpoints write them to a key log.
//!
//! ```text
//! CLIENT_RANDOM <64 hex digits: client random> <96 hex digits: master secret>               TLS 1.2
//! CLIENT_HANDSHAKE_TRAFFIC_SECRET <client random> <64 or 96 hex digits: secret>             TLS 1.3
//! ```
//!
//! Lines that begin with `#` and empty lines are comments. Labels that are not needed for decryption are accepted and ignored.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

/// The random of a ClientHello, by which a key log names a connection.
pub(super) type Random = [u8; 32];

/// Secrets of TLS connections, by the random of their ClientHello.
#[derive(Debug, Default)]
pub struct Keys {
    sessions: BTreeMap<Random, Secrets>,
    /// More secrets may come later: connections without any wait for them.
    growing: bool,
}

/// The secrets of one connection, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// TLS 1.2.
    pub(super) master: Option<Secret>,
    pub(super) client_early: Option<Secret>,
    pub(super) client_handshake: Option<Secret>,
    pub(super) server_handshake: Option<Secret>,
    pub(super) client_application: Option<Secret>,
    pub(super) server_application: Option<Secret>,
    /// A connection of the capture has this random.
    is_used: AtomicBool,
}

/// A secret. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(Box<[u8]>);

/// What is wrong with a line of a key log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLogError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// The secrets of as many connections are kept. Each takes some 400 bytes.
const MAX_SESSIONS: usize = 1 << 20;

impl Keys {
    /// No secrets.
    pub const fn new() -> Self {
        Self { sessions: BTreeMap::new(), growing: false }
    }

    /// No secrets, for those that never have any.
    pub fn none() -> &'static Self {
        static NONE: Keys = Keys::new();
        &NONE
    }

    /// Sets whether more secrets may come later. Connections whose secrets are not there then wait for them.
    pub fn set_growing(&mut self, growing: bool) {
        self.growing = growing;
    }

    /// Adds the secrets of a key log. Lines that are wrong are returned and skipped.
    pub fn add(&mut self, text: &[u8]) -> Vec<KeyLogError> {
        let mut errors = Vec::new();
        for (no, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
            if let Err(what) = self.add_line(line.trim_ascii()) {
                errors.push(KeyLogError { line: no, what });
            }
        }
        errors
    }

    /// How many connections have secrets here.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there are no secrets.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// How many of them belong to no connection that was read.
    pub fn unused(&self) -> usize {
        self.sessions.values().filter(|secrets| !secrets.is_used.load(Ordering::Relaxed)).count()
    }

    /// The secrets of the connections whose ClientHellos have these randoms, as a key log. They leave the program only so.
    pub fn key_log<'r>(&self, randoms: impl IntoIterator<Item = &'r [u8; 32]>) -> String {
        let mut log = String::new();
        for random in randoms {
            let secrets = self.sessions.get(random).into_iter().flat_map(Secrets::labelled);
            for (label, secret) in secrets.filter_map(|(label, secret)| Some((label, secret.as_ref()?))) {
                let _ = writeln!(log, "{label} {} {}", Hex(random), Hex(secret.bytes()));
            }
        }
        log
    }

    /// Whether more may come.
    pub(super) const fn is_growing(&self) -> bool {
        self.growing
    }

    /// The secrets of a connection.
    pub(super) fn get(&self, random: &Random) -> Option<&Secrets> {
        let secrets = self.sessions.get(random)?;
        secrets.is_used.store(true, Ordering::Relaxed);
        Some(secrets)
    }

    fn add_line(&mut self, line: &[u8]) -> Result<(), &'static str> {
        if line.is_empty() || line.starts_with(b"#") {
            return Ok(());
        }
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let label = words.next().unwrap_or_default();
        let random = words.next().ok_or("the client random is missing")?;
        let secret = words.next().ok_or("the secret is missing")?;
        if !label.iter().all(|&byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_') {
            return Err("this is not a label of a key log");
        }
        if words.next().is_some() {
            return Err("there is something behind the secret");
        }
        let secret = Secret::from_hex(secret).ok_or("the secret is not hexadecimal")?;
        if label == b"RSA" {
            // Named by an encrypted premaster secret. Who writes such a line also writes one with the random.
            return Ok(());
        }
        let random = Secret::from_hex(random).ok_or("the client random is not hexadecimal")?;
        let random = Random::try_from(random.bytes()).map_err(|_| "the client random does not have 32 bytes")?;
        if self.sessions.len() >= MAX_SESSIONS && !self.sessions.contains_key(&random) {
            return Err("there are too many secrets: the limit is 1,048,576 connections");
        }
        let is_master = label == b"CLIENT_RANDOM";
        let slot: fn(&mut Secrets) -> &mut Option<Secret> = match label {
            b"CLIENT_RANDOM" => |secrets| &mut secrets.master,
            b"CLIENT_EARLY_TRAFFIC_SECRET" => |secrets| &mut secrets.client_early,
            b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" => |secrets| &mut secrets.client_handshake,
            b"SERVER_HANDSHAKE_TRAFFIC_SECRET" => |secrets| &mut secrets.server_handshake,
            b"CLIENT_TRAFFIC_SECRET_0" => |secrets| &mut secrets.client_application,
            b"SERVER_TRAFFIC_SECRET_0" => |secrets| &mut secrets.server_application,
            _ => return Ok(()),
        };
        match (is_master, secret.bytes().len()) {
            (true, 48) | (false, 32 | 48) => {}
            (true, _) => return Err("a master secret has 48 bytes"),
            (false, _) => return Err("a traffic secret has 32 or 48 bytes"),
        }
        *slot(self.sessions.entry(random).or_default()) = Some(secret);
        Ok(())
    }
}

impl Secrets {
    /// Each secret with the label that it has in a key log.
    const fn labelled(&self) -> [(&'static str, &Option<Secret>); 6] {
        [
            ("CLIENT_RANDOM", &self.master),
            ("CLIENT_EARLY_TRAFFIC_SECRET", &self.client_early),
            ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", &self.client_handshake),
            ("SERVER_HANDSHAKE_TRAFFIC_SECRET", &self.server_handshake),
            ("CLIENT_TRAFFIC_SECRET_0", &self.client_application),
            ("SERVER_TRAFFIC_SECRET_0", &self.server_application),
        ]
    }
}

/// Bytes in hexadecimal.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Secret {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn from_hex(digits: &[u8]) -> Option<Self> {
        let nibble = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
        let (pairs, rest) = digits.as_chunks::<2>();
        let bytes = pairs.iter().map(|&[high, low]| Some(nibble(high)? << 4 | nibble(low)?));
        rest.is_empty().then(|| bytes.collect::<Option<_>>()).flatten().map(Self)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_key_log_are_read_and_wrong_ones_named() {
        let random = "00".repeat(31) + "7f";
        let log = format!(
            "# a comment\r\n\
             CLIENT_RANDOM {random} {}\r\n\
             \n\
             CLIENT_TRAFFIC_SECRET_0 {random} {}\n\
             EXPORTER_SECRET {random} {}\n\
             CLIENT_RANDOM {random}\n\
             CLIENT_RANDOM {random} abc\n\
             CLIENT_RANDOM 00 {}\n\
             CLIENT_RANDOM {random} {}\n\
             {{\"json\": 1}} a b\n\
             SERVER_TRAFFIC_SECRET_0 {random} 0011 x\n",
            "ab".repeat(48),
            "cd".repeat(32),
            "ef".repeat(32),
            "ab".repeat(48),
            "ab".repeat(47),
        );
        let mut keys = Keys::new();
        let errors = keys.add(log.as_bytes());
        let errors: Vec<_> = errors.iter().map(|error| (error.line, error.what)).collect();
        assert_eq!(
            errors,
            [
                (6, "the secret is missing"),
                (7, "the secret is not hexadecimal"),
                (8, "the client random does not have 32 bytes"),
                (9, "a master secret has 48 bytes"),
                (10, "this is not a label of a key log"),
                (11, "there is something behind the secret"),
            ]
        );
        assert_eq!((keys.len(), keys.unused()), (1, 1));
        let mut name = [0; 32];
        name[31] = 0x7f;
        let secrets = keys.get(&name).unwrap();
        assert_eq!(secrets.master.as_ref().unwrap().bytes(), [0xab; 48]);
        assert_eq!(secrets.client_application.as_ref().unwrap().bytes(), [0xcd; 32]);
        assert!(secrets.server_application.is_none());
        assert_eq!(keys.unused(), 0);
        let written = keys.key_log([&name, &[9; 32]]);
        let lines: Vec<_> = log.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        assert_eq!(written, lines[1].clone() + &lines[3], "what is known of this connection, and nothing else");
        assert_eq!(Keys::new().key_log([&name]), "");
        assert!(!format!("{keys:?}").contains("205"), "a secret is not for logs");
    }
}
