//! From descriptors to the table: names resolved, features applied, everything by index.
//!
//! Linking keeps what works. A type that cannot be found takes only the fields with it that have it, which are then
//! unknown fields on the wire, and is reported once per file; of two definitions of one name the first counts; methods of a
//! service that several files define are put together. Nothing here fails.

mod fields;
mod linker;
mod names;
mod services;
mod shape;

#[cfg(test)]
mod tests;

pub(crate) use linker::{Unit, link};
