//! Schema files: what `--proto`, `--import-path` and `--protoset` name, found, read and put together.
//!
//! Finding files is done here; what they mean is up to `dissectors::schema`. A file's identity is its real path, since
//! trees import one file under two names. An import is looked for in this order:
//!
//! 1. below each `--import-path`,
//! 2. below each directory given with `--proto`,
//! 3. below the directory of the file that imports it, and below each directory above that one: so the root of a
//!    tree need not be named,
//! 4. among the files given with `--proto`, as one whose path ends with the import's name,
//! 5. in the descriptor sets, then among the built-in files,
//! 6. among the files given with `--proto`, as one whose path inside the given directory the import's name ends with:
//!    a tree of which only a part was copied.

use rpcshark_dissectors::schema::{
    Builder, Diagnostic, ImportSource, Level, Located, Schema, SchemaFile, SourceText, is_descriptor_set,
};
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Largest `.proto` file that is read: generated ones reach some megabytes.
const MAX_TEXT: u64 = 64 << 20;

/// Largest descriptor set that is read: that of a very large tree with its comments has some 100 MB.
const MAX_SET: u64 = 1 << 30;

/// How many `.proto` files a directory may hold, how many entries of any kind are looked at, and how deep it may go:
/// `--proto /` is a slip. The largest public trees have 10,000 files.
const MAX_FILES: usize = 50_000;
const MAX_ENTRIES: usize = 300_000;
const MAX_DEPTH: usize = 64;

/// Directories of the kernel: they have no end, and no schemas in them.
const KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Which schema files to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    /// `--proto`: files, and directories of which every `.proto` below is read.
    pub(crate) proto: Vec<PathBuf>,
    /// `--import-path`: directories.
    pub(crate) import_path: Vec<PathBuf>,
    /// `--protoset`: descriptor sets.
    pub(crate) protoset: Vec<PathBuf>,
    /// `--strict-schema`: every warning is an error.
    pub(crate) strict: bool,
}

/// A schema, and the diagnostics about the files that it came from.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What could be read; well-known types are always there.
    pub(crate) schema: Arc<Schema>,
    /// In the order in which things were found.
    pub(crate) said: Vec<Diagnostic>,
    /// Its files, where they were asked for.
    pub(crate) files: Vec<SchemaFile>,
}

impl Loaded {
    /// Whether something is wrong enough to stop: exit status 2.
    pub(crate) fn failed(&self) -> bool {
        self.said.iter().any(|said| said.level == Level::Error)
    }
}

impl Sources {
    /// Reads everything.
    pub(crate) fn load(&self) -> Loaded {
        self.load_with(|builder, finder| {
            let (schema, said) = builder.finish(finder);
            (schema, said, Vec::new())
        })
    }

    /// The same, with the files that the schema is made of.
    pub(crate) fn load_with_files(&self) -> Loaded {
        self.load_with(Builder::finish_with_files)
    }

    fn load_with(
        &self,
        finish: impl FnOnce(Builder, &mut dyn ImportSource) -> (Schema, Vec<Diagnostic>, Vec<SchemaFile>),
    ) -> Loaded {
        let mut builder = Builder::default();
        let mut finder = Finder { import_path: self.import_path.clone(), ..Finder::default() };
        for path in &self.import_path {
            if !path.is_dir() {
                builder.warn(warning(path, "the import path is not a directory"));
            }
        }
        if self.proto.is_empty() && self.protoset.is_empty() && !self.import_path.is_empty() {
            let message = "--import-path alone reads no schema: it says where the imports of files given with --proto are \
                looked for";
            let hint = "to read every .proto below a directory, give it with --proto".to_owned();
            builder.warn(Diagnostic { hints: vec![hint], file: None, ..warning(Path::new(""), message) });
        }
        for path in &self.proto {
            if path.is_dir() {
                finder.directories.push(path.clone());
                let before = finder.known.len();
                Walk { root: path, finder: &mut finder, builder: &mut builder }.run();
                if finder.known.len() == before {
                    builder.warn(error(path, "there is no .proto file below this directory"));
                }
            } else {
                finder.know(path.clone(), path.file_name().map(PathBuf::from).unwrap_or_default(), true);
            }
        }
        for at in 0..finder.known.len() {
            let known = &finder.known[at];
            let (path, named) = (known.path.clone(), known.named);
            match read_bounded(&path, MAX_TEXT) {
                Ok(bytes) if named && is_descriptor_set(&bytes) => builder.add_set(&shown(&path), &bytes),
                Ok(bytes) => match text(bytes) {
                    Ok(text) => {
                        let (identity, name) = (known.identity.clone(), shown(&path));
                        builder.add_text(SourceText { identity, name, text }, named);
                    }
                    Err(why) if named => builder.warn(error(&path, &why)),
                    Err(why) => builder.warn(warning(&path, &why)),
                },
                Err(why) if named => builder.warn(error(&path, &why)),
                Err(why) => builder.warn(warning(&path, &why)),
            }
        }
        for path in &self.protoset {
            match read_bounded(path, MAX_SET) {
                Ok(bytes) => builder.add_set(&shown(path), &bytes),
                Err(why) => builder.warn(error(path, &why)),
            }
        }
        let (schema, mut said, files) = finish(builder, &mut finder);
        if self.strict {
            for said in &mut said {
                said.level = Level::Error;
            }
        }
        Loaded { schema: Arc::new(schema), said, files }
    }
}

