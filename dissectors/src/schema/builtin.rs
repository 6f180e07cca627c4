//! Files that half the world's trees import and lack.
//!
//! Ours hold names, numbers and types only. A user's own copy of one goes before it.

/// The built-in files by the name under which they are imported.
const FILES: &[(&str, &str)] = &[
    ("buf/validate/validate.proto", include_str!("builtin/buf/validate/validate.proto")),
    ("gogoproto/gogo.proto", include_str!("builtin/gogoproto/gogo.proto")),
    ("google/api/annotations.proto", include_str!("builtin/google/api/annotations.proto")),
    ("google/api/client.proto", include_str!("builtin/google/api/client.proto")),
    ("google/api/field_behavior.proto", include_str!("builtin/google/api/field_behavior.proto")),
    ("google/api/http.proto", include_str!("builtin/google/api/http.proto")),
    ("google/api/httpbody.proto", include_str!("builtin/google/api/httpbody.proto")),
    ("google/api/resource.proto", include_str!("builtin/google/api/resource.proto")),
    ("google/protobuf/any.proto", include_str!("builtin/google/protobuf/any.proto")),
    ("google/protobuf/api.proto", include_str!("builtin/google/protobuf/api.proto")),
    ("google/protobuf/descriptor.proto", include_str!("builtin/google/protobuf/descriptor.proto")),
    ("google/protobuf/duration.proto", include_str!("builtin/google/protobuf/duration.proto")),
    ("google/protobuf/empty.proto", include_str!("builtin/google/protobuf/empty.proto")),
    ("google/protobuf/field_mask.proto", include_str!("builtin/google/protobuf/field_mask.proto")),
    ("google/protobuf/source_context.proto", include_str!("builtin/google/protobuf/source_context.proto")),
    ("google/protobuf/struct.proto", include_str!("builtin/google/protobuf/struct.proto")),
    ("google/protobuf/timestamp.proto", include_str!("builtin/google/protobuf/timestamp.proto")),
    ("google/protobuf/type.proto", include_str!("builtin/google/protobuf/type.proto")),
    ("google/protobuf/wrappers.proto", include_str!("builtin/google/protobuf/wrappers.proto")),
    ("google/rpc/code.proto", include_str!("builtin/google/rpc/code.proto")),
    ("google/rpc/error_details.proto", include_str!("builtin/google/rpc/error_details.proto")),
    ("google/rpc/status.proto", include_str!("builtin/google/rpc/status.proto")),
    ("validate/validate.proto", include_str!("builtin/validate/validate.proto")),
];

/// What is there without being imported: `Any`s in statuses and metadata can hold these whatever the schema.
pub(super) const ALWAYS: &[&str] = &[
    "google/protobuf/any.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/empty.proto",
    "google/protobuf/field_mask.proto",
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
    "google/protobuf/wrappers.proto",
    "google/rpc/code.proto",
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
];

/// The built-in file that `import "name"` means: by its name, or by its name after a path of somebody's own
/// (`github.com/gogo/protobuf/gogoproto/gogo.proto`).
pub(super) fn find(name: &str) -> Option<(&'static str, &'static str)> {
    let behind = |file: &str| name.strip_suffix(file).is_some_and(|path| path.is_empty() || path.ends_with('/'));
    FILES.iter().find(|(file, _)| behind(file)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::parser::parse;
    use crate::schema::{Cardinality, Kind, Schema};
    use prost_reflect::{DescriptorPool, MessageDescriptor};

    #[test]
    fn every_file_parses_and_imports_only_others_of_them() {
        for (name, text) in FILES {
            let parsed = parse(name, text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
            for import in &parsed.file.dependency {
                assert!(FILES.iter().any(|(known, _)| known == import), "{name} imports {import}");
            }
        }
        assert!(ALWAYS.iter().all(|name| FILES.iter().any(|(known, _)| known == name)));
    }

    #[test]
    fn found_by_name_and_behind_a_path() {
        let name = |import| find(import).map(|(name, _)| name);
        assert_eq!(name("gogoproto/gogo.proto"), Some("gogoproto/gogo.proto"));
        assert_eq!(name("github.com/gogo/protobuf/gogoproto/gogo.proto"), Some("gogoproto/gogo.proto"));
        assert_eq!(name("buf/validate/validate.proto"), Some("buf/validate/validate.proto"));
        assert_eq!(name("notvalidate/validate.proto"), None);
    }

    /// Every message of `google/protobuf/*` that an independent implementation carries has the fields that it has.
    #[test]
    fn well_known_types_are_as_others_have_them() {
        let all: String = FILES.iter().map(|(name, _)| format!("import \"{name}\";\n")).collect();
        let (schema, diagnostics) = Schema::from_source(&format!("syntax = \"proto3\";\n{all}"));
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        let pool = DescriptorPool::global();
        let mut open: Vec<MessageDescriptor> = pool
            .files()
            .filter(|f| FILES.iter().any(|(name, _)| *name == f.name()))
            .flat_map(|f| f.messages().collect::<Vec<_>>())
            .collect();
        let mut seen = 0;
        while let Some(theirs) = open.pop() {
            open.extend(theirs.child_messages());
            let ours = schema.message(theirs.full_name()).unwrap_or_else(|| panic!("no {}", theirs.full_name()));
            for field in theirs.fields() {
                let Some(own) = schema[ours].field(field.number()) else {
                    // Some fields of descriptor.proto came and went.
                    assert_eq!(field.parent_file().name(), "google/protobuf/descriptor.proto", "{}", field.full_name());
                    continue;
                };
                assert_eq!(&*own.full_name, field.full_name());
                assert_eq!(&*own.json_name, field.json_name());
                assert_eq!(own.cardinality == Cardinality::Repeated, field.is_list(), "{}", field.full_name());
                assert_eq!(own.cardinality == Cardinality::Map, field.is_map(), "{}", field.full_name());
                let kind = match own.kind {
                    Kind::Message(ix) => format!("message {}", schema[ix].name),
                    Kind::Enum(ix) => format!("enum {}", schema[ix].name),
                    other => format!("{other:?}").to_lowercase(),
                };
                let theirs = match field.kind() {
                    prost_reflect::Kind::Message(m) => format!("message {}", m.full_name()),
                    prost_reflect::Kind::Enum(e) => format!("enum {}", e.full_name()),
                    other => format!("{other:?}").to_lowercase(),
                };
                assert_eq!(kind, theirs, "{}", field.full_name());
                seen += 1;
            }
        }
        assert!(seen > 150, "{seen}");
    }

    #[test]
    fn details_of_a_status_are_there_without_a_schema() {
        let schema = Schema::builtin();
        for name in ["ErrorInfo", "RetryInfo", "DebugInfo", "QuotaFailure", "PreconditionFailure", "BadRequest"]
            .iter()
            .chain(&["RequestInfo", "ResourceInfo", "Help", "LocalizedMessage", "Status"])
        {
            assert!(schema.message(&format!("google.rpc.{name}")).is_some(), "{name}");
        }
        let status = &schema[schema.message("google.rpc.Status").unwrap()];
        let fields: Vec<_> = status.fields.iter().map(|f| (f.number, &*f.name)).collect();
        assert_eq!(fields, [(1, "code"), (2, "message"), (3, "details")]);
        assert!(schema.services.is_empty());
    }
}
