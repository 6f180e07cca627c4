//! Driving the reading of a capture, batch by batch.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;
use rpcshark_captures::file::{Batch, CaptureReader, Error, FileInfo, OpenOptions};
use rpcshark_captures::{Skip, Sources, Timestamp};
use rpcshark_dissectors::store::{Committed, Keep, Store};

use super::lane::{Shared, Work};
use super::partition::{LANES, Partition, Partitioner};
use crate::decode_as::DecodeAsRules;
use crate::signals::Stop;

/// What to read, and what to keep of it.
#[derive(Debug)]
pub(crate) struct LoadOptions {
    /// What to read.
    pub(crate) inputs: Inputs,
    /// Read files instead of mapping them.
    pub(crate) no_mmap: bool,
    /// Wait for more at the end of a file.
    pub(crate) follow: bool,
    /// What ends the reading before the end.
    pub(crate) stop: Option<Arc<Stop>>,
    /// Stop after so many packets.
    pub(crate) count: Option<u64>,
    /// What is to be kept.
    pub(crate) keep: Keep,
    /// What users say that connections speak.
    pub(crate) decode_as: DecodeAsRules,
}

/// What to read.
#[derive(Clone, Debug)]
pub(crate) enum Inputs {
    /// Files, directories, `-`: as one, in the order of their times.
    Paths(Vec<PathBuf>),
    /// One connection as two files of raw bytes.
    RawPair {
        /// What the client sent.
        client: PathBuf,
        /// What the server sent.
        server: PathBuf,
    },
}

/// A capture that is being read.
pub(crate) struct Loader {
    reading: CaptureReader,
    store: Store,
    works: Vec<Work>,
    partitioner: Partitioner,
    decode_as: DecodeAsRules,
    left: Option<u64>,
    stop: Option<Arc<Stop>>,
}

/// All that a capture held.
pub(crate) struct Loaded {
    /// The calls and connections.
    pub(crate) store: Store,
    /// The files.
    pub(crate) files: Vec<FileInfo>,
    /// Names that the capture gives to addresses.
    pub(crate) names: BTreeMap<IpAddr, Box<str>>,
    /// Packets that held no TCP segment, by the reason.
    pub(crate) skipped: BTreeMap<Skip, u64>,
    /// Packets that held one.
    pub(crate) segments: u64,
    /// When the first packet was captured.
    pub(crate) first: Option<Timestamp>,
    /// The reading was ended before the end.
    pub(crate) interrupted: bool,
}

/// How far the reading has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// Bytes read.
    pub(crate) read: u64,
    /// Bytes there are, where that is known.
    pub(crate) size: Option<u64>,
    /// When the first packet was captured.
    pub(crate) first: Option<Timestamp>,
}

/// Packets a batch: few enough that what is looked at twice is still in the processor's cache, enough that dividing
/// the work costs nothing beside it.
const BATCH: usize = 4096;

impl Loader {
    /// Opens a capture.
    ///
    /// # Errors
    ///
    /// If a file is missing or is no capture.
    pub(crate) fn open(options: LoadOptions) -> Result<Self, Error> {
        let stop = options.stop.as_ref().map(|stop| stop.event());
        let opening = OpenOptions { no_mmap: options.no_mmap, follow: options.follow, stop };
        let reading = match &options.inputs {
            Inputs::Paths(paths) => CaptureReader::open(paths, &opening)?,
            Inputs::RawPair { client, server } => CaptureReader::open_raw_pair(client, server, &opening)?,
        };
        Ok(Self {
            store: Store::new(LANES, options.keep),
            works: (0..LANES).map(|_| Work::new()).collect(),
            partitioner: Partitioner::new(reading.files()),
            decode_as: options.decode_as,
            left: options.count,
            stop: options.stop,
            reading,
        })
    }

    /// The files, as far as they have been read.
    pub(crate) fn files(&self) -> &[FileInfo] {
        self.reading.files()
    }

    /// What ends the reading before the end.
    pub(crate) fn stop(&self) -> Option<Arc<Stop>> {
        self.stop.clone()
    }

    /// Where bodies are read from.
    pub(crate) fn sources(&self) -> Arc<Sources> {
        self.reading.sources()
    }

    /// Reads to the end. After each batch `each` sees what it has brought, and may break off.
    pub(crate) fn run(
        mut self,
        mut each: impl FnMut(&Store, Committed, Progress) -> ControlFlow<()>,
    ) -> Result<Loaded, Error> {
        let sources = self.reading.sources();
        // A pipe is waited for: what has come is worked through first. Of a file the next packets are fetched meanwhile.
        let ahead = self.reading.progress().1.is_some();
        let mut batch = Batch::default();
        let mut next = Batch::default();
        let mut partition = Partition::default();
        let mut more = fetch(&mut self.reading, &mut self.left, &mut batch)?;
        let first = (!batch.is_empty()).then(|| batch.packet(0).time);
        let mut broken_off = false;
        while more {
            let Self { reading, store, works, partitioner, decode_as, left, stop } = &mut self;
            let shared = Shared { sources: &sources, decode_as };
            let mut work = || work_through(&batch, partitioner, &mut partition, works, store, &shared);
            let fetched = match ahead {
                true => rayon::join(|| fetch(reading, left, &mut next), work).0,
                false => {
                    work();
                    Ok(false)
                }
            };
            let committed = store.commit();
            let (read, size) = reading.progress();
            if each(store, committed, Progress { read, size, first }).is_break() {
                broken_off = true;
                break;
            }
            more = match ahead {
                // A pipe ends by itself soon, and what it still brings is wanted.
                true if stop.as_ref().is_some_and(|stop| stop.is_raised()) => false,
                true => fetched?,
                false => fetch(reading, left, &mut next)?,
            };
            std::mem::swap(&mut batch, &mut next);
        }
        if !broken_off {
            let shared = Shared { sources: &sources, decode_as: &self.decode_as };
            self.partitioner.finish(&mut partition);
            let lanes = self.store.lanes_mut().par_iter_mut().zip(&mut self.works).enumerate();
            lanes.for_each(|(no, (lane, work))| {
                work.last_events(no as u8, &partition, lane, &shared);
                work.finish(lane, &shared);
            });
            let committed = self.store.commit();
            let (read, size) = self.reading.progress();
            let _ = each(&self.store, committed, Progress { read, size, first });
        }
        Ok(Loaded {
            files: self.reading.files().to_vec(),
            names: self.reading.names().clone(),
            skipped: self.partitioner.skipped(),
            segments: self.partitioner.segments(),
            interrupted: self.stop.is_some_and(|stop| stop.is_raised()),
            first,
            store: self.store,
        })
    }
}

/// Fetches the next packets, unless enough have been read.
fn fetch(reading: &mut CaptureReader, left: &mut Option<u64>, batch: &mut Batch) -> Result<bool, Error> {
    let most = left.map_or(BATCH, |left| usize::try_from(left).unwrap_or(BATCH).min(BATCH));
    if most == 0 {
        return Ok(false);
    }
    let more = reading.next_batch_into(most, batch)?;
    if let Some(left) = left {
        *left -= batch.len() as u64;
    }
    Ok(more)
}

fn work_through(
    batch: &Batch,
    partitioner: &mut Partitioner,
    partition: &mut Partition,
    works: &mut [Work],
    store: &mut Store,
    shared: &Shared<'_>,
) {
    partitioner.partition(batch, partition);
    let partition = &*partition;
    let lanes = store.lanes_mut().par_iter_mut().zip(works).enumerate();
    lanes.for_each(|(no, (lane, work))| work.batch(no as u8, batch, partition, lane, shared));
}
