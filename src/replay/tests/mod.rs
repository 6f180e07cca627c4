//! Recordings are made of real HTTP/2 connections, and replayed to real servers in this process.

mod differences;
mod faults;
pub(crate) mod harness;
mod hostile;
mod rate;
mod servers;
mod ttrpc;
