//! What is kept of a flow of ttrpc: the frames of exported calls.

use std::collections::HashSet;

use rpcshark_dissectors::store::CallId;

use super::flow::FlowBytes;
use super::piece::Piece;
use crate::load::ExactFrame;

/// Bytes of a piece's header in an NRI trunk: the number of a connection, a length.
const TRUNK_HEADER: u64 = 8;

/// The parts of a flow. `frames` are those of the flow, in order.
///
/// In an NRI trunk a frame is kept with the header of its piece. Where frames and pieces of a trunk do not go together,
/// nothing can be taken out of it, and all of it is kept: `None`.
pub(super) fn pieces(frames: &[ExactFrame], shown: &HashSet<CallId>, bytes: &FlowBytes<'_>) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let first = frames.first().map_or(bytes.end(), |frame| frame.extent.start);
    let in_trunk = frames.iter().any(|frame| frame.trunk.is_some());
    if first > 0 && !in_trunk && bytes.get(0..first).is_some() {
        // The lines that a hybrid vsock socket begins with.
        pieces.push(Piece::copy(0..first));
    }
    for frame in frames {
        let mut range = frame.extent.clone();
        if let Some(number) = frame.trunk {
            let start = range.start.checked_sub(TRUNK_HEADER)?;
            let header = bytes.get(start..range.start)?;
            let length = u32::try_from(range.end - range.start).ok()?;
            if header != [number.to_be_bytes(), length.to_be_bytes()].concat() {
                return None;
            }
            range.start = start;
        }
        pieces.push(match frame.call.is_some_and(|call| shown.contains(&call)) {
            true => Piece::copy(range),
            false => Piece::drop(range, true),
        });
    }
    Some(pieces)
}
