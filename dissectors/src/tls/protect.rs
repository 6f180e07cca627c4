//! Opening one record: decryption, and the proof that it is genuine.

use aes::{Aes128, Aes256};
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use ring::{aead, hmac};

use super::record::RecordHeader;
use super::schedule::DirectionKeys;
use super::suite::{Cipher, Suite};

/// Opens the records of one direction, from one change of keys to the next.
#[derive(Debug)]
pub(super) struct Opener(Protection);

#[derive(Debug)]
enum Protection {
    /// RFC 8446 §5.2: the kind is encrypted, too, and padding may follow it.
    Tls13 { key: aead::LessSafeKey, iv: [u8; 12] },
    /// RFC 5288 §3: each record carries 8 bytes of its nonce.
    Gcm { key: aead::LessSafeKey, salt: [u8; 4] },
    /// RFC 7905 §2.
    ChaCha20 { key: aead::LessSafeKey, iv: [u8; 12] },
    /// RFC 5246 §6.2.3.2; RFC 7366 where the MAC is over what is encrypted.
    Cbc { key: Vec<u8>, mac: hmac::Key, mac_len: usize, encrypt_then_mac: bool },
}

/// The block of AES, and the initialisation vector of CBC records, in bytes.
const BLOCK: usize = 16;

/// The nonce bytes in each record of AES-GCM in TLS 1.2.
const EXPLICIT_NONCE: usize = 8;

impl Opener {
    /// `None` if the keys do not have the lengths that the suite needs.
    pub(super) fn new(suite: &Suite, keys: &DirectionKeys, encrypt_then_mac: bool) -> Option<Self> {
        let aead = |algorithm| {
            let key = aead::UnboundKey::new(algorithm, &keys.key).ok()?;
            Some(aead::LessSafeKey::new(key))
        };
        let iv = || <[u8; 12]>::try_from(keys.iv.as_slice()).ok();
        let protection = match (suite.cipher, suite.cipher.aead()) {
            (_, Some(algorithm)) if suite.is_tls13() => Protection::Tls13 { key: aead(algorithm)?, iv: iv()? },
            (Cipher::ChaCha20, Some(algorithm)) => Protection::ChaCha20 { key: aead(algorithm)?, iv: iv()? },
            (_, Some(algorithm)) => {
                Protection::Gcm { key: aead(algorithm)?, salt: keys.iv.as_slice().try_into().ok()? }
            }
            (Cipher::Cbc { mac, .. }, None) => Protection::Cbc {
                key: keys.key.clone(),
                mac: hmac::Key::new(mac.algorithm(), &keys.mac),
                mac_len: mac.len(),
                encrypt_then_mac,
            },
            (_, None) => return None,
        };
        Some(Self(protection))
    }

    /// Opens the record with this header and payload as the one with this sequence number. Its content is left in `content`;
    /// returns its kind. `None`: it is not genuine, and `content` means nothing.
    pub(super) fn open(
        &self,
        sequence: u64,
        header: RecordHeader,
        payload: &[u8],
        content: &mut Vec<u8>,
    ) -> Option<u8> {
        content.clear();
        match &self.0 {
            Protection::Tls13 { key, iv } => {
                content.extend_from_slice(payload);
                open_in_place(key, mask(*iv, sequence), &header.bytes(), content)?;
                // RFC 8446 §5.4: zeros may follow the kind.
                let at = content.iter().rposition(|&byte| byte != 0)?;
                let kind = content.get(at).copied()?;
                content.truncate(at);
                Some(kind)
            }
            Protection::Gcm { key, salt } => {
                let (explicit, sealed) = payload.split_first_chunk::<EXPLICIT_NONCE>()?;
                content.extend_from_slice(sealed);
                let length = sealed.len().checked_sub(key.algorithm().tag_len())?;
                let mut nonce = [0; 12];
                let (first, rest) = nonce.split_at_mut(salt.len());
                first.copy_from_slice(salt);
                rest.copy_from_slice(explicit);
                open_in_place(key, nonce, &associated(sequence, header, length), content)?;
                Some(header.kind)
            }
            Protection::ChaCha20 { key, iv } => {
                content.extend_from_slice(payload);
                let length = payload.len().checked_sub(key.algorithm().tag_len())?;
                open_in_place(key, mask(*iv, sequence), &associated(sequence, header, length), content)?;
                Some(header.kind)
            }
            Protection::Cbc { key, mac, mac_len, encrypt_then_mac: true } => {
                let (sealed, tag) = payload.split_at_checked(payload.len().checked_sub(*mac_len)?)?;
                let pseudo = associated(sequence, header, sealed.len());
                hmac::verify(mac, &[&pseudo, sealed].concat(), tag).ok()?;
                decrypt_cbc(key, sealed, content)?;
                let padding = padding_len(content)?;
                content.truncate(content.len() - padding);
                Some(header.kind)
            }
            Protection::Cbc { key, mac, mac_len, encrypt_then_mac: false } => {
                decrypt_cbc(key, payload, content)?;
                let padding = padding_len(content)?;
                let length = content.len().checked_sub(padding + mac_len)?;
                let tag = content.get(length..length + mac_len)?.to_vec();
                content.truncate(length);
                hmac::verify(mac, &[&associated(sequence, header, length), content.as_slice()].concat(), &tag).ok()?;
                Some(header.kind)
            }
        }
    }
}

