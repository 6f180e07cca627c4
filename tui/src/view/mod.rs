//! The screens: one file each. A screen keeps where it is scrolled to and what it received, handles the actions that concern it,
//! and draws itself.

mod call;
mod calls;

pub(crate) use call::CallScreen;
pub(crate) use calls::CallsScreen;
