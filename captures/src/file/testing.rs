//! What the tests of this module share: bytes to read, and what was read of them.

use std::io::{self, Cursor, Read};
use std::net::IpAddr;

use super::record::ByteOrder;
use super::{Batch, CaptureReader, DecryptionSecrets, FileInfo};

/// Numbers put one after the other.
pub(crate) struct Bytes {
    pub(crate) order: ByteOrder,
    pub(crate) bytes: Vec<u8>,
}

impl Bytes {
    pub(crate) fn new(order: ByteOrder) -> Self {
        Self { order, bytes: Vec::new() }
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        match self.order {
            ByteOrder::Little => self.raw(&value.to_le_bytes()),
            ByteOrder::Big => self.raw(&value.to_be_bytes()),
        }
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        match self.order {
            ByteOrder::Little => self.raw(&value.to_le_bytes()),
            ByteOrder::Big => self.raw(&value.to_be_bytes()),
        }
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        match self.order {
            ByteOrder::Little => self.raw(&value.to_le_bytes()),
            ByteOrder::Big => self.raw(&value.to_be_bytes()),
        }
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }
}

/// A packet that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) number: u64,
    pub(crate) nanos: i64,
    pub(crate) link: u16,
    pub(crate) data: Vec<u8>,
    pub(crate) original_len: u32,
    pub(crate) comment: Option<String>,
}

/// All that was read.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) packets: Vec<Seen>,
    pub(crate) info: FileInfo,
    pub(crate) names: Vec<(IpAddr, String)>,
    pub(crate) secrets: Vec<DecryptionSecrets>,
}

impl Outcome {
    pub(crate) fn data(&self) -> Vec<&[u8]> {
        self.packets.iter().map(|packet| &*packet.data).collect()
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.info.notes.iter().map(ToString::to_string).collect()
    }

    /// How many of `why` were passed by.
    pub(crate) fn skipped(&self, why: &str) -> u64 {
        self.info.skipped.iter().filter(|skipped| skipped.why == why).map(|skipped| skipped.count).sum()
    }
}

/// Reads `bytes`, which are a capture, as they come from a pipe that gives `step` of them at a time.
pub(crate) fn read_by(bytes: &[u8], step: usize) -> Outcome {
    finish(CaptureReader::from_reader(Box::new(Dribble::new(bytes, step)), "a test").unwrap())
}

/// Reads `bytes`, which are a capture.
pub(crate) fn read(bytes: &[u8]) -> Outcome {
    read_by(bytes, usize::MAX)
}

/// Reads all of a reading.
pub(crate) fn finish(mut reading: CaptureReader) -> Outcome {
    let mut packets = Vec::new();
    while let Some(batch) = reading.next_batch(7).unwrap() {
        packets.extend(seen(&batch));
    }
    assert!(reading.next_batch(7).unwrap().is_none());
    Outcome {
        packets,
        info: reading.files()[0].clone(),
        names: reading.names().iter().map(|(addr, name)| (*addr, name.to_string())).collect(),
        secrets: reading.secrets().to_vec(),
    }
}

pub(crate) fn seen(batch: &Batch) -> Vec<Seen> {
    let one = |index| {
        let packet = batch.packet(index);
        Seen {
            number: packet.packet.no.number(),
            nanos: packet.time.as_nanos(),
            link: packet.link.0,
            data: packet.data.to_vec(),
            original_len: packet.original_len,
            comment: batch.comment(index).map(str::to_owned),
        }
    };
    (0..batch.len()).map(one).collect()
}

/// A pipe that gives some bytes at a time.
pub(crate) struct Dribble {
    bytes: Cursor<Vec<u8>>,
    step: usize,
}

impl Dribble {
    pub(crate) fn new(bytes: &[u8], step: usize) -> Self {
        Self { bytes: Cursor::new(bytes.to_vec()), step }
    }
}

impl Read for Dribble {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = into.len().min(self.step);
        self.bytes.read(&mut into[..len])
    }
}
