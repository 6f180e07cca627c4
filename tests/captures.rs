//! Runs the commands of every case in `tests/captures/` and compares what they print with the texts kept there.
//!
//! A case is a directory:
//!
//! - the capture, and a schema beside it where it has one;
//! - `source.md`: where the recording came from;
//! - `command`: a line `NAME: ARGUMENTS` for each run, in that directory; `#` begins a comment;
//! - `expected/NAME`: what the run prints on standard output;
//! - `expected/NAME.err`: its exit status and what it prints on standard error, where the status is not 0 or it prints something.
//!
//! With `RPCSHARK_UPDATE=1` the expected texts are written instead of compared; read the difference before committing it.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use support::{diff, environment, run, shop};

/// Files by name, with their text.
type Texts = BTreeMap<String, String>;

#[test]
fn every_case_prints_what_is_expected() {
    let update = std::env::var_os("RPCSHARK_UPDATE").is_some_and(|value| !value.is_empty());
    let mut faults = Vec::new();
    let cases = cases();
    assert!(cases.len() >= 7, "the cases are there");
    for case in &cases {
        let name = case.file_name().unwrap().to_string_lossy();
        let printed = printed(case);
        if update {
            write(&case.join("expected"), &printed);
        }
        let expected = read(&case.join("expected"));
        faults.extend(compare(&expected, &printed).into_iter().map(|fault| format!("{name}/{fault}")));
    }
    assert!(
        faults.is_empty(),
        "{} faults (RPCSHARK_UPDATE=1 writes the expected texts anew):\n\n{}",
        faults.len(),
        shop::first(&faults)
    );
}

#[test]
fn every_case_says_where_it_came_from() {
    for case in cases() {
        let source = std::fs::read_to_string(case.join("source.md"));
        assert!(source.is_ok_and(|text| text.trim().len() > 20), "{}: source.md is missing or empty", case.display());
    }
}

/// The directories of the cases, by name.
fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(environment::captures())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    cases
}

/// Runs a case's commands.
fn printed(case: &Path) -> Texts {
    let text = std::fs::read_to_string(case.join("command"))
        .unwrap_or_else(|error| panic!("{}/command: {error}", case.display()));
    let mut texts = Texts::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, arguments) =
            line.split_once(": ").unwrap_or_else(|| panic!("{}/command: no name in {line}", case.display()));
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let run = run::run_in(case, &arguments);
        let doubled = texts.insert(name.to_owned(), run.stdout);
        assert!(doubled.is_none(), "{}/command: {name} stands twice", case.display());
        if run.status != Some(0) || !run.stderr.is_empty() {
            let status = run.status.map_or("ended by a signal".to_owned(), |status| status.to_string());
            texts.insert(format!("{name}.err"), format!("exit status: {status}\n{}", run.stderr));
        }
    }
    assert!(!texts.is_empty(), "{}/command: no command", case.display());
    texts
}

/// The expected texts of a case.
fn read(directory: &Path) -> Texts {
    let Ok(entries) = std::fs::read_dir(directory) else { return Texts::new() };
    entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), std::fs::read_to_string(entry.path()).unwrap()))
        .collect()
}

/// Writes the expected texts of a case and removes those that nothing prints.
fn write(directory: &Path, texts: &Texts) {
    std::fs::create_dir_all(directory).unwrap();
    for left_over in read(directory).keys().filter(|name| !texts.contains_key(*name)) {
        std::fs::remove_file(directory.join(left_over)).unwrap();
    }
    for (name, text) in texts {
        std::fs::write(directory.join(name), text).unwrap();
    }
}

/// What differs, either way.
fn compare(expected: &Texts, printed: &Texts) -> Vec<String> {
    let names: BTreeSet<&String> = expected.keys().chain(printed.keys()).collect();
    let mut faults = Vec::new();
    for name in names {
        match (expected.get(name), printed.get(name)) {
            (Some(expected), Some(printed)) => {
                faults.extend(diff::difference(expected, printed).map(|lines| format!("{name}:\n{lines}")))
            }
            (None, Some(printed)) => {
                faults.push(format!("{name}: printed but not expected:\n{}", shop::first(&head(printed))))
            }
            (Some(_), None) => faults.push(format!("{name}: expected but no command prints it")),
            (None, None) => {}
        }
    }
    faults
}

fn head(text: &str) -> Vec<String> {
    text.lines().map(|line| line.chars().take(160).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(files: &[(&str, &str)]) -> Texts {
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn a_difference_either_way_is_a_fault() {
        let kept = texts(&[("a", "one\ntwo\n")]);
        assert!(compare(&kept, &kept).is_empty());
        assert!(compare(&kept, &texts(&[("a", "one\ntwo")]))[0].contains("differing part"));
        assert!(compare(&kept, &texts(&[]))[0].contains("no command prints it"));
        assert!(compare(&texts(&[]), &kept)[0].contains("not expected"));
    }
}
