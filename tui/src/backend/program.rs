//! The program itself: its clipboard, its schemas, its process.

use std::path::PathBuf;

/// How messages are decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodingRequest {
    /// Reads a schema besides those that are loaded. Answered by [`Reply::DecodingChanged`](super::Reply::DecodingChanged) or
    /// [`Reply::Say`](super::Reply::Say).
    LoadSchema(PathBuf),
    /// Shows hidden values, or hides them again. Answered by
    /// [`Reply::DecodingChanged`](super::Reply::DecodingChanged).
    Reveal(bool),
}

/// What is asked of the program itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramRequest {
    /// Puts text on the clipboard, or into a file where that is asked for. Answered by [`Reply::Say`](super::Reply::Say).
    Copy {
        /// What is copied.
        text: String,
        /// Into a file.
        to_file: bool,
    },
    /// Remembers a filter for later runs.
    Remember(String),
    /// Opens another capture in place of this one. Answered by [`Reply::Say`](super::Reply::Say) where that fails.
    Open(PathBuf),
    /// Stops reading the capture.
    StopReading,
    /// Suspends the program, as Ctrl-Z does in a shell.
    Suspend,
    /// Draws everything again.
    Redraw,
    /// Ends the program.
    Quit,
}
