//! The frames of one connection, read again from the capture.
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

    /// The store that the frames refer to. It holds this connection only.
    pub(crate) fn store(&self) -> StoreGuard {
        self.loader.shared().read()
    }

    /// How far the reading has come.
    pub(crate) fn progress(&self) -> Progress {
        self.loader.shared().progress()
    }
}
