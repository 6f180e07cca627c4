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

use rpcshark_dissectors::schema::{Builder, Diagnostic, ImportSource, Level, Located, Schema, SourceText};
use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Largest `.proto` file that is read: generated ones reach some megabytes.
const MAX_TEXT: u64 = 64 << 20;

/// Largest descriptor set that is read: that of a very large tree with its comments has some 100 MB.
const MAX_SET: u64 = 1 << 30;

/// How many files a directory may hold, and how deep it may go: `--proto /` is a slip.
const MAX_FILES: usize = 50_000;
const MAX_DEPTH: usize = 64;

/// Which schema files to read.
#[derive(Clone, Debug, Default)]
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

/// A schema, and what is to be said about the files that it came from.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// What could be read; well-known types are always there.
    pub(crate) schema: Arc<Schema>,
    /// In the order in which things were found.
    pub(crate) said: Vec<Diagnostic>,
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
        let mut builder = Builder::default();
        let mut finder = Finder { import_path: self.import_path.clone(), ..Finder::default() };
        for path in &self.import_path {
            if !path.is_dir() {
                builder.say(warning(path, "the import path is no directory"));
            }
        }
        for path in &self.proto {
            if path.is_dir() {
                finder.directories.push(path.clone());
                let before = finder.known.len();
                Walk { root: path, finder: &mut finder, builder: &mut builder }.run();
                if finder.known.len() == before {
                    builder.say(error(path, "there is no .proto file below this directory"));
                }
            } else {
                finder.know(path.clone(), path.file_name().map(PathBuf::from).unwrap_or_default(), true);
            }
        }
        for at in 0..finder.known.len() {
            let known = &finder.known[at];
            match read_text(&known.path) {
                Ok(text) => {
                    let (identity, name) = (known.identity.clone(), shown(&known.path));
                    builder.add_text(SourceText { identity, name, text }, known.named);
                }
                Err(why) if known.named => builder.say(error(&known.path, &why)),
                Err(why) => builder.say(warning(&known.path, &why)),
            }
        }
        for path in &self.protoset {
            match read_bounded(path, MAX_SET) {
                Ok(bytes) => builder.add_set(&shown(path), &bytes),
                Err(why) => builder.say(error(path, &why)),
            }
        }
        let (schema, mut said) = builder.finish(&mut finder);
        if self.strict {
            for said in &mut said {
                said.level = Level::Error;
            }
        }
        Loaded { schema: Arc::new(schema), said }
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
        // `max_by_key` takes the last of equals: turned round, the first.
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
/// is gone through once.
struct Walk<'a> {
    root: &'a Path,
    finder: &'a mut Finder,
    builder: &'a mut Builder,
}

impl Walk<'_> {
    fn run(self) {
        let mut seen = HashSet::new();
        // Directories still to be read, last one first, with their depth.
        let mut open = vec![(self.root.to_path_buf(), 0)];
        while let Some((directory, depth)) = open.pop() {
            if !seen.insert(identity(&directory)) {
                continue;
            }
            let entries = match self.entries(&directory) {
                Ok(entries) => entries,
                Err(why) => {
                    self.builder.say(warning(&directory, &format!("cannot be read: {why}")));
                    continue;
                }
            };
            let (directories, files): (Vec<_>, Vec<_>) = entries.into_iter().partition(|path| path.is_dir());
            for path in files.into_iter().filter(|path| path.extension() == Some(OsStr::new("proto"))) {
                if self.finder.known.len() == MAX_FILES {
                    let message = format!("there are more than {MAX_FILES} .proto files: further ones are left out");
                    return self.builder.say(warning(self.root, &message));
                }
                let inside = path.strip_prefix(self.root).unwrap_or(&path).to_path_buf();
                self.finder.know(path, inside, false);
            }
            if depth < MAX_DEPTH {
                open.extend(directories.into_iter().rev().map(|path| (path, depth + 1)));
            }
        }
    }

    fn entries(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                paths.push(entry.path());
            }
        }
        paths.sort();
        Ok(paths)
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
    let bytes = read_bounded(path, MAX_TEXT)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("this is no text: byte {at} is not UTF-8")
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

    /// What is said, with the directory replaced by `~`.
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
                 the files given with --proto, as one whose path ends with this name\n  another file imports it too",
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
                "~/none: warning: the import path is no directory",
                "~/empty: error: there is no .proto file below this directory",
                "~/none.proto: error: cannot be read: No such file or directory (os error 2)",
                "~/latin1.proto: error: this is no text: byte 3 is not UTF-8",
            ]
        );
        assert!(said[4].starts_with("~/text.binpb: error: not a descriptor set: "), "{}", said[4]);
        assert!(said[4].ends_with("it looks like text: `.proto` files are given with --proto"), "{}", said[4]);
        assert_eq!(
            said[5..],
            [
                "~/none.binpb: error: cannot be read: No such file or directory (os error 2)",
                "~/b.proto: warning: this is no text: byte 0 is not UTF-8\n  the file is left out",
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
}
