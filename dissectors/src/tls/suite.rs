//! The cipher suites whose records can be opened, and the names of others.
//!
//! Numbers and names: <https://www.iana.org/assignments/tls-parameters/>.

use ring::aead;

/// A cipher suite that can be opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Suite {
    pub(super) id: u16,
    pub(super) name: &'static str,
    pub(super) cipher: Cipher,
    pub(super) hash: Hash,
}

/// How a suite protects records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cipher {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20,
    Cbc { key_len: usize, mac: Mac },
}

/// The MAC of a CBC suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mac {
    Sha1,
    Sha256,
    Sha384,
}

/// The hash of the key schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
}

impl Suite {
    /// The suite with this number, if it can be opened.
    pub(super) fn by_id(id: u16) -> Option<&'static Self> {
        SUITES.iter().find(|suite| suite.id == id)
    }

    /// Whether it belongs to TLS 1.3.
    pub(super) const fn is_tls13(&self) -> bool {
        self.id >> 8 == 0x13
    }
}

impl Cipher {
    /// The length of its keys, in bytes.
    pub(super) const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::ChaCha20 => 32,
            Self::Cbc { key_len, .. } => key_len,
        }
    }

    /// The algorithm, if it is an AEAD.
    pub(super) fn aead(self) -> Option<&'static aead::Algorithm> {
        match self {
            Self::Aes128Gcm => Some(&aead::AES_128_GCM),
            Self::Aes256Gcm => Some(&aead::AES_256_GCM),
            Self::ChaCha20 => Some(&aead::CHACHA20_POLY1305),
            Self::Cbc { .. } => None,
        }
    }
}

impl Mac {
    /// Its length, and that of its key, in bytes.
    pub(super) const fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }

    pub(super) fn algorithm(self) -> ring::hmac::Algorithm {
        match self {
            Self::Sha1 => ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => ring::hmac::HMAC_SHA256,
            Self::Sha384 => ring::hmac::HMAC_SHA384,
        }
    }
}

impl Hash {
    /// The length of its output, in bytes.
    pub(super) const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }

    pub(super) fn hmac(self) -> ring::hmac::Algorithm {
        match self {
            Self::Sha256 => ring::hmac::HMAC_SHA256,
            Self::Sha384 => ring::hmac::HMAC_SHA384,
        }
    }
}

/// The name of a suite: that of the registry, or its number.
pub(super) fn suite_name(id: u16) -> String {
    let other = || OTHERS.iter().find(|(known, _)| *known == id).map(|(_, name)| *name);
    match Suite::by_id(id).map(|suite| suite.name).or_else(other) {
        Some(name) => name.to_owned(),
        None => format!("0x{id:04x}"),
    }
}

const GCM_128: (Cipher, Hash) = (Cipher::Aes128Gcm, Hash::Sha256);
const GCM_256: (Cipher, Hash) = (Cipher::Aes256Gcm, Hash::Sha384);
const CHACHA: (Cipher, Hash) = (Cipher::ChaCha20, Hash::Sha256);
const CBC_128_SHA: (Cipher, Hash) = (Cipher::Cbc { key_len: 16, mac: Mac::Sha1 }, Hash::Sha256);
const CBC_256_SHA: (Cipher, Hash) = (Cipher::Cbc { key_len: 32, mac: Mac::Sha1 }, Hash::Sha256);
const CBC_128_SHA256: (Cipher, Hash) = (Cipher::Cbc { key_len: 16, mac: Mac::Sha256 }, Hash::Sha256);
const CBC_256_SHA256: (Cipher, Hash) = (Cipher::Cbc { key_len: 32, mac: Mac::Sha256 }, Hash::Sha256);
const CBC_256_SHA384: (Cipher, Hash) = (Cipher::Cbc { key_len: 32, mac: Mac::Sha384 }, Hash::Sha384);

const fn suite(id: u16, name: &'static str, (cipher, hash): (Cipher, Hash)) -> Suite {
    Suite { id, name, cipher, hash }
}