/// The file system, as far as schemas come from it.
#[derive(Debug, Default)]
struct Finder {
    import_path: Vec<PathBuf>,
    directories: Vec<PathBuf>,
    /// Files given with `--proto`, in their order.
    known: Vec<Known>,
    /// Index into `known` by identity.
    identities: HashMap<String, usize>,
    /// Indices into `known` by the file's own name.
    by_file_name: HashMap<Box<OsStr>, Vec<usize>>,
    /// Where the file of an identity is, for every file that was located.
    paths: HashMap<String, PathBuf>,
}

/// A file given with `--proto`, itself or by its directory.
#[derive(Debug)]
struct Known {
    path: PathBuf,
    identity: String,
    /// Its path inside the directory that was given.
    inside: PathBuf,
    /// Whether it was given itself.
    named: bool,
}

impl Finder {
    fn know(&mut self, path: PathBuf, inside: PathBuf, named: bool) {
        let identity = identity(&path);
        if let Some(&at) = self.identities.get(&identity) {
            self.known[at].named |= named;
            return;
        }
        let at = self.known.len();
        self.identities.insert(identity.clone(), at);
        self.paths.insert(identity.clone(), path.clone());
        if let Some(name) = path.file_name() {
            self.by_file_name.entry(name.into()).or_default().push(at);
        }
        self.known.push(Known { path, identity, inside, named });
    }

    fn found(&mut self, path: PathBuf) -> Located {
        let identity = identity(&path);
        let name = shown(self.paths.entry(identity.clone()).or_insert(path));
        Located::Found { identity, name }
    }

    /// Directories at and above the importer, by its name and by its real path, nearest first.
    fn above(&self, importer: &str) -> Vec<PathBuf> {
        let named = self.paths.get(importer).and_then(|path| std::path::absolute(path).ok());
        let mut seen = HashSet::new();
        named
            .iter()
            .map(PathBuf::as_path)
            .chain([Path::new(importer)])
            .flat_map(|path| path.ancestors().skip(1))
            .filter(|dir| seen.insert(dir.to_path_buf()))
            .map(Path::to_path_buf)
            .collect()
    }

    /// The known file that `fits` best: of several the one nearest to the importer, of these the first.
    fn nearest(&self, name: &Path, importer: Option<&str>, fits: impl Fn(&Known) -> usize) -> Option<PathBuf> {
        let near = |known: &Known| {
            let importer = Path::new(importer.unwrap_or_default()).components();
            Path::new(&known.identity).components().zip(importer).take_while(|(a, b)| a == b).count()
        };
        let candidates = self.by_file_name.get(name.file_name()?)?.iter().map(|&at| &self.known[at]);
        let fitting = candidates.map(|known| (fits(known), known)).filter(|&(fit, _)| fit > 0);
        // `max_by_key` returns the last of equals; reversed, the first.
        let best = fitting.rev().max_by_key(|&(fit, known)| (fit, near(known)))?;
        Some(best.1.path.clone())
    }
}

