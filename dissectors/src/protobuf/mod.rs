//! Protobuf messages: from the bytes to fields, JSON, trees and guesses, without a copy of the message in between.
//!
//! [`wire`] reads the bytes alone; [`walk()`] goes through them with a [`Schema`](crate::schema::Schema); [`JsonPrinter`]
//! makes canonical JSON, [`raw`] a guess where there is no type; [`tree`] shows every field with its bytes; [`fits()`] says
//! whether bytes can be of a type; [`Rewriter`] writes a message again with some values replaced.

mod fits;
mod json;
mod note;
pub mod raw;
mod rewrite;
mod shape;
pub mod tree;
pub(crate) mod typed;
mod value;
mod walk;
pub mod wire;

pub use fits::{Fit, fits};
pub use json::{Findings, JsonPrinter, Unknown};
pub use note::SpanNote;
pub use rewrite::{Rewriter, Rewritten};
pub(crate) use shape::Shapes;
pub use value::FieldValue;
pub use walk::{Next, Step, walk, walk_where};
