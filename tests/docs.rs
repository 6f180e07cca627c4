//! What the documents say is what the program does: options, JSON members, the listing in the README, links.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use support::environment;
use support::run::run;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn document(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The long options that a text names.
fn options(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter(|word| word.starts_with("--") && word.len() > 3)
}

#[test]
fn every_command_and_option_is_described() {
    let page = document("docs/cli.md");
    let words: BTreeSet<&str> = options(&page).collect();
    for command in
        ["calls", "frames", "show", "follow", "methods", "problems", "summary", "connections", "diff", "call", "serve"]
    {
        assert!(page.contains(&format!("`rpcshark {command} ")), "{command}");
        let help = run(&[command, "--help"]).stdout;
        for option in options(&help) {
            assert!(
                words.contains(option) || matches!(option, "--help" | "--verbose" | "--quiet" | "--immediate-mode"),
                "{command} {option}"
            );
        }
    }
}

#[test]
fn every_option_that_is_described_is_there() {
    let all: String = [
        "calls",
        "frames",
        "show",
        "follow",
        "methods",
        "problems",
        "summary",
        "connections",
        "diff",
        "call",
        "serve",
        "fields",
        "record",
        "export",
    ]
    .map(|command| run(&[command, "--help"]).stdout)
    .concat();
    // Those of the terminal UI.
    let all = all + &run(&["--help"]).stdout;
    for name in ["docs/cli.md", "README.md"] {
        let page = document(name);
        // Options of cargo and of tcpdump.
        let theirs = ["--release", "--workspace", "--path", "--immediate-mode"];
        for option in options(&page).filter(|option| !theirs.contains(option)) {
            assert!(all.contains(option), "{name}: {option}");
        }
    }
}

#[test]
fn every_member_of_the_json_is_described() {
    let page = document("docs/json.md");
    let mut members = BTreeSet::new();
    for case in fs::read_dir(environment::captures()).unwrap() {
        let Ok(texts) = fs::read_dir(case.unwrap().path().join("expected")) else { continue };
        for text in texts.map(|text| text.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        {
            for line in fs::read_to_string(text).unwrap().lines() {
                gather(&serde_json::from_str(line).unwrap(), &mut members);
            }
        }
    }
    assert!(members.len() > 60, "{}", members.len());
    let missing: Vec<&String> = members
        .iter()
        .filter(|member| !page.contains(&format!("`{member}`")) && !page.contains(&format!("\"{member}\"")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The names of members, but of what messages hold.
fn gather(value: &Value, members: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                members.insert(name.clone());
                if !matches!(name.as_str(), "body" | "raw" | "unknown" | "details") {
                    gather(value, members);
                }
            }
        }
        Value::Array(array) => array.iter().for_each(|value| gather(value, members)),
        _ => {}
    }
}

/// The samples of a page: blocks that begin with `$ rpcshark …` on files of this repository, each with its lines.
fn samples(page: &str) -> Vec<(&str, Vec<&str>)> {
    let blocks = page.split("```").filter_map(|block| block.strip_prefix("text\n$ "));
    let blocks =
        blocks.filter_map(|block| block.split_once('\n')).filter(|(command, _)| command.contains("tests/captures/"));
    blocks.map(|(command, lines)| (command, lines.lines().collect())).collect()
}

#[test]
fn samples_in_the_documents_are_what_the_program_prints() {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_rpcshark"));
    let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let readme = document("README.md");
    let cli = document("docs/cli.md");
    assert_eq!(samples(&readme).len(), 3, "a listing, a call in full, and a line of jq");
    for (command, lines) in samples(&readme).into_iter().chain(samples(&cli)) {
        if command.contains("| jq ") && environment::tool("jq", &["--version"]).is_none() {
            continue;
        }
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", command]).current_dir(root()).env("PATH", &path).env("NO_COLOR", "1").env("TZ", "UTC");
        let printed = String::from_utf8(shell.output().unwrap().stdout).unwrap();
        let mut printed = printed.lines();
        // A line that is only an ellipsis stands for lines that are left out.
        for line in lines.iter().filter(|line| **line != "…") {
            assert!(printed.any(|printed| printed == *line), "{command}: {line}");
        }
    }
}

#[test]
fn examples_in_manual_pages_are_neither_filled_nor_hyphenated() {
    let page = run(&["man", "calls"]).stdout;
    assert!(page.contains("\n.nh\n"), "{page}");
    let examples = page.find("Examples:").unwrap();
    let before = page[..examples].rfind("\n.nf\n").unwrap();
    assert!(!page[before + 1..examples].contains("\n.fi\n"), "{page}");
    assert!(page[examples..].contains("\n.fi\n"), "{page}");
}

/// Constants that are limits by their names, but bound nothing that a peer or a file chooses: numbers of formats, and widths.
const NOT_LIMITS: &[&str] = &[
    "captures::MAX_PAYLOAD",
    "captures::MAX_FD",
    "captures::MAX_PID",
    "captures::MAX_SEGMENT",
    "captures::LONGEST_NAME",
    "captures::LONGEST_OPTION",
    "dissectors::MAX_DIGITS",
    "dissectors::MAX_WINDOW",
    "dissectors::MAX_LEN",
    "dissectors::MAX_BITS",
    "dissectors::MAX_CONTINUATION",
    "dissectors::MAX_METHOD",
    "dissectors::MAX_FILE",
    "dissectors::MAX_DECIMALS",
    "dissectors::MAX_TLS_RECORD",
    "dissectors::LONGEST",
    "dissectors::MAX_NUMBER",
    "dissectors::MAX_SET_NUMBER",
    "dissectors::MAX_EXTENSION",
    "dissectors::MAX_BARS",
    "dissectors::MOSTLY_REMOVED",
    "src::MAX_NAME",
    "src::LONGEST_ABSTRACT_NAME",
    "src::MAX_PAYLOAD",
    "src::LONGEST_GOODBYE",
];

/// The constants of the code that are numbers, as `crate::module::NAME`, without those of tests.
fn constants() -> BTreeSet<String> {
    let mut constants = BTreeSet::new();
    let mut directories: Vec<PathBuf> =
        ["captures/src", "dissectors/src", "tui/src", "src"].map(|at| root().join(at)).into();
    while let Some(directory) = directories.pop() {
        for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let relative = path.strip_prefix(root()).unwrap().with_extension("");
            let steps = relative.components().map(|step| step.as_os_str().to_str().unwrap()).enumerate();
            let module: Vec<&str> =
                steps.filter(|&(at, step)| (at != 1 || step != "src") && step != "mod").map(|(_, step)| step).collect();
            if path.extension().is_none_or(|extension| extension != "rs")
                || module.last().is_some_and(|m| m.ends_with("tests"))
            {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
            for line in code.lines().map(str::trim_start) {
                let Some((before, rest)) = line.split_once("const ") else { continue };
                let Some((name, kind)) = rest.split_once(": ") else { continue };
                let is_number = ["usize", "u64", "u32", "u16", "u8", "i32", "i64", "Duration", "Self"]
                    .iter()
                    .any(|number| kind.starts_with(&format!("{number} =")));
                if is_number && (before.is_empty() || before.starts_with("pub")) {
                    constants.insert(format!("{}::{name}", module.join("::")));
                }
            }
        }
    }
    constants
}

/// A constant as the table of limits names it, without the modules: they change more often.
fn short(path: &str) -> String {
    let krate = path.split("::").next().unwrap();
    format!("{krate}::{}", path.rsplit("::").next().unwrap())
}

#[test]
fn every_limit_is_in_the_table_of_limits_and_no_other() {
    let page = document("docs/limits.md");
    let named: Vec<&str> = page.split('`').filter(|text| text.contains("::") && !text.contains(' ')).collect();
    let constants = constants();
    let unknown: Vec<_> = named.iter().filter(|name| !constants.iter().any(|path| short(path) == **name)).collect();
    assert!(unknown.is_empty(), "docs/limits.md names constants that are not in the code: {unknown:#?}");
    let is_limit = |path: &str| {
        let name = path.rsplit("::").next().unwrap();
        ["MAX_", "MOST_", "LONGEST", "KEPT_"].iter().any(|begin| name.starts_with(begin)) || name.ends_with("_KEPT")
    };
    // Settings and the like are named by their RFC.
    let limits = constants.iter().filter(|path| is_limit(path) && !path.contains("::settings::MAX_"));
    let limits: Vec<&String> = limits.filter(|path| !NOT_LIMITS.contains(&short(path).as_str())).collect();
    let count = |name: &str| limits.iter().filter(|path| short(path) == name).count();
    let missing: Vec<_> = limits
        .iter()
        .filter(|path| named.iter().filter(|name| **name == short(path)).count() < count(&short(path)))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/limits.md has too few of these, or NOT_LIMITS in tests/docs.rs lacks them: {missing:#?}"
    );
    let gone: Vec<_> = NOT_LIMITS.iter().filter(|name| !constants.iter().any(|path| short(path) == **name)).collect();
    assert!(gone.is_empty(), "NOT_LIMITS names constants that are not in the code: {gone:#?}");
}

#[test]
fn links_between_documents_lead_somewhere() {
    let pages = fs::read_dir(root().join("docs")).unwrap().map(|page| page.unwrap().path());
    let pages = pages.filter(|page| page.extension().is_some_and(|end| end == "md"));
    for page in pages.chain(["README.md", "CONTRIBUTING.md"].map(|name| root().join(name))) {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            if link.starts_with("http") {
                continue;
            }
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", page.display());
            assert!(heading.is_empty() || has_heading(&target, heading), "{}: {link}", page.display());
        }
    }
}

fn has_heading(page: &Path, heading: &str) -> bool {
    let text = fs::read_to_string(page).unwrap();
    text.lines().filter_map(|line| line.strip_prefix('#')).any(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        title.replace(' ', "-") == heading
    })
}
