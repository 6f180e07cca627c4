//! Some connections of a capture, read again with every byte and every frame of them.
//!
//! A first reading tells which connections are wanted. Readings of one capture are alike, so lanes, connections and calls
//! have the same ids in the second one.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use rpcshark_captures::file::Error;
use rpcshark_captures::{Direction, Sources};
use rpcshark_dissectors::http2::Priority;
use rpcshark_dissectors::store::{CallId, ConnectionRef, Frame, Framing, HeaderListId, Keep};

use super::loader::{LoadOptions, Loader};
use super::shared::{Progress, StoreGuard};
use crate::tap::{Delivery, Tap};

/// What was read.
pub(crate) struct ExactReading {
    /// The calls, with their events.
    pub(crate) store: StoreGuard,
    /// Where bytes are read from.
    pub(crate) sources: Arc<Sources>,
    /// The wanted connections, in the order in which they were asked for.
    pub(crate) connections: Vec<ExactConnection>,
}

/// One connection.
pub(crate) struct ExactConnection {
    /// Which one of the store.
    pub(crate) at: ConnectionRef,
    /// What it delivered, in order.
    pub(crate) deliveries: Vec<Delivery>,
    /// Its frames, in no particular order.
    pub(crate) frames: Vec<ExactFrame>,
}

/// A frame, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct ExactFrame {
    /// The direction, with the roles as they were assumed at the beginning.
    pub(crate) seen: Direction,
    /// Where it is in its flow.
    pub(crate) extent: Range<u64>,
    /// Which protocol's frame it is.
    pub(crate) protocol: Framing,
    /// Its stream.
    pub(crate) stream: u32,
    /// Its type.
    pub(crate) kind: u8,
    /// Its flags.
    pub(crate) flags: u8,
    /// Its call.
    pub(crate) call: Option<CallId>,
    /// The header list of the block that it begins.
    pub(crate) headers: Option<HeaderListId>,
    /// The stream that it promises.
    pub(crate) promised: Option<u32>,
    /// Its priority.
    pub(crate) priority: Option<Priority>,
    /// The number of the connection inside an NRI trunk.
    pub(crate) trunk: Option<u32>,
    /// Its header block cannot be decoded to its end.
    pub(crate) faulty: bool,
}

impl ExactFrame {
    fn of(frame: Frame, swapped: bool) -> Self {
        let Frame {
            direction,
            extent,
            protocol,
            stream,
            kind,
            flags,
            call,
            headers,
            promised,
            priority,
            trunk,
            notes,
            ..
        } = frame;
        let faulty = notes.iter().any(|note| note.kind == "hpack");
        let seen = if swapped { direction.reverse() } else { direction };
        Self { seen, extent, protocol, stream, kind, flags, call, headers, promised, priority, trunk, faulty }
    }
}

impl ExactReading {
    /// Reads `wanted`, which the first reading with `options` has found.
    ///
    /// # Errors
    ///
    /// If the capture cannot be read again.
    pub(crate) fn read(
        options: &LoadOptions,
        wanted: &[ConnectionRef],
        mut show: impl FnMut(Progress),
    ) -> Result<Self, Error> {
        let keep = Keep { frames: true, bodies: true, events: true };
        let mut loader = Loader::open(LoadOptions { keep, follow: false, ..options.clone() })?;
        loader.set_taps(|lane| Tap::new(wanted.iter().filter(|at| at.lane.0 == lane).map(|at| at.id)));
        let mut frames: HashMap<ConnectionRef, Vec<ExactFrame>> = wanted.iter().map(|&at| (at, Vec::new())).collect();
        let shared = Arc::clone(loader.shared());
        while let Some(committed) = loader.step()? {
            let store = shared.read();
            for frame in committed.frames {
                let at = ConnectionRef { lane: frame.lane, id: frame.frame.connection };
                if let Some(frames) = frames.get_mut(&at) {
                    frames.push(ExactFrame::of(frame.frame, store.connection(at).roles_swapped));
                }
            }
            drop(store);
            show(shared.progress());
        }
        let connections = wanted.iter().map(|&at| ExactConnection {
            at,
            deliveries: loader.take_deliveries(at),
            frames: frames.remove(&at).unwrap_or_default(),
        });
        let connections = connections.collect();
        Ok(Self { store: shared.read(), sources: loader.sources(), connections })
    }
}
