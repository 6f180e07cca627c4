//! What screens are made of: each widget draws one kind of thing and keeps no more than where it is scrolled to.

mod bytes;
mod canvas;
mod input;
mod popup;
mod spark;
mod table;
mod timeline_row;
mod tree;

pub use bytes::{ByteView, Bytes, draw_bytes};
pub use canvas::{Canvas, Hit, Part, Parts, Zones, parts_width};
pub use input::{LineInput, draw_input};
pub(crate) use popup::{Place, draw_popup_at};
pub use popup::{Popup, draw_popup};
pub use spark::{bar, spark};
pub(crate) use table::draw_scrollbar;
pub use table::{Align, Cell, Column, Gutter, ListState, Row, Width, draw_table, lay_out};
pub use timeline_row::{TimeScale, draw_timeline_row, least, sums};
pub use tree::{Comparison, Node, NodeIx, Tree, TreeState, draw_tree};
