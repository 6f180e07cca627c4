//! What may use what: printing uses the values, and the values know nothing of printing.
#![allow(clippy::unwrap_used)]

use std::path::Path;

fn sources(directory: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(directory);
    let files = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn values_do_not_use_printing() {
    for (file, text) in sources("view") {
        let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        assert!(!code.contains("crate::print"), "{file}");
    }
}

#[test]
fn printing_does_not_look_into_the_store() {
    for (file, text) in sources("print") {
        for inside in ["store::Lane", "store::Store", "HeaderListId", "HeaderLists", ".lane(", "RareFacts"] {
            assert!(!text.contains(inside), "{file} uses {inside}");
        }
    }
}
