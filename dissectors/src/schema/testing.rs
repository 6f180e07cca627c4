//! For tests: schemas from text in the test.

use super::{Cardinality, Enum, Kind, Message, Schema};
use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, MessageDescriptor};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

/// The descriptor set of `text`, a `.proto` file that may import well-known types, as an independent compiler sees it.
pub(crate) fn descriptors(text: &str) -> Vec<u8> {
    struct One(String);
    impl FileResolver for One {
        fn open_file(&self, name: &str) -> Result<File, protox::Error> {
            match name {
                "test.proto" => Ok(File::from_source(name, &self.0)?),
                _ => Err(protox::Error::file_not_found(name)),
            }
        }
    }
    let mut resolver = ChainFileResolver::new();
    resolver.add(GoogleFileResolver::new());
    resolver.add(One(text.into()));
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_file("test.proto").expect("a test's schema compiles");
    compiler.encode_file_descriptor_set()
}

/// The table of `text`, a `.proto` file that may import well-known types; nothing may be wrong with it.
pub(crate) fn compile(text: &str) -> Schema {
    let (schema, diagnostics) = Schema::from_descriptors(&descriptors(text)).expect("descriptors of our own making");
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    schema
}

/// Asserts that `schema` holds what an independent implementation finds in the descriptor set `set`, to the field.
pub(crate) fn same_as_reflected(schema: &Schema, set: &[u8]) {
    let pool = DescriptorPool::decode(set).expect("a descriptor set");
    let mut count = 0;
    // descriptor.proto has more fields with every version.
    for theirs in pool.all_messages().filter(|m| m.parent_file().name() != "google/protobuf/descriptor.proto") {
        let ix = schema.message(theirs.full_name()).unwrap_or_else(|| panic!("no message {}", theirs.full_name()));
        same_message(schema, &schema[ix], &theirs);
        count += 1;
    }
    assert!(count > 0);
    for theirs in pool.services() {
        let ours = schema.service(theirs.full_name()).unwrap_or_else(|| panic!("no service {}", theirs.full_name()));
        let shown: Vec<_> = ours
            .methods
            .iter()
            .map(|m| {
                (&*m.name, &*schema[m.input].name, &*schema[m.output].name, m.client_streaming, m.server_streaming)
            })
            .map(|(name, i, o, c, s)| format!("{name} {i} {o} {c} {s}"))
            .collect();
        let methods: Vec<_> = theirs
            .methods()
            .map(|m| {
                let (client, server) = (m.is_client_streaming(), m.is_server_streaming());
                format!("{} {} {} {client} {server}", m.name(), m.input().full_name(), m.output().full_name())
            })
            .collect();
        assert_eq!(shown, methods, "{}", theirs.full_name());
    }
}

fn same_message(schema: &Schema, ours: &Message, theirs: &MessageDescriptor) {
    let mut numbers: Vec<u32> = theirs.fields().map(|f| f.number()).collect();
    numbers.extend(theirs.extensions().map(|e| e.number()));
    numbers.sort_unstable();
    let own: Vec<u32> = ours.fields.iter().map(|f| f.number).collect();
    assert_eq!(own, numbers, "{}", ours.name);
    assert_eq!(ours.map_entry, theirs.is_map_entry());
    for field in theirs.fields() {
        let own = ours.field(field.number()).expect("just compared");
        let at = field.full_name();
        assert_eq!((&*own.full_name, &*own.name, &*own.json_name), (at, field.name(), field.json_name()));
        assert_eq!(own.cardinality, cardinality(&field), "{at}");
        assert_eq!(own.packed, field.is_list() && field.is_packed(), "{at}");
        assert_eq!(matches!(own.kind, Kind::Group(_)), field.is_group(), "{at}");
        same_kind(schema, own.kind, &field.kind(), at);
        let oneof = own.oneof.map(|ix| ours.oneofs[ix as usize].to_string());
        let known = field.containing_oneof().filter(|o| !o.is_synthetic()).map(|o| o.full_name().to_owned());
        assert_eq!(oneof, known, "{at}");
    }
    for extension in theirs.extensions() {
        let own = ours.field(extension.number()).expect("just compared");
        assert_eq!((&*own.name, &*own.json_name), (extension.full_name(), extension.json_name()));
        assert_eq!(own.packed, extension.is_list() && extension.is_packed(), "{}", own.name);
        same_kind(schema, own.kind, &extension.kind(), extension.full_name());
    }
}

