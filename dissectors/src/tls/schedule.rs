//! From secrets to keys: HKDF-Expand-Label of TLS 1.3 (RFC 8446 §7.1) and the PRF of TLS 1.2 (RFC 5246 §5).

use ring::hmac;

use super::keylog::{Random, Secret};
use super::suite::{Cipher, Hash, Suite};

/// The keys of one direction.
pub(super) struct DirectionKeys {
    /// Only CBC suites have one.
    pub(super) mac: Vec<u8>,
    pub(super) key: Vec<u8>,
    /// TLS 1.3 and ChaCha20: 12 bytes. AES-GCM in TLS 1.2: the 4 bytes that are not sent. CBC: none.
    pub(super) iv: Vec<u8>,
}

/// The keys of a direction in TLS 1.3, from its traffic secret (RFC 8446 §7.3).
pub(super) fn tls13_keys(suite: &Suite, secret: &Secret) -> DirectionKeys {
    DirectionKeys {
        mac: Vec::new(),
        key: expand_label(suite.hash, secret.bytes(), b"key", suite.cipher.key_len()),
        iv: expand_label(suite.hash, secret.bytes(), b"iv", 12),
    }
}

/// The traffic secret after a KeyUpdate (RFC 8446 §7.2).
pub(super) fn next_secret(hash: Hash, secret: &Secret) -> Secret {
    Secret::new(&expand_label(hash, secret.bytes(), b"traffic upd", hash.len()))
}

/// The keys of client and server in TLS 1.2, from the master secret (RFC 5246 §6.3).
pub(super) fn tls12_keys(suite: &Suite, master: &Secret, client: &Random, server: &Random) -> [DirectionKeys; 2] {
    let mac_len = match suite.cipher {
        Cipher::Cbc { mac, .. } => mac.len(),
        _ => 0,
    };
    let iv_len = match suite.cipher {
        Cipher::Aes128Gcm | Cipher::Aes256Gcm => 4,
        Cipher::ChaCha20 => 12,
        // RFC 5246 §6.2.3.2: each record carries its own.
        Cipher::Cbc { .. } => 0,
    };
    let key_len = suite.cipher.key_len();
    let seed = [server.as_slice(), client.as_slice()].concat();
    let block = prf(suite.hash, master.bytes(), b"key expansion", &seed, 2 * (mac_len + key_len + iv_len));
    let mut rest = block.as_slice();
    let mut take = |len: usize| {
        let (head, tail) = rest.split_at_checked(len).unwrap_or_default();
        rest = tail;
        head.to_vec()
    };
    let macs = [take(mac_len), take(mac_len)];
    let keys = [take(key_len), take(key_len)];
    let ivs = [take(iv_len), take(iv_len)];
    let [client_mac, server_mac] = macs;
    let [client_key, server_key] = keys;
    let [client_iv, server_iv] = ivs;
    [
        DirectionKeys { mac: client_mac, key: client_key, iv: client_iv },
        DirectionKeys { mac: server_mac, key: server_key, iv: server_iv },
    ]
}

/// HKDF-Expand-Label with an empty context.
fn expand_label(hash: Hash, secret: &[u8], label: &[u8], len: usize) -> Vec<u8> {
    let mut info = (len as u16).to_be_bytes().to_vec();
    info.push((b"tls13 ".len() + label.len()) as u8);
    info.extend_from_slice(b"tls13 ");
    info.extend_from_slice(label);
    info.push(0);
    // RFC 5869 §2.3.
    let key = hmac::Key::new(hash.hmac(), secret);
    let (mut out, mut block) = (Vec::new(), Vec::new());
    for counter in 1_u8..=u8::MAX {
        if out.len() >= len {
            break;
        }
        let tag = hmac::sign(&key, &[block.as_slice(), &info, &[counter]].concat());
        block = tag.as_ref().to_vec();
        out.extend_from_slice(&block);
    }
    out.truncate(len);
    out
}

/// The pseudorandom function of TLS 1.2.
fn prf(hash: Hash, secret: &[u8], label: &[u8], seed: &[u8], len: usize) -> Vec<u8> {
    let key = hmac::Key::new(hash.hmac(), secret);
    let seed = [label, seed].concat();
    let mut a = hmac::sign(&key, &seed);
    let mut out = Vec::new();
    while out.len() < len {
        out.extend_from_slice(hmac::sign(&key, &[a.as_ref(), &seed].concat()).as_ref());
        a = hmac::sign(&key, a.as_ref());
    }
    out.truncate(len);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn tls13_keys_are_those_of_rfc_8448() {
        // RFC 8448 §3: the server's handshake traffic secret, and the keys derived from it.
        let secret = Secret::new(&bytes(
            "b6 7b 7d 69 0c c1 6c 4e 75 e5 42 13 cb 2d 37 b4 e9 c9 12 bc de d9 10 5d 42 be fd 59 d3 91 ad 38",
        ));
        let keys = tls13_keys(Suite::by_id(0x1301).unwrap(), &secret);
        assert_eq!(keys.key, bytes("3f ce 51 60 09 c2 17 27 d0 f2 e4 e8 6e e4 03 bc"));
        assert_eq!(keys.iv, bytes("5d 31 3e b2 67 12 76 ee 13 00 0b 30"));
    }

    #[test]
    fn the_prf_of_tls12_gives_the_known_test_vector() {
        // A widely used vector for P_SHA256 (label "test label", 100 bytes).
        let out = prf(
            Hash::Sha256,
            &bytes("9b be 43 6b a9 40 f0 17 b1 76 52 84 9a 71 db 35"),
            b"test label",
            &bytes("a0 ba 9f 93 6c da 31 18 27 a6 f7 96 ff d5 19 8c"),
            100,
        );
        let expected = "e3 f2 29 ba 72 7b e1 7b 8d 12 26 20 55 7c d4 53 c2 aa b2 1d 07 c3 d4 95 32 9b 52 d4 e6 1e db 5a
            6b 30 17 91 e9 0d 35 c9 c9 a4 6b 4e 14 ba f9 af 0f a0 22 f7 07 7d ef 17 ab fd 37 97 c0 56 4b ab
            4f bc 91 66 6e 9d ef 9b 97 fc e3 4f 79 67 89 ba a4 80 82 d1 22 ee 42 c5 a7 2e 5a 51 10 ff f7 01
            87 34 7b 66";
        assert_eq!(out, bytes(expected));
    }
}
