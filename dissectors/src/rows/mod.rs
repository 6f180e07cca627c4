//! The rows of tables, with named columns: what `--columns`, `-e` and `--sort` of `methods`, `problems` and `connections`
//! can name.
//!
//! Each [`Table`] lists its columns once, as data: name, type, one line of help, and how the value is obtained. Rows are
//! values of [`statistics`](crate::statistics) and [`view`](crate::view); the columns of calls and frames are the fields of
//! [`filter`](crate::filter), whose cells and sort keys are used here, too.

mod column;
mod connections;
mod methods;
mod problems;

pub use column::{RowColumn, RowField, Table, Values};
pub use connections::{ConnectionRow, Connections};
pub use methods::{MethodRow, Methods};
pub use problems::{ProblemRow, ProblemsTable};
