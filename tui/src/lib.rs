//! The terminal UI: screens over a store that may still be growing.
//!
//! This crate draws what `rpcshark-dissectors` knows of a capture. It knows no file format, no socket and no terminal: events
//! come in, a buffer of cells comes out, and what a user asks for beyond looking is a [`Request`](backend::Request) that the
//! program carries out.

pub mod app;
pub mod backend;
mod chrome;
pub mod command;
pub mod filter_bar;
mod history;
pub mod model;
mod popup;
pub mod screen;
pub mod text;
pub mod theme;
mod view;
pub mod widget;

pub use app::App;
pub use backend::Backend;
pub use theme::Theme;
