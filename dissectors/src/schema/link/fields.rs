//! Fields of messages, extensions among them.

use super::linker::{Declared, Linker, Place, Scope, SymbolKind};
use super::names::{MAX_NAME, join};
use super::shape::{same_fields, sort_fields};
use crate::schema::descriptor::{self, field_type, label};
use crate::schema::table::{Cardinality, Field, Kind};
use hashbrown::HashSet;

/// The largest field number that a tag can carry.
const MAX_NUMBER: i32 = (1 << 29) - 1;

/// The largest number of an extension of a message set, which no tag carries.
const MAX_SET_NUMBER: i32 = i32::MAX - 1;

impl<'a, 's> Linker<'a, 's> {
    /// Fills the messages with their fields.
    pub(super) fn fill(&mut self) {
        for (at, declared) in std::mem::take(&mut self.firsts).into_iter().enumerate() {
            let (fields, oneofs) = self.fields(&declared);
            if let Some(message) = self.schema.messages.get_mut(at) {
                message.fields = fields;
                message.oneofs = oneofs;
            }
        }
        for (declared, ix) in std::mem::take(&mut self.seconds) {
            let (fields, _) = self.fields(&declared);
            if !same_fields(&self.schema[ix].fields, &fields) {
                let first = self.symbols.get(&declared.scope.name).and_then(|s| s.units.first().copied());
                let first = first.map_or(declared.scope.unit, |u| u as usize);
                self.warn_duplicate(&declared.scope.name, first, declared.scope.unit);
            }
        }
    }

    pub(super) fn fields(&mut self, declared: &Declared<'a>) -> (Vec<Field>, Vec<Box<str>>) {
        let Declared { descriptor, scope } = declared;
        let map_entry = descriptor.options.as_ref().is_some_and(|o| o.map_entry());
        let mut oneofs = Vec::new();
        // Index among the declared oneofs to index among those that are kept.
        let mut kept: Vec<Option<u32>> = Vec::with_capacity(descriptor.oneof_decl.len());
        let mut synthetic = vec![false; descriptor.oneof_decl.len()];
        for field in descriptor.field.iter().filter(|f| f.proto3_optional()) {
            if let Some(flag) = field.oneof_index.and_then(|ix| synthetic.get_mut(usize::try_from(ix).ok()?)) {
                *flag = true;
            }
        }
        for (oneof, synthetic) in descriptor.oneof_decl.iter().zip(synthetic) {
            kept.push((!synthetic).then_some(oneofs.len() as u32));
            if !synthetic {
                oneofs.push(join(&scope.name, oneof.name.as_deref().unwrap_or_default()));
            }
        }

        let mut fields = Vec::with_capacity(descriptor.field.len());
        for field in &descriptor.field {
            let within = field.oneof_index.and_then(|ix| usize::try_from(ix).ok());
            let oneof = within.and_then(|ix| descriptor.oneof_decl.get(ix));
            let features =
                scope.features.with(oneof.and_then(|o| o.options.as_ref()).and_then(|o| o.features.as_ref()));
            let place = Place { scope, features, map_entry, extension: false, max_number: MAX_NUMBER };
            if let Some(mut made) = self.field(field, &place) {
                made.oneof = within.and_then(|ix| kept.get(ix).copied().flatten());
                if made.oneof.is_some() && made.cardinality == Cardinality::Implicit {
                    made.cardinality = Cardinality::Explicit;
                }
                fields.push(made);
            }
        }
        let count = fields.len();
        sort_fields(&mut fields);
        if fields.len() < count && !self.unit(scope.unit).builtin {
            let message = format!("`{}` has two fields of one number: the first is used", scope.name);
            self.warn(scope.unit, message);
        }
        (fields, oneofs)
    }

