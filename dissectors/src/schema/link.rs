//! From descriptors to the table: names resolved, features applied, everything by index.
//!
//! Linking keeps what works. A type that cannot be found takes only the fields with it that have it, which are then
//! unknown fields on the wire, and is said once a file; of two definitions of one name the first stands; methods of a
//! service that several files define are put together. Nothing here fails.

use super::Diagnostic;
use super::descriptor::{self, field_type, label};
use super::features::{Edition, InForce};
use super::table::{Cardinality, Enum, EnumIx, Field, Kind, Message, MessageIx, Method, Schema, Service, WellKnown};
use hashbrown::{HashMap, HashSet};
use smallvec::{SmallVec, smallvec};

/// Longest full name that is taken over. Real ones stay far below 200; the limit bounds what many short names inside
/// one long package or many nested messages can add up to.
const MAX_NAME: usize = 512;

/// The largest field number that a tag can carry.
const MAX_NUMBER: i32 = (1 << 29) - 1;

/// The largest number of an extension of a message set, which no tag carries.
const MAX_SET_NUMBER: i32 = i32::MAX - 1;

/// How much is said about one file: who reads further has understood, and finding lines and columns takes time.
const MAX_SAID: usize = 100;

/// A file to link.
pub(crate) struct Unit<'a> {
    /// Its descriptor.
    pub(crate) file: &'a descriptor::File,
    /// How it is called towards the user.
    pub(crate) name: &'a str,
    /// Its text, if it was text.
    pub(crate) source: Option<&'a str>,
    /// Which units it imports; `true` for `import public`.
    pub(crate) imports: Vec<(usize, bool)>,
    /// Whether it is one of our own, which give way silently to the user's.
    pub(crate) builtin: bool,
    /// What is to be said of its imports when it lacks a type: which files were taken for them without being sure.
    pub(crate) guessed: &'a [String],
}

