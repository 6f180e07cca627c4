//! Going through a message field by field, nested ones too, in the order of the bytes, without making anything.

use std::ops::ControlFlow;

use super::typed::{self, Shape};
use super::wire::{self, Broken, Fields, Value};
use crate::schema::{Field, Message, MessageIx, Schema};

/// What [`walk`] comes by.
#[derive(Debug)]
pub struct Step<'w, 's, 'a> {
    /// How many messages it lies within, 0 for a field of the message itself.
    pub depth: u32,
    /// The message type that it is a field of.
    pub message: &'s Message,
    /// Which field it is; none if the type has no such number, or another wire type for it.
    pub field: Option<&'s Field>,
    /// The value and where it lies, or what lies there instead.
    pub wire: &'w Result<wire::Field<'a>, Broken<'a>>,
}

/// Calls `visit` for every field of `bytes`, a `message`; a nested message comes before its own fields.
///
/// Packed numbers are one step, and so is what lies deeper than [`wire::MAX_DEPTH`]. `Break` ends the walk.
pub fn walk<'s, 'a>(
    schema: &'s Schema,
    message: MessageIx,
    bytes: &'a [u8],
    mut visit: impl FnMut(&Step<'_, 's, 'a>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let Some(message) = schema.messages.get(message.0 as usize) else { return ControlFlow::Continue(()) };
    inside(schema, message, Fields::new(bytes), 0, &mut visit)
}

fn inside<'s, 'a, F: FnMut(&Step<'_, 's, 'a>) -> ControlFlow<()>>(
    schema: &'s Schema,
    message: &'s Message,
    fields: Fields<'a>,
    depth: u32,
    visit: &mut F,
) -> ControlFlow<()> {
    for item in fields {
        let (field, content) = match item {
            Ok(wire) => {
                let field = typed::lookup(message, wire.number).map(|(_, field)| field);
                let field = field.filter(|field| typed::shape(field, &wire.value) != Shape::Mismatch);
                visit(&Step { depth, message, field, wire: &Ok(wire) })?;
                (field, Some((wire.value_at, wire.value)))
            }
            Err(broken) => {
                let field = typed::lookup(message, broken.number).map(|(_, field)| field);
                visit(&Step { depth, message, field, wire: &Err(broken) })?;
                (field, broken.partial)
            }
        };
        let Some(inner) = field.and_then(|field| typed::message_of(schema, field.kind)) else { continue };
        if let Some((at, Value::Bytes(bytes) | Value::Group(bytes))) = content
            && depth < wire::MAX_DEPTH
        {
            inside(schema, inner, Fields::at(bytes, at), depth + 1, visit)?;
        }
    }
    ControlFlow::Continue(())
}
