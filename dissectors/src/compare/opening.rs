//! What a call begins with: how a request of a live client is found among recorded ones.

use rpcshark_captures::Direction;

use super::call::{Comparer, content_digest, contents, kind_of};
use super::difference::{MessageNumbers, Root};
use super::fields::{Mapped, Walk, typed};
use super::outcome::{Comparison, Verdict};
use crate::schema::{MessageIx, Schema};
use crate::view::{CallView, Scratch};

/// The first message of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Opening {
    /// The client has sent no message.
    Empty,
    /// The digest of the message: messages that are equal by the rules have equal ones.
    Message(u64),
}

impl Comparer<'_> {
    /// What a recorded call begins with. `None` where its first message cannot be read.
    pub fn opening(&mut self, call: &CallView<'_>, scratch: &mut Scratch) -> Option<Opening> {
        let call = call.permitted(&self.permit);
        let Some(message) = call.messages(Direction::ToServer).next() else { return Some(Opening::Empty) };
        let body = message.body(scratch);
        let (path, kind) = (call.path(), kind_of(&call, &call, Direction::ToServer));
        let rules = self.method_rules(path.value().unwrap_or_default());
        Some(Opening::Message(content_digest(body.content()?, kind.map(|kind| kind.0), &rules, Root::Request)))
    }

    /// The same of a live call of the method `path` (`/service/method`), whose first message is `content`, decompressed.
    pub fn opening_of(&self, path: &str, schema: &Schema, kind: Option<MessageIx>, content: &[u8]) -> Opening {
        let kind = kind.and_then(|ix| typed(schema, ix));
        Opening::Message(content_digest(content, kind, &self.method_rules(path), Root::Request))
    }

    /// Compares the first message of a recorded request with that of a live one of the same method. Values that `call` hides are
    /// compared and not shown.
    pub fn compare_opening(&mut self, call: &CallView<'_>, content: &[u8], scratch: &mut Scratch) -> Comparison {
        let hide = call.hides_marked_fields();
        let call = call.permitted(&self.permit);
        let mut found = Comparison::of(Verdict::Same, None);
        let Some(message) = call.messages(Direction::ToServer).next() else {
            return Comparison::of(Verdict::Differs, Some("the recorded request has no message".to_owned()));
        };
        let body = message.body(scratch);
        let Some(recorded) = body.content() else {
            return Comparison::of(Verdict::NotComparable, Some("its request cannot be read".to_owned()));
        };
        if recorded == content {
            return found;
        }
        let (path, kind) = (call.path(), kind_of(&call, &call, Direction::ToServer));
        let (rules, none) = (self.method_rules(path.value().unwrap_or_default()), Mapped::default());
        let mut walk = Walk::new(&rules, &none, Root::Request, hide, &mut found);
        walk.message = Some(MessageNumbers { recorded: Some(1), replayed: Some(1) });
        contents(&mut walk, kind, recorded, content);
        found.settle();
        found
    }
}
