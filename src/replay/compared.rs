//! What came of a replayed call: compared with the recorded one, as far as it came.

use rpcshark_dissectors::compare::{Comparer, Comparison, Mapped, Scope, Verdict};
use rpcshark_dissectors::view::CallView;

use super::event::{Ended, How};

/// Compares a call that has ended with the recorded one. `replayed`: none where nothing was sent.
pub(crate) fn compared_call(
    recorded: &CallView<'_>,
    replayed: Option<&CallView<'_>>,
    ended: &Ended,
    comparer: &mut Comparer<'_>,
) -> Comparison {
    let mapped: Mapped = ended.mapped.iter().map(|(recorded, live)| (recorded, live)).collect();
    let mut compare = |prefix| match replayed {
        Some(replayed) => {
            let scope = Scope { requests: false, prefix, live: true, mapped: Some(&mapped) };
            comparer.compare(recorded, replayed, &scope)
        }
        None => Comparison::of(Verdict::ConnectionLost, Some("nothing was sent".to_owned())),
    };
    match &ended.how {
        How::Answered | How::Deadline => compare(false),
        // As the recorded client did, or because the recording has no end: what came until then is compared.
        How::Cancelled => compare(true),
        How::Stalled(why) => compare(true).ended(Verdict::Stalled, why.clone()),
        How::ConnectionLost(why) => compare(true).ended(Verdict::ConnectionLost, why.clone()),
        How::Skipped(why) => Comparison::skipped(why.clone()),
    }
}
