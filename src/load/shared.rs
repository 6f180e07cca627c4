//! The store of a reading, shared between the loader and those that look at it.
//!
//! The loader takes the lock once a batch, to dissect and commit it, and then lets everybody in who waits. Readers take it
//! only while they copy what they show. Nobody starves: a waiting reader gets its turn after the current batch, a waiting
//! loader gets it before readers that come later.
//!
//! **Tasks of a thread pool must not take the lock.** A thread that waits for its pool while it holds the lock may be
//! given such a task, and would wait for itself. The loader's pool is its own, so that whoever holds a read lock may
//! use the global pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{ArcRwLockReadGuard, Condvar, Mutex, RawRwLock, RwLock, RwLockWriteGuard};
use rpcshark_captures::file::FileInfo;
use rpcshark_captures::{Sources, Timestamp};
use rpcshark_dissectors::store::{CallRef, ChangeLog, Changes, Committed, ReaderId, Store};

/// A look at the store. As long as it is held no batch is dissected.
pub(crate) type StoreGuard = ArcRwLockReadGuard<RawRwLock, Store>;

/// A store, and what goes with it.
#[derive(Debug)]
pub(crate) struct SharedStore {
    store: Arc<RwLock<Store>>,
    /// Locked after the store, if both are.
    log: Mutex<ChangeLog>,
    sources: Arc<Sources>,
    state: Mutex<State>,
    state_changed: Condvar,
    /// Calls that nobody needs any more: the loader forgets them with the next batch.
    unneeded: Mutex<Option<Vec<CallRef>>>,
    /// Calls that were committed.
    calls: AtomicU64,
    /// Connections that were committed.
    connections: AtomicU64,
}

#[derive(Debug)]
struct State {
    progress: Progress,
    /// No further commits will come.
    finished: bool,
    /// What is known of the files at the end.
    files: Vec<FileInfo>,
}

/// How far the reading has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// Bytes read.
    pub(crate) read: u64,
    /// Bytes there are, where that is known.
    pub(crate) size: Option<u64>,
    /// When the first packet was captured.
    pub(crate) first: Option<Timestamp>,
    /// How many decimals of a second the times have that were read so far.
    pub(crate) decimals: u8,
    /// When the newest packet was captured.
    pub(crate) last: Option<Timestamp>,
    /// Packets read.
    pub(crate) packets: u64,
}

impl SharedStore {
    pub(super) fn new(store: Store, sources: Arc<Sources>) -> Self {
        Self {
            store: Arc::new(RwLock::new(store)),
            log: Mutex::default(),
            sources,
            state: Mutex::new(State { progress: Progress::default(), finished: false, files: Vec::new() }),
            state_changed: Condvar::new(),
            unneeded: Mutex::default(),
            calls: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        }
    }

    /// Publishes how much a store holds that has just been committed.
    fn count(&self, store: &Store) {
        self.calls.store(store.call_count().into(), Ordering::Release);
        self.connections.store(store.connection_numbers() as u64, Ordering::Release);
    }

    /// A store that was filled by hand.
    #[cfg(test)]
    pub(crate) fn finished(store: Store, sources: Arc<Sources>) -> Self {
        let shared = Self::new(store, sources);
        shared.count(&shared.read());
        shared.announce(Progress { decimals: 6, ..Progress::default() }, true);
        shared
    }

    /// Looks at the store.
    pub(crate) fn read(&self) -> StoreGuard {
        self.store.read_arc()
    }

    /// Where bodies are read from; that takes no lock of the store.
    pub(crate) fn sources(&self) -> &Arc<Sources> {
        &self.sources
    }

    /// How many calls and connections there are. Never waits for the loader.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.calls.load(Ordering::Acquire), self.connections.load(Ordering::Acquire))
    }

    /// How far the reading has come.
    pub(crate) fn progress(&self) -> Progress {
        self.state.lock().progress
    }

    /// Whether no further batch will come.
    pub(crate) fn is_finished(&self) -> bool {
        self.state.lock().finished
    }

    /// What is known of the files; empty until everything was read.
    pub(crate) fn files(&self) -> Vec<FileInfo> {
        self.state.lock().files.clone()
    }

    /// Leaves what is known of the files at the end.
    pub(super) fn set_files(&self, files: Vec<FileInfo>) {
        self.state.lock().files = files;
    }

    /// Follows what changes from here on. A follower that comes late first receives the present state.
    pub(crate) fn follow(self: &Arc<Self>) -> Follower {
        Follower { id: self.log.lock().join(), shared: Arc::clone(self) }
    }

    /// From now on commits do not list which calls were completed: nobody follows the reading.
    pub(crate) fn skip_completed(&self) {
        self.store.write().skip_completed();
    }

    /// Lets calls be forgotten: they were printed, and nobody else looks at them.
    pub(crate) fn forget(&self, mut calls: Vec<CallRef>) {
        self.unneeded.lock().get_or_insert_default().append(&mut calls);
    }

    /// Changes the store under the lock and commits. Readers that wait get their turn.
    pub(super) fn commit(&self, dissect: impl FnOnce(&mut Store)) -> Committed {
        let unneeded = std::mem::take(&mut *self.unneeded.lock());
        let mut store = self.store.write();
        if let Some(unneeded) = unneeded {
            store.forget(&unneeded);
        }
        dissect(&mut store);
        let committed = store.commit();
        self.count(&store);
        self.log.lock().add(&committed);
        RwLockWriteGuard::unlock_fair(store);
        committed
    }

    /// Changes the store without a commit.
    pub(super) fn change(&self, change: impl FnOnce(&mut Store)) {
        change(&mut self.store.write());
    }

    /// Tells everybody who waits how far the reading has come.
    pub(super) fn announce(&self, progress: Progress, finished: bool) {
        let mut state = self.state.lock();
        state.progress = progress;
        state.finished = finished;
        self.state_changed.notify_all();
    }
}

/// Follows the changes of a store.
#[derive(Debug)]
pub(crate) struct Follower {
    shared: Arc<SharedStore>,
    id: ReaderId,
}

impl Follower {
    /// Waits until something has changed, or no more will. Whether more may come; what has changed until then is to be
    /// taken in either case.
    pub(crate) fn wait(&self) -> bool {
        let mut state = self.shared.state.lock();
        while !state.finished && !self.shared.log.lock().is_behind(self.id) {
            self.shared.state_changed.wait(&mut state);
        }
        !state.finished
    }

    /// What has changed since this was called last. `store`: the store as it is now, so that both agree.
    pub(crate) fn take(&self, _store: &StoreGuard) -> Changes {
        self.shared.log.lock().take(self.id)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.log.lock().leave(self.id);
    }
}
