//! Putting a schema together from texts, descriptor sets and what they import.
//!
//! This module knows no files: texts come with an identity and a name to show, and imports are asked for through
//! [`ImportSource`]. What a file lacks takes only that with it which needs it.

use super::descriptor::{DescriptorSetError, File, MAX_DEFINITIONS, MAX_FILES, decode};
use super::files::{Extensions, SchemaFile, Writer};
use super::link::{Unit, link};
use super::parser::parse;
use super::{Diagnostic, Level, Schema, builtin};
use hashbrown::HashMap;
use std::ops::Range;

/// How many imports that are not found are reported one by one. After that many, no further ones are looked for: each
/// costs a look into several directories.
const MAX_MISSING: usize = 1_000;

/// How many places a message lists in which an import was looked for.
const MAX_PLACES: usize = 16;

/// The text of a `.proto` file.
#[derive(Clone, Debug)]
pub struct SourceText {
    /// What makes it the same file, under whatever name it is reached: its real path.
    pub identity: String,
    /// What to call it towards the user.
    pub name: String,
    /// Its contents.
    pub text: String,
}

/// Where an import was found, or was not.
#[derive(Clone, Debug)]
pub enum Located {
    /// There, as the file `identity`, to be called `name`.
    Found {
        /// As [`SourceText::identity`].
        identity: String,
        /// As [`SourceText::name`].
        name: String,
    },
    /// Nowhere; these places were tried.
    Missing {
        /// Directories, or whatever the source looks in, in the order in which they were tried.
        looked_in: Vec<String>,
    },
}

/// Whoever can find imports: a file system, a server's reflection.
pub trait ImportSource {
    /// Where the file is that `import "name";` means in the file with the identity `importer`; in a descriptor set's
    /// file the importer is unknown.
    fn locate(&mut self, name: &str, importer: Option<&str>) -> Located;

    /// Where a file is that may be meant, asked when nothing else has the import. By default, nowhere.
    fn guess(&mut self, name: &str, importer: Option<&str>) -> Located {
        let _ = (name, importer);
        Located::Missing { looked_in: Vec::new() }
    }

    /// The text of the file `identity`; or why it cannot be read, in lower case and without a full stop.
    fn read(&mut self, identity: &str) -> Result<String, String>;
}

/// No imports but the built-in ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoImports;

impl ImportSource for NoImports {
    fn locate(&mut self, _: &str, _: Option<&str>) -> Located {
        Located::Missing { looked_in: Vec::new() }
    }

    fn read(&mut self, _: &str) -> Result<String, String> {
        Err("there is nothing to read from".into())
    }
}

/// A schema in the making. What is added first goes first where two files define the same name.
///
/// ```
/// use rpcshark_dissectors::schema::{Builder, NoImports, SourceText};
///
/// let mut builder = Builder::default();
/// builder.add_text(
///     SourceText {
///         identity: "a.proto".into(),
///         name: "a.proto".into(),
///         text: "syntax = \"proto3\"; message A { string b = 1; }".into(),
///     },
///     true,
/// );
/// let (schema, diagnostics) = builder.finish(&mut NoImports);
/// assert!(diagnostics.is_empty() && schema.message("A").is_some());
/// ```
#[derive(Debug, Default)]
pub struct Builder {
    files: Vec<Loaded>,
    /// Files by identity; `None` for one that cannot be used, which was reported.
    by_identity: HashMap<String, Option<usize>>,
    /// Files of descriptor sets by number of the set and name, and by name in any set.
    by_set: HashMap<(usize, String), usize>,
    in_any_set: HashMap<String, usize>,
    sets: usize,
    builtins: Vec<Loaded>,
    builtin_index: HashMap<&'static str, usize>,
    diagnostics: Vec<Diagnostic>,
    missing: Vec<Missing>,
    missing_index: HashMap<String, usize>,
    /// How many messages, fields and the like the files have.
    definitions: usize,
    full: bool,
}

