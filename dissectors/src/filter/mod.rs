//! Display filters: Wireshark's grammar over the fields of calls, frames and messages.
//!
//! ```text
//! text ── lexer ── parser ── ast ── check ── program          fields: the table of fields, with how each value is had
//!                                     │                        body: paths through message bodies
//!                                   fields, schema             columns: the same fields as columns and sort keys
//! ```
//!
//! A filter is compiled once, for one schema, and then asked about calls ([`Filter::call`]) or frames ([`Filter::frame`]).
//! The answer is a [`Truth`]: a comparison with something that the capture does not hold is unknown, and so is its
//! negation. `docs/filters.md` describes the language.
//!
//! ```
//! use rpcshark_dissectors::filter::{Filter, Target};
//! use rpcshark_dissectors::schema::Schema;
//!
//! let schema = Schema::builtin();
//! let filter = Filter::compile("rpc.status == UNAVAILABLE && rpc.duration > 1.5s", &schema, Target::Calls);
//! assert!(!filter.expect("it is a filter").needs().bodies);
//!
//! let error = Filter::compile("rpc.sttus == 14", &schema, Target::Calls).unwrap_err();
//! assert_eq!(error.text(), "no field rpc.sttus; did you mean rpc.status?");
//! assert_eq!(error.span, 0..9);
//! ```

mod ast;
mod body;
mod check;
mod columns;
mod complete;
mod error;
mod fields;
#[expect(clippy::module_inception, reason = "the type that the module is for has a file named for it")]
mod filter;
mod lexer;
mod literal;
mod parser;
mod program;
mod suggest;
mod summary;
mod truth;
mod value;

pub use columns::{Cell, Column, FrameCells, SortKey};
pub use complete::{Candidate, Completion, complete};
pub use error::{FilterError, Span};
pub use fields::{FieldSpec, Scope, fields};
pub use filter::{Filter, Needs, State, Target};
pub use parser::{MAX_LENGTH, MAX_NESTING};
pub use program::{FilterScratch, FrameTally, PacketLengths};
pub(crate) use suggest::nearest;
pub use truth::Truth;
pub use value::{Item, Names, Type, Value};
