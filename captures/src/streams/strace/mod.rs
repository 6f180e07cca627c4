//! strace logs: what processes write to their stream sockets and read from them.
//!
//! Every form of log is read, the weaker ones as far as they go: `-f` or one process, `-ttt`, `-tt`, `-t`, `-r` or no
//! times, `-xx`, `-x` or neither, descriptors with what `-yy` or `-y` says of them or bare, strings cut by `-s`, dumps of
//! `-e read=` and `-e write=`, `-ff` with a file for each process.
//!
//! - `prefix` takes the process and the time off a line, `call` finds the system call in it;
//! - `fd`, `args` and `string` read arguments;
//! - `processes` knows which descriptor of which process is which socket;
//! - `sockets` knows which sockets belong together, and which bytes were handed on;
//! - `strangers` are descriptors of which nothing is known, and which may be sockets.
//!
//! What lines mean together is decided in the order in which calls return. io_uring is not visible to strace; what it
//! moves is not in the log.

mod args;
mod call;
mod calls;
pub(super) mod fd;
mod log;
pub(crate) mod prefix;
mod processes;
mod sockets;
pub(crate) mod string;
mod unidentified;

pub(crate) use call::looks_like_call;
pub(super) use log::{Log, LogFile};

#[cfg(test)]
mod joining_tests;
#[cfg(test)]
mod tests;
