//! The files of a schema as descriptors, for whoever tells others what it has: a server's reflection.
//!
//! They come from the same descriptors as the table. Names of types are resolved as in the table, and what the table does not
//! have is left out, so that whoever reads the files finds no name that leads nowhere. Options and comments are not kept.

use hashbrown::{HashMap, HashSet};
use prost::Message as _;

use super::descriptor::{Enum, ExtensionRange, Field, File, Message, Oneof, Service, field_type};
use super::{Kind, Schema};

/// A file of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaFile {
    /// Its name, which no other file of the schema has.
    pub name: String,
    /// A `google.protobuf.FileDescriptorProto`.
    pub descriptor: Vec<u8>,
    /// The names of the files that it imports.
    pub imports: Vec<String>,
    /// The full names of its services and their methods, messages, enumerations and extensions.
    pub symbols: Vec<String>,
    /// The messages that it extends, and with which numbers.
    pub extensions: Vec<(String, u32)>,
}

/// What a schema says about extensions.
pub(super) struct Extensions<'s> {
    /// Full name to the extended message, the number and the kind.
    by_name: HashMap<&'s str, (&'s str, u32, Kind)>,
    /// By the extended message.
    numbers: HashMap<&'s str, Vec<u32>>,
}

impl<'s> Extensions<'s> {
    pub(super) fn of(schema: &'s Schema) -> Self {
        let (mut by_name, mut numbers) = (HashMap::new(), HashMap::<&str, Vec<u32>>::new());
        for message in &schema.messages {
            for field in message.fields.iter().filter(|field| field.json_name.starts_with('[')) {
                by_name.insert(&*field.full_name, (&*message.name, field.number, field.kind));
                numbers.entry(&*message.name).or_default().push(field.number);
            }
        }
        Self { by_name, numbers }
    }
}

/// A file in the making.
pub(super) struct Writer<'s> {
    schema: &'s Schema,
    extensions: &'s Extensions<'s>,
    file: SchemaFile,
}

impl<'s> Writer<'s> {
    /// Writes `file` as `name`, with these imports, each public or not.
    pub(super) fn write(
        schema: &'s Schema,
        extensions: &'s Extensions<'s>,
        file: &File,
        name: String,
        imports: Vec<(String, bool)>,
    ) -> SchemaFile {
        let mut descriptor = file.clone();
        descriptor.name = Some(name.clone());
        let public = imports.iter().enumerate().filter(|(_, (_, public))| *public);
        descriptor.public_dependency = public.map(|(at, _)| at as i32).collect();
        descriptor.dependency = imports.into_iter().map(|(name, _)| name).collect();
        let imports = descriptor.dependency.clone();
        let file = SchemaFile { name, descriptor: Vec::new(), imports, symbols: Vec::new(), extensions: Vec::new() };
        let mut writer = Self { schema, extensions, file };
        let package = descriptor.package.clone().unwrap_or_default();
        descriptor.message_type.iter_mut().for_each(|message| writer.message(&package, message));
        descriptor.enum_type.iter_mut().for_each(|one| writer.enumeration(&package, one));
        descriptor.extension.retain_mut(|field| writer.extension(&package, field));
        descriptor.service.iter_mut().for_each(|service| writer.service(&package, service));
        writer.file.descriptor = descriptor.encode_to_vec();
        writer.file
    }

    fn message(&mut self, scope: &str, message: &mut Message) {
        let name = joined(scope, message.name.as_deref());
        let known = self.schema.message(&name).map(|ix| &self.schema[ix]);
        message.field.retain_mut(|field| {
            let number = field.number.and_then(|number| u32::try_from(number).ok());
            let found = known.and_then(|known| known.field(number?));
            found.is_some_and(|found| self.set_type(field, found.kind))
        });
        // Presence in proto3 is declared by a oneof of its own, after the others.
        for field in message.field.iter_mut().filter(|field| field.proto3_optional() && field.oneof_index.is_none()) {
            field.oneof_index = Some(message.oneof_decl.len() as i32);
            let name = format!("_{}", field.name.as_deref().unwrap_or_default());
            message.oneof_decl.push(Oneof { name: Some(name), options: None });
        }
        for number in self.extensions.numbers.get(name.as_str()).into_iter().flatten() {
            let number = i32::try_from(*number).unwrap_or(i32::MAX - 1);
            let covers = |range: &ExtensionRange| range.start() <= number && number < range.end();
            if !message.extension_range.iter().any(covers) {
                message.extension_range.push(ExtensionRange { start: Some(number), end: Some(number + 1) });
            }
        }
        message.nested_type.iter_mut().for_each(|nested| self.message(&name, nested));
        message.enum_type.iter_mut().for_each(|one| self.enumeration(&name, one));
        message.extension.retain_mut(|field| self.extension(&name, field));
        self.file.symbols.push(name);
    }

    fn enumeration(&mut self, scope: &str, one: &mut Enum) {
        let mut numbers = HashSet::new();
        if !one.value.iter().all(|value| numbers.insert(value.number)) {
            one.options.get_or_insert_default().allow_alias = Some(true);
        }
        self.file.symbols.push(joined(scope, one.name.as_deref()));
    }

    fn extension(&mut self, scope: &str, field: &mut Field) -> bool {
        let name = joined(scope, field.name.as_deref());
        let Some(&(extended, number, kind)) = self.extensions.by_name.get(name.as_str()) else { return false };
        field.extendee = Some(format!(".{extended}"));
        self.file.symbols.push(name);
        self.file.extensions.push((extended.to_owned(), number));
        self.set_type(field, kind)
    }

    fn service(&mut self, scope: &str, service: &mut Service) {
        let name = joined(scope, service.name.as_deref());
        for method in &mut service.method {
            let own = method.name.as_deref().unwrap_or_default();
            if let Some(known) = self.schema.method(&name, own) {
                method.input_type = Some(format!(".{}", self.schema[known.input].name));
                method.output_type = Some(format!(".{}", self.schema[known.output].name));
            }
            (method.input_at, method.output_at) = (None, None);
            self.file.symbols.push(format!("{name}.{own}"));
        }
        self.file.symbols.push(name);
    }

    /// Names the type of a field as the table has it.
    fn set_type(&self, field: &mut Field, kind: Kind) -> bool {
        field.at = None;
        let (number, name) = match kind {
            Kind::Enum(ix) => (field_type::ENUM, &self.schema[ix].name),
            Kind::Message(ix) => (field_type::MESSAGE, &self.schema[ix].name),
            Kind::Group(ix) => (field_type::GROUP, &self.schema[ix].name),
            _ => return true,
        };
        field.r#type = Some(number);
        field.type_name = Some(format!(".{name}"));
        true
    }
}

fn joined(scope: &str, name: Option<&str>) -> String {
    let name = name.unwrap_or_default();
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}
