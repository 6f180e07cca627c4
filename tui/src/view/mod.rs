//! The screens: one file each. A screen keeps where it is scrolled to and what it received, handles the actions that concern it,
//! and draws itself.

mod call;
mod call_columns;
mod calls;
mod connections;
mod fields;
mod follow;
mod frames;
mod methods;
mod problems;
mod replay;
mod timeline;

pub(crate) use call::CallScreen;
pub(crate) use calls::CallsScreen;
pub(crate) use connections::ConnectionsScreen;
pub(crate) use follow::FollowScreen;
pub(crate) use frames::FramesScreen;
pub(crate) use methods::MethodsScreen;
pub(crate) use problems::ProblemsScreen;
pub(crate) use replay::ReplayScreen;
pub(crate) use timeline::TimelineScreen;
