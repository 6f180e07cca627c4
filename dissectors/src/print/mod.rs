//! Text and JSON of calls, frames and connections.
//!
//! Everything is made of the values in [`view`](crate::view), and of nothing else: what a value hides cannot be printed.
//! Times, durations, sizes and untrusted text have one form each, here.

mod call_json;
mod call_text;
mod connection;
mod fit;
mod follow;
mod frame;
mod headers;
mod json_text;
mod line;
mod message;
mod methods;
mod problems;
mod schema;
mod show;
mod summary;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod tree;

pub use call_json::rfc3339;
pub use call_text::{CallColumns, method_text, status_text};
pub use connection::ConnectionColumns;
pub use follow::FollowOptions;
pub use frame::FrameColumns;
pub use headers::header_text;
pub use line::{Line, Span, Tone};
pub use methods::sparkline;
pub use rpcshark_captures::text::{Escaped, is_dangerous};
pub use schema::{describe_enum, describe_field, describe_message, describe_method, describe_service, type_name};
pub use text::{duration_text, size_text};
pub use time::Times;
pub use tree::value_text;

use rpcshark_captures::{Endpoint, PacketNo};

use crate::view::Viewer;

/// Prints what a viewer shows.
#[derive(Clone, Copy)]
pub struct Printer<'a> {
    /// What is printed.
    pub viewer: Viewer<'a>,
    /// Every header field as sent, besides the metadata.
    pub all_headers: bool,
    /// Whole values in trees, however long.
    pub full: bool,
    /// How many decimals of a second the capture's times have.
    pub decimals: u8,
}

impl<'a> Printer<'a> {
    /// Prints what `viewer` shows.
    pub const fn new(viewer: Viewer<'a>) -> Self {
        Self { viewer, all_headers: false, full: false, decimals: 9 }
    }

    /// A duration between two times of the capture.
    fn duration(&self, nanos: i64) -> String {
        duration_text(nanos, self.decimals)
    }

    /// The name of a packet's file, where several files are read together and it is not the file of `than`. Without a `than` it
    /// is always named.
    fn other_file(&self, packet: PacketNo, than: Option<PacketNo>) -> Option<&'a str> {
        let is_other = self.viewer.files.len() > 1 && than.is_none_or(|than| than.file() != packet.file());
        self.viewer.file_name(packet.file()).filter(|_| is_other)
    }

    /// A packet as people read it: its number, and the file where [`Printer::other_file`] names it.
    fn packet_text(&self, packet: PacketNo, than: Option<PacketNo>) -> String {
        match self.other_file(packet, than) {
            Some(file) => format!("{} of {}", packet.number(), Escaped(file.as_bytes())),
            None => packet.number().to_string(),
        }
    }

    /// The name that the capture gives to an end's address.
    fn name(&self, end: &Endpoint) -> Option<String> {
        Some(Escaped(self.viewer.name_of(end)?.as_bytes()).to_string())
    }

    /// An end as people read it: by its name, where it has one.
    fn end_text(&self, end: &Endpoint) -> String {
        match (self.name(end), end.port()) {
            (Some(name), Some(port)) => format!("{name}:{port}"),
            _ => Escaped(end.to_string().as_bytes()).to_string(),
        }
    }
}
