//! Schemas in the language of `.proto` files, as grpcurl describes them.

use crate::schema::{Cardinality, Enum, Field, Kind, Message, Method, Schema, Service};

/// `service Name { rpc … }`
pub fn describe_service(schema: &Schema, service: &Service) -> String {
    let methods: String =
        service.methods.iter().map(|method| format!("  {}\n", describe_method(schema, method))).collect();
    format!("service {} {{\n{methods}}}\n", last(&service.name))
}

/// `rpc Name ( .package.Request ) returns ( stream .package.Response );`
pub fn describe_method(schema: &Schema, method: &Method) -> String {
    let stream = |streams: bool| if streams { "stream " } else { "" };
    format!(
        "rpc {} ( {}.{} ) returns ( {}.{} );",
        method.name,
        stream(method.client_streaming),
        schema[method.input].name,
        stream(method.server_streaming),
        schema[method.output].name
    )
}

/// `message Name { type name = 1; … }`
pub fn describe_message(schema: &Schema, message: &Message) -> String {
    let mut text = format!("message {} {{\n", last(&message.name));
    let mut written = Vec::new();
    for field in &message.fields {
        match field.oneof.and_then(|at| message.oneofs.get(at as usize).map(|name| (at, name))) {
            None => text += &format!("  {}\n", describe_field(schema, field)),
            Some((at, _)) if written.contains(&at) => {}
            Some((at, name)) => {
                written.push(at);
                text += &format!("  oneof {} {{\n", last(name));
                for member in message.fields.iter().filter(|member| member.oneof == Some(at)) {
                    text += &format!("    {}\n", describe_field(schema, member));
                }
                text += "  }\n";
            }
        }
    }
    text + "}\n"
}

/// `repeated type name = 1;`
pub fn describe_field(schema: &Schema, field: &Field) -> String {
    let label = match field.cardinality {
        Cardinality::Repeated => "repeated ",
        Cardinality::Explicit if field.oneof.is_none() && !matches!(field.kind, Kind::Message(_)) => "optional ",
        Cardinality::Explicit | Cardinality::Implicit | Cardinality::Map => "",
    };
    let ty = match (field.cardinality, field.kind) {
        (Cardinality::Map, Kind::Message(entry)) => {
            let part = |number| schema[entry].field(number).map_or("?".to_owned(), |part| type_name(schema, part.kind));
            format!("map<{}, {}>", part(1), part(2))
        }
        (_, kind) => type_name(schema, kind),
    };
    let redacted = if field.redact { " [debug_redact = true]" } else { "" };
    format!("{label}{ty} {} = {}{redacted};", field.name, field.number)
}

/// `enum Name { NAME = 0; … }`
pub fn describe_enum(described: &Enum) -> String {
    let values: String = described.values.iter().map(|(number, name)| format!("  {name} = {number};\n")).collect();
    format!("enum {} {{\n{values}}}\n", last(&described.name))
}

/// A type as `.proto` files name it; messages and enumerations by their full names.
pub fn type_name(schema: &Schema, kind: Kind) -> String {
    match kind {
        Kind::Enum(ix) => format!(".{}", schema[ix].name),
        Kind::Message(ix) => format!(".{}", schema[ix].name),
        Kind::Group(ix) => format!("group .{}", schema[ix].name),
        scalar => scalar.scalar_name().unwrap_or("?").to_owned(),
    }
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::testing::compile;

    #[test]
    fn definitions_look_as_in_their_files() {
        let schema = compile(
            "syntax = \"proto3\"; package p; enum E { ZERO = 0; ONE = 1; } message M { int32 a = 1; optional string b = 2; \
             repeated M c = 3; map<string, E> d = 4; oneof choice { bytes e = 5; M f = 6; } string g = 7 [debug_redact = true]; } \
             service S { rpc One(M) returns (stream M); }",
        );
        assert_eq!(
            describe_message(&schema, &schema[schema.message("p.M").unwrap()]),
            "message M {\n  int32 a = 1;\n  optional string b = 2;\n  repeated .p.M c = 3;\n  map<string, .p.E> d = 4;\n  \
             oneof choice {\n    bytes e = 5;\n    .p.M f = 6;\n  }\n  string g = 7 [debug_redact = true];\n}\n"
        );
        assert_eq!(
            describe_service(&schema, schema.service("p.S").unwrap()),
            "service S {\n  rpc One ( .p.M ) returns ( stream .p.M );\n}\n"
        );
        assert_eq!(
            describe_enum(schema.enums.iter().find(|e| &*e.name == "p.E").unwrap()),
            "enum E {\n  ZERO = 0;\n  ONE = 1;\n}\n"
        );
    }
}
