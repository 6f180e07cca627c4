//! The terminal UI's side in the program: the terminal itself, and what the screens ask for.
//!
//! Three kinds of threads work together. The main thread owns the terminal: it waits for keys, draws, and reads the store
//! only for the rows in view. The loader fills the store ([`load`](crate::load)). Two workers carry out what takes longer: one
//! looks at single calls ([`calls`]), the other keeps the list that a filter or an order makes ([`list`]).

mod backend;
mod calls;
mod clipboard;
mod list;
mod terminal;
#[cfg(test)]
mod tests;

pub(crate) use terminal::{Options, run};
