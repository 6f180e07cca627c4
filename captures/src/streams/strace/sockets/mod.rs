//! Stream sockets, and the connections between them.
//!
//! A socket is one end of a connection. A log shows one end of a connection or both, and names an end in up to three ways:
//! by a descriptor of a process, by its inode, and by its two addresses. TCP sockets change their name: strace prints
//! `TCP:[555]` before `connect` and `TCP:[10.0.0.2:4000->10.0.0.1:80]` after it.
//!
//! - `socket` is what is known of one end;
//! - `names` finds the socket that a name stands for, whatever thread and descriptor it is used with;
//! - `connect` pairs the two ends: by their names, and by matching `connect` with `accept`;
//! - `pair` counts the bytes of both directions: where both ends are in the log, every byte is there twice, and must be
//!   handed on once;
//! - `transfer` hands bytes on, `close` ends what is closed, `report` describes connections to the reader;
//! - `table` holds it all.

mod close;
mod connect;
mod names;
mod pair;
mod report;
mod socket;
mod table;
mod transfer;

pub(super) use socket::{SocketNo, Transport};
pub(super) use table::{Context, Sockets, Source};
pub(super) use transfer::{Transfer, TransferKind};
