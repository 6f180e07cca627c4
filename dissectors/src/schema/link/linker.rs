//! The steps of linking: every name first, then what follows it.

use super::names::MAX_NAME;
use super::shape::well_known;
use crate::schema::Diagnostic;
use crate::schema::descriptor;
use crate::schema::features::{Edition, InForce};
use crate::schema::table::{Enum, EnumIx, Message, MessageIx, Schema};
use hashbrown::{HashMap, HashSet};
use smallvec::{SmallVec, smallvec};

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
    /// The diagnostic about its imports when a type is missing: which files were used for them without certainty.
    pub(crate) guessed: &'a [String],
}

/// The table of `units`. Of two definitions of a name, that of the earlier unit is taken.
pub(crate) fn link(units: &[Unit<'_>], diagnostics: &mut Vec<Diagnostic>) -> Schema {
    let mut linker = Linker { units, ..Linker::new(diagnostics) };
    linker.declare();
    linker.fill();
    linker.extend();
    linker.check_maps();
    linker.check_well_known();
    linker.serve();
    linker.finish()
}

pub(super) struct Linker<'a, 's> {
    pub(super) units: &'a [Unit<'a>],
    pub(super) diagnostics: &'s mut Vec<Diagnostic>,
    pub(super) schema: Schema,
    pub(super) symbols: HashMap<Box<str>, Symbol>,
    /// Messages in the order of their table index.
    pub(super) firsts: Vec<Declared<'a>>,
    /// Messages whose name was taken, with the index that has it.
    pub(super) seconds: Vec<(Declared<'a>, MessageIx)>,
    pub(super) extensions: Vec<(&'a descriptor::Field, Scope)>,
    pub(super) services: Vec<(&'a descriptor::Service, Scope)>,
    /// How many diagnostics a unit has.
    pub(super) warnings_of: HashMap<usize, usize>,
    pub(super) missing: Vec<Missing>,
    pub(super) missing_index: HashMap<(usize, Box<str>), usize>,
    /// Empty stand-ins for types of methods that cannot be found.
    pub(super) stubs: HashMap<Box<str>, MessageIx>,
    /// The units that the unit at hand can see.
    pub(super) visible: HashSet<usize>,
    pub(super) visible_for: Option<usize>,
}

/// What a name stands for, and which units define it.
pub(super) struct Symbol {
    pub(super) kind: SymbolKind,
    pub(super) units: SmallVec<[u32; 1]>,
}

#[derive(Clone, Copy)]
pub(super) enum SymbolKind {
    Message(MessageIx),
    Enum(EnumIx),
}

/// A message to be filled.
pub(super) struct Declared<'a> {
    pub(super) descriptor: &'a descriptor::Message,
    pub(super) scope: Scope,
}

/// Where names are looked up from, and which features hold there.
#[derive(Clone)]
pub(super) struct Scope {
    pub(super) unit: usize,
    pub(super) name: Box<str>,
    pub(super) features: InForce,
}

/// A type that a file needs and nothing defines.
pub(super) struct Missing {
    pub(super) unit: usize,
    pub(super) name: Box<str>,
    pub(super) at: Option<u32>,
    pub(super) first: String,
    pub(super) count: usize,
    pub(super) kind: &'static str,
}

/// Where a field stands.
pub(super) struct Place<'p> {
    pub(super) scope: &'p Scope,
    pub(super) features: InForce,
    pub(super) map_entry: bool,
    pub(super) extension: bool,
    pub(super) max_number: i32,
}

impl<'a, 's> Linker<'a, 's> {
    pub(super) fn new(diagnostics: &'s mut Vec<Diagnostic>) -> Self {
        Linker {
            units: &[],
            diagnostics,
            schema: Schema::default(),
            symbols: HashMap::new(),
            firsts: Vec::new(),
            seconds: Vec::new(),
            extensions: Vec::new(),
            services: Vec::new(),
            warnings_of: HashMap::new(),
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
                self.warn(at, unknown_edition(file));
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
                self.warn_duplicate(&name, first, unit);
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
        let mut aliases = Vec::new();
        values.dedup_by(|later, first| {
            let is_alias = later.0 == first.0;
            if is_alias {
                aliases.push((later.0, std::mem::take(&mut later.1)));
            }
            is_alias
        });
        let unit = outer.unit;
        if let Some(symbol) = self.symbols.get_mut(&name) {
            let first = symbol.units.first().map_or(unit, |&u| u as usize);
            let same = match symbol.kind {
                SymbolKind::Enum(ix) => self.schema.enums.get(ix.0 as usize).is_some_and(|e| e.values == values),
                SymbolKind::Message(_) => false,
            };
            symbol.units.push(unit as u32);
            if !same {
                self.warn_duplicate(&name, first, unit);
            }
            return;
        }
        let kind = SymbolKind::Enum(EnumIx(self.schema.enums.len() as u32));
        self.symbols.insert(name.clone(), Symbol { kind, units: smallvec![unit as u32] });
        self.schema.enums.push(Enum {
            name,
            values,
            aliases,
            default: descriptor.value.first().map(number).unwrap_or_default(),
            closed: features.closed_enum,
        });
    }

    fn finish(mut self) -> Schema {
        let mut missing = std::mem::take(&mut self.missing);
        missing.retain(|missing| self.may_warn(missing.unit));
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
            let mut diagnostics = Diagnostic::warning(Some(unit.name), message);
            if count > 1 {
                diagnostics = diagnostics.hint(match count {
                    2 => "and so in 1 more place of this file".into(),
                    _ => format!("and so in {} more places of this file", count - 1),
                });
            }
            diagnostics.hints.extend_from_slice(guessed);
            self.diagnostics.push(match at {
                Some(at) => diagnostics.at(unit.source, at as usize, at as usize + name.len()),
                None => diagnostics,
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
}

/// What to say about a file whose syntax or edition is not known.
fn unknown_edition(file: &descriptor::File) -> String {
    match (&file.syntax, file.edition) {
        (_, Some(number)) if number >= 1000 => format!("edition {number} is not known here: known are 2023 and 2024"),
        (Some(syntax), None) if syntax != "editions" => {
            let start: String = syntax.chars().take(40).collect();
            format!("syntax `{start}` is not known here: known are proto2, proto3 and editions 2023 and 2024")
        }
        _ => "the file's edition is not known here: known are 2023 and 2024".into(),
    }
}
