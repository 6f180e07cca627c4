//! `--decode-as`: the protocol of connections as the user gives it, in tshark's form `SELECTOR,PROTOCOL`.

use std::fmt;
use std::str::FromStr;

use rpcshark_captures::Endpoint;
use rpcshark_dissectors::DecodeAs;

/// One `-d`: `tcp.port==50051,http2`, `unix.path==/run/x.sock,ttrpc`, `vsock.port==1024,ttrpc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DecodeAsRule {
    selector: Selector,
    protocol: DecodeAs,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Selector {
    TcpPort(u32),
    VsockPort(u32),
    UnixPath(String),
}

/// All of them; the first that fits decides.
#[derive(Clone, Debug, Default)]
pub(crate) struct DecodeAsRules(pub(crate) Vec<DecodeAsRule>);

/// Why a `-d` cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum DecodeAsError {
    #[error("it has the form SELECTOR,PROTOCOL, as in tcp.port==50051,http2")]
    Form,
    #[error("unknown selector `{0}`: use tcp.port, unix.path or vsock.port")]
    Selector(String),
    #[error("`{0}` is not a port number")]
    Port(String),
    #[error("unknown protocol `{0}`: use http2 or ttrpc")]
    Protocol(String),
}

impl FromStr for DecodeAsRule {
    type Err = DecodeAsError;

    fn from_str(text: &str) -> Result<Self, DecodeAsError> {
        let (selector, protocol) = text.rsplit_once(',').ok_or(DecodeAsError::Form)?;
        let (field, value) = selector.split_once("==").ok_or(DecodeAsError::Form)?;
        let value = value.trim();
        let port = |most: u32| {
            let port = value.parse().ok().filter(|&port| port <= most);
            port.ok_or_else(|| DecodeAsError::Port(value.to_owned()))
        };
        let selector = match field.trim() {
            "tcp.port" => Selector::TcpPort(port(u16::MAX.into())?),
            "vsock.port" => Selector::VsockPort(port(u32::MAX)?),
            "unix.path" => Selector::UnixPath(value.to_owned()),
            other => return Err(DecodeAsError::Selector(other.to_owned())),
        };
        let protocol = match protocol.trim() {
            "http2" | "grpc" => DecodeAs::Http2,
            "ttrpc" => DecodeAs::Ttrpc,
            other => return Err(DecodeAsError::Protocol(other.to_owned())),
        };
        Ok(Self { selector, protocol })
    }
}

impl DecodeAsRules {
    /// The protocol that the user gave for a connection between `a` and `b`.
    pub(crate) fn for_ends(&self, a: &Endpoint, b: &Endpoint) -> Option<DecodeAs> {
        let rule = self.0.iter().find(|rule| rule.matches(a, b));
        rule.map(|rule| rule.protocol)
    }
}

impl DecodeAsRule {
    /// Whether the rule is about a connection between `a` and `b`.
    pub(crate) fn matches(&self, a: &Endpoint, b: &Endpoint) -> bool {
        self.selector.fits(a) || self.selector.fits(b)
    }
}

impl fmt::Display for DecodeAsRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.selector {
            Selector::TcpPort(port) => write!(f, "tcp.port=={port}")?,
            Selector::VsockPort(port) => write!(f, "vsock.port=={port}")?,
            Selector::UnixPath(path) => write!(f, "unix.path=={path}")?,
        }
        f.write_str(match self.protocol {
            DecodeAs::Http2 => ",http2",
            DecodeAs::Ttrpc => ",ttrpc",
        })
    }
}

impl Selector {
    fn fits(&self, end: &Endpoint) -> bool {
        match (self, end) {
            (Self::TcpPort(port), Endpoint::Tcp(addr)) => u32::from(addr.port()) == *port,
            (Self::VsockPort(wanted), Endpoint::Vsock { port, .. }) => port == wanted,
            (Self::UnixPath(wanted), Endpoint::UnixPath(path)) => **path == *wanted.as_bytes(),
            (Self::UnixPath(wanted), Endpoint::UnixAbstract(name)) => {
                wanted.strip_prefix('@').is_some_and(|wanted| **name == *wanted.as_bytes())
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_read_and_fit() {
        let rules: Vec<DecodeAsRule> =
            ["tcp.port==50051,http2", "unix.path == /run/a,b.sock , ttrpc", "vsock.port==1024,ttrpc"]
                .iter()
                .map(|text| text.parse().expect("a rule"))
                .collect();
        let rules = DecodeAsRules(rules);
        let tcp = |port: u16| Endpoint::Tcp(([127, 0, 0, 1], port).into());
        assert_eq!(rules.for_ends(&tcp(40000), &tcp(50051)), Some(DecodeAs::Http2));
        assert_eq!(rules.for_ends(&tcp(40000), &tcp(50052)), None);
        let unix = Endpoint::UnixPath(b"/run/a,b.sock".as_slice().into());
        assert_eq!(rules.for_ends(&Endpoint::UnixInode(4), &unix), Some(DecodeAs::Ttrpc));
        assert_eq!(rules.for_ends(&Endpoint::Vsock { cid: 3, port: 1024 }, &tcp(1)), Some(DecodeAs::Ttrpc));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |text: &str| text.parse::<DecodeAsRule>().expect_err(text);
        assert_eq!(error("tcp.port==50051"), DecodeAsError::Form);
        assert_eq!(error("tcp.port=50051,http2"), DecodeAsError::Form);
        assert_eq!(error("tcp.port==x,http2"), DecodeAsError::Port("x".to_owned()));
        assert_eq!(error("tcp.port==65536,http2"), DecodeAsError::Port("65536".to_owned()));
        assert_eq!(error("udp.port==1,http2"), DecodeAsError::Selector("udp.port".to_owned()));
        assert_eq!(error("tcp.port==1,http3"), DecodeAsError::Protocol("http3".to_owned()));
    }
}
