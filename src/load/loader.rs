//! Driving the reading of a capture, batch by batch.
//!
//! While one batch is dissected, the next one is fetched and partitioned. Only the dissecting needs the store.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rayon::prelude::*;
use rpcshark_captures::budget::{MemoryLimit, Released};
use rpcshark_captures::file::{Batch, CaptureReader, Error, FileInfo, Notice, OpenOptions, Spool};
use rpcshark_captures::{Skip, Sources, Timestamp};
use rpcshark_dissectors::store::{Committed, ConnectionRef, Keep, LaneNo, Store};
use rpcshark_dissectors::tls::Keys;

use super::keys::{KeySources, KeySummary};
use super::lane::{LaneWorker, Shared};
use super::lengths::PacketLengths;
use super::partition::{LANES, Partition, Partitioner, Selection};
use super::shared::{Progress, SharedStore, StoreGuard};
use crate::decode_as::DecodeAsRules;
use crate::signals::Stop;
use crate::tap::{Delivery, Tap};

/// What to read, and what to keep of it.
#[derive(Clone, Debug)]
pub(crate) struct LoadOptions {
    /// What to read.
    pub(crate) inputs: Inputs,
    /// Wait for more at the end of a file.
    pub(crate) follow: bool,
    /// What ends the reading before the end.
    pub(crate) stop: Option<Arc<Stop>>,
    /// Stop after so many packets.
    pub(crate) count: Option<u64>,
    /// How much may be held back for all connections together.
    pub(crate) memory: MemoryLimit,
    /// What is to be kept.
    pub(crate) keep: Keep,
    /// The protocols given with `--decode-as`.
    pub(crate) decode_as: DecodeAsRules,
    /// Key log files with the secrets of TLS connections.
    pub(crate) key_logs: Vec<PathBuf>,
    /// Where standard input is kept, if it is to be read again.
    pub(crate) spool: Option<Arc<Spool>>,
    /// Learns at once when a file that is followed is removed or replaced.
    pub(crate) notice: Option<Notice>,
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

impl Inputs {
    /// Whether they say when their bytes were sent.
    const fn has_times(&self) -> bool {
        matches!(self, Self::Paths(_))
    }
}

/// A capture that is being read.
pub(crate) struct Loader {
    reading: CaptureReader,
    keys: KeySources,
    shared: Arc<SharedStore>,
    options: LoadOptions,
    workers: Vec<LaneWorker>,
    partitioner: Partitioner,
    /// If only one connection is read: which one.
    selection: Option<Selection>,
    left: Option<u64>,
    /// What is dissected next.
    current: Batch,
    /// What comes after that, where it is fetched in advance.
    next: Batch,
    /// The lanes of the packets in `current`.
    partition: Partition,
    /// Likewise of those in `next`.
    next_partition: Partition,
    stage: Stage,
    first: Option<Timestamp>,
    /// The lengths of packets, if they are wanted.
    lengths: Option<PacketLengths>,
    last: Option<Timestamp>,
    packets: u64,
    /// Packets that are dissected at once.
    batch: usize,
}

/// What the next step has to do.
enum Stage {
    /// Fetch a batch.
    Fetch,
    /// Dissect the batch that was fetched.
    Dissect,
    /// Fetching failed.
    Failed(Error),
    /// End what the end of the capture ends.
    Finish,
    Ended,
}

/// All that a capture held.
pub(crate) struct Loaded {
    /// The calls and connections.
    pub(crate) store: StoreGuard,
    /// The rest.
    summary: Summary,
}

/// What is known of a capture when it was read, besides the store.
pub(crate) struct Summary {
    /// The files.
    pub(crate) files: Vec<FileInfo>,
    /// Names that the capture gives to addresses.
    pub(crate) names: BTreeMap<IpAddr, Box<str>>,
    /// Packets that held no TCP segment, by the reason.
    pub(crate) skipped: BTreeMap<Skip, u64>,
    /// Packets that held one.
    pub(crate) segments: u64,
    /// What is known of the secrets of TLS connections.
    pub(crate) keys: KeySummary,
    /// These secrets.
    pub(crate) secrets: Keys,
    /// What was released because the memory budget was exceeded.
    pub(crate) released: Released,
    /// That budget.
    pub(crate) memory: MemoryLimit,
    /// When the first packet was captured.
    pub(crate) first: Option<Timestamp>,
    /// How many decimals of a second the times have.
    pub(crate) decimals: u8,
    /// The reading was ended before the end.
    pub(crate) interrupted: bool,
    /// Where bodies are read from.
    pub(crate) sources: Arc<Sources>,
}

impl std::ops::Deref for Loaded {
    type Target = Summary;

