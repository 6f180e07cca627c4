//! Gives each packet to the reader of its format.

use std::path::PathBuf;

use hashbrown::HashMap;

use super::event::{Events, Sink};
use super::raw::Raw;
use super::socat::Socat;
use super::sockdump::Sockdump;
use super::strace::{Log, LogFile};
use super::vsock::Vsock;
use crate::file::FileInfo;
use crate::{LinkType, Packet, PacketNo, RawPacket, Skip, Timestamp};

/// All connections of a reading that are not TCP in packets.
///
/// Packets are to be given in the order of the reading, for what they mean depends on those before them. Several strace
/// logs may show both ends of a connection; the files that one `strace -ff` wrote are one log.
#[derive(Debug, Default)]
pub struct Streams {
    /// By file: which strace log it is.
    logs: Vec<LogFile>,
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
        let logs = log_files(files);
        let has_several_logs = logs.iter().any(|log| log.session != 0);
        Self { logs, strace: Log::new(has_several_logs), ..Self::default() }
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

    /// Reads the next packet and appends what it means to `into`.
    ///
    /// # Errors
    ///
    /// The reason why the packet is skipped, if its contents are not what its link type promises. (Lines of texts are never
    /// skipped: a text may have anything between the lines that matter.)
    pub fn packet(&mut self, raw: &RawPacket<'_>, into: &mut Events) -> Result<(), Skip> {
        self.time = raw.time;
        let connections = &mut self.connections;
        let mut sink = Sink { events: into, connections, packet: raw.packet, time: raw.time };
        match raw.link {
            LinkType::STRACE => {
                let file = self.logs.get(usize::from(raw.packet.no.file())).copied().unwrap_or_default();
                self.strace.line(raw.data, file, &mut sink);
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

/// Which run of strace wrote each file. `strace -ff -o F` writes the lines of process 4711 to `F.4711`.
fn log_files(files: &[FileInfo]) -> Vec<LogFile> {
    let mut stems: HashMap<PathBuf, u16> = HashMap::new();
    let mut sessions = 0;
    let mut next = || {
        let session = sessions;
        sessions += 1;
        session
    };
    let of_file = |file: &FileInfo| {
        if !file.format.starts_with("strace") {
            return LogFile::default();
        }
        let path = file.path.as_ref();
        let pid = path.and_then(|path| path.extension()?.to_str()?.parse().ok());
        let session = match path.filter(|_| pid.is_some()) {
            Some(path) => *stems.entry(path.with_extension("")).or_insert_with(&mut next),
            None => next(),
        };
        LogFile { session, pid }
    };
    files.iter().map(of_file).collect()
}
