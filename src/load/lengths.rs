//! The lengths of packets, for those who filter or show frames by them.

use std::sync::Arc;

use parking_lot::RwLock;
use rpcshark_captures::PacketNo;
use rpcshark_captures::file::Batch;

/// The lengths on the wire of the packets that were read. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct PacketLengths(Arc<RwLock<Vec<Vec<u32>>>>);

impl PacketLengths {
    /// The length of a packet, where it was kept.
    pub(crate) fn of(&self, packet: PacketNo) -> Option<u32> {
        let files = self.0.read();
        let of_file = files.get(usize::from(packet.file()))?;
        of_file.get(usize::try_from(packet.number()).ok()?).copied().filter(|&length| length > 0)
    }

    /// Keeps those of a batch.
    pub(super) fn add(&self, batch: &Batch) {
        let mut files = self.0.write();
        for index in 0..batch.len() {
            let packet = batch.packet(index);
            let (file, number) = (usize::from(packet.packet.no.file()), packet.packet.no.number() as usize);
            if files.len() <= file {
                files.resize_with(file + 1, Vec::new);
            }
            if let Some(of_file) = files.get_mut(file) {
                of_file.resize(of_file.len().max(number + 1), 0);
                if let Some(length) = of_file.get_mut(number) {
                    *length = packet.original_len;
                }
            }
        }
    }
}
