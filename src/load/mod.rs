//! Reading: what the command line names becomes a schema.

pub(crate) mod schema;