impl ImportSource for Finder {
    fn locate(&mut self, name: &str, importer: Option<&str>) -> Located {
        let name = Path::new(name);
        // A descriptor set may name anything; what lies outside the roots is not looked at.
        if !name.components().all(|part| matches!(part, Component::Normal(_))) {
            return Located::Missing { looked_in: Vec::new() };
        }
        let mut tried = HashSet::new();
        let mut looked_in = Vec::new();
        for root in self.import_path.iter().chain(&self.directories) {
            if !tried.insert(root) {
                continue;
            }
            if let Some(path) = file_at(root, name) {
                return self.found(path);
            }
            looked_in.push(shown(root));
        }
        if let Some(importer) = importer {
            let above = self.above(importer);
            if let Some(path) = above.iter().find_map(|dir| file_at(dir, name)) {
                return self.found(path);
            }
            if let Some(nearest) = above.first() {
                looked_in.push(format!("{} and the directories above it", shown(nearest)));
            }
        }
        if let Some(path) = self.nearest(name, importer, |known| usize::from(known.path.ends_with(name))) {
            return self.found(path);
        }
        if !self.known.is_empty() {
            looked_in.push("the files given with --proto, as one whose path ends with this name".into());
        }
        Located::Missing { looked_in }
    }

    fn guess(&mut self, name: &str, importer: Option<&str>) -> Located {
        let name = Path::new(name);
        // A file does not mean itself.
        let other = |known: &Known| importer != Some(known.identity.as_str());
        let fit = |known: &Known| match other(known) && name.ends_with(&known.inside) {
            true => known.inside.components().count(),
            false => 0,
        };
        match self.nearest(name, importer, fit) {
            Some(path) => self.found(path),
            None => Located::Missing { looked_in: Vec::new() },
        }
    }

    fn read(&mut self, identity: &str) -> Result<String, String> {
        read_text(self.paths.get(identity).map_or(Path::new(identity), PathBuf::as_path))
    }
}

/// Goes through a directory in the order of names. Hidden directories are left out; one that is reached twice by links
/// is gone through once. A link to a directory is followed, except to one that contains the directory given: `--proto DIR`
/// means what is below `DIR`.
struct Walk<'a> {
    root: &'a Path,
    finder: &'a mut Finder,
    builder: &'a mut Builder,
}

/// An entry of a directory.
struct Entry {
    path: PathBuf,
    /// With links followed; `None` for a link that leads nowhere.
    kind: Option<FileType>,
    link: bool,
}

impl Walk<'_> {
    fn run(self) {
        let root = PathBuf::from(identity(self.root));
        let mut seen = HashSet::new();
        let mut entries_left = MAX_ENTRIES;
        // Directories still to be read, last one first, with their depth, and whether a link led there.
        let mut open = vec![(self.root.to_path_buf(), 0, false)];
        while let Some((directory, depth, link)) = open.pop() {
            let real = PathBuf::from(identity(&directory));
            if link && root != real && root.starts_with(&real) {
                let message = format!("this link leads to {}, which contains {}: skipped", shown(&real), shown(&root));
                self.builder.warn(warning(&directory, &message));
                continue;
            }
            if KERNEL.iter().any(|kernel| real.starts_with(kernel)) || !seen.insert(real) {
                continue;
            }
            let entries = match entries(&directory, &mut entries_left) {
                Ok(entries) => entries,
                Err(why) => {
                    self.builder.warn(warning(&directory, &format!("cannot be read: {why}")));
                    continue;
                }
            };
            let mut directories = Vec::new();
            for Entry { path, kind, link } in entries {
                let is_proto = path.extension() == Some(OsStr::new("proto"));
                match kind {
                    Some(kind) if kind.is_dir() => directories.push((path, depth + 1, link)),
                    Some(kind) if kind.is_file() && is_proto => {
                        if self.finder.known.len() == MAX_FILES {
                            let message = format!("there are more than {MAX_FILES} .proto files: the rest is skipped");
                            return self.builder.warn(warning(self.root, &message));
                        }
                        let inside = path.strip_prefix(self.root).unwrap_or(&path).to_path_buf();
                        self.finder.know(path, inside, false);
                    }
                    // Reading a FIFO would wait for somebody to write to it.
                    Some(kind) if is_proto => {
                        let message = format!("this is {}, not a regular file: skipped", kind_name(kind));
                        self.builder.warn(warning(&path, &message));
                    }
                    None if is_proto => self.builder.warn(warning(&path, "this link leads nowhere: skipped")),
                    _ => {}
                }
            }
            if entries_left == 0 {
                let message = format!("there are more than {MAX_ENTRIES} files and directories: the rest is skipped");
                return self.builder.warn(warning(self.root, &message));
            }
            if depth < MAX_DEPTH {
                open.extend(directories.into_iter().rev());
            }
        }
    }
}

