//! The worker that finds the failed calls of a list, for the scrollbar.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use rayon::prelude::*;
use rpcshark_dissectors::view::{NoBodies, Outcome};
use rpcshark_tui::backend::{ProblemRows, ProblemRowsRequest, Reply};

use super::backend::Shared;
use super::requests::Requests;
use super::terminal::Signal;

/// Calls that are looked at under one lock while the capture is being read.
const AT_ONCE: u64 = 4096;

/// The same when it has been read: nobody waits.
const AT_ONCE_LATER: u64 = 1 << 18;

/// Calls that one thread looks at in a row.
const SHARE: usize = 4096;

/// Carries out requests until nobody asks any more; the last one only.
pub(super) fn work(shared: &Shared, requests: &Requests<ProblemRowsRequest>, to: &Sender<Signal>) {
    while let Ok(first) = requests.recv() {
        let mut next = Some(requests.try_iter().last().unwrap_or(first));
        while let Some(request) = next.take() {
            match find(shared, &request, requests) {
                Ok(found) => drop(to.send(Signal::Reply(Reply::ProblemRows(found)))),
                Err(newer) => next = Some(requests.try_iter().last().unwrap_or(newer)),
            }
        }
    }
}

/// The failed calls, or the request that came meanwhile.
fn find(
    shared: &Shared,
    request: &ProblemRowsRequest,
    requests: &Requests<ProblemRowsRequest>,
) -> Result<ProblemRows, ProblemRowsRequest> {
    let decoding = shared.decoding();
    let mut failed = Vec::new();
    let mut noted = 0;
    let mut from = request.rows.start;
    while from < request.rows.end {
        if let Ok(newer) = requests.try_recv() {
            return Err(newer);
        }
        let at_once = if shared.store.is_finished() { AT_ONCE_LATER } else { AT_ONCE };
        let end = (from + at_once).min(request.rows.end);
        let store = shared.store.read();
        let viewer = shared.viewer(&store, &decoding, &NoBodies);
        let look = |row: u64| -> Option<(bool, bool)> {
            let no = match &request.calls {
                None => u32::try_from(row + 1).ok()?,
                Some(calls) => *calls.get((row - request.rows.start) as usize)?,
            };
            let call = viewer.call_by_no(no)?;
            Some((matches!(call.outcome(), Some(Outcome::Error | Outcome::Reset)), !call.notes().is_empty()))
        };
        let rows = (from as u32..end as u32).into_par_iter().with_min_len(SHARE);
        let found: Vec<(u32, bool, bool)> = rows
            .filter_map(|row| {
                let (failed, noted) = look(row.into())?;
                (failed || noted).then_some((row, failed, noted))
            })
            .collect();
        drop(store);
        failed.extend(found.iter().filter(|(_, failed, _)| *failed).map(|(row, ..)| row));
        noted += found.iter().filter(|(.., noted)| *noted).count() as u64;
        from = end;
    }
    Ok(ProblemRows { generation: request.generation, rows: request.rows.clone(), failed: Arc::new(failed), noted })
}
