//! Recording: standing between a client and a server, copying bytes both ways unchanged, and writing them down.
//!
//! [`Listener`] and [`Target`] are where clients come in and where they are taken; [`Recorder`] copies, a thread a
//! connection; a [`Journal`] takes what was copied through a bounded buffer to the file and to a [`Tap`]; [`swap`]
//! puts the recorder in the place of a Unix socket and back. [`run`] is the command.
//!
//! What the bytes mean is nobody's matter here.

mod args;
mod beside;
mod credentials;
mod diag;
mod journal;
mod live;
mod output;
mod recorder;
mod relay;
mod say;
mod socket;
pub mod swap;
mod vsock;
mod watch;

pub use args::{RecordArgs, run};
pub use beside::Beside;
pub use journal::{Journal, Summary, Tap, WhenFull};
pub use live::Live;
pub use recorder::Recorder;
pub use socket::{Listener, SocketError, Target};
