//! For tests: schemas from text in the test.

use super::Schema;
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
    let (schema, said) = Schema::from_descriptors(&descriptors(text)).expect("descriptors of our own making");
    assert!(said.is_empty(), "{said:?}");
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Cardinality, Kind, WellKnown};

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
