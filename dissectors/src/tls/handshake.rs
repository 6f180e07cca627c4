//! The handshake messages that decide how records are opened (RFC 8446 §4, RFC 5246 §7.4).

use super::keylog::Random;
use crate::Cursor;

/// Puts handshake messages together: they begin and end anywhere in records.
#[derive(Debug, Default)]
pub(super) struct Messages {
    bytes: Vec<u8>,
    /// Bytes of a message that is not looked at.
    skip: usize,
}

/// A message that is looked at.
#[derive(Debug)]
pub(super) enum Message {
    ClientHello(ClientHello),
    ServerHello(ServerHello),
    /// RFC 8446 §4.3.1.
    EncryptedExtensions {
        alpn: Option<Box<str>>,
        early_data: bool,
    },
    /// RFC 8446 §4.5.
    EndOfEarlyData,
    Finished,
    KeyUpdate,
    /// One of these, but it cannot be read.
    Malformed,
}

#[derive(Debug)]
pub(super) struct ClientHello {
    pub(super) random: Random,
    pub(super) server_name: Option<Box<str>>,
    pub(super) alpn: Vec<Box<str>>,
    /// It sends application data before the server's answer.
    pub(super) early_data: bool,
}

#[derive(Debug)]
pub(super) struct ServerHello {
    pub(super) random: Random,
    pub(super) version: u16,
    pub(super) suite: u16,
    pub(super) alpn: Option<Box<str>>,
    pub(super) encrypt_then_mac: bool,
}

impl ServerHello {
    /// RFC 8446 §4.1.3: a HelloRetryRequest has this random, and another ClientHello follows.
    pub(super) fn is_retry(&self) -> bool {
        self.random
            == [
                0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
                0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
            ]
    }
}

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const END_OF_EARLY_DATA: u8 = 5;
const ENCRYPTED_EXTENSIONS: u8 = 8;
const FINISHED: u8 = 20;
const KEY_UPDATE: u8 = 24;

/// Messages that are looked at are not longer than this. (Certificates are, but nothing in them is needed.)
const MAX_MESSAGE: usize = 1 << 16;

/// Names of application protocols that are kept of one hello.
const MAX_PROTOCOLS: usize = 16;

/// The length of a message's kind and length.
const HEADER: usize = 4;

impl Messages {
    /// Bytes are missing: the next record is taken to begin with a message.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The memory that it takes.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// Adds the content of a handshake record.
    pub(super) fn push(&mut self, content: &[u8]) {
        let skipped = self.skip.min(content.len());
        self.skip -= skipped;
        self.bytes.extend_from_slice(content.get(skipped..).unwrap_or_default());
    }

    /// The next message that is complete and is looked at.
    pub(super) fn next(&mut self) -> Option<Message> {
        loop {
            let mut cursor = Cursor::new(&self.bytes);
            let (kind, length) = (cursor.u8()?, cursor.u24()? as usize);
            let is_known = matches!(
                kind,
                CLIENT_HELLO | SERVER_HELLO | END_OF_EARLY_DATA | ENCRYPTED_EXTENSIONS | FINISHED | KEY_UPDATE
            );
            if !is_known || length > MAX_MESSAGE {
                let there = (HEADER + length).min(self.bytes.len());
                self.skip = HEADER + length - there;
                self.bytes.drain(..there);
                continue;
            }
            let body = cursor.take(length)?;
            let message = match kind {
                CLIENT_HELLO => client_hello(body).map(Message::ClientHello),
                SERVER_HELLO => server_hello(body).map(Message::ServerHello),
                ENCRYPTED_EXTENSIONS => encrypted_extensions(body),
                END_OF_EARLY_DATA => Some(Message::EndOfEarlyData),
                FINISHED => Some(Message::Finished),
                _ => Some(Message::KeyUpdate),
            };
            self.bytes.drain(..HEADER + length);
            return Some(message.unwrap_or(Message::Malformed));
        }
    }
}

fn client_hello(body: &[u8]) -> Option<ClientHello> {
    let mut cursor = Cursor::new(body);
    let _legacy_version = cursor.u16()?;
    let random = cursor.array()?;
    let _session_id = list8(&mut cursor)?;
    let _suites = list16(&mut cursor)?;
    let _compression = list8(&mut cursor)?;
    let mut hello = ClientHello { random, server_name: None, alpn: Vec::new(), early_data: false };
    for (kind, extension) in extensions(&mut cursor) {
        match kind {
            SERVER_NAME => hello.server_name = server_name(extension),
            ALPN => hello.alpn = protocols(extension),
            EARLY_DATA => hello.early_data = true,
            _ => {}
        }
    }
    Some(hello)
}

