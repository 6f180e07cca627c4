//! A segment together with the packet that brought it.

use crate::{Packet, Place, Segment, Timestamp};

/// A segment together with the packet that brought it.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The packet.
    pub packet: Packet,
    /// When it was captured.
    pub time: Timestamp,
    /// Where the packet's data lies.
    pub at: Place,
    /// What it carries.
    pub segment: &'a Segment<'a>,
    /// How many bytes before the segment were not recorded, where the program that wrote the capture states it.
    pub not_recorded: Option<u64>,
    /// What the recorder that wrote the capture says about the packet.
    pub remark: Option<&'a str>,
}

impl Received<'_> {
    /// Where the segment's payload lies.
    pub(super) const fn payload_at(&self) -> Place {
        self.at.plus(self.segment.payload_at as u64)
    }
}
