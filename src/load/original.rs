//! The packets of some connections, found again in the capture and copied as they are.
//!
//! The capture is read twice: once to find the packets, since a datagram in fragments shows only with its last fragment whose
//! it is, and once to copy them.

use std::collections::HashMap;
use std::io::{self, Write};

use rpcshark_captures::file::{Batch, CaptureReader, Error, OpenOptions};
use rpcshark_captures::streams::{EventKind, StreamNo};
use rpcshark_captures::write::{About, Pcapng};
use rpcshark_captures::{Address, LinkType, Peeled, peel};
use rpcshark_dissectors::store::{ConnectionRef, Store};

use super::loader::{Inputs, LoadOptions};
use super::partition::{Partition, Partitioner, ends};

/// Why packets cannot be copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    /// The capture cannot be read again.
    #[error(transparent)]
    Capture(#[from] Error),
    /// It is a log.
    #[error("{0} holds no packets; without --original-packets the calls are written in packets of their own")]
    NoPackets(String),
    /// The copy cannot be written.
    #[error(transparent)]
    Write(io::Error),
}

/// Copies the packets of `wanted` to a pcapng file, in their order, and returns how many there were. `store` is the result of a
/// whole reading with `options`. A `key_log` that is not empty goes before the packets, as a decryption secrets block.
///
/// Connections between the same ends follow on each other: a packet belongs to the one that had begun last.
///
/// # Errors
///
/// If the capture cannot be read again or holds no packets, or the copy cannot be written.
pub(crate) fn copy_packets(
    options: &LoadOptions,
    store: &Store,
    wanted: &[ConnectionRef],
    key_log: &str,
    out: &mut dyn Write,
) -> Result<u64, CopyError> {
    let mut births: HashMap<u64, bool> = HashMap::new();
    for at in store.connections() {
        *births.entry(store.connection(at).birth()).or_default() |= wanted.contains(&at);
    }
    let orders = Finder { births, ..Finder::default() }.find(options)?;
    let mut orders = orders.iter().copied().peekable();
    let mut reading = Reading::open(options)?;
    let about = About { description: String::new(), ..About::default() };
    let mut file = Pcapng::without_interface(out, &about).map_err(CopyError::Write)?;
    if !key_log.is_empty() {
        file.tls_key_log(key_log).map_err(CopyError::Write)?;
    }
    let mut interfaces: Vec<LinkType> = Vec::new();
    while reading.next()? {
        for index in 0..reading.batch.len() {
            let packet = reading.batch.packet(index);
            if orders.next_if_eq(&packet.packet.order).is_none() {
                continue;
            }
            if !packet.link.is_of_packets() {
                let file = reading.reader.files().get(usize::from(packet.packet.no.file()));
                return Err(CopyError::NoPackets(file.map_or_else(String::new, |file| file.name.clone())));
            }
            let known = interfaces.iter().position(|&link| link == packet.link);
            let interface = match known {
                Some(interface) => interface,
                None => {
                    file.interface(packet.link, 0).map_err(CopyError::Write)?;
                    interfaces.push(packet.link);
                    interfaces.len() - 1
                }
            };
            let comment = reading.batch.comment(index);
            file.packet_of(interface as u32, packet.time, packet.data, packet.original_len, comment)
                .map_err(CopyError::Write)?;
        }
    }
    let packets = file.packets();
    file.flush().map_err(CopyError::Write)?;
    Ok(packets)
}

/// One reading of the packets.
struct Reading {
    reader: CaptureReader,
    left: Option<u64>,
    batch: Batch,
}

/// Packets per batch.
const BATCH: usize = 16_384;

impl Reading {
    fn open(options: &LoadOptions) -> Result<Self, Error> {
        let opening = OpenOptions { spool: options.spool.clone(), ..OpenOptions::default() };
        let reader = match &options.inputs {
            Inputs::Paths(paths) => CaptureReader::open(paths, &opening)?,
            Inputs::RawPair { client, server } => CaptureReader::open_raw_pair(client, server, &opening)?,
        };
        Ok(Self { reader, left: options.count, batch: Batch::default() })
    }

    /// Reads the next packets. False: there are none.
    fn next(&mut self) -> Result<bool, Error> {
        let most = self.left.map_or(BATCH, |left| left.min(BATCH as u64) as usize);
        if most == 0 || !self.reader.next_batch_into(most, &mut self.batch)? {
            return Ok(false);
        }
        if let Some(left) = &mut self.left {
            *left -= self.batch.len() as u64;
        }
        Ok(true)
    }
}

/// Finds packets by the connections that they belong to.
#[derive(Default)]
struct Finder {
    /// The packets that open connections, and whether these are wanted.
    births: HashMap<u64, bool>,
    /// Whether the connection that began last between two ends is wanted.
    tcp: HashMap<(Address, Address), bool>,
    streams: HashMap<StreamNo, bool>,
    /// The fragments of datagrams that are not whole, by their ends and number.
    fragments: HashMap<(u128, u128, u32), Vec<u64>>,
    orders: Vec<u64>,
}

/// Fragments of one datagram that are remembered: a datagram has at most 65,535 bytes, in pieces of 8 and more.
const MAX_FRAGMENTS: usize = 8192;

/// Datagrams whose fragments are remembered. Beyond, all are forgotten: most of them are then never completed.
const MAX_DATAGRAMS: usize = 65_536;

impl Finder {
    /// The positions in the reading of the wanted packets, in order.
    fn find(mut self, options: &LoadOptions) -> Result<Vec<u64>, Error> {
        let mut reading = Reading::open(options)?;
        let mut partitioner = Partitioner::new(reading.reader.files(), options.memory);
        let mut partition = Partition::default();
        while reading.next()? {
            partitioner.partition(&reading.batch, &mut partition);
            self.batch(&reading.batch, &partition);
        }
        self.orders.sort_unstable();
        self.orders.dedup();
        Ok(self.orders)
    }

    fn batch(&mut self, batch: &Batch, partition: &Partition) {
        for event in &partition.events().events {
            let order = event.packet.order;
            if let (EventKind::Opened(_), Some(&wanted)) = (&event.kind, self.births.get(&order)) {
                self.streams.insert(event.connection, wanted);
            }
            if self.streams.get(&event.connection) == Some(&true) {
                self.orders.push(order);
            }
        }
        for index in 0..batch.len() {
            let packet = batch.packet(index);
            let order = packet.packet.order;
            let segment = partition.segment(index, &packet);
            let fragment = match segment {
                Some(_) if !partition.is_put_together(index) => None,
                _ => match peel(packet.link, packet.data, packet.original_len) {
                    Peeled::Fragment(fragment) => Some((fragment.source, fragment.destination, fragment.id)),
                    _ => None,
                },
            };
            if let Some(key) = fragment {
                if self.fragments.len() >= MAX_DATAGRAMS {
                    self.fragments.clear();
                }
                let orders = self.fragments.entry(key).or_default();
                if orders.len() < MAX_FRAGMENTS {
                    orders.push(order);
                }
            }
            let Some(segment) = segment else { continue };
            let between = ends(&segment);
            if let Some(&wanted) = self.births.get(&order) {
                self.tcp.insert(between, wanted);
            }
            let fragments = fragment.and_then(|key| self.fragments.remove(&key));
            if self.tcp.get(&between) == Some(&true) {
                self.orders.push(order);
                self.orders.extend(fragments.into_iter().flatten());
            }
        }
    }
}