#[derive(Debug)]
struct Loaded {
    file: File,
    name: String,
    origin: Origin,
    /// Where its imports are named, in step with `file.dependency`.
    imports: Vec<Range<usize>>,
    /// What its imports are.
    resolved: Vec<(Target, bool)>,
    /// Imports resolved to a file that may be the right one: the diagnostic if it is not.
    guessed: Vec<String>,
}

#[derive(Debug)]
enum Origin {
    Text { identity: String, text: String },
    Set(usize),
    Builtin,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    File(usize),
    Builtin(usize),
}

/// An import that nobody has: said once, however many need it.
#[derive(Debug)]
struct Missing {
    diagnostics: Diagnostic,
    others: usize,
}

impl Builder {
    /// Adds a `.proto` file. If it cannot be used, that is an error if the user `named` it, else a warning.
    pub fn add_text(&mut self, source: SourceText, named: bool) {
        if !self.by_identity.contains_key(&source.identity) {
            self.parse(source, if named { Level::Error } else { Level::Warning });
        }
    }

    /// Adds an encoded `google.protobuf.FileDescriptorSet`, which the user knows as `name`.
    pub fn add_set(&mut self, name: &str, bytes: &[u8]) {
        let (files, definitions) = match decode(bytes) {
            Ok((files, _)) if files.is_empty() => {
                self.diagnostics.push(Diagnostic::error(Some(name), "this descriptor set holds no file".into()));
                return;
            }
            Ok(decoded) => decoded,
            Err(error) => {
                let mut diagnostics = Diagnostic::error(Some(name), error.to_string());
                if bytes.iter().take(4096).all(|&b| b == b'\t' || b == b'\n' || b == b'\r' || (b' '..0x7f).contains(&b))
                {
                    diagnostics = diagnostics.hint("it looks like text: `.proto` files are given with --proto".into());
                }
                self.diagnostics.push(diagnostics);
                return;
            }
        };
        self.add_files(name, files, definitions);
    }

    fn add_files(&mut self, name: &str, files: Vec<File>, definitions: usize) {
        let set = self.sets;
        self.sets += 1;
        if self.is_full() {
            return;
        }
        self.definitions += definitions;
        for file in files {
            if self.files.len() == MAX_FILES {
                return self.say_full(&format!("{MAX_FILES} files"));
            }
            let at = self.files.len();
            let own = file.name().to_owned();
            self.in_any_set.entry(own.clone()).or_insert(at);
            self.by_set.entry((set, own.clone())).or_insert(at);
            self.files.push(Loaded {
                name: format!("{name}: {own}"),
                file,
                origin: Origin::Set(set),
                imports: Vec::new(),
                resolved: Vec::new(),
                guessed: Vec::new(),
            });
        }
    }

    /// Adds something to say: that a named file is not there, for example.
    pub fn warn(&mut self, diagnostics: Diagnostic) {
        self.diagnostics.push(diagnostics);
    }

    /// The schema of what was added, of what that imports and of what is always there, and its diagnostics.
    pub fn finish(self, imports: &mut dyn ImportSource) -> (Schema, Vec<Diagnostic>) {
        let (schema, diagnostics, ()) = self.finish_with(imports, |_, _| ());
        (schema, diagnostics)
    }

    /// The same, with the files that it is made of.
    pub fn finish_with_files(self, imports: &mut dyn ImportSource) -> (Schema, Vec<Diagnostic>, Vec<SchemaFile>) {
        self.finish_with(imports, Self::schema_files)
    }