    fn deref(&self) -> &Summary {
        &self.summary
    }
}

/// Packets per batch: enough that dividing the work costs little and that a connection has several packets in a batch, few
/// enough that what is kept of their headers stays in the processor's cache. Measured: see `docs/performance.md`.
const BATCH: usize = 16_384;

/// Packets per batch where a screen is drawn meanwhile: it waits for the store for as long as a batch is dissected, and may wait
/// for 8 ms.
const SMALL_BATCH: usize = 4_096;

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(50);

impl Loader {
    /// Opens a capture.
    ///
    /// # Errors
    ///
    /// If a file is missing or is not a capture.
    pub(crate) fn open(options: LoadOptions) -> Result<Self, Error> {
        let stop = options.stop.as_ref().map(|stop| stop.event());
        let opening =
            OpenOptions { follow: options.follow, stop, spool: options.spool.clone(), notice: options.notice.clone() };
        let reading = match &options.inputs {
            Inputs::Paths(paths) => CaptureReader::open(paths, &opening)?,
            Inputs::RawPair { client, server } => CaptureReader::open_raw_pair(client, server, &opening)?,
        };
        Ok(Self {
            shared: Arc::new(SharedStore::new(Store::new(LANES, options.keep), reading.sources())),
            workers: (0..LANES).map(|_| LaneWorker::new(options.memory)).collect(),
            partitioner: Partitioner::new(reading.files(), options.memory),
            left: options.count,
            selection: None,
            keys: KeySources::new(&options.key_logs, options.follow),
            options,
            reading,
            current: Batch::default(),
            next: Batch::default(),
            partition: Partition::default(),
            next_partition: Partition::default(),
            stage: Stage::Fetch,
            first: None,
            lengths: None,
            last: None,
            packets: 0,
            batch: BATCH,
        })
    }

    /// Dissects fewer packets at once: somebody looks at the store all the time and must not wait.
    #[must_use]
    pub(crate) fn in_small_batches(mut self) -> Self {
        self.batch = SMALL_BATCH;
        self
    }

    /// Keeps the lengths of packets, if they are wanted: 4 bytes each.
    pub(crate) fn with_packet_lengths(mut self, wanted: bool) -> Self {
        self.lengths = wanted.then(PacketLengths::default);
        self
    }

    /// The lengths of packets, as far as they have been read; empty if they are not wanted.
    pub(crate) fn packet_lengths(&self) -> PacketLengths {
        self.lengths.clone().unwrap_or_default()
    }

    /// The files, as far as they have been read.
    pub(crate) fn files(&self) -> &[FileInfo] {
        self.reading.files()
    }

    /// What it was opened with.
    pub(crate) const fn options(&self) -> &LoadOptions {
        &self.options
    }

    /// Reads one connection only and skips the rest of the capture. Call it before the first step.
    pub(super) fn select(&mut self, selection: Selection) {
        self.selection = Some(selection);
    }

    /// Learns what connections deliver: `tap` is asked for each lane. To be called before the first step.
    pub(super) fn set_taps(&mut self, tap: impl Fn(u16) -> Tap) {
        for (lane, worker) in (0..).zip(&mut self.workers) {
            worker.tap = Some(tap(lane));
        }
    }

    /// What a connection has delivered, if a tap was set for it.
    pub(super) fn take_deliveries(&mut self, at: ConnectionRef) -> Vec<Delivery> {
        let tap = self.workers.get_mut(usize::from(at.lane.0)).and_then(|worker| worker.tap.as_mut());
        tap.map(|tap| tap.take(at.id)).unwrap_or_default()
    }

    /// What connections have delivered since this was called last, as far as taps were set.
    pub(super) fn take_new_deliveries(&mut self) -> Vec<(ConnectionRef, Delivery)> {
        let mut new = Vec::new();
        for (lane, worker) in (0..).map(LaneNo).zip(&mut self.workers) {
            let Some(tap) = &mut worker.tap else { continue };
            new.extend(tap.take_new().map(|(id, delivery)| (ConnectionRef { lane, id }, delivery)));
        }
        new
    }

    /// Whether what is selected is a stream that no TCP packets hold.
    pub(super) fn reads_streams(&self) -> bool {
        self.selection.as_ref().is_some_and(Selection::is_stream)
    }

