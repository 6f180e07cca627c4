//! The terminal UI's side in the program: the terminal itself, and what the screens ask for.
//!
//! Three kinds of threads work together. The main thread owns the terminal: it waits for keys, draws, and reads the store
//! only for the rows in view. The loader fills the store ([`load`](crate::load)). The workers ([`workers`]) carry out what takes
//! longer, a thread and a file for each kind of request: [`call`] looks at single calls, [`list`] keeps the list that a
//! filter or an order makes, [`conversation`] makes conversations, [`statistics`] counts by method and by problem, [`timeline`]
//! reads a connection again, [`frames`] reads frames, [`connections`] lists connections, [`problem_rows`] finds failed calls for the
//! scrollbar, [`seen_values`] counts values for completion, [`replay`] replays calls,
//! [`errands`] loads schemas and copies.

mod backend;
mod call;
mod clipboard;
mod connections;
mod conversation;
mod errands;
mod export;
mod frames;
mod history;
mod keyboard;
mod list;
mod problem_rows;
mod replay;
mod requests;
mod seen_values;
mod sort_keys;
mod statistics;
mod terminal;
#[cfg(test)]
mod tests;
mod timeline;
mod workers;

pub(crate) use history::path as history_path;
pub(crate) use terminal::{Ended, Options, run};
