//! `content-type`: whether a stream carries gRPC, and how its messages are written.

/// What a content type says about a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContentType<'a> {
    /// `application/grpc`, alone or with `+codec`.
    Grpc(Codec<'a>),
    /// `application/grpc-web`: the same prefixed messages, trailers among them.
    GrpcWeb(Codec<'a>),
    /// `application/grpc-web-text`: that in base64.
    GrpcWebText(Codec<'a>),
    /// `application/connect+codec`: streams of the Connect protocol.
    Connect(Codec<'a>),
    /// Not gRPC.
    Other,
}

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec<'a> {
    /// Not stated: protobuf unless the bytes show something else.
    Unsaid,
    /// Protobuf.
    Proto,
    /// JSON.
    Json,
    /// Something else, as named.
    Other(&'a [u8]),
}

impl<'a> ContentType<'a> {
    /// Reads a content type. Letters of either case; parameters after `;` do not matter.
    pub fn parse(value: &'a [u8]) -> Self {
        let media = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        let (kind, codec) = match media.iter().position(|&byte| byte == b'+') {
            Some(plus) => (media.get(..plus).unwrap_or_default(), media.get(plus + 1..).map(Codec::named)),
            None => (media, Some(Codec::Unsaid)),
        };
        let codec = codec.unwrap_or(Codec::Unsaid);
        let is = |name: &str| kind.eq_ignore_ascii_case(name.as_bytes());
        if is("application/grpc") {
            Self::Grpc(codec)
        } else if is("application/grpc-web") {
            Self::GrpcWeb(codec)
        } else if is("application/grpc-web-text") {
            Self::GrpcWebText(codec)
        } else if is("application/connect") && codec != Codec::Unsaid {
            Self::Connect(codec)
        } else {
            Self::Other
        }
    }
}

impl<'a> Codec<'a> {
    fn named(name: &'a [u8]) -> Self {
        if name.is_empty() {
            Self::Unsaid
        } else if name.eq_ignore_ascii_case(b"proto") {
            Self::Proto
        } else if name.eq_ignore_ascii_case(b"json") {
            Self::Json
        } else {
            Self::Other(name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for (value, expected) in [
            ("application/grpc", ContentType::Grpc(Codec::Unsaid)),
            ("application/grpc+proto", ContentType::Grpc(Codec::Proto)),
            ("application/grpc+json", ContentType::Grpc(Codec::Json)),
            ("application/grpc+thrift", ContentType::Grpc(Codec::Other(b"thrift"))),
            ("application/grpc+", ContentType::Grpc(Codec::Unsaid)),
            ("Application/gRPC+Proto; charset=utf-8", ContentType::Grpc(Codec::Proto)),
            ("application/grpc;x=y", ContentType::Grpc(Codec::Unsaid)),
            ("application/grpc-web+proto", ContentType::GrpcWeb(Codec::Proto)),
            ("application/grpc-web-text", ContentType::GrpcWebText(Codec::Unsaid)),
            ("application/connect+json", ContentType::Connect(Codec::Json)),
            ("application/connect", ContentType::Other),
            ("application/grpcx", ContentType::Other),
            ("application/proto", ContentType::Other),
            ("text/html", ContentType::Other),
            ("", ContentType::Other),
        ] {
            assert_eq!(ContentType::parse(value.as_bytes()), expected, "{value}");
        }
    }
}
