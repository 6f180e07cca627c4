//! One difference: where it is, of what kind, and both values.

use std::borrow::Cow;
use std::fmt::Write;

use crate::schema::Field;

/// Differences of a call that are kept; the others are counted.
pub const MAX_DIFFERENCES: usize = 1000;

/// A part of a call in which something differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where: `response.items[2].sku`, `status.message`, `trailers.x-served-by`.
    pub path: Box<str>,
    /// The same without indices and keys, as rules name it: `response.items.sku`.
    pub place: Box<str>,
    /// The full name of the field, where it has one: `shop.Item.sku`.
    pub field: Option<Box<str>>,
    /// Which messages of the two calls, where it is in a message.
    pub message: Option<MessageNumbers>,
    /// How it differs.
    pub kind: DifferenceKind,
    /// What the recorded call has there.
    pub recorded: Shown,
    /// What the replayed call has there.
    pub replayed: Shown,
}

/// The numbers of two messages that were compared, each from 1 in its direction; none where that call has no such message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageNumbers {
    /// In the recorded call.
    pub recorded: Option<u64>,
    /// In the replayed call.
    pub replayed: Option<u64>,
}

impl MessageNumbers {
    /// The number in the recorded call, or else in the replayed one.
    pub fn either(self) -> Option<u64> {
        self.recorded.or(self.replayed)
    }
}

/// How something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DifferenceKind {
    /// Both calls have it, with different values.
    Changed,
    /// Only the replayed call has it.
    Added,
    /// Only the recorded call has it.
    Removed,
    /// Another member of a oneof is set.
    Switched,
    /// The value is of another type: an `Any` that holds another message, or another wire type.
    Type,
}

impl DifferenceKind {
    /// The word that output uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Switched => "switched",
            Self::Type => "type",
        }
    }
}

/// A value, as far as it is kept to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// There is none.
    Absent,
    /// As JSON text.
    Json(Box<str>),
    /// The beginning of a long JSON text, and the length of all of it in bytes.
    Cut {
        /// What is kept.
        text: Box<str>,
        /// How long the whole is.
        len: u64,
    },
    /// It is a secret.
    Hidden {
        /// Its length in bytes.
        len: usize,
    },
}

/// What part of a call a path begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Root {
    /// The messages of the request.
    Request,
    /// The messages of the response.
    Response,
    /// The status.
    Status,
    /// The metadata of the response.
    Metadata,
    /// The trailers of the response.
    Trailers,
}

impl Root {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Request, Self::Response, Self::Status, Self::Metadata, Self::Trailers];

    /// The word that a path begins with.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
            Self::Status => "status",
            Self::Metadata => "metadata",
            Self::Trailers => "trailers",
        }
    }
}

/// A step of a path.
#[derive(Clone, Debug)]
pub(super) struct Step<'a> {
    /// The name of a field or header field; the number of a field without a type.
    pub(super) name: Cow<'a, str>,
    /// The field, where its type is known.
    pub(super) field: Option<&'a Field>,
    /// Which element of it.
    pub(super) key: Option<Key>,
}

/// Which element of a list or map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// By its index.
    Index(usize),
    /// By its key, as JSON text; or by the values of fields: `sku="a"`.
    Text(Box<str>),
}

impl<'a> Step<'a> {
    pub(super) fn of(field: &'a Field) -> Self {
        // An extension's name is its full name, which would read as several steps.
        let name =
            if field.name.contains('.') { Cow::Owned(format!("[{}]", field.name)) } else { (&*field.name).into() };
        Self { name, field: Some(field), key: None }
    }

    pub(super) fn named(name: impl Into<Cow<'a, str>>) -> Self {
        Self { name: name.into(), field: None, key: None }
    }
}

impl Key {
    /// Whether a pattern's key means this element.
    pub(super) fn is(&self, key: &str) -> bool {
        match self {
            Self::Index(index) => key.parse() == Ok(*index),
            Self::Text(text) => {
                // A pattern's key is written with quotes or without.
                **text == *key || text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) == Some(key)
            }
        }
    }
}

/// The path that `steps` lead, and the same without indices and keys.
pub(super) fn path_and_place(root: Root, steps: &[Step<'_>]) -> (Box<str>, Box<str>) {
    let mut path = root.name().to_owned();
    let mut place = path.clone();
    for step in steps {
        for text in [&mut path, &mut place] {
            text.push('.');
            text.push_str(&step.name);
        }
        // Writing to a string cannot fail.
        let _ = match &step.key {
            Some(Key::Index(index)) => write!(path, "[{index}]"),
            Some(Key::Text(key)) => write!(path, "[{key}]"),
            None => Ok(()),
        };
    }
    (path.into(), place.into())
}