    pub(super) fn field(&mut self, field: &descriptor::Field, place: &Place<'_>) -> Option<Field> {
        let Place { scope, .. } = *place;
        let name = field.name.as_deref().unwrap_or_default();
        let full_name = self.full_name(scope, field.name.as_deref(), "a field")?;
        let number = field.number.unwrap_or_default();
        if !(1..=place.max_number).contains(&number) {
            self.warn(
                scope.unit,
                format!("`{full_name}` has the number {number}, which no field can have: it is left out"),
            );
            return None;
        }
        let options = field.options.as_ref();
        let features = place.features.with(options.and_then(|o| o.features.as_ref()));
        let mut kind = match self.kind(field, scope) {
            Ok(kind) => kind,
            Err(wanted) => {
                self.miss(scope.unit, wanted, field.at, full_name.into(), "field");
                return None;
            }
        };
        let repeated = field.label() == label::REPEATED;
        let map = match kind {
            Kind::Message(ix) => repeated && self.schema[ix].map_entry,
            _ => false,
        };
        if let Kind::Message(ix) = kind
            && features.delimited
            && !map
            && !place.map_entry
        {
            kind = Kind::Group(ix);
        }
        let message = matches!(kind, Kind::Message(_) | Kind::Group(_));
        let explicit = features.explicit_presence
            || message
            || place.extension
            || field.proto3_optional()
            || field.label() == label::REQUIRED;
        let cardinality = match (repeated, map) {
            (_, true) => Cardinality::Map,
            (true, false) => Cardinality::Repeated,
            (false, false) if explicit => Cardinality::Explicit,
            (false, false) => Cardinality::Implicit,
        };
        let packable = !message && !matches!(kind, Kind::String | Kind::Bytes);
        let json_name: Box<str> = match &field.json_name {
            _ if place.extension => format!("[{full_name}]").into(),
            Some(given) if given.len() <= MAX_NAME => given.as_str().into(),
            _ => json_name(name).into(),
        };
        Some(Field {
            number: number.cast_unsigned(),
            name: if place.extension { full_name.clone() } else { name.into() },
            json_key: json_key(&json_name),
            json_name,
            full_name,
            kind,
            cardinality,
            packed: repeated && packable && options.and_then(|o| o.packed).unwrap_or(features.packed),
            oneof: None,
            utf8: kind == Kind::String && features.utf8,
            redact: options.is_some_and(|o| o.debug_redact()),
        })
    }

    /// The kind of a field, or the name of its type if that cannot be found.
    pub(super) fn kind(&mut self, field: &descriptor::Field, scope: &Scope) -> Result<Kind, Box<str>> {
        if let Some(scalar) = scalar(field.r#type.unwrap_or_default()) {
            return Ok(scalar);
        }
        let wanted = field.type_name.as_deref().unwrap_or_default();
        let group = field.r#type == Some(field_type::GROUP);
        match self.resolve(wanted, scope) {
            Some(SymbolKind::Message(ix)) if group => Ok(Kind::Group(ix)),
            Some(SymbolKind::Message(ix)) if field.r#type != Some(field_type::ENUM) => Ok(Kind::Message(ix)),
            Some(SymbolKind::Enum(ix)) if field.r#type.is_none_or(|t| t == field_type::ENUM) => Ok(Kind::Enum(ix)),
            _ => Err(wanted.trim_start_matches('.').into()),
        }
    }

    /// Adds extensions to the messages that they extend.
    pub(super) fn extend(&mut self) {
        let mut changed = HashSet::new();
        for (field, scope) in std::mem::take(&mut self.extensions) {
            let extendee = field.extendee.as_deref().unwrap_or_default();
            let Some(SymbolKind::Message(ix)) = self.resolve(extendee, &scope) else {
                // Custom options are extensions of descriptor.proto's types: nothing decodes by them.
                if !extendee.trim_start_matches('.').starts_with("google.protobuf.") {
                    let name = join(&scope.name, field.name.as_deref().unwrap_or_default());
                    self.miss(scope.unit, extendee.trim_start_matches('.').into(), field.at, name.into(), "extension");
                }
                continue;
            };
            let place = Place {
                scope: &scope,
                features: scope.features,
                map_entry: false,
                extension: true,
                max_number: if self.schema[ix].message_set { MAX_SET_NUMBER } else { MAX_NUMBER },
            };
            if let Some(made) = self.field(field, &place)
                && let Some(message) = self.schema.messages.get_mut(ix.0 as usize)
            {
                message.fields.push(made);
                changed.insert(ix.0);
            }
        }
        for ix in changed {
            if let Some(message) = self.schema.messages.get_mut(ix as usize) {
                sort_fields(&mut message.fields);
            }
        }
    }
}

/// The kind that a number of `FieldDescriptorProto.Type` stands for, if it needs no name.
fn scalar(number: i32) -> Option<Kind> {
    Some(match number {
        1 => Kind::Double,
        2 => Kind::Float,
        3 => Kind::Int64,
        4 => Kind::Uint64,
        5 => Kind::Int32,
        6 => Kind::Fixed64,
        7 => Kind::Fixed32,
        8 => Kind::Bool,
        9 => Kind::String,
        12 => Kind::Bytes,
        13 => Kind::Uint32,
        15 => Kind::Sfixed32,
        16 => Kind::Sfixed64,
        17 => Kind::Sint32,
        18 => Kind::Sint64,
        _ => return None,
    })
}

/// `"name":` as written in JSON.
fn json_key(name: &str) -> Box<[u8]> {
    let mut key = Vec::with_capacity(name.len() + 3);
    crate::json::write_string(&mut key, name);
    key.push(b':');
    key.into()
}

/// `some_name` to `someName`, as protoc does it: an underscore goes, and the letter after it becomes upper case.
fn json_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                out.push(c.to_ascii_uppercase());
                upper = false;
            }
            c => out.push(c),
        }
    }
    out
}