fn server_hello(body: &[u8]) -> Option<ServerHello> {
    let mut cursor = Cursor::new(body);
    let version = cursor.u16()?;
    let random = cursor.array()?;
    let _session_id = list8(&mut cursor)?;
    let suite = cursor.u16()?;
    let _compression = cursor.u8()?;
    let mut hello = ServerHello { random, version, suite, alpn: None, encrypt_then_mac: false };
    for (kind, extension) in extensions(&mut cursor) {
        match kind {
            // RFC 8446 §4.2.1: the version that is used, where it is 1.3.
            SUPPORTED_VERSIONS => hello.version = Cursor::new(extension).u16()?,
            ALPN => hello.alpn = protocols(extension).into_iter().next(),
            ENCRYPT_THEN_MAC => hello.encrypt_then_mac = true,
            _ => {}
        }
    }
    Some(hello)
}

fn encrypted_extensions(body: &[u8]) -> Option<Message> {
    let (mut alpn, mut early_data) = (None, false);
    for (kind, extension) in extensions(&mut Cursor::new(body)) {
        match kind {
            ALPN => alpn = protocols(extension).into_iter().next(),
            EARLY_DATA => early_data = true,
            _ => {}
        }
    }
    Some(Message::EncryptedExtensions { alpn, early_data })
}

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const ENCRYPT_THEN_MAC: u16 = 22;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;

/// The extensions at the end of a message, up to the first that is cut.
fn extensions<'a>(cursor: &mut Cursor<'a>) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
    let mut rest = Cursor::new(list16(cursor).unwrap_or_default());
    std::iter::from_fn(move || Some((rest.u16()?, list16(&mut rest)?)))
}

/// RFC 6066 §3: a list of names, of which only host names are defined.
fn server_name(extension: &[u8]) -> Option<Box<str>> {
    let mut names = Cursor::new(list16(&mut Cursor::new(extension))?);
    let _kind = names.u8()?;
    text(list16(&mut names)?)
}

/// RFC 7301 §3.1: names of protocols.
fn protocols(extension: &[u8]) -> Vec<Box<str>> {
    let mut names = Cursor::new(list16(&mut Cursor::new(extension)).unwrap_or_default());
    std::iter::from_fn(|| list8(&mut names)).filter_map(text).take(MAX_PROTOCOLS).collect()
}

fn list8<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let length = cursor.u8()?;
    cursor.take(length.into())
}

fn list16<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let length = cursor.u16()?;
    cursor.take(length.into())
}

/// A name as text. What is not UTF-8 in it is replaced.
fn text(bytes: &[u8]) -> Option<Box<str>> {
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&(body.len() as u32).to_be_bytes()[1..]);
        bytes.extend_from_slice(body);
        bytes
    }

    fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), body].concat()
    }

    fn hello_of_a_client() -> Vec<u8> {
        let extensions = [
            extension(SERVER_NAME, b"\0\x0c\0\0\x09localhost"),
            extension(ALPN, b"\0\x0c\x02h2\x08http/1.1"),
            extension(EARLY_DATA, b""),
        ]
        .concat();
        let mut body = b"\x03\x03".to_vec();
        body.extend_from_slice(&[7; 32]);
        body.extend_from_slice(b"\x01s\0\x02\x13\x01\x01\0");
        body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
        body.extend_from_slice(&extensions);
        message(CLIENT_HELLO, &body)
    }

    #[test]
    fn messages_are_put_together_wherever_they_are_cut() {
        let certificate = message(11, &[1; 300]);
        let finished = message(FINISHED, &[2; 12]);
        let bytes = [hello_of_a_client(), certificate, finished].concat();
        for cut in 0..=bytes.len() {
            let mut messages = Messages::default();
            let mut found = Vec::new();
            for part in [&bytes[..cut], &bytes[cut..]] {
                messages.push(part);
                found.extend(std::iter::from_fn(|| messages.next()));
            }
            let [Message::ClientHello(hello), Message::Finished] = &*found else { panic!("{cut}: {found:?}") };
            assert_eq!(hello.random, [7; 32]);
            assert_eq!(hello.server_name.as_deref(), Some("localhost"));
            assert_eq!(hello.alpn, ["h2".into(), "http/1.1".into()]);
            assert!(hello.early_data);
        }
    }

    #[test]
    fn a_hello_that_is_cut_short_gives_what_is_there_or_is_malformed() {
        let whole = hello_of_a_client();
        let body = &whole[HEADER..];
        for len in 0..body.len() {
            let mut messages = Messages::default();
            messages.push(&message(CLIENT_HELLO, &body[..len]));
            match messages.next() {
                Some(Message::ClientHello(_)) => assert!(len >= 42, "{len}"),
                other => assert!(matches!(other, Some(Message::Malformed)), "{len}: {other:?}"),
            }
        }
    }
}