/// What is in a directory, by name, without what is hidden; at most `left` entries.
fn entries(directory: &Path, left: &mut usize) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if *left == 0 {
            break;
        }
        *left -= 1;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let kind = entry.file_type()?;
        let link = kind.is_symlink();
        let kind = if link { path.metadata().ok().map(|metadata| metadata.file_type()) } else { Some(kind) };
        entries.push(Entry { path, kind, link });
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

fn kind_name(kind: FileType) -> &'static str {
    match () {
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_socket() => "a socket",
        () => "a device",
    }
}

/// The file `name` below `root`, if there is one.
fn file_at(root: &Path, name: &Path) -> Option<PathBuf> {
    let path = root.join(name);
    path.is_file().then_some(path)
}

/// The real path, or for what has none (a pipe) the path as it is.
fn identity(path: &Path) -> String {
    let real = fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    real.as_deref().unwrap_or(path).to_string_lossy().into_owned()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn read_text(path: &Path) -> Result<String, String> {
    text(read_bounded(path, MAX_TEXT)?)
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("this is not text: byte {at} is not UTF-8")
    })
}

fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    match read {
        Err(why) => Err(format!("cannot be read: {why}")),
        Ok(_) if bytes.len() as u64 > limit => Err(format!("is larger than {} MiB", limit >> 20)),
        Ok(_) => Ok(bytes),
    }
}

fn error(path: &Path, message: &str) -> Diagnostic {
    Diagnostic { level: Level::Error, ..warning(path, message) }
}

