//! The way in: packets to those who read them.

use super::event::{Events, Sink};
use super::raw::Raw;
use super::socat::Socat;
use super::sockdump::Sockdump;
use super::strace::Log;
use super::vsock::Vsock;
use crate::file::FileInfo;
use crate::{LinkType, Packet, PacketNo, RawPacket, Skip, Timestamp};

/// All connections of a reading that are not TCP in packets.
///
/// Packets are to be given in the order of the reading, for what they mean depends on those before them. All strace
/// logs of a reading are taken for logs of one session.
#[derive(Debug, Default)]
pub struct Streams {
    /// By file: the process whose file it is, where `strace -ff` wrote it.
    pids: Vec<Option<u32>>,
    connections: u32,
    strace: Log,
    socat: Socat,
    sockdump: Sockdump,
    vsock: Vsock,
    raw: Raw,
    /// The time of the last packet.
    time: Timestamp,
}

impl Streams {
    /// For the packets of a reading of `files`.
    pub fn new(files: &[FileInfo]) -> Self {
        Self { pids: files.iter().map(pid_of_file).collect(), ..Self::default() }
    }

    /// Whether packets of this link type are to be given to [`packet`](Self::packet).
    pub const fn takes(link: LinkType) -> bool {
        matches!(
            link,
            LinkType::STRACE
                | LinkType::SOCAT
                | LinkType::SOCKDUMP
                | LinkType::RAW_CLIENT
                | LinkType::RAW_SERVER
                | LinkType::USER0
                | LinkType::VSOCK
        )
    }

    /// Takes the next packet and puts what it means behind `into`.
    ///
    /// # Errors
    ///
    /// The reason why it is passed by, if it is none of what is known here. (Lines of texts never are: a text may say
    /// anything between what matters.)
    pub fn packet(&mut self, raw: &RawPacket<'_>, into: &mut Events) -> Result<(), Skip> {
        self.time = raw.time;
        let connections = &mut self.connections;
        let mut sink = Sink { events: into, connections, packet: raw.packet, time: raw.time };
        match raw.link {
            LinkType::STRACE => {
                let pid = self.pids.get(usize::from(raw.packet.no.file())).copied().flatten();
                self.strace.line(raw.data, pid, &mut sink);
                Ok(())
            }
            LinkType::SOCAT => {
                self.socat.block(raw.data, &mut sink);
                Ok(())
            }
            LinkType::SOCKDUMP => {
                self.sockdump.block(raw.data, &mut sink);
                Ok(())
            }
            LinkType::RAW_CLIENT | LinkType::RAW_SERVER => {
                self.raw.piece(raw, &mut sink);
                Ok(())
            }
            LinkType::USER0 => self.sockdump.packet(raw, &mut sink),
            LinkType::VSOCK => self.vsock.packet(raw, &mut sink),
            link => Err(Skip::Link(link)),
        }
    }

    /// The reading has ended: ends all connections.
    pub fn finish(&mut self, into: &mut Events) {
        let packet = Packet { order: crate::connection::END_OF_CAPTURE, no: PacketNo::default() };
        let connections = &mut self.connections;
        let mut sink = Sink { events: into, connections, packet, time: self.time };
        self.strace.finish(&mut sink);
        self.socat.finish(&mut sink);
        self.sockdump.finish(&mut sink);
        self.vsock.finish(&mut sink);
        self.raw.finish(&mut sink);
    }
}

/// `strace -ff -o F` writes the lines of process 4711 to `F.4711`.
fn pid_of_file(file: &FileInfo) -> Option<u32> {
    file.format.starts_with("strace").then(|| file.path.as_ref()?.extension()?.to_str()?.parse().ok()).flatten()
}