    fn finish_with<T>(
        mut self,
        imports: &mut dyn ImportSource,
        more: impl FnOnce(&Self, &Schema) -> T,
    ) -> (Schema, Vec<Diagnostic>, T) {
        let mut at = 0;
        while at < self.files.len() {
            self.resolve_imports(at, imports);
            at += 1;
        }
        for name in builtin::ALWAYS {
            self.builtin(name);
        }
        for missing in std::mem::take(&mut self.missing) {
            let diagnostics = missing.diagnostics;
            self.diagnostics.push(match missing.others {
                0 => diagnostics,
                1 => diagnostics.hint("another file imports it too".into()),
                n => diagnostics.hint(format!("{n} other files import it too")),
            });
        }

        let count = self.files.len();
        let units: Vec<Unit<'_>> = self
            .files
            .iter()
            .chain(&self.builtins)
            .map(|loaded| Unit {
                file: &loaded.file,
                name: &loaded.name,
                source: match &loaded.origin {
                    Origin::Text { text, .. } => Some(text),
                    Origin::Set(_) | Origin::Builtin => None,
                },
                imports: loaded
                    .resolved
                    .iter()
                    .map(|&(target, public)| match target {
                        Target::File(at) => (at, public),
                        Target::Builtin(at) => (count + at, public),
                    })
                    .collect(),
                builtin: matches!(loaded.origin, Origin::Builtin),
                guessed: &loaded.guessed,
            })
            .collect();
        let schema = link(&units, &mut self.diagnostics);
        let more = more(&self, &schema);
        (schema, self.diagnostics, more)
    }

    /// The files as descriptors. A file is called as others import it.
    fn schema_files(&self, schema: &Schema) -> Vec<SchemaFile> {
        let all = || self.files.iter().chain(&self.builtins);
        let index = |target: Target| match target {
            Target::File(at) => at,
            Target::Builtin(at) => self.files.len() + at,
        };
        let mut names: Vec<Option<String>> = all().map(|_| None).collect();
        for loaded in all() {
            // Imports that were not found have no target.
            if loaded.resolved.len() != loaded.file.dependency.len() {
                continue;
            }
            for (name, &(target, _)) in loaded.file.dependency.iter().zip(&loaded.resolved) {
                if let Some(known) = names.get_mut(index(target)) {
                    known.get_or_insert_with(|| name.clone());
                }
            }
        }
        let mut taken = HashMap::new();
        let names: Vec<String> = all()
            .zip(names)
            .map(|(loaded, name)| {
                let own = || match &loaded.origin {
                    Origin::Text { .. } => loaded.name.rsplit('/').next().unwrap_or_default().to_owned(),
                    Origin::Set(_) | Origin::Builtin => loaded.file.name().to_owned(),
                };
                let name = name.unwrap_or_else(own);
                let count: &mut u32 = taken.entry(name.clone()).or_default();
                *count += 1;
                if *count == 1 { name } else { format!("{count}/{name}") }
            })
            .collect();
        let extensions = Extensions::of(schema);
        let write = |(loaded, name): (&Loaded, &String)| {
            let imports = loaded
                .resolved
                .iter()
                .filter_map(|&(target, public)| Some((names.get(index(target))?.clone(), public)));
            Writer::write(schema, &extensions, &loaded.file, name.clone(), imports.collect())
        };
        all().zip(&names).map(write).collect()
    }

    fn parse(&mut self, source: SourceText, level: Level) -> Option<usize> {
        if self.is_full() {
            return None;
        }
        let SourceText { identity, name, text } = source;
        let made = match parse(&name, &text) {
            Ok(parsed) => {
                self.definitions += parsed.definitions;
                self.files.push(Loaded {
                    file: parsed.file,
                    name,
                    origin: Origin::Text { identity: identity.clone(), text },
                    imports: parsed.imports,
                    resolved: Vec::new(),
                    guessed: Vec::new(),
                });
                Some(self.files.len() - 1)
            }
            Err(diagnostics) => {
                self.say_unusable(*diagnostics, level);
                None
            }
        };
        self.by_identity.insert(identity, made);
        made
    }

    fn say_unusable(&mut self, mut diagnostics: Diagnostic, level: Level) {
        diagnostics.level = level;
        if level == Level::Warning {
            diagnostics = diagnostics.hint("the file is left out".into());
        }
        self.diagnostics.push(diagnostics);
    }

    fn is_full(&mut self) -> bool {
        if self.files.len() >= MAX_FILES {
            self.say_full(&format!("{MAX_FILES} files"));
        } else if self.definitions >= MAX_DEFINITIONS {
            self.say_full(&format!("{MAX_DEFINITIONS} messages, fields and other definitions"));
        } else {
            return false;
        }
        true
    }

