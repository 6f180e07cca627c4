//! Servers for gRPC and ttrpc: accepting clients, TLS, and calls as streams of messages.
//!
//! [`Doors`] accepts connections at an address, over TCP, TLS, a Unix socket or vsock. [`spoken`] finds out which protocol a
//! client speaks. [`GrpcAnswer`] and [`TtrpcAnswer`] answer a call; what they answer is up to others.

mod doors;
mod http2;
mod sniff;
mod tls;
mod ttrpc;
mod written;

pub(crate) use doors::{Accepted, Doors};
pub(crate) use http2::{GrpcAnswer, GrpcCall, GrpcDoor};
pub(crate) use sniff::{Spoken, spoken};
pub(crate) use tls::{ServerTls, ServerTlsArgs};
pub(crate) use ttrpc::{Frame as TtrpcFrame, TtrpcAnswer, TtrpcReader, encode_status, serve_ttrpc};
