//! What the tool says about calls, frames and connections: made in one place, printed by everybody.
//!
//! Nothing here is made while a capture is read. A body is fetched, decompressed and decoded when somebody looks at it, and
//! forgotten again.

mod body;
mod call;
mod call_json;
mod call_text;
mod connection;
mod frame;
mod headers;
mod meaning;
mod show;
mod text;
mod time;

pub use body::Bodies;
pub use call::{CallView, Kind, Outcome, StatusView};
pub use call_text::calls_heading;
pub use connection::CONNECTIONS_HEADING;
pub use frame::frames_heading;
pub use headers::Secrets;
pub use text::{Escaped, duration_text, size_text};
pub use time::Times;

use std::collections::BTreeMap;
use std::net::IpAddr;

use rpcshark_captures::Endpoint;

use crate::schema::Schema;
use crate::store::Store;

/// What describing needs to know besides the call.
pub struct Describer<'a> {
    /// The calls.
    pub store: &'a Store,
    /// Where bodies are read from.
    pub bodies: &'a dyn Bodies,
    /// The types.
    pub schema: &'a Schema,
    /// The files' names, as users gave them.
    pub files: &'a [String],
    /// What is hidden.
    pub secrets: &'a Secrets,
    /// Every header field as sent, besides the metadata.
    pub all_headers: bool,
    /// Names that the capture gives to addresses: text shows them in their place.
    pub names: Option<&'a BTreeMap<IpAddr, Box<str>>>,
}

impl<'a> Describer<'a> {
    /// Describes what is in `store`.
    pub fn new(
        store: &'a Store,
        bodies: &'a dyn Bodies,
        schema: &'a Schema,
        files: &'a [String],
        secrets: &'a Secrets,
    ) -> Self {
        Self { store, bodies, schema, files, secrets, all_headers: false, names: None }
    }

    /// The name that the capture gives to an end's address.
    fn name(&self, end: &Endpoint) -> Option<String> {
        let Endpoint::Tcp(addr) = end else { return None };
        let name = self.names?.get(&addr.ip())?;
        Some(Escaped(name.as_bytes()).to_string())
    }

    /// An end as people read it: by its name, where it has one.
    fn end_text(&self, end: &Endpoint) -> String {
        match (self.name(end), end.port()) {
            (Some(name), Some(port)) => format!("{name}:{port}"),
            _ => end.to_string(),
        }
    }
}