    /// What ends the reading before the end.
    pub(crate) fn stop(&self) -> Option<Arc<Stop>> {
        self.options.stop.clone()
    }

    /// The store that is filled.
    pub(crate) fn shared(&self) -> &Arc<SharedStore> {
        &self.shared
    }

    /// Where bodies are read from.
    pub(crate) fn sources(&self) -> Arc<Sources> {
        Arc::clone(self.shared.sources())
    }

    /// Dissects and commits the next batch. None at the end.
    ///
    /// # Errors
    ///
    /// If the capture cannot be read any further.
    pub(crate) fn step(&mut self) -> Result<Option<Committed>, Error> {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Ended) {
                Stage::Fetch => {
                    let more = fetch(&mut self.reading, self.batch, &mut self.left, &mut self.current)?;
                    if more {
                        partition(&mut self.partitioner, &mut self.selection, &self.current, &mut self.partition);
                    }
                    self.stage = if more { Stage::Dissect } else { Stage::Finish };
                }
                Stage::Dissect => return Ok(Some(self.dissect())),
                Stage::Failed(error) => return Err(error),
                Stage::Finish => return Ok(Some(self.finish())),
                Stage::Ended => return Ok(None),
            }
        }
    }

    /// Dissects the current batch. Meanwhile the next one is fetched and partitioned: one thread does that while the others
    /// begin with the lanes, so that nobody waits for the lanes of a batch to be known. A pipe is waited for: what has come
    /// from it is dissected first, and the lock is not held while more is waited for.
    fn dissect(&mut self) -> Committed {
        let ahead = self.reading.progress().1.is_some();
        self.packets += self.current.len() as u64;
        if let Some(last) = self.current.len().checked_sub(1).filter(|_| self.options.inputs.has_times()) {
            self.last = self.last.max(Some(self.current.packet(last).time));
        }
        self.keys.update(&self.reading);
        let stopped = self.options.stop.as_ref().is_some_and(|stop| stop.is_raised());
        let Self { reading, keys, shared, options, workers, partitioner, selection, left, first, .. } = self;
        let Self { current, next, partition: lanes, next_partition, .. } = self;
        let most = self.batch;
        if first.is_none() && !current.is_empty() && options.inputs.has_times() {
            *first = Some(current.packet(0).time);
        }
        if let Some(lengths) = &self.lengths {
            lengths.add(current);
        }
        let lane_shared = Shared {
            sources: shared.sources(),
            decode_as: &options.decode_as,
            keys: &keys.keys,
            has_times: options.inputs.has_times(),
        };
        let (batch, by_lane) = (&*current, &*lanes);
        let work = || {
            shared.commit(|store| {
                let lanes = store.lanes_mut().par_iter_mut().zip(workers).enumerate();
                lanes.for_each(|(no, (lane, work))| work.batch(no as u8, batch, by_lane, lane, &lane_shared));
            })
        };
        let (committed, stage) = match ahead {
            false => (work(), Stage::Fetch),
            true => {
                let prepare = || {
                    let more = !stopped && fetch(reading, most, left, next)?;
                    if more {
                        partition(partitioner, selection, next, next_partition);
                    }
                    Ok(more)
                };
                let (fetched, committed) = rayon::join(prepare, work);
                std::mem::swap(current, next);
                std::mem::swap(lanes, next_partition);
                let stage = match fetched {
                    Ok(true) => Stage::Dissect,
                    Ok(false) => Stage::Finish,
                    Err(error) => Stage::Failed(error),
                };
                (committed, stage)
            }
        };
        self.stage = stage;
        self.announce(false);
        committed
    }

    /// Ends what the end of the capture ends.
    fn finish(&mut self) -> Committed {
        self.keys.update(&self.reading);
        let Self { keys, shared, options, workers, partitioner, selection, partition, .. } = self;
        partitioner.finish(partition);
        if let Some(selection) = selection {
            partition.select(&Batch::default(), selection);
        }
        let lane_shared = Shared {
            sources: shared.sources(),
            decode_as: &options.decode_as,
            keys: &keys.keys,
            has_times: options.inputs.has_times(),
        };
        let committed = shared.commit(|store| {
            let lanes = store.lanes_mut().par_iter_mut().zip(workers).enumerate();
            lanes.for_each(|(no, (lane, work))| {
                work.last_events(no as u8, partition, lane, &lane_shared);
                work.finish(lane, &lane_shared);
            });
        });
        self.announce(true);
        committed
    }

    fn announce(&self, finished: bool) {
        let (read, size) = self.reading.progress();
        let decimals = time_decimals(self.reading.files());
        let &Self { first, last, packets, .. } = self;
        if finished {
            self.shared.set_files(self.reading.files().to_vec());
        }
        self.shared.announce(Progress { read, size, first, decimals, last, packets }, finished);
    }

    /// Reads to the end on the calling thread. After each batch `each` sees what it has added, and may break off.
    ///
    /// # Errors
    ///
    /// If the capture cannot be read to its end.
    pub(crate) fn run(
        mut self,
        mut each: impl FnMut(&Store, Committed, Progress) -> ControlFlow<()>,
    ) -> Result<Loaded, Error> {
        while let Some(committed) = self.step()? {
            if each(&self.shared.read(), committed, self.shared.progress()).is_break() {
                break;
            }
        }
        let shared = Arc::clone(&self.shared);
        Ok(Loaded { summary: self.into_summary(), store: shared.read() })
    }

    /// Reads to the end on a thread of its own, one of a pool that shares the work.
    pub(crate) fn start(mut self) -> Loading {
        let shared = Arc::clone(&self.shared);
        let (send, outcome) = mpsc::channel();
        let work = move || {
            let read = loop {
                match self.step() {
                    Ok(Some(_)) => {}
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            };
            if read.is_err() {
                self.announce(true);
            }
            // Nobody may wait for it any more.
            let _ = send.send(read.map(|()| self.into_summary()));
        };
        match rayon::ThreadPoolBuilder::new().thread_name(|no| format!("load-{no}")).build() {
            Ok(pool) => pool.spawn(work),
            // Without threads of its own it workers on the others' pool.
            Err(_) => rayon::spawn(work),
        }
        Loading { shared, outcome }
    }

    fn into_summary(mut self) -> Summary {
        let mut released = *self.partitioner.released();
        self.workers.iter().for_each(|work| released.merge(work.released()));
        Summary {
            keys: self.keys.summary(),
            secrets: self.keys.keys,
            released,
            memory: self.options.memory,
            files: self.reading.files().to_vec(),
            names: self.reading.names().clone(),
            skipped: self.partitioner.skipped(),
            segments: self.partitioner.segments(),
            interrupted: self.options.stop.is_some_and(|stop| stop.is_raised()),
            first: self.first,
            sources: self.reading.sources(),
            decimals: time_decimals(self.reading.files()),
        }
    }
}

