//! Records the traffic between clients and a server, as a relay between them.
//!
//! A [`Listener`] accepts clients, and a [`Target`] connects to the server for each of them. The [`Recorder`] copies bytes in
//! both directions, with a thread for each connection. A [`Journal`] passes what was copied through a bounded buffer to the
//! file and to a [`Tap`]. [`swap`] puts the recorder in the place of a Unix socket, and back. [`run`] is the command.
//!
//! The meaning of the bytes is left to `rpcshark-dissectors`.

mod args;
mod background_writer;
mod credentials;
mod journal;
mod live;
mod peer_inode;
mod recorder;
mod relay;
mod socket;
mod stderr;
pub mod swap;
mod vsock;
mod watch;

pub(crate) use args::run_and_report;
pub use args::{RecordArgs, run};
pub use background_writer::BackgroundWriter;
pub use journal::{Journal, Summary, Tap, WhenFull};
pub use live::Live;
pub use recorder::Recorder;
pub use socket::{Listener, SocketError, Target};
