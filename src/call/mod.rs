//! One call now: what `rpcshark call` sends, and how.
//!
//! [`encode`] makes protobuf messages of JSON. [`Session`] is a connection to a server whose bytes are dissected as they come, so that
//! what is printed is the same as for a recorded call. [`reflected`] asks a server for its schema.

mod encode;
mod reflection;
mod session;

pub(crate) use encode::encode;
pub(crate) use reflection::{ReflectionError, reflected};
pub(crate) use session::{Ask, Session, Spoken, Ways};
