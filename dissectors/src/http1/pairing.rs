//! Which request a response answers.
//!
//! HTTP/1.1 answers in the order of the requests (RFC 9112 §9.3.2). Where bytes are missing, requests or responses may be among
//! them, and the order says less. Then what the two sides had acknowledged decides: a server that answers has acknowledged the
//! request, and a client that does not pipeline has received an answer before it sends the next request. A response that could
//! belong to several requests belongs to none.

use std::collections::VecDeque;

use super::connection::Exchange;

/// Places in the two flows where whole messages may be missing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hidden {
    /// Where the last such gap of the requests begins.
    pub(super) requests: Option<u64>,
    /// Where the last such gap of the responses begins, since the last response that could be paired.
    pub(super) responses: Option<u64>,
}

impl Hidden {
    /// Whether the order of requests and responses may be disturbed.
    pub(super) const fn is_doubtful(&self) -> bool {
        self.requests.is_some() || self.responses.is_some()
    }
}

/// The request that a response answers whose sender had acknowledged `acked` bytes of the requests. `None`: none, or it is not known.
pub(super) fn answered(exchanges: &VecDeque<Exchange>, acked: Option<u64>, hidden: &Hidden) -> Option<u32> {
    let mut open = exchanges.iter().filter(|exchange| !exchange.answered);
    if !hidden.is_doubtful() {
        return open.next().map(|exchange| exchange.number);
    }
    let Some(acked) = acked else {
        // Nothing tells. One request alone must be the one, unless others are missing.
        let first = open.next()?;
        return (open.next().is_none() && hidden.requests.is_none()).then_some(first.number);
    };
    let mut candidates = open.filter(|exchange| exchange.begin.offset < acked);
    let first = candidates.next()?;
    let Some(lost) = hidden.responses else { return Some(first.number) };
    let last = candidates.next_back();
    // The response that is expected first may be among the missing bytes: then the request came before them.
    let chosen = match last {
        None => first,
        // It was sent when something of the missing bytes had been received: those before it were answered by then.
        Some(last) if last.begin.acked.is_some_and(|received| received > lost) => last,
        // Several requests were under way at once.
        Some(_) => return None,
    };
    // A request that is missing came later, and this may be its response.
    let others = hidden.requests.is_some_and(|at| at > chosen.begin.offset && at < acked);
    (!others).then_some(chosen.number)
}
