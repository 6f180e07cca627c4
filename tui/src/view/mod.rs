//! The screens: one file each. A screen keeps where it is scrolled to and what it received, handles the actions that concern it,
//! and draws itself.

mod call;
mod calls;
mod keys;

pub(crate) use call::{CallScreen, Pane};
pub(crate) use calls::{CallsScreen, Order};
pub(crate) use keys::KeyList;