/// How many decimals of a second the times have that were read so far: formats that do not say it have microseconds.
fn time_decimals(files: &[FileInfo]) -> u8 {
    files.iter().filter_map(|file| file.time_decimals).max().unwrap_or(6)
}

/// A reading on a thread of its own.
pub(crate) struct Loading {
    shared: Arc<SharedStore>,
    outcome: mpsc::Receiver<Result<Summary, Error>>,
}

impl Loading {
    /// Waits for the end, and shows progress meanwhile.
    ///
    /// # Errors
    ///
    /// If the capture could not be read to its end.
    pub(crate) fn join(self, mut show: impl FnMut(Progress)) -> Result<Loaded, Error> {
        // This thread is not woken for each batch: where there are few cores it would take one from those that read.
        let summary = loop {
            match self.outcome.recv_timeout(TICK) {
                Err(RecvTimeoutError::Timeout) => show(self.shared.progress()),
                // Whoever sends says how it ended; only a panic would keep it from that, and that ends the program.
                ended => break ended.expect("the loading thread says how it ended")?,
            }
        };
        show(self.shared.progress());
        Ok(Loaded { summary, store: self.shared.read() })
    }
}

/// Finds the lanes of a batch's packets.
fn partition(
    partitioner: &mut Partitioner,
    selection: &mut Option<Selection>,
    batch: &Batch,
    partition: &mut Partition,
) {
    partitioner.partition(batch, partition);
    if let Some(selection) = selection {
        partition.select(batch, selection);
    }
}

/// Fetches the next packets, unless enough have been read.
fn fetch(reading: &mut CaptureReader, most: usize, left: &mut Option<u64>, batch: &mut Batch) -> Result<bool, Error> {
    let most = left.map_or(most, |left| usize::try_from(left).unwrap_or(most).min(most));
    if most == 0 {
        return Ok(false);
    }
    let more = reading.next_batch_into(most, batch)?;
    if let Some(left) = left {
        *left -= batch.len() as u64;
    }
    Ok(more)
}
