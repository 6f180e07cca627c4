//! gRPC as one of the protocols that carry calls over HTTP.

use crate::rpc::{Carrier, Form, Headers, RpcProtocol};
use crate::store::Protocol;

/// gRPC over HTTP/2.
#[derive(Debug)]
pub(crate) struct Grpc;

impl RpcProtocol for Grpc {
    fn protocol(&self) -> Protocol {
        Protocol::Grpc
    }

    fn carrier(&self, headers: &Headers<'_>) -> Option<Carrier> {
        let is_grpc = headers.media_type()?.is("application/grpc");
        is_grpc.then_some(Carrier { protocol: Protocol::Grpc, form: Form::Prefixed })
    }
}
