//! Which header fields are the application's, and how binary ones are written.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Base64 as gRPC's implementations accept it: padding may be there or not, and trailing bits are ignored.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Whether a header field of this name was set by the application, and not by HTTP/2 or gRPC.
pub fn is_metadata(name: &[u8]) -> bool {
    match name {
        b"content-type" | b"te" | b"user-agent" => false,
        _ => !name.starts_with(b":") && !name.starts_with(b"grpc-"),
    }
}

/// Whether a header field of this name has binary values.
pub fn is_binary(name: &[u8]) -> bool {
    name.ends_with(b"-bin")
}

/// The values in a binary field: base64, of either alphabet, several separated by commas. `None` for one that is not base64.
///
/// Peers that have agreed on it (`GRPC_ALLOW_TRUE_BINARY_METADATA`) send the bytes themselves after a zero byte.
pub fn binary_values(value: &[u8]) -> impl Iterator<Item = Option<Vec<u8>>> + '_ {
    let (raw, base64) = match value.split_first() {
        Some((0, raw)) => (Some(raw), None),
        _ => (None, Some(value)),
    };
    let raw = raw.into_iter().map(|raw| Some(raw.to_vec()));
    raw.chain(base64.into_iter().flat_map(|value| value.split(|&byte| byte == b',')).map(|part| {
        let standard: Vec<u8> = part
            .trim_ascii()
            .iter()
            .map(|&byte| match byte {
                b'-' => b'+',
                b'_' => b'/',
                other => other,
            })
            .collect();
        BASE64.decode(standard).ok()
    }))
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    fn values(value: &[u8]) -> Vec<Option<Vec<u8>>> {
        binary_values(value).collect()
    }

    #[test]
    fn whose_field_it_is() {
        for name in ["tenant", "trace-bin", "authorization", "tea", "user-agent-x", "x-grpc-web", "grpcx"] {
            assert!(is_metadata(name.as_bytes()), "{name}");
        }
        for name in [":path", "content-type", "te", "user-agent", "grpc-timeout", "grpc-status-details-bin"] {
            assert!(!is_metadata(name.as_bytes()), "{name}");
        }
        assert!(is_binary(b"trace-bin"));
        assert!(!is_binary(b"trace-bin2"));
    }

    #[test]
    fn base64_of_all_kinds() {
        assert_eq!(values(b"AAH/"), [Some(vec![0, 1, 255])]);
        assert_eq!(values(b"AAH_"), [Some(vec![0, 1, 255])]);
        assert_eq!(values(b"AA=="), [Some(vec![0])]);
        assert_eq!(values(b"AA"), [Some(vec![0])]);
        assert_eq!(values(b"AB"), [Some(vec![0])]);
        assert_eq!(values(b""), [Some(vec![])]);
        assert_eq!(values(b"AA==, AQ,,!"), [Some(vec![0]), Some(vec![1]), Some(vec![]), None]);
        assert_eq!(values(b"A"), [None]);
        assert_eq!(values(b"AA=A"), [None]);
        assert_eq!(values(b"\xff"), [None]);
    }

    proptest! {
        #[test]
        fn back_and_forth(first: Vec<u8>, second: Vec<u8>) {
            let joined = format!("{},{}", BASE64_STANDARD.encode(&first), BASE64_URL_SAFE_NO_PAD.encode(&second));
            prop_assert_eq!(values(joined.as_bytes()), [Some(first), Some(second)]);
        }
    }
}