    fn say_full(&mut self, limit: &str) {
        if !std::mem::replace(&mut self.full, true) {
            let message = format!("the schema has more than {limit}: further files are left out");
            self.diagnostics.push(Diagnostic::warning(None, message));
        }
    }

    fn resolve_imports(&mut self, at: usize, source: &mut dyn ImportSource) {
        let Some(loaded) = self.files.get(at) else { return };
        let names = loaded.file.dependency.clone();
        let public = loaded.file.public_dependency.clone();
        let mut resolved = Vec::with_capacity(names.len());
        for (no, name) in names.iter().enumerate() {
            let is_public = public.iter().any(|&p| usize::try_from(p) == Ok(no));
            if let Some(target) = self.import(at, no, name, source) {
                resolved.push((target, is_public));
            }
        }
        if let Some(loaded) = self.files.get_mut(at) {
            loaded.resolved = resolved;
        }
    }

    /// What `import "name"`, the `no`th of the file `at`, means: a text that the importer finds, a file of a
    /// descriptor set, a built-in file, a text that may be meant; in this order, but that a set's own files go first.
    fn import(&mut self, at: usize, no: usize, name: &str, source: &mut dyn ImportSource) -> Option<Target> {
        let (set, importer) = match self.files.get(at).map(|loaded| &loaded.origin) {
            Some(Origin::Set(set)) => (Some(*set), None),
            Some(Origin::Text { identity, .. }) => (None, Some(identity.clone())),
            Some(Origin::Builtin) | None => (None, None),
        };
        if let Some(&there) = set.and_then(|set| self.by_set.get(&(set, name.to_owned()))) {
            return Some(Target::File(there));
        }
        if self.missing.len() > MAX_MISSING {
            return self.in_any_set.get(name).map(|&there| Target::File(there)).or_else(|| self.builtin(name));
        }
        let located = source.locate(name, importer.as_deref());
        let looked_in = match located {
            Located::Found { identity, name: shown } => {
                let read = self.read(identity, shown, source);
                // Of a built-in file the user's copy may be unusable.
                return read.map(Target::File).or_else(|| self.builtin(name));
            }
            Located::Missing { looked_in } => looked_in,
        };
        if let Some(&there) = self.in_any_set.get(name) {
            return Some(Target::File(there));
        }
        if let Some(there) = self.builtin(name) {
            return Some(there);
        }
        if let Located::Found { identity, name: shown } = source.guess(name, importer.as_deref()) {
            if let Some(loaded) = self.files.get_mut(at).filter(|loaded| loaded.guessed.len() < MAX_PLACES) {
                loaded.guessed.push(format!("import \"{name}\" is not found and was taken to be {shown}"));
            }
            return self.read(identity, shown, source).map(Target::File);
        }
        self.miss(at, no, name, looked_in);
        None
    }

    fn read(&mut self, identity: String, name: String, source: &mut dyn ImportSource) -> Option<usize> {
        if let Some(&known) = self.by_identity.get(&identity) {
            return known;
        }
        match source.read(&identity) {
            Ok(text) => self.parse(SourceText { identity, name, text }, Level::Warning),
            Err(why) => {
                self.say_unusable(Diagnostic::warning(Some(&name), why), Level::Warning);
                self.by_identity.insert(identity, None);
                None
            }
        }
    }

