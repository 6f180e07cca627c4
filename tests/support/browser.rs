//! Pages in a headless browser, where one is installed.

use std::path::Path;
use std::process::Command;

use super::environment::tool;
use super::skip::skip;

/// Names under which Chromium is installed.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome-headless-shell"];

/// The elements of a page after its scripts have run; `None`, with the test reported as skipped, where no browser is installed.
/// `directory` is where the browser keeps its files.
pub(crate) fn dom(directory: &Path, page: &str) -> Option<String> {
    let is_there =
        |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    let Some(browser) = BROWSERS.into_iter().find(is_there) else {
        skip("no headless browser is installed (chromium)");
        return None;
    };
    let profile = format!("--user-data-dir={}", directory.join("home").display());
    let options =
        ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", &profile, "--dump-dom", page];
    tool(browser, &options)
}
