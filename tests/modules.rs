//! The direction in which modules and crates use each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Directories whose files must not use each other in a circle.
const WITHOUT_CIRCLES: [&str; 4] =
    ["captures/src/connection", "captures/src/file", "captures/src/packet", "dissectors/src/store"];

/// Which crate may use which, by the name that `use` has.
const CRATES: [(&str, &[&str]); 4] = [
    ("captures/src", &[]),
    ("dissectors/src", &["rpcshark_captures"]),
    ("tui/src", &["rpcshark_captures", "rpcshark_dissectors"]),
    ("src", &["rpcshark_captures", "rpcshark_dissectors", "rpcshark_tui"]),
];

const LIBRARIES: [&str; 3] = ["rpcshark_captures", "rpcshark_dissectors", "rpcshark_tui"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The source without comments, and without its unit tests, which may use anything.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a readable file");
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The names directly after each `prefix` in a source: `x` of `super::x::Y`, and `x`, `y` of `super::{x::X, y}`.
fn names_after<'a>(code: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    let starts = code.match_indices(prefix).map(|(at, _)| at);
    let whole = starts.filter(move |&at| !code[..at].ends_with(|c: char| c == ':' || c == '_' || c.is_alphanumeric()));
    whole.flat_map(move |at| {
        let rest = &code[at + prefix.len()..];
        let list = rest.strip_prefix('{').map(|list| list.split('}').next().unwrap_or_default());
        list.unwrap_or(rest.split(';').next().unwrap_or_default()).split(if list.is_some() { ',' } else { ';' }).map(
            |item| {
                let item = item.trim();
                &item[..item.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(item.len())]
            },
        )
    })
}

/// What each module of a directory uses of the others. Submodules with files of their own count as one with their
/// parent; `mod.rs` only lists its modules.
fn uses(directory: &str) -> BTreeMap<String, BTreeSet<String>> {
    let path = root().join(directory);
    let module = |file: &Path| {
        let file = file.strip_prefix(&path).expect("a file of the directory");
        let first = file.components().next().expect("a name").as_os_str().to_string_lossy();
        first.trim_end_matches(".rs").to_owned()
    };
    let files = files(&path);
    let names: BTreeSet<String> = files.iter().map(|file| module(file)).filter(|name| name != "mod").collect();
    let inside = directory.split_once("src/").expect("a directory of a crate").1.replace('/', "::");
    let by_crate = format!("crate::{inside}::");
    let mut uses = BTreeMap::<String, BTreeSet<String>>::new();
    for file in &files {
        let name = module(file);
        if name == "mod" || ["oracle", "random", "samples", "testing", "tests"].contains(&name.as_str()) {
            continue;
        }
        let code = code(file);
        let depth = file.strip_prefix(&path).expect("a file of the directory").components().count();
        let by_super = "super::".repeat(depth);
        let used = names_after(&code, &by_super).chain(names_after(&code, &by_crate));
        let used = used.filter(|used| names.contains(*used) && *used != name).map(str::to_owned);
        uses.entry(name.clone()).or_default().extend(used.collect::<Vec<_>>());
    }
    uses
}

/// A circle, as the modules that make it: each uses the next one, and the last one the first.
fn circle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut uses = uses.clone();
    // What uses nothing (more) is in no circle.
    loop {
        let free: BTreeSet<String> =
            uses.iter().filter(|(_, used)| used.is_empty()).map(|(name, _)| name.clone()).collect();
        if free.is_empty() {
            break;
        }
        uses.retain(|name, _| !free.contains(name));
        uses.values_mut().for_each(|used| used.retain(|used| !free.contains(used)));
        let rest: BTreeSet<String> = uses.keys().cloned().collect();
        uses.values_mut().for_each(|used| used.retain(|used| rest.contains(used)));
    }
    let mut path = vec![uses.keys().next()?.clone()];
    loop {
        let next = uses.get(path.last()?)?.first()?.clone();
        if let Some(at) = path.iter().position(|name| *name == next) {
            return Some(path.split_off(at));
        }
        path.push(next);
    }
}

#[test]
fn modules_do_not_use_each_other_in_circles() {
    for directory in WITHOUT_CIRCLES {
        let uses = uses(directory);
        assert!(uses.values().any(|used| !used.is_empty()), "{directory}: no use was recognised");
        assert_eq!(circle(&uses), None, "in {directory}");
    }
}

#[test]
fn a_circle_is_found() {
    let uses = [("a", "b"), ("b", "c"), ("c", "b"), ("d", "a")]
        .map(|(name, used)| (name.to_owned(), BTreeSet::from([used.to_owned()])));
    let found = circle(&BTreeMap::from(uses));
    assert_eq!(found, Some(vec!["b".to_owned(), "c".to_owned()]));
    let code = "use super::{a::A, b};\nuse crate::x::y::Z;\nfn f() { super::c::d() }\nuse not_super::e;";
    let names: Vec<_> = names_after(code, "super::").chain(names_after(code, "crate::x::")).collect();
    assert_eq!(names, ["a", "b", "c", "y"]);
}

#[test]
fn crates_use_only_what_stands_before_them() {
    for (directory, allowed) in CRATES {
        for file in files(&root().join(directory)) {
            let code = code(&file);
            for library in LIBRARIES.iter().filter(|library| !allowed.contains(library)) {
                assert!(!code.contains(&format!("{library}::")), "{} uses {library}", file.display());
            }
        }
    }
}

/// Values are what is known; printing is how it is shown, and uses them.
#[test]
fn values_do_not_use_printing() {
    for file in files(&root().join("dissectors/src/view")) {
        let code = code(&file);
        let prints = names_after(&code, "crate::").any(|used| used == "print") || code.contains("super::print");
        assert!(!prints, "{} uses print", file.display());
    }
}