    fn miss(&mut self, at: usize, no: usize, name: &str, looked_in: Vec<String>) {
        if let Some(missing) = self.missing_index.get(name).and_then(|&at| self.missing.get_mut(at)) {
            missing.others += 1;
            return;
        }
        let Some(loaded) = self.files.get(at) else { return };
        if self.missing.len() >= MAX_MISSING {
            if self.missing.len() == MAX_MISSING {
                let diagnostics = Diagnostic::warning(None, "more imports are not found, which are not listed".into());
                self.missing.push(Missing { diagnostics, others: 0 });
            }
            return;
        }
        let mut diagnostics = Diagnostic::warning(Some(&loaded.name), format!("import \"{name}\" is not found"));
        if let (Origin::Text { text, .. }, Some(span)) = (&loaded.origin, loaded.imports.get(no)) {
            diagnostics = diagnostics.at(Some(text), span.start, span.end);
        }
        let count = looked_in.len();
        for (n, place) in looked_in.into_iter().enumerate().take(MAX_PLACES) {
            diagnostics = diagnostics.hint(format!("{} {place}", if n == 0 { "looked in" } else { "         " }));
        }
        if count > MAX_PLACES {
            diagnostics = diagnostics.hint(format!("and in {} more places", count - MAX_PLACES));
        }
        diagnostics = diagnostics.hint(format!("name the directory below which `{name}` lies with --import-path"));
        self.missing_index.insert(name.into(), self.missing.len());
        self.missing.push(Missing { diagnostics, others: 0 });
    }

    fn builtin(&mut self, name: &str) -> Option<Target> {
        let (name, text) = builtin::find(name)?;
        if let Some(&at) = self.builtin_index.get(name) {
            return Some(Target::Builtin(at));
        }
        let parsed = parse(name, text).ok()?;
        let at = self.builtins.len();
        self.builtin_index.insert(name, at);
        let dependency = parsed.file.dependency.clone();
        self.builtins.push(Loaded {
            file: parsed.file,
            name: name.into(),
            origin: Origin::Builtin,
            imports: Vec::new(),
            resolved: Vec::new(),
            guessed: Vec::new(),
        });
        // These import only one another, without cycles and two deep.
        let resolved = dependency.iter().filter_map(|name| Some((self.builtin(name)?, false))).collect();
        if let Some(loaded) = self.builtins.get_mut(at) {
            loaded.resolved = resolved;
        }
        Some(Target::Builtin(at))
    }
}

impl Schema {
    /// What is there without any schema: well-known types, `google.rpc.Status` and the types of its details.
    pub fn builtin() -> Schema {
        Builder::default().finish(&mut NoImports).0
    }

    /// The schema of one `.proto` text that imports built-in files only, and the diagnostics about it.
    pub fn from_source(text: &str) -> (Schema, Vec<Diagnostic>) {
        let mut builder = Builder::default();
        let name = "schema.proto";
        builder.add_text(SourceText { identity: name.into(), name: name.into(), text: text.into() }, true);
        builder.finish(&mut NoImports)
    }

