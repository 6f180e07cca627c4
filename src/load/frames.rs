//! Frames, read again from the capture: those of one connection, or all.
//!
//! Frames are not kept: a capture has a hundred times as many as anybody looks at. Whoever wants those of a connection
//! reads the capture again, and of it this connection only. Packets of other connections still count: how long a gap is
//! waited for is counted in packets of the capture. So the frames are those of a full pass, unless the capture comes near
//! a limit that all connections share (`docs/limits.md`).

use std::num::NonZero;

use rpcshark_captures::file::Error;
use rpcshark_dissectors::store::{CallRef, ConnectionRef, FrameRef, Keep, Store};

use super::loader::{LoadOptions, Loader};
use super::partition::Selection;
use super::shared::{Progress, StoreGuard};
use crate::tap::{Delivery, Tap};

/// Reads the frames of one connection.
pub(crate) struct ConnectionFrames {
    loader: Loader,
    whole: Whole,
    /// The connection among those of this reading, once it was opened.
    found: Option<ConnectionRef>,
}

/// What the whole capture's store knows of the connection.
struct Whole {
    birth: u64,
    /// How many connections of lower numbers were opened by the same packet.
    nth: usize,
    connection: ConnectionRef,
    /// The numbers of its calls that were not met again yet.
    calls: std::vec::IntoIter<Option<NonZero<u32>>>,
}

impl ConnectionFrames {
    /// Opens the capture again. `options`: those with which it was opened before; `stop` of them ends this reading, too.
    /// `store`: what is known of it, as far as it was read.
    ///
    /// # Errors
    ///
    /// If a file cannot be opened any more.
    pub(crate) fn open(options: &LoadOptions, store: &Store, connection: ConnectionRef) -> Result<Self, Error> {
        let birth = store.connection(connection).birth();
        let same_birth = store.connections().take_while(|&at| at != connection);
        let nth = same_birth.filter(|&at| store.connection(at).birth() == birth).count();
        let calls = store.calls().iter().filter(|at| at.lane == connection.lane).map(|&at| store.call(at));
        let calls =
            calls.filter(|call| call.connection == connection.id).map(|call| call.no).collect::<Vec<_>>().into_iter();
        let keep = Keep { frames: true, ..Keep::default() };
        let mut loader = Loader::open(LoadOptions { keep, follow: false, ..options.clone() })?;
        loader.select(Selection::new(birth, nth));
        Ok(Self { loader, whole: Whole { birth, nth, connection, calls }, found: None })
    }

    /// The next frames, in order: some, or none of a part of the capture. `None` at the end.
    ///
    /// They have no numbers of their own; their calls and their connection have those of `store`, which is the one that
    /// was given to [`ConnectionFrames::open`].
    ///
    /// # Errors
    ///
    /// If the capture cannot be read any further.
    pub(crate) fn next_frames(&mut self, store: &Store) -> Result<Option<Vec<FrameRef>>, Error> {
        let Some(committed) = self.loader.step()? else { return Ok(None) };
        let Self { loader, whole, found } = self;
        loader.shared().change(|part| {
            if found.is_none() {
                let born = |at: &ConnectionRef| part.connection(*at).birth() == whole.birth;
                let index = if loader.reads_streams() { 0 } else { whole.nth };
                *found = part.connections().filter(born).nth(index);
                if let Some(at) = *found {
                    part.set_connection_number(at, store.connection(whole.connection));
                }
            }
            let Some(connection) = *found else { return };
            // Calls come in the same order as in the whole capture.
            let new = (committed.calls.start as usize).saturating_sub(1)..;
            let new: Vec<CallRef> = part.calls().get(new).unwrap_or_default().to_vec();
            for at in new.into_iter().filter(|at| at.lane == connection.lane) {
                if part.call(at).connection == connection.id {
                    part.set_call_number(at, whole.calls.next().flatten());
                }
            }
        });
        let Some(connection) = *found else { return Ok(Some(Vec::new())) };
        let is_own = |frame: &FrameRef| frame.lane == connection.lane && frame.frame.connection == connection.id;
        let frames = committed.frames.into_iter().filter(is_own);
        Ok(Some(frames.map(|frame| FrameRef { no: None, ..frame }).collect()))
    }

    /// Learns, from the first step on, which bytes the connection delivers.
    #[must_use]
    pub(crate) fn with_deliveries(mut self) -> Self {
        self.loader.set_taps(|_| Tap::everything());
        self
    }

    /// What the connection has delivered since this was called last.
    pub(crate) fn take_deliveries(&mut self) -> Vec<Delivery> {
        let found = self.found;
        let new = self.loader.take_new_deliveries().into_iter();
        new.filter(|(at, _)| found == Some(*at)).map(|(_, delivery)| delivery).collect()
    }

    /// Whether client and server were swapped since the first deliveries.
    pub(crate) fn is_swapped(&self) -> bool {
        self.found.is_some_and(|at| self.store().connection(at).roles_swapped)
    }

    /// The store that the frames refer to. It holds this connection only.
    pub(crate) fn store(&self) -> StoreGuard {
        self.loader.shared().read()
    }

    /// How far the reading has come.
    pub(crate) fn progress(&self) -> Progress {
        self.loader.shared().progress()
    }
}

/// Reads the frames of the whole capture, and where bytes are missing.
pub(crate) struct AllFrames(Loader);

impl AllFrames {
    /// Opens the capture again. `options`: those with which it was opened before; `stop` of them ends this reading, too.
    ///
    /// # Errors
    ///
    /// If a file cannot be opened any more.
    pub(crate) fn open(options: &LoadOptions) -> Result<Self, Error> {
        let keep = Keep { frames: true, ..Keep::default() };
        let mut loader = Loader::open(LoadOptions { keep, follow: false, ..options.clone() })?;
        loader.set_taps(|_| Tap::gaps());
        Ok(Self(loader))
    }

    /// The next frames, in order. `None` at the end.
    ///
    /// # Errors
    ///
    /// If the capture cannot be read any further.
    pub(crate) fn next_frames(&mut self) -> Result<Option<Vec<FrameRef>>, Error> {
        Ok(self.0.step()?.map(|committed| committed.frames))
    }

    /// Where bytes were missing since this was called last: the direction with the roles as they are now.
    pub(crate) fn take_gaps(&mut self) -> Vec<(ConnectionRef, Delivery)> {
        let mut gaps = self.0.take_new_deliveries();
        let store = self.store();
        for (at, gap) in &mut gaps {
            if store.connection(*at).roles_swapped {
                gap.seen = gap.seen.reverse();
            }
        }
        gaps
    }

    /// The store that the frames refer to.
    pub(crate) fn store(&self) -> StoreGuard {
        self.0.shared().read()
    }

    /// How far the reading has come.
    pub(crate) fn progress(&self) -> Progress {
        self.0.shared().progress()
    }
}
