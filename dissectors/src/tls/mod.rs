//! TLS 1.2 and 1.3 with known secrets: records in, the plaintext of the connection out.
//!
//! The secrets come from key logs ([`Keys`]), never from breaking anything. The [`Tls`] parser finds the records, follows
//! the handshake, opens each record with the keys of its direction, and hands the application's bytes to a session of their
//! own, which does not know that they were encrypted. Only bytes whose authentication tag (or MAC) fits are handed on.
//!
//! TLS 1.3: RFC 8446. TLS 1.2: RFC 5246, with AES-GCM (RFC 5288, 5289), ChaCha20-Poly1305 (RFC 7905), and CBC with or without
//! encrypt-then-MAC (RFC 7366). The key log: <https://www.ietf.org/archive/id/draft-ietf-tls-keylogfile-05.html>.

mod connection;
mod facts;
mod half;
mod handshake;
mod keylog;
mod protect;
mod record;
mod schedule;
mod suite;

pub use connection::Tls;
pub use facts::{Decryption, MAX_HELLOS, TlsFacts};
pub use keylog::{KeyLogError, Keys};
