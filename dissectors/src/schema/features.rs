//! Features: what `syntax` and `edition` say about presence, enumerations, packing, UTF-8 and groups.
//!
//! Follows <https://protobuf.dev/editions/features/>: an edition (proto2 and proto3 count as two) sets defaults; a
//! file, message, enumeration, oneof or field may set its own for itself and for what it encloses.

use super::descriptor::Features;

/// The kind of schema file, as numbered by `google.protobuf.Edition`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edition(pub(crate) i32);

impl Edition {
    pub(crate) const PROTO2: Edition = Edition(998);
    pub(crate) const PROTO3: Edition = Edition(999);
    pub(crate) const E2023: Edition = Edition(1000);
    pub(crate) const E2024: Edition = Edition(1001);

    /// What `syntax` (absent means proto2) and `edition` of a file descriptor name; `None` for one not known.
    pub(crate) fn of(syntax: Option<&str>, edition: Option<i32>) -> Option<Edition> {
        match (syntax, edition) {
            (None | Some("" | "proto2"), None) => Some(Edition::PROTO2),
            (Some("proto3"), None) => Some(Edition::PROTO3),
            (None | Some("" | "editions"), Some(number)) => Some(Edition(number)).filter(|e| e.is_known()),
            (Some("proto2"), Some(998)) => Some(Edition::PROTO2),
            (Some("proto3"), Some(999)) => Some(Edition::PROTO3),
            _ => None,
        }
    }

    /// Whether this edition's defaults are known here.
    pub(crate) fn is_known(self) -> bool {
        (Edition::PROTO2.0..=Edition::E2024.0).contains(&self.0)
    }
}

/// The features in force at one place, all set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InForce {
    /// A field without `optional` has presence.
    pub(crate) explicit_presence: bool,
    /// Enumerations are closed.
    pub(crate) closed_enum: bool,
    /// Repeated numbers are packed.
    pub(crate) packed: bool,
    /// Strings must be UTF-8.
    pub(crate) utf8: bool,
    /// Message fields are written as groups.
    pub(crate) delimited: bool,
}

impl InForce {
    /// The defaults of `edition`.
    pub(crate) fn defaults(edition: Edition) -> InForce {
        let proto2 = edition == Edition::PROTO2;
        InForce {
            explicit_presence: edition != Edition::PROTO3,
            closed_enum: proto2,
            packed: !proto2,
            utf8: !proto2,
            delimited: false,
        }
    }

    /// These, as overridden by `own`; 0 and unknown values leave what was in force.
    pub(crate) fn with(self, own: Option<&Features>) -> InForce {
        let Some(own) = own else { return self };
        InForce {
            // EXPLICIT 1, IMPLICIT 2, LEGACY_REQUIRED 3
            explicit_presence: choose(own.field_presence, &[1, 3], &[2], self.explicit_presence),
            // OPEN 1, CLOSED 2
            closed_enum: choose(own.enum_type, &[2], &[1], self.closed_enum),
            // PACKED 1, EXPANDED 2
            packed: choose(own.repeated_field_encoding, &[1], &[2], self.packed),
            // VERIFY 2, NONE 3
            utf8: choose(own.utf8_validation, &[2], &[3], self.utf8),
            // LENGTH_PREFIXED 1, DELIMITED 2
            delimited: choose(own.message_encoding, &[2], &[1], self.delimited),
        }
    }
}

fn choose(value: Option<i32>, yes: &[i32], no: &[i32], inherited: bool) -> bool {
    match value {
        Some(value) if yes.contains(&value) => true,
        Some(value) if no.contains(&value) => false,
        _ => inherited,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_and_edition_name_the_kind_of_file() {
        assert_eq!(Edition::of(None, None), Some(Edition::PROTO2));
        assert_eq!(Edition::of(Some("proto3"), None), Some(Edition::PROTO3));
        assert_eq!(Edition::of(Some("editions"), Some(1000)), Some(Edition::E2023));
        assert_eq!(Edition::of(Some("editions"), Some(1001)), Some(Edition::E2024));
        assert_eq!(Edition::of(Some("editions"), Some(4711)), None);
        assert_eq!(Edition::of(Some("editions"), None), None);
        assert_eq!(Edition::of(Some("proto4"), None), None);
    }

    #[test]
    fn what_is_set_overrides_and_the_rest_is_inherited() {
        let file = InForce::defaults(Edition::E2023);
        assert!(file.explicit_presence && !file.closed_enum && file.packed && file.utf8 && !file.delimited);
        let own = Features { field_presence: Some(2), message_encoding: Some(2), ..Features::default() };
        let message = file.with(Some(&own));
        assert!(!message.explicit_presence && message.delimited && message.packed);
        let unknown = Features { field_presence: Some(99), ..Features::default() };
        assert_eq!(message.with(Some(&unknown)), message);
    }
}
