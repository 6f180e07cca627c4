//! Blocks that say something about the traffic: names of addresses, and secrets.

use std::net::IpAddr;

use super::super::info::DecryptionSecrets;
use super::super::record::Log;
use super::options::text;
use super::section::{Bad, Block, Section};

/// As many names as are kept of all files together.
pub(super) const MAX_NAMES: usize = 1 << 16;

/// The longest name that is kept: one of the DNS has at most 253 bytes.
const MAX_NAME: usize = 255;

/// As many bytes of secrets as are kept of all files together; a key log line has some 180.
const MAX_SECRETS: usize = 64 << 20;

impl Section {
    /// Records of `type (2), length (2), address, names each with a NUL behind it, padding`, the last of type 0.
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

    /// ```text
    ///   0             4             8
    ///   | what        | length      | secrets, padding, options
    /// ```
    pub(super) fn secrets(&mut self, block: &Block<'_>, log: &mut Log<'_>) -> Result<(), Bad> {
        let (Some(kind), Some(len)) = (self.order.u32_at(block.body, 0), self.order.u32_at(block.body, 4)) else {
            return Err(Bad::short("decryption secrets", block));
        };
        let Some(bytes) = block.body.get(8..).and_then(|rest| rest.get(..len as usize)) else {
            let why = format!("secrets of length {len} do not fit into their block");
            return Err(Bad { skipped: "bad block", why });
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
