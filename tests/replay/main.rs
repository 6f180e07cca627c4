//! `rpcshark replay` as users run it.

mod acked;
mod command;
mod ends;
mod etcd;
mod memory;
mod python;
mod server;
#[path = "../support/mod.rs"]
mod support;
mod terminal;
mod tls;
mod web;