const SUITES: &[Suite] = &[
    suite(0x1301, "TLS_AES_128_GCM_SHA256", GCM_128),
    suite(0x1302, "TLS_AES_256_GCM_SHA384", GCM_256),
    suite(0x1303, "TLS_CHACHA20_POLY1305_SHA256", CHACHA),
    suite(0xc02f, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", GCM_128),
    suite(0xc030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", GCM_256),
    suite(0xc02b, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", GCM_128),
    suite(0xc02c, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", GCM_256),
    suite(0xcca8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", CHACHA),
    suite(0xcca9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", CHACHA),
    suite(0xccaa, "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256", CHACHA),
    suite(0xccab, "TLS_PSK_WITH_CHACHA20_POLY1305_SHA256", CHACHA),
    suite(0xccac, "TLS_ECDHE_PSK_WITH_CHACHA20_POLY1305_SHA256", CHACHA),
    suite(0xccad, "TLS_DHE_PSK_WITH_CHACHA20_POLY1305_SHA256", CHACHA),
    suite(0xccae, "TLS_RSA_PSK_WITH_CHACHA20_POLY1305_SHA256", CHACHA),
    suite(0x009c, "TLS_RSA_WITH_AES_128_GCM_SHA256", GCM_128),
    suite(0x009d, "TLS_RSA_WITH_AES_256_GCM_SHA384", GCM_256),
    suite(0x009e, "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", GCM_128),
    suite(0x009f, "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", GCM_256),
    suite(0x00a2, "TLS_DHE_DSS_WITH_AES_128_GCM_SHA256", GCM_128),
    suite(0x00a3, "TLS_DHE_DSS_WITH_AES_256_GCM_SHA384", GCM_256),
    suite(0x00a6, "TLS_DH_anon_WITH_AES_128_GCM_SHA256", GCM_128),
    suite(0x00a7, "TLS_DH_anon_WITH_AES_256_GCM_SHA384", GCM_256),
    suite(0x00a8, "TLS_PSK_WITH_AES_128_GCM_SHA256", GCM_128),
    suite(0x00a9, "TLS_PSK_WITH_AES_256_GCM_SHA384", GCM_256),
    suite(0x00aa, "TLS_DHE_PSK_WITH_AES_128_GCM_SHA256", GCM_128),
    suite(0x00ab, "TLS_DHE_PSK_WITH_AES_256_GCM_SHA384", GCM_256),
    suite(0x00ac, "TLS_RSA_PSK_WITH_AES_128_GCM_SHA256", GCM_128),
    suite(0x00ad, "TLS_RSA_PSK_WITH_AES_256_GCM_SHA384", GCM_256),
    suite(0xd001, "TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256", GCM_128),
    suite(0xd002, "TLS_ECDHE_PSK_WITH_AES_256_GCM_SHA384", GCM_256),
    suite(0xc02d, "TLS_ECDH_ECDSA_WITH_AES_128_GCM_SHA256", GCM_128),
    suite(0xc02e, "TLS_ECDH_ECDSA_WITH_AES_256_GCM_SHA384", GCM_256),
    suite(0xc031, "TLS_ECDH_RSA_WITH_AES_128_GCM_SHA256", GCM_128),
    suite(0xc032, "TLS_ECDH_RSA_WITH_AES_256_GCM_SHA384", GCM_256),
    suite(0x002f, "TLS_RSA_WITH_AES_128_CBC_SHA", CBC_128_SHA),
    suite(0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA", CBC_256_SHA),
    suite(0x003c, "TLS_RSA_WITH_AES_128_CBC_SHA256", CBC_128_SHA256),
    suite(0x003d, "TLS_RSA_WITH_AES_256_CBC_SHA256", CBC_256_SHA256),
    suite(0x0032, "TLS_DHE_DSS_WITH_AES_128_CBC_SHA", CBC_128_SHA),
    suite(0x0038, "TLS_DHE_DSS_WITH_AES_256_CBC_SHA", CBC_256_SHA),
    suite(0x0040, "TLS_DHE_DSS_WITH_AES_128_CBC_SHA256", CBC_128_SHA256),
    suite(0x006a, "TLS_DHE_DSS_WITH_AES_256_CBC_SHA256", CBC_256_SHA256),
    suite(0x0033, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA", CBC_128_SHA),
    suite(0x0039, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA", CBC_256_SHA),
    suite(0x0067, "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256", CBC_128_SHA256),
    suite(0x006b, "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256", CBC_256_SHA256),
    suite(0x0034, "TLS_DH_anon_WITH_AES_128_CBC_SHA", CBC_128_SHA),
    suite(0x003a, "TLS_DH_anon_WITH_AES_256_CBC_SHA", CBC_256_SHA),
    suite(0x006c, "TLS_DH_anon_WITH_AES_128_CBC_SHA256", CBC_128_SHA256),
    suite(0x006d, "TLS_DH_anon_WITH_AES_256_CBC_SHA256", CBC_256_SHA256),
    suite(0x008c, "TLS_PSK_WITH_AES_128_CBC_SHA", CBC_128_SHA),
    suite(0x008d, "TLS_PSK_WITH_AES_256_CBC_SHA", CBC_256_SHA),
    suite(0x00ae, "TLS_PSK_WITH_AES_128_CBC_SHA256", CBC_128_SHA256),
    suite(0x00af, "TLS_PSK_WITH_AES_256_CBC_SHA384", CBC_256_SHA384),
    suite(0xc004, "TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA", CBC_128_SHA),
    suite(0xc005, "TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA", CBC_256_SHA),
    suite(0xc009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", CBC_128_SHA),
    suite(0xc00a, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", CBC_256_SHA),
    suite(0xc00e, "TLS_ECDH_RSA_WITH_AES_128_CBC_SHA", CBC_128_SHA),
    suite(0xc00f, "TLS_ECDH_RSA_WITH_AES_256_CBC_SHA", CBC_256_SHA),
    suite(0xc013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", CBC_128_SHA),
    suite(0xc014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", CBC_256_SHA),
    suite(0xc018, "TLS_ECDH_anon_WITH_AES_128_CBC_SHA", CBC_128_SHA),
    suite(0xc019, "TLS_ECDH_anon_WITH_AES_256_CBC_SHA", CBC_256_SHA),
    suite(0xc023, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", CBC_128_SHA256),
    suite(0xc024, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", CBC_256_SHA384),
    suite(0xc025, "TLS_ECDH_ECDSA_WITH_AES_128_CBC_SHA256", CBC_128_SHA256),
    suite(0xc026, "TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA384", CBC_256_SHA384),
    suite(0xc027, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", CBC_128_SHA256),
    suite(0xc028, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", CBC_256_SHA384),
    suite(0xc029, "TLS_ECDH_RSA_WITH_AES_128_CBC_SHA256", CBC_128_SHA256),
    suite(0xc02a, "TLS_ECDH_RSA_WITH_AES_256_CBC_SHA384", CBC_256_SHA384),
    suite(0xc035, "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA", CBC_128_SHA),
    suite(0xc036, "TLS_ECDHE_PSK_WITH_AES_256_CBC_SHA", CBC_256_SHA),
    suite(0xc037, "TLS_ECDHE_PSK_WITH_AES_128_CBC_SHA256", CBC_128_SHA256),
    suite(0xc038, "TLS_ECDHE_PSK_WITH_AES_256_CBC_SHA384", CBC_256_SHA384),
];

/// Suites that servers still choose, and that cannot be opened here.
const OTHERS: &[(u16, &str)] = &[
    (0x0000, "TLS_NULL_WITH_NULL_NULL"),
    (0x0005, "TLS_RSA_WITH_RC4_128_SHA"),
    (0x000a, "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0x1304, "TLS_AES_128_CCM_SHA256"),
    (0x1305, "TLS_AES_128_CCM_8_SHA256"),
    (0xc012, "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA"),
    (0xc09c, "TLS_RSA_WITH_AES_128_CCM"),
    (0xc09d, "TLS_RSA_WITH_AES_256_CCM"),
    (0xc09e, "TLS_DHE_RSA_WITH_AES_128_CCM"),
    (0xc09f, "TLS_DHE_RSA_WITH_AES_256_CCM"),
    (0xc0ac, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM"),
    (0xc0ad, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM"),
    (0xc0ae, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8"),
    (0xc0af, "TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_suite_tells_its_cipher() {
        for (at, suite) in SUITES.iter().enumerate() {
            assert!(SUITES[..at].iter().all(|other| other.id != suite.id), "{} is there twice", suite.name);
            let expected = match suite.name {
                name if name.contains("AES_128_GCM") => GCM_128,
                name if name.contains("AES_256_GCM") => GCM_256,
                name if name.contains("CHACHA20") => CHACHA,
                name if name.ends_with("128_CBC_SHA") => CBC_128_SHA,
                name if name.ends_with("256_CBC_SHA") => CBC_256_SHA,
                name if name.ends_with("128_CBC_SHA256") => CBC_128_SHA256,
                name if name.ends_with("256_CBC_SHA256") => CBC_256_SHA256,
                name if name.ends_with("256_CBC_SHA384") => CBC_256_SHA384,
                name => panic!("{name}"),
            };
            assert_eq!((suite.cipher, suite.hash), expected, "{}", suite.name);
            assert_eq!(suite.is_tls13(), !suite.name.contains("_WITH_"));
        }
        assert_eq!(suite_name(0x1301), "TLS_AES_128_GCM_SHA256");
        assert_eq!(suite_name(0xc0ae), "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8");
        assert_eq!(suite_name(0xfafa), "0xfafa");
    }
}
