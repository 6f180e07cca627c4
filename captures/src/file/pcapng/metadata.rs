//! Blocks that describe the traffic: names of addresses, and secrets.

use std::net::IpAddr;

use pcap_parser::{parse_decryptionsecretsblock_be, parse_decryptionsecretsblock_le};

use super::super::info::DecryptionSecrets;
use super::super::record::{ByteOrder, Log};
use super::options::text;
use super::section::{Bad, Block, Section};

/// As many names as are kept of all files together.
pub(super) const MAX_NAMES: usize = 1 << 16;

/// The longest name that is kept: one of the DNS has at most 253 bytes.
const MAX_NAME: usize = 255;

/// As many bytes of secrets as are kept of all files together; a key log line has some 180.
const MAX_SECRETS: usize = 64 << 20;

impl Section {
    /// Records of `type (2), length (2), address, names each with a NUL after it, padding`, the last of type 0.
    ///
    /// They are not read by `pcap-parser`: without a record of type 0, or with one record that is cut short, it refuses
    /// the block and all names in it are lost.
    pub(super) fn names(&mut self, block: &Block<'_>, log: &mut Log<'_>) -> Result<(), Bad> {
        const IPV4: u16 = 1;
        const IPV6: u16 = 2;

        // They are laid out as options are.
        for (kind, value) in self.options(block.body) {
            let (addr, names) = match kind {
                IPV4 => match value.split_first_chunk::<4>() {
                    Some((addr, names)) => (IpAddr::from(*addr), names),
                    None => continue,
                },
                IPV6 => match value.split_first_chunk::<16>() {
                    Some((addr, names)) => (IpAddr::from(*addr), names),
                    None => continue,
                },
                _ => continue,
            };
            let name = names.split(|&byte| byte == 0).next().unwrap_or_default();
            if (1..=MAX_NAME).contains(&name.len()) && log.known.names.len() < MAX_NAMES {
                log.known.names.entry(addr).or_insert_with(|| text(name));
            }
        }
        Ok(())
    }

    /// Key material.
    pub(super) fn secrets(&mut self, block: &Block<'_>, log: &mut Log<'_>) -> Result<(), Bad> {
        let bytes = block.padded(self.order);
        let parsed = match self.order {
            ByteOrder::Little => parse_decryptionsecretsblock_le(&bytes),
            ByteOrder::Big => parse_decryptionsecretsblock_be(&bytes),
        };
        let secrets = parsed.ok().map(|(_, secrets)| secrets);
        // The data that `pcap-parser` gives has its padding.
        let Some((kind, bytes)) = secrets
            .and_then(|secrets| Some((secrets.secrets_type.0, secrets.data.get(..secrets.secrets_len as usize)?)))
        else {
            return Err(Bad::block("decryption secrets", block));
        };
        if log.known.secret_bytes + bytes.len() > MAX_SECRETS {
            let why = format!("more than {MAX_SECRETS} bytes of secrets");
            return Err(Bad { skipped: "secrets beyond the limit", why });
        }
        log.known.secret_bytes += bytes.len();
        log.known.secrets.push(DecryptionSecrets { file: log.file, kind, bytes: bytes.to_vec() });
        Ok(())
    }
}
