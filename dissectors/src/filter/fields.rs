//! The table of fields: what filters, columns and completion can name, and how each value is had.
//!
//! A field says something about a call, about a frame, or about a message. On a call, frame and message fields have the
//! values of all its frames and messages; on a frame, call fields have the values of its call, and message fields those of
//! the messages that the frame completes.

mod call;
mod frame;
mod header;

use std::ops::ControlFlow;

use super::value::{Item, Type};
use crate::view::{CallView, FrameView, MessageView};

pub(super) use call::Ends;
pub(super) use header::{HeaderName, Headers};

/// Whether a walk over values continues.
pub(super) type Flow = ControlFlow<()>;

/// What is called for each value of a field.
pub(super) type Visit<'v> = dyn FnMut(Item<'_>) -> Flow + 'v;

/// One field, or a family of fields that share the beginning of their names.
#[derive(Debug)]
pub struct FieldSpec {
    /// Its name; of a family the beginning, with the last point, and a word for the rest in angle brackets:
    /// `rpc.metadata.<name>`.
    pub name: &'static str,
    /// What its values are. Of `rpc.request.<path>` and the like, the schema decides: these are [`Type::Label`].
    pub ty: Type,
    /// One line of help, without a full stop.
    pub help: &'static str,
    /// How its values are had.
    pub(super) get: Get,
}

/// How the values of a field are had.
#[derive(Clone, Copy)]
pub(super) enum Get {
    /// From the call alone.
    Call(fn(&CallView<'_>, &mut Visit<'_>) -> Flow),
    /// From a frame alone: on a call, from each of its frames.
    Frame(fn(FrameView<'_>, &mut Visit<'_>) -> Flow),
    /// From the connection and the ends of a call or a frame, whichever is looked at.
    Ends(fn(&Ends<'_>, &mut Visit<'_>) -> Flow),
    /// From a call or a frame, whichever is looked at.
    Either(fn(&CallView<'_>, &mut Visit<'_>) -> Flow, fn(FrameView<'_>, &mut Visit<'_>) -> Flow),
    /// From each message.
    Message(fn(MessageView<'_>, &mut Visit<'_>) -> Flow),
    /// From the packet that completed a frame: its length.
    PacketLength,
    /// From the header fields of a name: the rest of the field's name.
    Header(Headers),
    /// From the bodies of the requests.
    Request,
    /// From the bodies of the responses.
    Response,
    /// From every message of a type, wherever it is in a body: the rest is the type's name and a path.
    AnyField,
    /// Whether a message of a type is in a body: the rest is the type's name.
    AnyMessage,
}

impl std::fmt::Debug for Get {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Call(_) => "Call",
            Self::Frame(_) => "Frame",
            Self::Ends(_) => "Ends",
            Self::Either(..) => "Either",
            Self::Message(_) => "Message",
            Self::PacketLength => "PacketLength",
            Self::Header(_) => "Header",
            Self::Request => "Request",
            Self::Response => "Response",
            Self::AnyField => "AnyField",
            Self::AnyMessage => "AnyMessage",
        })
    }
}

/// What a field says something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// A call; on a frame, its call.
    Call,
    /// A message; on a call any of its messages, on a frame those that it completes.
    Message,
    /// A frame or its packet; on a call any of its frames.
    Frame,
    /// Both a call and a frame have it.
    Both,
}

impl Scope {
    /// The scope as `rpcshark fields` names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Message => "message",
            Self::Frame => "frame",
            Self::Both => "call, frame",
        }
    }
}

impl FieldSpec {
    /// What the field says something about.
    pub const fn scope(&self) -> Scope {
        match self.get {
            Get::Call(_) | Get::Request | Get::Response => Scope::Call,
            Get::Header(Headers::Metadata | Headers::Trailers) => Scope::Call,
            Get::Frame(_) | Get::PacketLength => Scope::Frame,
            Get::Ends(_) | Get::Either(..) | Get::Header(_) => Scope::Both,
            Get::Message(_) | Get::AnyField | Get::AnyMessage => Scope::Message,
        }
    }

    /// The beginning that all names of the family share; `None` if it is one field.
    pub fn family(&self) -> Option<&'static str> {
        self.name.split_once('<').map(|(beginning, _)| beginning)
    }

    /// Whether what its values are depends on the schema.
    pub const fn is_typed_by_schema(&self) -> bool {
        matches!(self.get, Get::Request | Get::Response | Get::AnyField)
    }

    /// The type as `rpcshark fields` names it.
    pub const fn type_name(&self) -> &'static str {
        if self.is_typed_by_schema() { "by schema" } else { self.ty.name() }
    }
}

/// Every field, in groups.
pub fn fields() -> impl Iterator<Item = &'static FieldSpec> + Clone {
    call::FIELDS.iter().chain(frame::FIELDS).chain(header::FIELDS).chain(frame::SETTINGS).chain(frame::OTHERS)
}

/// The field called `name`, or the family that it is of, and what of the name lies after the family's beginning.
pub(super) fn field(name: &str) -> Option<(&'static FieldSpec, &str)> {
    if let Some(spec) = fields().find(|spec| spec.name == name) {
        return Some((spec, ""));
    }
    let families = fields().filter_map(|spec| Some((spec, name.strip_prefix(spec.family()?)?)));
    families.filter(|(_, rest)| !rest.is_empty()).max_by_key(|(spec, _)| spec.name.len())
}

/// Whether a word is a field, right or wrong, and not text to look for: a dotted word by what it begins with, any other one
/// if it is the name of a field.
pub(super) fn begins_like_field(word: &str) -> bool {
    match word.split_once('.') {
        Some((first, _)) => fields().any(|spec| spec.name.split_once('.').is_some_and(|(begin, _)| begin == first)),
        None => fields().any(|spec| spec.name == word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_helped() {
        let mut names: Vec<&str> = fields().map(|spec| spec.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for spec in fields() {
            assert!(!spec.help.is_empty() && !spec.help.ends_with('.') && !spec.help.contains('\n'), "{}", spec.name);
        }
    }

    #[test]
    fn a_word_that_begins_like_a_field_is_one() {
        for word in ["rpc.sttus", "rpc.", "grpc.health.v1.Health", "tcp.port", "connection", "http2"] {
            assert!(begins_like_field(word), "{word}");
        }
        for word in ["rpc", "checkout", "hello.World", "", ".", "a.b.rpc.status"] {
            assert!(!begins_like_field(word), "{word}");
        }
    }

    #[test]
    fn the_longest_family_wins() {
        let name = |text| field(text).map(|(spec, rest)| (spec.name, rest.to_owned()));
        assert_eq!(name("rpc.request.count"), Some(("rpc.request.count", String::new())));
        assert_eq!(name("rpc.request.order.id"), Some(("rpc.request.<path>", "order.id".to_owned())));
        assert_eq!(name("rpc.metadata.x-id"), Some(("rpc.metadata.<name>", "x-id".to_owned())));
        assert_eq!(name("rpc.metadata."), None);
        assert_eq!(name("rpc.nothing"), None);
    }
}
