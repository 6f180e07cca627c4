//! Clients and servers for gRPC and ttrpc, clients for gRPC-Web and Connect: connecting and accepting, TLS, and calls as streams of messages.
//!
//! [`connect`] opens a connection to an address, over TCP, TLS, a Unix socket or vsock. [`Observed`] shows every byte of it, in
//! plain text, to an [`Observer`]. [`GrpcConnection`] and [`TtrpcConnection`] send calls. None of them interprets answers: whoever
//! observes the bytes dissects them. `server` is the other side.

mod http1;
mod http2;
mod observed;
mod server;
mod tls;
mod transport;
mod ttrpc;
mod web;

pub(crate) use http1::over_http1;
pub(crate) use http2::{DrainError, GrpcConnection, GrpcStream, drain};
pub(crate) use observed::{Observed, Observer};
pub(crate) use server::{
    Accepted, Doors, GrpcAnswer, GrpcCall, GrpcDoor, ServerTls, ServerTlsArgs, Spoken, TtrpcAnswer, TtrpcFrame,
    TtrpcReader, encode_status, serve_ttrpc, spoken,
};
pub(crate) use tls::{TlsArgs, TlsSettings};
pub(crate) use transport::{Connected, Io, connect};
pub(crate) use ttrpc::{Request as TtrpcRequest, TtrpcConnection};
pub(crate) use web::Wire;
