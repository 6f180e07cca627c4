//! Exporting calls: as a capture that stands alone, and in forms for other programs.
//!
//! A capture is rewritten, not cut out: the connections of the exported calls are written in TCP packets of our own, with
//! the original ends and times ([`StreamWriter`](rpcshark_captures::write::StreamWriter)). Of each flow the frames of the
//! exported calls and those of the connection itself are kept ([`piece`], `http2`, `ttrpc`); header blocks are encoded
//! anew, since the table that they refer to is not in the export. Gaps stay gaps.

mod capture;
mod data;
mod flow;
mod forms;
mod http1;
mod http2;
mod piece;
mod redaction;
mod ttrpc;

pub(crate) use capture::{Exported, Redacting, connections_of, export_capture};
pub(crate) use flow::FlowBytes;
pub(crate) use forms::{CSV_COLUMNS, MessageFile, grpcurl, message_files, write_csv_call, write_csv_header};
pub(crate) use redaction::{Redacted, Redactor, unknown_fields};
