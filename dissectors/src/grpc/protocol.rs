//! gRPC as one of the protocols that carry calls over HTTP.

use crate::rpc::{Carrier, Headers, RpcProtocol};
use crate::store::Protocol;

/// gRPC over HTTP/2.
#[derive(Debug)]
pub(crate) struct Grpc;

impl RpcProtocol for Grpc {
    fn protocol(&self) -> Protocol {
        Protocol::Grpc
    }

    fn carrier(&self, headers: &Headers<'_>) -> Option<Carrier> {
        let media = headers.media_type().filter(|media| media.is("application/grpc"))?;
        Some(Carrier::prefixed(Protocol::Grpc, 0, media.codec))
    }
}
