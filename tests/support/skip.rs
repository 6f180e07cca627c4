//! Reports tests that did not run.

use std::fmt::Display;
use std::io::Write;

/// Reports that the current test is skipped, and why.
///
/// The line goes past the test runner's capture of output, so that it is visible for passing tests too: `.ci/run` collects
/// these lines and prints them at its end.
pub(crate) fn skip(why: impl Display) {
    let thread = std::thread::current();
    let line = format!("skipped: {}: {why}\n", thread.name().unwrap_or("a test"));
    // A closed standard error must not fail the test.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