fn warning(path: &Path, message: &str) -> Diagnostic {
    Diagnostic {
        level: Level::Warning,
        file: Some(shown(path).into()),
        spot: None,
        message: message.into(),
        hints: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A directory with these files.
    fn tree(files: &[(&str, &str)]) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    fn load(proto: &[PathBuf], import_path: &[PathBuf]) -> Loaded {
        Sources { proto: proto.into(), import_path: import_path.into(), ..Sources::default() }.load()
    }

    /// The diagnostics, with the directory replaced by `~`.
    fn said(loaded: &Loaded, dir: &TempDir) -> Vec<String> {
        let path = shown(dir.path());
        loaded.said.iter().map(|said| said.to_string().replace(&path, "~")).collect()
    }

    const MOUNT: &str = "syntax = \"proto3\"; package types; message Mount { string source = 1; }";

    #[test]
    fn a_directory_is_read_whole_and_imports_are_found_below_it() {
        let dir = tree(&[
            ("api/types/mount.proto", MOUNT),
            (
                "api/task.proto",
                "syntax = \"proto3\"; import \"api/types/mount.proto\"; message T { types.Mount m = 1; }",
            ),
            (".git/broken.proto", "messag"),
            ("notes.txt", "no schema"),
        ]);
        let loaded = load(&[dir.path().into()], &[]);
        assert_eq!(said(&loaded, &dir), [""; 0]);
        assert_eq!(loaded.schema[loaded.schema.message("T").unwrap()].fields.len(), 1);
    }

    #[test]
    fn an_import_is_found_by_root_by_parent_by_suffix_and_by_what_was_copied() {
        let import = |name: &str| format!("syntax = \"proto3\"; import \"{name}\"; message T {{ types.Mount m = 1; }}");
        let dir = tree(&[
            ("root/x/types/mount.proto", MOUNT),
            ("by_root/t.proto", &import("types/mount.proto")),
            ("root/x/y/z/by_parent.proto", &import("x/types/mount.proto")),
            ("suffix/t.proto", &import("types/mount.proto")),
            ("suffix/vendor/a/types/mount.proto", MOUNT),
            ("copied/t.proto", &import("github.com/a/b/api/types/mount.proto")),
            ("copied/types/mount.proto", MOUNT),
        ]);
        let at = |path: &str| dir.path().join(path);
        for (proto, import_path) in [
            (at("by_root/t.proto"), vec![at("root/x")]),
            (at("root/x/y/z/by_parent.proto"), vec![]),
            (at("suffix"), vec![]),
            (at("copied"), vec![]),
        ] {
            let loaded = load(std::slice::from_ref(&proto), &import_path);
            assert_eq!(said(&loaded, &dir), [""; 0], "{}", proto.display());
            assert_eq!(loaded.schema[loaded.schema.message("T").unwrap()].fields.len(), 1, "{}", proto.display());
        }
    }

    #[test]
    fn one_file_under_two_names_is_one_file() {
        let text = "syntax = \"proto3\"; import \"types/mount.proto\"; import \"api/types/mount.proto\";
            import \"linked/mount.proto\"; message T { types.Mount m = 1; }";
        let dir = tree(&[("api/types/mount.proto", MOUNT), ("t.proto", text)]);
        std::os::unix::fs::symlink(dir.path().join("api/types"), dir.path().join("linked")).unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("api/round")).unwrap();
        let loaded = load(&[dir.path().into(), dir.path().join("t.proto")], &[dir.path().join("api")]);
        assert_eq!(said(&loaded, &dir), [""; 0]);
        assert!(!loaded.failed());
    }

    #[test]
    fn a_missing_import_is_said_with_where_it_was_looked_for_and_the_rest_works() {
        let text = "syntax = \"proto3\";\nimport \"far/away.proto\";\nmessage T {\n  far.Away gone = 1;\n  string kept = 2;\n}\n\
            service S { rpc R(T) returns (far.Away); rpc Q(T) returns (T); }\n";
        let dir = tree(&[
            ("a/t.proto", text),
            ("a/u.proto", "syntax = \"proto3\"; import \"far/away.proto\";"),
            ("i/x.proto", ""),
        ]);
        let loaded = load(&[dir.path().join("a")], &[dir.path().join("i")]);
        assert_eq!(
            said(&loaded, &dir),
            [
                "~/a/t.proto:2:8: warning: import \"far/away.proto\" is not found\n 2 | import \"far/away.proto\";\n   \
                 |        ^^^^^^^^^^^^^^^^\n  looked in ~/i\n            ~/a\n            ~/a and the directories above it\n            \
                 the files given with --proto, as one whose path ends with this name\n  \
                 name the directory below which `far/away.proto` lies with --import-path\n  another file imports it too",
                "~/a/t.proto:4:3: warning: type `far.Away` is not defined in any schema file: the field `T.gone` is \
                 shown as unknown\n 4 |   far.Away gone = 1;\n   |   ^^^^^^^^\n  and so in 1 more place of this file",
            ]
        );
        assert!(!loaded.failed());
        let schema = &loaded.schema;
        let names: Vec<_> = schema[schema.message("T").unwrap()].fields.iter().map(|f| &*f.name).collect();
        assert_eq!(names, ["kept"]);
        let method = schema.method("S", "R").unwrap();
        assert_eq!((&*schema[method.output].name, schema[method.output].fields.len()), ("far.Away", 0));
    }

    #[test]
    fn a_file_is_not_taken_for_what_it_imports_and_a_wrong_guess_is_said() {
        let text = "syntax = \"proto3\"; import \"other/half.proto\"; message A { other.Half half = 1; }";
        let dir = tree(&[("half.proto", text)]);
        let loaded = load(&[dir.path().into()], &[]);
        let texts = said(&loaded, &dir);
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts[0].contains("import \"other/half.proto\" is not found"), "{}", texts[0]);
        assert!(texts[0].contains("looked in ~\n"), "{}", texts[0]);

        // A file that may be meant, and is not.
        let dir = tree(&[("half.proto", MOUNT), ("whole.proto", text)]);
        let texts = said(&load(&[dir.path().into()], &[]), &dir);
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(texts[0].contains("type `other.Half` is not defined"), "{}", texts[0]);
        let guess = "import \"other/half.proto\" is not found and was taken to be ~/half.proto";
        assert!(texts[0].ends_with(guess), "{}", texts[0]);
    }

    #[test]
    fn a_named_file_that_cannot_be_used_is_an_error_and_one_of_a_directory_is_not() {
        let dir = tree(&[("a/bad.proto", "syntax = \"proto3\";\nmessage A { strin }\n"), ("a/good.proto", MOUNT)]);
        let caret = "~/a/bad.proto:2:19: error: expected the field's name, found `}`\n 2 | message A { strin }\n   |                   ^";
        let named = load(&[dir.path().join("a/bad.proto")], &[]);
        assert!(named.failed());
        assert_eq!(said(&named, &dir), [caret]);
        let walked = load(&[dir.path().join("a")], &[]);
        assert!(!walked.failed());
        assert_eq!(said(&walked, &dir), [format!("{}\n  the file is left out", caret.replace("error", "warning"))]);
        assert!(walked.schema.message("types.Mount").is_some());
        let both = load(&[dir.path().join("a"), dir.path().join("a/bad.proto")], &[]);
        assert!(both.failed(), "named after its directory it is named all the same");
        let strict = Sources { proto: vec![dir.path().join("a")], strict: true, ..Sources::default() }.load();
        assert!(strict.failed());
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let dir =
            tree(&[("empty/readme", ""), ("text.binpb", "syntax = \"proto3\";"), ("i.proto", "import \"b.proto\";")]);
        fs::write(dir.path().join("latin1.proto"), b"// \xe9").unwrap();
        fs::write(dir.path().join("b.proto"), b"\xff").unwrap();
        let at = |path: &str| dir.path().join(path);
        let loaded = Sources {
            proto: vec![at("none.proto"), at("empty"), at("latin1.proto"), at("i.proto")],
            import_path: vec![at("none")],
            protoset: vec![at("text.binpb"), at("none.binpb")],
            strict: false,
        }
        .load();
        let said = said(&loaded, &dir);
        assert_eq!(
            said[..4],
            [
                "~/none: warning: the import path is not a directory",
                "~/empty: error: there is no .proto file below this directory",
                "~/none.proto: error: cannot be read: No such file or directory (os error 2)",
                "~/latin1.proto: error: this is not text: byte 3 is not UTF-8",
            ]
        );
        assert!(said[4].starts_with("~/text.binpb: error: not a descriptor set: "), "{}", said[4]);
        assert!(said[4].ends_with("it looks like text: `.proto` files are given with --proto"), "{}", said[4]);
        assert_eq!(
            said[5..],
            [
                "~/none.binpb: error: cannot be read: No such file or directory (os error 2)",
                "~/b.proto: warning: this is not text: byte 0 is not UTF-8\n  the file is left out",
            ]
        );
        assert!(loaded.schema.message("google.protobuf.Any").is_some());
    }

    #[test]
    fn imports_that_trees_lack_are_built_in() {
        let text = r#"
            syntax = "proto3";
            import "google/api/annotations.proto";
            import "google/api/client.proto";
            import "google/api/field_behavior.proto";
            import "google/api/httpbody.proto";
            import "google/api/resource.proto";
            import "google/rpc/status.proto";
            import "google/protobuf/wrappers.proto";
            import "github.com/gogo/protobuf/gogoproto/gogo.proto";
            import "buf/validate/validate.proto";
            import "validate/validate.proto";
            option (gogoproto.marshaler_all) = true;
            message T {
              option (google.api.resource) = { type: "a.example/T" pattern: "t/{t}" };
              google.api.HttpBody page = 4 [(google.api.resource_reference).type = "a.example/U"];
              google.rpc.Status status = 1 [(google.api.field_behavior) = REQUIRED, (gogoproto.nullable) = false];
              google.protobuf.Int32Value n = 2 [(validate.rules).message.required = true];
              string s = 3 [(buf.validate.field).string = { min_len: 1 pattern: "^[a-z]{2}$" }];
            }
            service S {
              option (google.api.default_host) = "a.example";
              rpc R(T) returns (T) {
                option (google.api.http) = { post: "/v1/t" body: "*" };
                option (google.api.method_signature) = "s,n";
              }
            }
        "#;
        let dir = tree(&[("t.proto", text)]);
        let loaded = load(&[dir.path().join("t.proto")], &[]);
        assert_eq!(said(&loaded, &dir), [""; 0]);
        assert_eq!(loaded.schema[loaded.schema.message("T").unwrap()].fields.len(), 4);
    }

    #[test]
    fn a_fifo_in_a_schema_directory_is_skipped_and_reported_instead_of_waited_for() {
        let dir = tree(&[("mount.proto", MOUNT)]);
        let fifo = dir.path().join("fifo.proto");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("gone.proto")).unwrap();
        let loaded = load(&[dir.path().into()], &[]);
        assert_eq!(
            said(&loaded, &dir),
            [
                "~/fifo.proto: warning: this is a FIFO, not a regular file: skipped",
                "~/gone.proto: warning: this link leads nowhere: skipped",
            ]
        );
        assert!(loaded.schema.message("types.Mount").is_some());
    }

    #[test]
    fn a_link_to_the_root_directory_in_a_schema_directory_is_not_followed() {
        let dir = tree(&[("mount.proto", MOUNT)]);
        std::os::unix::fs::symlink("/", dir.path().join("root")).unwrap();
        std::os::unix::fs::symlink("/proc", dir.path().join("processes")).unwrap();
        let started = std::time::Instant::now();
        let loaded = load(&[dir.path().into()], &[]);
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
        assert_eq!(said(&loaded, &dir), ["~/root: warning: this link leads to /, which contains ~: skipped"]);
        assert!(loaded.schema.message("types.Mount").is_some());
    }

    #[test]
    fn a_descriptor_set_of_two_million_empty_files_is_refused_before_it_takes_memory() {
        let dir = tempfile::tempdir().unwrap();
        let set = |name: &str, bytes: Vec<u8>| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            Sources { protoset: vec![path], ..Sources::default() }.load()
        };
        let files = set("files.binpb", [0x0a, 0].repeat(2_000_000));
        assert_eq!(said(&files, &dir), ["~/files.binpb: error: this descriptor set has more than 50000 files"]);
        // One file with two million empty messages.
        let mut bytes = vec![0x0a, 0x80, 0x92, 0xf4, 0x01]; // field 1, 4,000,000 bytes
        bytes.extend([0x22, 0].repeat(2_000_000));
        let messages = set("messages.binpb", bytes);
        let limit = "this descriptor set has more than 1000000 messages, fields and other definitions";
        assert_eq!(said(&messages, &dir), [format!("~/messages.binpb: error: {limit}")]);
    }

    #[test]
    fn a_text_of_two_million_messages_is_refused() {
        let dir = tree(&[("a.proto", &"message A{}".repeat(2_000_000))]);
        let loaded = load(&[dir.path().join("a.proto")], &[]);
        let said = said(&loaded, &dir);
        assert!(said.len() == 1 && said[0].contains("at most 1000000 messages"), "{said:?}");
    }

    #[test]
    fn a_descriptor_set_given_as_proto_is_recognised_and_read() {
        let dir = tree(&[("mount.proto", MOUNT)]);
        let mut compiler = protox::Compiler::new([dir.path()]).unwrap();
        let set = compiler.open_file("mount.proto").unwrap().encode_file_descriptor_set();
        let path = dir.path().join("set.pb");
        fs::write(&path, &set).unwrap();
        let loaded = load(&[path], &[]);
        assert_eq!(said(&loaded, &dir), [""; 0]);
        assert!(loaded.schema.message("types.Mount").is_some());
        assert!(!is_descriptor_set(MOUNT.as_bytes()) && !is_descriptor_set(format!("\n{MOUNT}").as_bytes()));
        assert!(!is_descriptor_set(b"") && !is_descriptor_set(&[0x0a, 0]) && is_descriptor_set(&set));
    }

    #[test]
    fn an_import_path_alone_is_reported_since_it_reads_nothing() {
        let dir = tree(&[("mount.proto", MOUNT)]);
        let loaded = load(&[], &[dir.path().into()]);
        assert_eq!(
            said(&loaded, &dir),
            [
                "warning: --import-path alone reads no schema: it says where the imports of files given with --proto are \
              looked for\n  to read every .proto below a directory, give it with --proto"
            ]
        );
    }
}
