//! `content-type`: the media type, and the codec after its `+`.

/// A media type with the codec of the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MediaType<'a> {
    /// What precedes `+`, as sent.
    kind: &'a [u8],
    /// What follows it.
    pub codec: Codec<'a>,
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

impl<'a> MediaType<'a> {
    /// Reads a content type. Parameters after `;` do not matter.
    pub fn parse(value: &'a [u8]) -> Self {
        let media = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
        match media.iter().position(|&byte| byte == b'+') {
            Some(plus) => Self {
                kind: media.get(..plus).unwrap_or_default(),
                codec: Codec::named(media.get(plus + 1..).unwrap_or_default()),
            },
            None => Self { kind: media, codec: Codec::Unsaid },
        }
    }

    /// Whether this comes before the codec. Upper and lower case letters are equal (RFC 9110 §8.3.1).
    pub fn is(&self, kind: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind.as_bytes())
    }

    /// Whether it is one of `application/…`.
    pub fn is_application(&self) -> bool {
        const APPLICATION: &[u8] = b"application/";
        self.kind.get(..APPLICATION.len()).is_some_and(|head| head.eq_ignore_ascii_case(APPLICATION))
    }
}

impl<'a> Codec<'a> {
    /// The codec of this name.
    pub fn named(name: &'a [u8]) -> Self {
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
    fn kinds_and_codecs() {
        for (value, kind, codec) in [
            ("application/grpc", "application/grpc", Codec::Unsaid),
            ("application/grpc+proto", "application/grpc", Codec::Proto),
            ("application/grpc+json", "application/grpc", Codec::Json),
            ("application/grpc+thrift", "application/grpc", Codec::Other(b"thrift")),
            ("application/grpc+", "application/grpc", Codec::Unsaid),
            ("Application/gRPC+Proto; charset=utf-8", "application/grpc", Codec::Proto),
            ("application/grpc;x=y", "application/grpc", Codec::Unsaid),
            ("application/grpc-web-text", "application/grpc-web-text", Codec::Unsaid),
            ("application/connect+json", "application/connect", Codec::Json),
            ("application/json", "application/json", Codec::Unsaid),
            ("", "", Codec::Unsaid),
        ] {
            let media = MediaType::parse(value.as_bytes());
            assert!(media.is(kind), "{value}");
            assert_eq!(media.codec, codec, "{value}");
        }
        assert!(!MediaType::parse(b"application/grpcx").is("application/grpc"));
    }
}