fn cardinality(field: &FieldDescriptor) -> Cardinality {
    match () {
        () if field.is_map() => Cardinality::Map,
        () if field.is_list() => Cardinality::Repeated,
        () if field.supports_presence() => Cardinality::Explicit,
        () => Cardinality::Implicit,
    }
}

fn same_kind(schema: &Schema, ours: Kind, theirs: &prost_reflect::Kind, at: &str) {
    match (ours, theirs) {
        (Kind::Message(ix) | Kind::Group(ix), prost_reflect::Kind::Message(theirs)) => {
            assert_eq!(&*schema[ix].name, theirs.full_name(), "{at}");
        }
        (Kind::Enum(ix), prost_reflect::Kind::Enum(theirs)) => same_enum(&schema[ix], theirs),
        (ours, theirs) => assert_eq!(format!("{ours:?}").to_lowercase(), format!("{theirs:?}"), "{at}"),
    }
}

fn same_enum(ours: &Enum, theirs: &EnumDescriptor) {
    assert_eq!(&*ours.name, theirs.full_name());
    assert_eq!(ours.default, theirs.default_value().number());
    for &(number, ref name) in &ours.values {
        assert!(theirs.values().any(|v| v.number() == number && v.name() == &**name), "{}.{name}", ours.name);
    }
    for value in theirs.values() {
        assert!(ours.value_name(value.number()).is_some(), "{}", value.full_name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::WellKnown;

    #[test]
    fn text_becomes_a_table() {
        let schema = compile(
            r#"
            syntax = "proto3";
            package acme;
            import "google/protobuf/timestamp.proto";
            message Order {
              string order_id = 1;
              repeated sint32 numbers = 2;
              map<string, Line> lines = 3;
              google.protobuf.Timestamp at = 4;
              optional bool paid = 5;
              oneof how { string card = 6 [debug_redact = true]; Line line = 7; }
              message Line { State state = 1; }
              enum State { NONE = 0; OPEN = 1; }
            }
            service Shop { rpc Watch(Order) returns (stream Order.Line); }
            "#,
        );
        let order = &schema[schema.message("acme.Order").unwrap()];
        let shape: Vec<_> = order.fields.iter().map(|f| (f.number, &*f.json_name, f.cardinality)).collect();
        assert_eq!(
            shape,
            [
                (1, "orderId", Cardinality::Implicit),
                (2, "numbers", Cardinality::Repeated),
                (3, "lines", Cardinality::Map),
                (4, "at", Cardinality::Explicit),
                (5, "paid", Cardinality::Explicit),
                (6, "card", Cardinality::Explicit),
                (7, "line", Cardinality::Explicit),
            ]
        );
        assert_eq!(order.oneofs, ["acme.Order.how".into()]);
        assert_eq!(order.fields[4].oneof, None);
        assert!(order.fields[5].redact && order.fields[5].utf8 && order.fields[1].packed);
        let Kind::Message(at) = order.fields[3].kind else { panic!() };
        assert_eq!(schema[at].well_known, Some(WellKnown::Timestamp));
        let Kind::Message(entry) = order.fields[2].kind else { panic!() };
        assert!(schema[entry].map_entry);
        let watch = schema.method("acme.Shop", "Watch").unwrap();
        assert!(watch.server_streaming && !watch.client_streaming);
        assert_eq!(&*schema[watch.output].name, "acme.Order.Line");
    }
}