/// The table of `units`. Of two definitions of a name, that of the earlier unit is taken.
pub(crate) fn link(units: &[Unit<'_>], said: &mut Vec<Diagnostic>) -> Schema {
    let mut linker = Linker { units, ..Linker::new(said) };
    linker.declare();
    linker.fill();
    linker.extend();
    linker.check_maps();
    linker.check_well_known();
    linker.serve();
    linker.finish()
}

struct Linker<'a, 's> {
    units: &'a [Unit<'a>],
    said: &'s mut Vec<Diagnostic>,
    schema: Schema,
    symbols: HashMap<Box<str>, Symbol>,
    /// Messages in the order of their table index.
    firsts: Vec<Declared<'a>>,
    /// Messages whose name was taken, with the index that has it.
    seconds: Vec<(Declared<'a>, MessageIx)>,
    extensions: Vec<(&'a descriptor::Field, Scope)>,
    services: Vec<(&'a descriptor::Service, Scope)>,
    /// How much was said about a unit.
    said_of: HashMap<usize, usize>,
    missing: Vec<Missing>,
    missing_index: HashMap<(usize, Box<str>), usize>,
    /// Empty stand-ins for types of methods that cannot be found.
    stubs: HashMap<Box<str>, MessageIx>,
    /// The units that the unit at hand can see.
    visible: HashSet<usize>,
    visible_for: Option<usize>,
}

/// What a name stands for, and which units define it.
struct Symbol {
    kind: SymbolKind,
    units: SmallVec<[u32; 1]>,
}

#[derive(Clone, Copy)]
enum SymbolKind {
    Message(MessageIx),
    Enum(EnumIx),
}

/// A message to be filled.
struct Declared<'a> {
    descriptor: &'a descriptor::Message,
    scope: Scope,
}

/// Where names are looked up from, and which features hold there.
#[derive(Clone)]
struct Scope {
    unit: usize,
    name: Box<str>,
    features: InForce,
}

/// A type that a file needs and nothing defines.
struct Missing {
    unit: usize,
    name: Box<str>,
    at: Option<u32>,
    first: String,
    count: usize,
    kind: &'static str,
}

impl<'a, 's> Linker<'a, 's> {
    fn new(said: &'s mut Vec<Diagnostic>) -> Self {
        Linker {
            units: &[],
            said,
            schema: Schema::default(),
            symbols: HashMap::new(),
            firsts: Vec::new(),
            seconds: Vec::new(),
            extensions: Vec::new(),
            services: Vec::new(),
            said_of: HashMap::new(),
            missing: Vec::new(),
            missing_index: HashMap::new(),
            stubs: HashMap::new(),
            visible: HashSet::new(),
            visible_for: None,
        }
    }

    /// Gives every message and enumeration its index.
    fn declare(&mut self) {
        let units = self.units;
        for (at, unit) in units.iter().enumerate() {
            let file = unit.file;
            let Some(edition) = Edition::of(file.syntax.as_deref(), file.edition) else {
                self.say(at, unknown_edition(file));
                continue;
            };
            let own = file.options.as_ref().and_then(|o| o.features.as_ref());
            let scope = Scope {
                unit: at,
                name: file.package.as_deref().unwrap_or_default().into(),
                features: InForce::defaults(edition).with(own),
            };
            for descriptor in &file.enum_type {
                self.declare_enum(descriptor, &scope);
            }
            for descriptor in &file.message_type {
                self.declare_message(descriptor, &scope);
            }
            self.extensions.extend(file.extension.iter().map(|e| (e, scope.clone())));
            self.services.extend(file.service.iter().map(|s| (s, scope.clone())));
        }
    }

    fn declare_message(&mut self, descriptor: &'a descriptor::Message, outer: &Scope) {
        let Some(name) = self.full_name(outer, descriptor.name.as_deref(), "a message") else { return };
        let options = descriptor.options.as_ref();
        let scope = Scope {
            features: outer.features.with(options.and_then(|o| o.features.as_ref())),
            name: name.clone(),
            ..*outer
        };
        for nested in &descriptor.enum_type {
            self.declare_enum(nested, &scope);
        }
        self.extensions.extend(descriptor.extension.iter().map(|e| (e, scope.clone())));
        let unit = scope.unit;
        match self.symbols.get_mut(&name) {
            None => {
                let ix = MessageIx(self.schema.messages.len() as u32);
                let kind = SymbolKind::Message(ix);
                self.symbols.insert(name.clone(), Symbol { kind, units: smallvec![unit as u32] });
                self.schema.messages.push(Message {
                    well_known: well_known(&name),
                    name,
                    fields: Vec::new(),
                    oneofs: Vec::new(),
                    map_entry: options.is_some_and(|o| o.map_entry()),
                    message_set: options.is_some_and(|o| o.message_set_wire_format()),
                });
                self.firsts.push(Declared { descriptor, scope: scope.clone() });
            }
            Some(Symbol { kind: SymbolKind::Message(ix), units }) => {
                let ix = *ix;
                units.push(unit as u32);
                self.seconds.push((Declared { descriptor, scope: scope.clone() }, ix));
            }
            Some(Symbol { kind: SymbolKind::Enum(_), units }) => {
                let first = units.first().map_or(unit, |&u| u as usize);
                self.say_twice(&name, first, unit);
            }
        }
        for nested in &descriptor.nested_type {
            self.declare_message(nested, &scope);
        }
    }

    fn declare_enum(&mut self, descriptor: &descriptor::Enum, outer: &Scope) {
        let Some(name) = self.full_name(outer, descriptor.name.as_deref(), "an enum") else { return };
        let features = outer.features.with(descriptor.options.as_ref().and_then(|o| o.features.as_ref()));
        let number = |value: &descriptor::EnumValue| value.number.unwrap_or_default();
        let mut values: Vec<(i32, Box<str>)> =
            descriptor.value.iter().filter_map(|v| Some((number(v), v.name.as_deref()?.into()))).collect();
        // A stable sort, so that of aliases the first one declared stays.
        values.sort_by_key(|&(n, _)| n);
        values.dedup_by_key(|&mut (n, _)| n);
        let unit = outer.unit;
        if let Some(symbol) = self.symbols.get_mut(&name) {
            let first = symbol.units.first().map_or(unit, |&u| u as usize);
            let same = match symbol.kind {
                SymbolKind::Enum(ix) => self.schema.enums.get(ix.0 as usize).is_some_and(|e| e.values == values),
                SymbolKind::Message(_) => false,
            };
            symbol.units.push(unit as u32);
            if !same {
                self.say_twice(&name, first, unit);
            }
            return;
        }
        let kind = SymbolKind::Enum(EnumIx(self.schema.enums.len() as u32));
        self.symbols.insert(name.clone(), Symbol { kind, units: smallvec![unit as u32] });
        self.schema.enums.push(Enum {
            name,
            values,
            default: descriptor.value.first().map(number).unwrap_or_default(),
            closed: features.closed_enum,
        });
    }

    /// Fills the messages with their fields.
    fn fill(&mut self) {
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
                self.say_twice(&declared.scope.name, first, declared.scope.unit);
            }
        }
    }

    fn fields(&mut self, declared: &Declared<'a>) -> (Vec<Field>, Vec<Box<str>>) {
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
            self.say(scope.unit, message);
        }
        (fields, oneofs)
    }

    fn field(&mut self, field: &descriptor::Field, place: &Place<'_>) -> Option<Field> {
        let Place { scope, .. } = *place;
        let name = field.name.as_deref().unwrap_or_default();
        let full_name = self.full_name(scope, field.name.as_deref(), "a field")?;
        let number = field.number.unwrap_or_default();
        if !(1..=place.max_number).contains(&number) {
            self.say(
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
    fn kind(&mut self, field: &descriptor::Field, scope: &Scope) -> Result<Kind, Box<str>> {
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
    fn extend(&mut self) {
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

    /// Holds what the table promises of map entries. A map whose key or value is of a type that is not there cannot be
    /// shown; an entry that is none (a compiler makes no such) is an ordinary message.
    fn check_maps(&mut self) {
        let schema = &mut self.schema;
        let incomplete: Vec<bool> = schema.messages.iter().map(|m| m.map_entry && m.fields.len() < 2).collect();
        for message in schema.messages.iter_mut().filter(|m| m.map_entry) {
            message.map_entry = is_entry(&message.fields);
        }
        let entries: Vec<bool> = schema.messages.iter().map(|m| m.map_entry).collect();
        let among = |list: &[bool], field: &Field| match field.kind {
            Kind::Message(ix) => list.get(ix.0 as usize).copied().unwrap_or_default(),
            _ => false,
        };
        for message in &mut schema.messages {
            message.fields.retain(|f| f.cardinality != Cardinality::Map || !among(&incomplete, f));
            for field in message.fields.iter_mut().filter(|f| f.cardinality == Cardinality::Map) {
                if !among(&entries, field) {
                    field.cardinality = Cardinality::Repeated;
                }
            }
        }
    }

    /// Takes the mark of a well-known type from messages that only have its name.
    fn check_well_known(&mut self) {
        let wrong: Vec<usize> = (0..self.schema.messages.len())
            .filter(|&at| self.schema.messages.get(at).is_some_and(|m| !has_shape(&self.schema, m)))
            .collect();
        for at in wrong {
            if let Some(message) = self.schema.messages.get_mut(at) {
                message.well_known = None;
            }
        }
    }

    /// Links services; those of one name become one.
    fn serve(&mut self) {
        let mut names: HashMap<Box<str>, (u32, usize)> = HashMap::new();
        for (descriptor, scope) in std::mem::take(&mut self.services) {
            let Some(name) = self.full_name(&scope, descriptor.name.as_deref(), "a service") else { continue };
            let mut methods = Vec::with_capacity(descriptor.method.len());
            let mut seen = HashSet::new();
            for method in &descriptor.method {
                let bare = method.name.as_deref().unwrap_or_default();
                if bare.is_empty() || bare.len() > MAX_NAME || !seen.insert(bare) {
                    continue;
                }
                let full = join(&name, bare);
                methods.push(Method {
                    name: bare.into(),
                    input: self.method_type(method.input_type(), method.input_at, &scope, &full),
                    output: self.method_type(method.output_type(), method.output_at, &scope, &full),
                    client_streaming: method.client_streaming(),
                    server_streaming: method.server_streaming(),
                    idempotency: idempotency(method),
                });
            }
            match names.get(&name) {
                None => {
                    names.insert(name.clone(), (self.schema.services.len() as u32, scope.unit));
                    self.schema.services.push(Service { name, methods });
                }
                Some(&(ix, first)) => self.join_service(ix, methods, first, scope.unit),
            }
        }
        self.schema.service_names = names.into_iter().map(|(name, (ix, _))| (name, ix)).collect();
    }

    /// Adds to a service the methods that only a second definition of it has.
    fn join_service(&mut self, ix: u32, methods: Vec<Method>, first: usize, second: usize) {
        let Some(service) = self.schema.services.get_mut(ix as usize) else { return };
        let known: HashMap<Box<str>, usize> =
            service.methods.iter().enumerate().map(|(at, m)| (m.name.clone(), at)).collect();
        let mut differs = false;
        for method in methods {
            match known.get(&method.name).and_then(|&at| service.methods.get(at)) {
                None => service.methods.push(method),
                Some(there) => {
                    let shape = |m: &Method| (m.input, m.output, m.client_streaming, m.server_streaming);
                    differs |= shape(there) != shape(&method);
                }
            }
        }
        let name = service.name.clone();
        if differs {
            self.say_twice(&name, first, second);
        }
    }

    fn method_type(&mut self, wanted: &str, at: Option<u32>, scope: &Scope, method: &str) -> MessageIx {
        if let Some(SymbolKind::Message(ix)) = self.resolve(wanted, scope) {
            return ix;
        }
        let bare: Box<str> = wanted.trim_start_matches('.').chars().take(MAX_NAME).collect();
        self.miss(scope.unit, bare.clone(), at, method.into(), "method");
        if let Some(&ix) = self.stubs.get(&bare) {
            return ix;
        }
        let ix = MessageIx(self.schema.messages.len() as u32);
        self.schema.messages.push(Message {
            name: bare.clone(),
            fields: Vec::new(),
            oneofs: Vec::new(),
            map_entry: false,
            message_set: false,
            well_known: None,
        });
        self.stubs.insert(bare, ix);
        ix
    }

    fn finish(mut self) -> Schema {
        let mut missing = std::mem::take(&mut self.missing);
        missing.retain(|missing| self.may_say(missing.unit));
        let mut guesses_said = HashSet::new();
        for missing in missing {
            let Missing { unit, name, at, first, count, kind } = missing;
            let effect = match kind {
                "method" => format!("messages of the method `{first}` are shown without their fields"),
                "extension" => format!("the extension `{first}` is left out"),
                _ => format!("the field `{first}` is shown as unknown"),
            };
            let guessed = if guesses_said.insert(unit) { self.unit(unit).guessed } else { &[] };
            let unit = self.unit(unit);
            let message = match &*name {
                "" => format!("a type has no name: {effect}"),
                name if name.len() > MAX_NAME => format!("a type's name is longer than {MAX_NAME} bytes: {effect}"),
                name => format!("type `{name}` is not defined in any schema file: {effect}"),
            };
            let mut said = Diagnostic::warning(Some(unit.name), message);
            if count > 1 {
                said = said.hint(match count {
                    2 => "and so in 1 more place of this file".into(),
                    _ => format!("and so in {} more places of this file", count - 1),
                });
            }
            said.hints.extend_from_slice(guessed);
            self.said.push(match at {
                Some(at) => said.at(unit.source, at as usize, at as usize + name.len()),
                None => said,
            });
        }
        self.schema.message_names = self
            .symbols
            .into_iter()
            .filter_map(|(name, symbol)| match symbol.kind {
                SymbolKind::Message(ix) => Some((name, ix)),
                SymbolKind::Enum(_) => None,
            })
            .collect();
        self.schema
    }

    /// What `name` means inside `scope`: innermost first, then outwards, among what the file can see; a file that
    /// forgets an import is helped out by looking everywhere.
    fn resolve(&mut self, name: &str, scope: &Scope) -> Option<SymbolKind> {
        if let Some(absolute) = name.strip_prefix('.') {
            return self.symbols.get(absolute).map(|s| s.kind);
        }
        if name.is_empty() || name.len() > MAX_NAME {
            return None;
        }
        self.see(scope.unit);
        let mut anywhere = None;
        let mut outer = &*scope.name;
        let mut candidate = String::with_capacity(outer.len() + 1 + name.len());
        loop {
            candidate.clear();
            candidate.push_str(outer);
            if !outer.is_empty() {
                candidate.push('.');
            }
            candidate.push_str(name);
            if let Some(symbol) = self.symbols.get(candidate.as_str()) {
                if symbol.units.iter().any(|&unit| self.visible.contains(&(unit as usize))) {
                    return Some(symbol.kind);
                }
                anywhere = anywhere.or(Some(symbol.kind));
            }
            if outer.is_empty() {
                return anywhere;
            }
            outer = outer.rfind('.').and_then(|dot| outer.get(..dot)).unwrap_or_default();
        }
    }

    /// Works out which units `unit` sees: itself, its imports, and what those import publicly.
    fn see(&mut self, unit: usize) {
        if self.visible_for == Some(unit) {
            return;
        }
        self.visible_for = Some(unit);
        self.visible.clear();
        self.visible.insert(unit);
        let mut open: Vec<usize> = self.unit(unit).imports.iter().map(|&(at, _)| at).collect();
        while let Some(at) = open.pop() {
            if self.visible.insert(at)
                && let Some(seen) = self.units.get(at)
            {
                open.extend(seen.imports.iter().filter(|&&(_, public)| public).map(|&(at, _)| at));
            }
        }
    }

    fn full_name(&mut self, outer: &Scope, name: Option<&str>, what: &str) -> Option<Box<str>> {
        let name = name.unwrap_or_default();
        if name.is_empty() {
            self.say(outer.unit, format!("{what} in `{}` has no name: it is left out", outer.name));
            return None;
        }
        if outer.name.len() + 1 + name.len() > MAX_NAME {
            let start: String = name.chars().take(40).collect();
            self.say(
                outer.unit,
                format!("the full name of {what} is longer than {MAX_NAME} bytes: `{start}…` is left out"),
            );
            return None;
        }
        Some(join(&outer.name, name))
    }

    fn miss(&mut self, unit: usize, name: Box<str>, at: Option<u32>, first: String, kind: &'static str) {
        let next = self.missing.len();
        let at_index = *self.missing_index.entry((unit, name.clone())).or_insert(next);
        match self.missing.get_mut(at_index) {
            Some(known) => known.count += 1,
            None => self.missing.push(Missing { unit, name, at, first, count: 1, kind }),
        }
    }

    fn unit(&self, at: usize) -> &'a Unit<'a> {
        &self.units[at]
    }

    fn say(&mut self, unit: usize, message: String) {
        if self.may_say(unit) {
            let name = self.unit(unit).name;
            self.said.push(Diagnostic::warning(Some(name), message));
        }
    }

    /// Whether one more thing may be said about `unit`; the last one is that there is more.
    fn may_say(&mut self, unit: usize) -> bool {
        let count = self.said_of.entry(unit).or_default();
        *count += 1;
        let count = *count;
        if count == MAX_SAID {
            let message = "there is more to be said about this file, which is not shown".into();
            self.said.push(Diagnostic::warning(Some(self.unit(unit).name), message));
        }
        count < MAX_SAID
    }

    fn say_twice(&mut self, name: &str, first: usize, second: usize) {
        if self.unit(first).builtin || self.unit(second).builtin {
            return;
        }
        let message = if first == second {
            format!("`{name}` is defined twice: the first definition is used")
        } else {
            format!("`{name}` is defined otherwise in {}, which is used", self.unit(first).name)
        };
        self.say(second, message);
    }
}

/// Where a field stands.
struct Place<'p> {
    scope: &'p Scope,
    features: InForce,
    map_entry: bool,
    extension: bool,
    max_number: i32,
}

/// What to say about a file whose syntax or edition is not known.
pub(crate) fn unknown_edition(file: &descriptor::File) -> String {
    match (&file.syntax, file.edition) {
        (_, Some(number)) if number >= 1000 => format!("edition {number} is not known here: known are 2023 and 2024"),
        (Some(syntax), None) if syntax != "editions" => {
            let start: String = syntax.chars().take(40).collect();
            format!("syntax `{start}` is not known here: known are proto2, proto3 and editions 2023 and 2024")
        }
        _ => "the file's edition is not known here: known are 2023 and 2024".into(),
    }
}

fn join(outer: &str, name: &str) -> Box<str> {
    if outer.is_empty() { name.into() } else { format!("{outer}.{name}").into() }
}

/// By number; of two with one number the first stays.
fn sort_fields(fields: &mut Vec<Field>) {
    fields.sort_by_key(|f| f.number);
    fields.dedup_by_key(|f| f.number);
}

fn same_fields(a: &[Field], b: &[Field]) -> bool {
    let shape = |f: &Field| (f.number, f.kind, f.cardinality);
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| shape(a) == shape(b) && a.name == b.name)
}

/// Whether `fields` are those of a map entry.
fn is_entry(fields: &[Field]) -> bool {
    let [key, value] = fields else { return false };
    let keyed = !matches!(
        key.kind,
        Kind::Double | Kind::Float | Kind::Bytes | Kind::Enum(_) | Kind::Message(_) | Kind::Group(_)
    );
    let single = |f: &Field| matches!(f.cardinality, Cardinality::Implicit | Cardinality::Explicit);
    keyed && (key.number, value.number) == (1, 2) && single(key) && single(value)
}

/// Whether `message` has the fields that its mark as a well-known type promises.
fn has_shape(schema: &Schema, message: &Message) -> bool {
    let Some(known) = message.well_known else { return true };
    let single = |f: &Field| matches!(f.cardinality, Cardinality::Implicit | Cardinality::Explicit);
    let is = |f: &Field, kind| f.kind == kind && single(f);
    let named = |f: &Field, name: &str| matches!(f.kind, Kind::Message(ix) if &*schema[ix].name == name);
    let in_order = message.fields.iter().zip(1..).all(|(f, number)| f.number == number);
    in_order
        && match (known, &*message.fields) {
            (WellKnown::Any, [url, value]) => is(url, Kind::String) && is(value, Kind::Bytes),
            (WellKnown::Timestamp | WellKnown::Duration, [seconds, nanos]) => {
                is(seconds, Kind::Int64) && is(nanos, Kind::Int32)
            }
            (WellKnown::FieldMask, [paths]) => paths.kind == Kind::String && paths.cardinality == Cardinality::Repeated,
            (WellKnown::Struct, [fields]) => {
                let Kind::Message(entry) = fields.kind else { return false };
                fields.cardinality == Cardinality::Map
                    && matches!(&*schema[entry].fields, [key, value]
                        if key.kind == Kind::String && named(value, "google.protobuf.Value"))
            }
            (WellKnown::Value, [null, number, string, boolean, map, list]) => {
                matches!(null.kind, Kind::Enum(_))
                    && is(number, Kind::Double)
                    && is(string, Kind::String)
                    && is(boolean, Kind::Bool)
                    && named(map, "google.protobuf.Struct")
                    && named(list, "google.protobuf.ListValue")
                    && message.fields.iter().all(|f| f.oneof == Some(0))
            }
            (WellKnown::ListValue, [values]) => {
                values.cardinality == Cardinality::Repeated && named(values, "google.protobuf.Value")
            }
            (WellKnown::Wrapper, [value]) => {
                single(value) && !matches!(value.kind, Kind::Enum(_) | Kind::Message(_) | Kind::Group(_))
            }
            (WellKnown::Empty, []) => true,
            _ => false,
        }
}

fn idempotency(method: &descriptor::Method) -> u8 {
    match method.options.as_ref().and_then(|o| o.idempotency_level) {
        Some(1) => 1,
        Some(2) => 2,
        _ => 0,
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

/// `"name":` as it stands in JSON.
fn json_key(name: &str) -> Box<[u8]> {
    let mut key = Vec::with_capacity(name.len() + 3);
    crate::json::write_string(&mut key, name);
    key.push(b':');
    key.into()
}

/// `some_name` to `someName`, as protoc does it: an underscore goes, and the letter behind it becomes upper case.
pub(crate) fn json_name(name: &str) -> String {
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

fn well_known(name: &str) -> Option<WellKnown> {
    Some(match name.strip_prefix("google.protobuf.")? {
        "Any" => WellKnown::Any,
        "Timestamp" => WellKnown::Timestamp,
        "Duration" => WellKnown::Duration,
        "FieldMask" => WellKnown::FieldMask,
        "Struct" => WellKnown::Struct,
        "Value" => WellKnown::Value,
        "ListValue" => WellKnown::ListValue,
        "Empty" => WellKnown::Empty,
        "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value" | "UInt32Value" | "BoolValue"
        | "StringValue" | "BytesValue" => WellKnown::Wrapper,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::descriptor::{EnumValue, File, FileSet, MessageOptions};
    use crate::schema::testing::descriptors;
    use prost::Message as _;

    fn field(name: &str, number: i32, r#type: i32, type_name: Option<&str>) -> descriptor::Field {
        descriptor::Field {
            name: Some(name.into()),
            number: Some(number),
            label: Some(label::OPTIONAL),
            r#type: Some(r#type),
            type_name: type_name.map(Into::into),
            ..Default::default()
        }
    }

    fn message(name: &str, field: Vec<descriptor::Field>) -> descriptor::Message {
        descriptor::Message { name: Some(name.into()), field, ..Default::default() }
    }

    fn file(name: &str, message_type: Vec<descriptor::Message>) -> File {
        File { name: Some(name.into()), syntax: Some("proto3".into()), message_type, ..Default::default() }
    }

    /// The table of these files, and the texts of what is said.
    fn linked(files: Vec<File>) -> (Schema, Vec<String>) {
        let (schema, said) = Schema::from_descriptors(&FileSet { file: files }.encode_to_vec()).unwrap();
        (schema, said.iter().map(ToString::to_string).collect())
    }

    fn fields(schema: &Schema, name: &str) -> Vec<(u32, Cardinality)> {
        schema[schema.message(name).unwrap()].fields.iter().map(|f| (f.number, f.cardinality)).collect()
    }

    #[test]
    fn what_no_compiler_makes_is_left_out_and_said() {
        let (schema, said) = linked(vec![file(
            "a.proto",
            vec![message(
                "M",
                vec![
                    field("zero", 0, 9, None),
                    field("large", 1 << 29, 9, None),
                    field("", 2, 9, None),
                    field("odd", 3, 99, None),
                    field("gone", 4, field_type::MESSAGE, Some(".x.Gone")),
                    field("first", 5, 9, None),
                    field("second", 5, 5, None),
                    field("enumeration", 6, field_type::ENUM, Some(".M")),
                    field("long", 7, 9, Some(&"x".repeat(9))),
                    field(&"n".repeat(600), 8, 9, None),
                ],
            )],
        )]);
        assert_eq!(fields(&schema, "M"), [(5, Cardinality::Implicit), (7, Cardinality::Implicit)]);
        assert_eq!(&*schema[schema.message("M").unwrap()].fields[0].name, "first");
        let at = "descriptor set: a.proto: warning:";
        let long = "n".repeat(40);
        assert_eq!(
            said,
            [
                format!("{at} `M.zero` has the number 0, which no field can have: it is left out"),
                format!("{at} `M.large` has the number 536870912, which no field can have: it is left out"),
                format!("{at} a field in `M` has no name: it is left out"),
                format!("{at} the full name of a field is longer than 512 bytes: `{long}…` is left out"),
                format!("{at} `M` has two fields of one number: the first is used"),
                format!("{at} a type has no name: the field `M.odd` is shown as unknown"),
                format!("{at} type `x.Gone` is not defined in any schema file: the field `M.gone` is shown as unknown"),
                format!(
                    "{at} type `M` is not defined in any schema file: the field `M.enumeration` is shown as unknown"
                ),
            ]
        );
    }

    #[test]
    fn a_map_is_one_only_if_its_entry_is() {
        let entry = |name: &str, fields| descriptor::Message {
            options: Some(MessageOptions { map_entry: Some(true), ..Default::default() }),
            ..message(name, fields)
        };
        let map = |name: &str, number, entry: &str| descriptor::Field {
            label: Some(label::REPEATED),
            ..field(name, number, field_type::MESSAGE, Some(entry))
        };
        let (schema, said) = linked(vec![file(
            "a.proto",
            vec![
                message("M", vec![map("good", 1, ".Good"), map("odd", 2, ".Odd"), map("half", 3, ".Half")]),
                entry("Good", vec![field("key", 1, 9, None), field("value", 2, 9, None)]),
                entry("Odd", vec![field("key", 1, 12, None), field("value", 2, 9, None)]),
                entry("Half", vec![field("key", 1, 9, None), field("value", 2, field_type::MESSAGE, Some(".Gone"))]),
            ],
        )]);
        assert_eq!(fields(&schema, "M"), [(1, Cardinality::Map), (2, Cardinality::Repeated)]);
        assert_eq!(said.len(), 1, "{said:?}");
    }

    #[test]
    fn only_what_looks_like_a_well_known_type_is_one() {
        let named = |name: &str, fields| File {
            package: Some("google.protobuf".into()),
            ..file(name, vec![message(name, fields)])
        };
        let (schema, _) = linked(vec![
            named("Timestamp", vec![field("seconds", 1, 9, None), field("nanos", 2, 5, None)]),
            named("Empty", vec![field("x", 1, 9, None)]),
            named("Struct", vec![]),
        ]);
        let known = |name: &str| schema[schema.message(name).unwrap()].well_known;
        assert_eq!(known("google.protobuf.Timestamp"), None);
        assert_eq!(known("google.protobuf.Empty"), None);
        assert_eq!(known("google.protobuf.Struct"), None);
        assert_eq!(known("google.protobuf.Duration"), Some(WellKnown::Duration));
        let all = Schema::builtin();
        let known = |name: &str| all[all.message(&format!("google.protobuf.{name}")).unwrap()].well_known.is_some();
        for name in ["Any", "Timestamp", "Duration", "FieldMask", "Struct", "Value", "ListValue", "Empty"]
            .iter()
            .chain(&["DoubleValue", "FloatValue", "Int64Value", "UInt64Value", "Int32Value"])
            .chain(&["UInt32Value", "BoolValue", "StringValue", "BytesValue"])
        {
            assert!(known(name), "{name}");
        }
    }

    #[test]
    fn editions_not_known_here_leave_their_file_out() {
        let edition = |number| File {
            syntax: Some("editions".into()),
            edition: Some(number),
            ..file("e.proto", vec![message("E", vec![])])
        };
        let (schema, said) = linked(vec![edition(9999), file("a.proto", vec![message("A", vec![])])]);
        assert!(schema.message("E").is_none() && schema.message("A").is_some());
        assert_eq!(said, ["descriptor set: e.proto: warning: edition 9999 is not known here: known are 2023 and 2024"]);
        assert!(linked(vec![edition(1001)]).1.is_empty());
    }

    #[test]
    fn enums_keep_the_first_alias_and_their_default() {
        let values = [("B", 7), ("A", -1), ("A2", -1), ("C", 7)];
        let value = |&(name, number): &(&str, i32)| EnumValue { name: Some(name.into()), number: Some(number) };
        let (schema, _) = linked(vec![File {
            enum_type: vec![descriptor::Enum {
                name: Some("E".into()),
                value: values.iter().map(value).collect(),
                ..Default::default()
            }],
            syntax: None,
            ..file("a.proto", vec![])
        }]);
        let made = schema.enums.iter().find(|e| &*e.name == "E").unwrap();
        assert_eq!(made.values, [(-1, "A".into()), (7, "B".into())]);
        assert_eq!((made.default, made.closed), (7, true));
    }

    /// What a compiler with editions makes of `editions.proto`.
    #[test]
    fn editions_are_read_alike_from_text_and_from_a_compilers_set() {
        let text = include_str!("testdata/editions.proto");
        let set = include_bytes!("testdata/editions.binpb");
        let (from_text, said) = Schema::from_source(text);
        assert!(said.is_empty(), "{}", said[0]);
        let (from_set, said) = Schema::from_descriptors(set).unwrap();
        assert!(said.is_empty(), "{}", said[0]);
        let mut count = 0;
        for message in from_set.messages.iter().filter(|m| m.name.starts_with("ed.")) {
            let other = &from_text[from_text.message(&message.name).unwrap()];
            assert_eq!(message.fields.len(), other.fields.len());
            for (a, b) in message.fields.iter().zip(&other.fields) {
                let kind = |schema: &Schema, kind| match kind {
                    Kind::Message(ix) => format!("message {}", schema[ix].name),
                    Kind::Group(ix) => format!("group {}", schema[ix].name),
                    Kind::Enum(ix) => format!("enum {} {}", schema[ix].name, schema[ix].closed),
                    other => format!("{other:?}"),
                };
                assert_eq!(kind(&from_set, a.kind), kind(&from_text, b.kind), "{}", a.full_name);
                assert_eq!(
                    (a.number, &a.json_name, a.cardinality, a.packed, a.oneof, a.utf8, a.redact),
                    (b.number, &b.json_name, b.cardinality, b.packed, b.oneof, b.utf8, b.redact),
                    "{}",
                    a.full_name
                );
                count += 1;
            }
        }
        assert!(count > 20, "{count}");
        let fields = &from_set[from_set.message("ed.Fields").unwrap()];
        let shape: Vec<_> = fields.fields.iter().take(10).map(|f| (f.cardinality, f.packed, f.utf8)).collect();
        let (implicit, explicit, repeated) = (Cardinality::Implicit, Cardinality::Explicit, Cardinality::Repeated);
        assert_eq!(
            shape,
            [
                (implicit, false, false),
                (explicit, false, false),
                (explicit, false, false),
                (explicit, false, false),
                (repeated, false, false),
                (repeated, true, false),
                (implicit, false, false),
                (implicit, false, true),
                (explicit, false, false),
                (explicit, false, false),
            ]
        );
        assert!(matches!(fields.fields[8].kind, Kind::Group(_)));
        assert!(matches!(fields.fields[9].kind, Kind::Message(_)));
    }

    #[test]
    fn a_set_cut_anywhere_or_changed_anywhere_is_read_or_refused() {
        let whole = descriptors(
            "syntax = \"proto3\"; package p; message M { map<string, M> m = 1; oneof o { E e = 2; } optional M n = 3; }
             enum E { Z = 0; } service S { rpc R(stream M) returns (M); }",
        );
        for cut in 0..whole.len() {
            let _ = Schema::from_descriptors(&whole[..cut]);
            for flip in [0x01, 0x08, 0x80, 0xff] {
                let mut changed = whole.clone();
                changed[cut] ^= flip;
                let _ = Schema::from_descriptors(&changed);
            }
        }
    }

    #[test]
    fn not_everything_is_said_about_a_file_full_of_mistakes() {
        let gone = |n: i32| field(&format!("f{n}"), n, field_type::MESSAGE, Some(&format!(".gone.G{n}")));
        let bad = |n: i32| field(&format!("b{n}"), -n, 9, None);
        let (_, said) = linked(vec![
            file("a.proto", vec![message("M", (1..1000).map(gone).collect())]),
            file("b.proto", vec![message("N", (1..1000).map(bad).collect())]),
        ]);
        assert_eq!(said.len(), 2 * MAX_SAID);
        assert_eq!(said.iter().filter(|said| said.ends_with("which is not shown")).count(), 2);
    }

    #[test]
    fn deep_and_cyclic_sets_are_bounded() {
        let mut deep = message("M", vec![]);
        for _ in 0..95 {
            deep = descriptor::Message { nested_type: vec![deep], ..message("M", vec![]) };
        }
        let (schema, _) = linked(vec![file("a.proto", vec![deep.clone()])]);
        assert!(schema.message("M.M.M").is_some());
        for _ in 0..50 {
            deep = descriptor::Message { nested_type: vec![deep], ..message("M", vec![]) };
        }
        assert!(
            Schema::from_descriptors(&FileSet { file: vec![file("a.proto", vec![deep])] }.encode_to_vec()).is_err()
        );

        let cycle = |name: &str, other: &str| File {
            dependency: vec![other.into(), name.into()],
            public_dependency: vec![0, 1, 7, -1],
            ..file(name, vec![message(&name[..1], vec![field("f", 1, field_type::MESSAGE, Some("b"))])])
        };
        let (schema, said) = linked(vec![cycle("a.proto", "b.proto"), cycle("b.proto", "a.proto")]);
        assert_eq!(said, [""; 0]);
        assert_eq!(fields(&schema, "a").len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let _ = Schema::from_descriptors(&bytes);
        }
    }
}
