//! Recordings are made of real HTTP/2 connections, and replayed to real servers in this process.

pub(crate) mod harness;
mod rate;
mod servers;
mod ttrpc;
