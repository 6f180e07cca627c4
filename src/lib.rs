//! The parts of the program `rpcshark` that are more than its command line.

pub mod address;
pub mod record;