fn open_in_place(key: &aead::LessSafeKey, nonce: [u8; 12], associated: &[u8], content: &mut Vec<u8>) -> Option<()> {
    let nonce = aead::Nonce::assume_unique_for_key(nonce);
    let length = key.open_in_place(nonce, aead::Aad::from(associated), content).ok()?.len();
    content.truncate(length);
    Some(())
}

/// RFC 8446 §5.3: the sequence number, from the right, over the initialisation vector.
fn mask(mut iv: [u8; 12], sequence: u64) -> [u8; 12] {
    for (byte, number) in iv.iter_mut().rev().zip(sequence.to_be_bytes().into_iter().rev()) {
        *byte ^= number;
    }
    iv
}

/// What TLS 1.2 authenticates besides the content (RFC 5246 §6.2.3.3).
fn associated(sequence: u64, header: RecordHeader, length: usize) -> [u8; 13] {
    let mut bytes = [0; 13];
    let plain = RecordHeader { length: length as u16, ..header }.bytes();
    let (first, rest) = bytes.split_at_mut(8);
    first.copy_from_slice(&sequence.to_be_bytes());
    rest.copy_from_slice(&plain);
    bytes
}

/// The blocks after the initialisation vector, in `content`.
fn decrypt_cbc(key: &[u8], sealed: &[u8], content: &mut Vec<u8>) -> Option<()> {
    let (iv, blocks) = sealed.split_first_chunk::<BLOCK>()?;
    content.extend_from_slice(blocks);
    match key.len() {
        16 => cbc::Decryptor::<Aes128>::new_from_slices(key, iv).ok()?.decrypt_padded::<NoPadding>(content).ok()?,
        _ => cbc::Decryptor::<Aes256>::new_from_slices(key, iv).ok()?.decrypt_padded::<NoPadding>(content).ok()?,
    };
    Some(())
}

/// The length of the padding at the end of a CBC record: the last byte, that many bytes before it, all the same.
fn padding_len(content: &[u8]) -> Option<usize> {
    let last = *content.last()?;
    let len = usize::from(last) + 1;
    let padding = content.get(content.len().checked_sub(len)?..)?;
    padding.iter().all(|&byte| byte == last).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_rfc_8448_opens_and_a_changed_one_does_not() {
        let hex = |hex: &str| -> Vec<u8> {
            let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
            digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
        };
        // RFC 8448 §3: the client's application data, with its write key and initialisation vector.
        let keys = DirectionKeys {
            mac: Vec::new(),
            key: hex("17 42 2d da 59 6e d5 d9 ac d8 90 e3 c6 3f 50 51"),
            iv: hex("5b 78 92 3d ee 08 57 90 33 e5 23 d9"),
        };
        let record =
            hex("17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe 82 28 ba 55 cb ef ac ea 42 f9 14 aa 66 bc ab 3f
            2b 98 19 a8 a5 b4 6b 39 5b d5 4a 9a 20 44 1e 2b 62 97 4e 1f 5a 62 92 a2 97 70 14 bd 1e 3d ea e6 3a ee bb 21
            69 49 15 e4");
        let (header, payload) = record.split_first_chunk().unwrap();
        let header = RecordHeader::parse(header);
        let opener = Opener::new(Suite::by_id(0x1301).unwrap(), &keys, false).unwrap();
        let mut content = Vec::new();
        assert_eq!(opener.open(0, header, payload, &mut content), Some(super::super::record::APPLICATION_DATA));
        assert_eq!(content, (0..50).collect::<Vec<u8>>());
        assert_eq!(opener.open(1, header, payload, &mut content), None, "another sequence number");
        let mut changed = payload.to_vec();
        changed[7] ^= 1;
        assert_eq!(opener.open(0, header, &changed, &mut content), None);
        assert_eq!(opener.open(0, header, &payload[..12], &mut content), None, "too short for a tag");
    }

    #[test]
    fn padding_is_checked() {
        assert_eq!(padding_len(&[1, 2, 0]), Some(1));
        assert_eq!(padding_len(&[9, 2, 2, 2]), Some(3));
        assert_eq!(padding_len(&[9, 1, 2, 2]), None);
        assert_eq!(padding_len(&[3, 3]), None, "longer than the record");
        assert_eq!(padding_len(&[]), None);
    }
}