    /// The schema of an encoded `google.protobuf.FileDescriptorSet`, and the diagnostics about it.
    ///
    /// proto2, proto3 and editions. Files may come in any order; what a missing file affects is reported.
    pub fn from_descriptors(set: &[u8]) -> Result<(Schema, Vec<Diagnostic>), DescriptorSetError> {
        let mut builder = Builder::default();
        let (files, definitions) = decode(set)?;
        builder.add_files("descriptor set", files, definitions);
        Ok(builder.finish(&mut NoImports))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::testing::{compile, descriptors};

    /// Imports from a list; identity and name are the same.
    struct List(&'static [(&'static str, &'static str)]);

    impl ImportSource for List {
        fn locate(&mut self, name: &str, _: Option<&str>) -> Located {
            match self.0.iter().any(|(known, _)| *known == name) {
                true => Located::Found { identity: name.into(), name: name.into() },
                false => Located::Missing { looked_in: vec!["the list".into()] },
            }
        }

        fn read(&mut self, identity: &str) -> Result<String, String> {
            let text = self.0.iter().find(|(name, _)| *name == identity).map(|(_, text)| *text);
            text.filter(|text| !text.is_empty()).map(Into::into).ok_or_else(|| "cannot be read: it is empty".into())
        }
    }

    fn build(texts: &[(&str, &str)], imports: &'static [(&'static str, &'static str)]) -> (Schema, Vec<String>) {
        let mut builder = Builder::default();
        for (name, text) in texts {
            let source = SourceText { identity: (*name).into(), name: (*name).into(), text: (*text).into() };
            builder.add_text(source, true);
        }
        let (schema, diagnostics) = builder.finish(&mut List(imports));
        (schema, diagnostics.iter().map(ToString::to_string).collect())
    }

    fn names(schema: &Schema, message: &str) -> Vec<String> {
        schema[schema.message(message).unwrap()].fields.iter().map(|f| f.name.to_string()).collect()
    }

    #[test]
    fn files_of_a_schema_make_the_same_schema_again() {
        let order =
            "syntax = \"proto3\"; package shop; import \"item.proto\"; import \"google/protobuf/timestamp.proto\";
            message Order { repeated Item items = 1; google.protobuf.Timestamp at = 2; optional State state = 3;
              map<string, Item> by_name = 4; oneof how { string a = 5; State b = 6; }
              enum State { option allow_alias = true; NEW = 0; FRESH = 0; } }
            service Orders { rpc Get(Order) returns (stream Item); }";
        let item = "syntax = \"proto2\"; package shop; message Item { optional string sku = 1; extensions 100 to 199;
              repeated group Part = 2 { optional int32 n = 1; } }
            extend Item { optional Item more = 100; }";
        let mut builder = Builder::default();
        for (name, text) in [("a/order.proto", order), ("a/item.proto", item)] {
            let identity = name.trim_start_matches("a/").to_owned();
            builder.add_text(SourceText { identity, name: name.into(), text: text.into() }, true);
        }
        let mut list = List(&[("item.proto", "-")]);
        let (schema, said, files) = builder.finish_with_files(&mut list);
        assert!(said.is_empty(), "{said:?}");
        let names: Vec<&str> = files.iter().map(|file| &*file.name).collect();
        assert!(names.contains(&"order.proto") && names.contains(&"item.proto"), "{names:?}");
        let order = files.iter().find(|file| file.name == "order.proto").unwrap();
        assert_eq!(order.imports, ["item.proto", "google/protobuf/timestamp.proto"]);
        for symbol in ["shop.Order", "shop.Order.State", "shop.Orders", "shop.Orders.Get"] {
            assert!(order.symbols.iter().any(|known| known == symbol), "{symbol}: {:?}", order.symbols);
        }
        let item = files.iter().find(|file| file.name == "item.proto").unwrap();
        assert_eq!(item.extensions, [("shop.Item".to_owned(), 100)]);
        // An implementation that refuses what is not sound reads them, too.
        let set = prost_reflect::prost_types::FileDescriptorSet {
            file: files
                .iter()
                .map(|file| prost::Message::decode(file.descriptor.as_slice()).expect("a descriptor"))
                .collect(),
        };
        let pool = prost_reflect::DescriptorPool::from_file_descriptor_set(set.clone()).expect("a sound set");
        assert!(pool.get_extension_by_name("shop.more").is_some());
        let order = pool.get_message_by_name("shop.Order").expect("it is there");
        assert_eq!(order.oneofs().map(|oneof| oneof.name().to_owned()).collect::<Vec<_>>(), ["how", "_state"]);
        let (again, said) = Schema::from_descriptors(&prost::Message::encode_to_vec(&set)).expect("a set");
        assert!(said.is_empty(), "{said:?}");
        for name in ["shop.Order", "shop.Item", "shop.Item.Part"] {
            let fields = |schema: &Schema| {
                let message = &schema[schema.message(name).unwrap()];
                message
                    .fields
                    .iter()
                    .map(|field| format!("{} {} {:?}", field.number, field.name, field.cardinality))
                    .collect::<Vec<_>>()
            };
            assert_eq!(fields(&schema), fields(&again), "{name}");
        }
        assert!(again.method("shop.Orders", "Get").unwrap().server_streaming);
    }

    #[test]
    fn imports_of_imports_are_read_once_even_in_a_circle() {
        let (schema, diagnostics) = build(
            &[("a", "syntax = \"proto3\"; import \"b\"; message A { B b = 1; C c = 2; }")],
            &[
                ("b", "syntax = \"proto3\"; import public \"c\"; import \"b\"; message B { C c = 1; }"),
                ("c", "syntax = \"proto3\"; import \"a\"; import \"b\"; message C { B b = 1; }"),
                // Asked for as "a", this is the file that was given.
                ("a", "never read"),
            ],
        );
        assert_eq!(diagnostics, [""; 0]);
        assert_eq!(names(&schema, "A"), ["b", "c"]);
    }

    #[test]
    fn an_import_that_cannot_be_used_is_a_warning() {
        let (schema, diagnostics) = build(
            &[(
                "a",
                "syntax = \"proto3\"; import \"bad\"; import \"none\"; import \"empty\"; message A { string a = 1; Bad b = 2; }",
            )],
            &[("bad", "syntax = \"proto3\"; message Bad {"), ("empty", "")],
        );
        assert_eq!(names(&schema, "A"), ["a"]);
        let heads: Vec<_> = diagnostics.iter().map(|diagnostics| diagnostics.lines().next().unwrap()).collect();
        assert_eq!(
            heads,
            [
                "bad:1:33: warning: expected a field or `}`, found the end of the file",
                "empty: warning: cannot be read: it is empty",
                "a:1:41: warning: import \"none\" is not found",
                "a:1:91: warning: type `Bad` is not defined in any schema file: the field `A.b` is shown as unknown",
            ]
        );
    }

    #[test]
    fn a_users_copy_of_a_built_in_file_goes_first_and_a_broken_one_does_not_matter() {
        let status = "syntax = \"proto3\"; package google.rpc; message Status { int32 code = 1; string mine = 9; }";
        let (schema, diagnostics) = build(
            &[("a", "syntax = \"proto3\"; import \"google/rpc/status.proto\"; message A { google.rpc.Status s = 1; }")],
            // Leaked: the test's list is static.
            Box::leak(Box::new([("google/rpc/status.proto", status)])),
        );
        assert_eq!(diagnostics, [""; 0]);
        assert_eq!(names(&schema, "google.rpc.Status"), ["code", "mine"]);
        let (schema, diagnostics) = build(
            &[("a", "syntax = \"proto3\"; import \"google/rpc/status.proto\"; message A { google.rpc.Status s = 1; }")],
            &[("google/rpc/status.proto", "messag")],
        );
        assert_eq!((diagnostics.len(), names(&schema, "A").len()), (1, 1));
        assert_eq!(names(&schema, "google.rpc.Status"), ["code", "message", "details"]);
    }

    #[test]
    fn a_service_in_two_files_is_the_same_service() {
        let (schema, diagnostics) = build(
            &[
                ("v1", "syntax = \"proto3\"; message A {} service S { rpc X(A) returns (A); }"),
                ("v2", "syntax = \"proto3\"; message A {} service S { rpc X(A) returns (A); rpc Y(A) returns (A); }"),
            ],
            &[],
        );
        assert_eq!(diagnostics, [""; 0]);
        assert_eq!(schema.services.len(), 1);
        assert!(schema.method("S", "X").is_some() && schema.method("S", "Y").is_some());
    }

    #[test]
    fn of_two_definitions_the_first_is_used_and_that_is_said() {
        let (schema, diagnostics) = build(
            &[
                (
                    "a",
                    "syntax = \"proto3\"; message M { string one = 1; } enum E { Z = 0; } service S { rpc X(M) returns (M); }",
                ),
                (
                    "b",
                    "syntax = \"proto3\"; message M { int32 two = 1; } enum E { Y = 0; } service S { rpc X(stream M) returns (M); }",
                ),
                ("c", "syntax = \"proto3\"; message E {} enum M { W = 0; } message F { M m = 1; }"),
            ],
            &[],
        );
        let warnings_of =
            |name: &str, file: &str| format!("{file}: warning: `{name}` is defined otherwise in a, which is used");
        let mut expected = vec![
            warnings_of("E", "b"),
            warnings_of("M", "c"),
            warnings_of("E", "c"),
            warnings_of("M", "b"),
            warnings_of("S", "b"),
        ];
        let mut diagnostics = diagnostics;
        diagnostics.sort();
        expected.sort();
        assert_eq!(diagnostics, expected);
        assert_eq!(names(&schema, "M"), ["one"]);
        assert_eq!(names(&schema, "F"), ["m"]);
    }

    #[test]
    fn text_and_descriptor_sets_complete_one_another() {
        let library = "syntax = \"proto3\"; package lib; message L { string s = 1; }";
        let mut builder = Builder::default();
        let text = "syntax = \"proto3\"; import \"test.proto\"; message A { lib.L l = 1; }";
        builder.add_text(SourceText { identity: "a".into(), name: "a".into(), text: text.into() }, true);
        builder.add_set("lib.binpb", &descriptors(library));
        let (schema, diagnostics) = builder.finish(&mut NoImports);
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        assert_eq!(names(&schema, "A"), ["l"]);

        // A set made without --include_imports: what it lacks is found as text.
        let set = descriptors(
            "syntax = \"proto3\"; import \"google/protobuf/any.proto\"; message B { google.protobuf.Any a = 1; }",
        );
        let alone = decode(&set).unwrap().0.into_iter().filter(|f| f.name() == "test.proto").collect();
        let mut builder = Builder::default();
        builder.add_files("b.binpb", alone, 2);
        let (schema, diagnostics) = builder.finish(&mut List(&[(
            "google/protobuf/any.proto",
            "syntax = \"proto3\"; package google.protobuf; message Any { string type_url = 1; bytes value = 2; string x = 3; }",
        )]));
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        assert_eq!(names(&schema, "google.protobuf.Any").len(), 3);
        assert_eq!(names(&schema, "B"), ["a"]);
    }

    #[test]
    fn a_set_that_lacks_a_file_says_so_and_keeps_the_rest() {
        let set = descriptors("syntax = \"proto3\"; package p; message B { string s = 1; }");
        let (mut files, definitions) = decode(&set).unwrap();
        files[0].dependency.push("gone.proto".into());
        let mut builder = Builder::default();
        builder.add_files("b.binpb", files, definitions);
        let (schema, diagnostics) = builder.finish(&mut NoImports);
        assert_eq!(diagnostics.len(), 1);
        assert_eq!(
            diagnostics[0].to_string(),
            "b.binpb: test.proto: warning: import \"gone.proto\" is not found\n  \
             name the directory below which `gone.proto` lies with --import-path"
        );
        assert_eq!(names(&schema, "p.B"), ["s"]);
    }

    #[test]
    fn a_file_that_imports_without_end_is_bounded() {
        let imports: String = (0..5_000).map(|n| format!("import \"f{n}.proto\";\n")).collect();
        let (_, diagnostics) = Schema::from_source(&format!("syntax = \"proto3\";\n{imports}"));
        assert_eq!(diagnostics.len(), MAX_MISSING + 1);
        assert_eq!(diagnostics[MAX_MISSING].to_string(), "warning: more imports are not found, which are not listed");
    }

    #[test]
    fn what_is_no_set_is_an_error() {
        for (bytes, expected) in [
            (&b""[..], "s: error: this descriptor set holds no file"),
            (b"\x0a\xff", "s: error: not a descriptor set: failed to decode Protobuf message"),
        ] {
            let mut builder = Builder::default();
            builder.add_set("s", bytes);
            let (_, diagnostics) = builder.finish(&mut NoImports);
            assert!(diagnostics.len() == 1 && diagnostics[0].to_string().starts_with(expected), "{}", diagnostics[0]);
        }
    }

    #[test]
    fn the_same_text_by_both_ways_is_the_same_table() {
        let text = "syntax = \"proto3\"; package p; import \"google/protobuf/struct.proto\";
            message M { map<int32, google.protobuf.Value> m = 1; oneof o { E e = 2; bytes b = 3; } } enum E { Z = 0; }";
        let (ours, diagnostics) = Schema::from_source(text);
        assert!(diagnostics.is_empty());
        let theirs = compile(text);
        let shape = |schema: &Schema| {
            let fields = &schema[schema.message("p.M").unwrap()].fields;
            fields.iter().map(|f| (f.number, f.json_name.clone(), f.cardinality, f.oneof)).collect::<Vec<_>>()
        };
        assert_eq!(shape(&ours), shape(&theirs));
    }
}
