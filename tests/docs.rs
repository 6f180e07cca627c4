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
    for command in ["calls", "frames", "show", "follow", "methods", "problems", "summary", "connections"] {
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
    let all: String =
        ["calls", "frames", "show", "follow", "methods", "problems", "summary", "connections", "fields", "record"]
            .map(|command| run(&[command, "--help"]).stdout)
            .concat();
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

#[test]
fn links_between_documents_lead_somewhere() {
    let pages = fs::read_dir(root().join("docs")).unwrap().map(|page| page.unwrap().path());
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
