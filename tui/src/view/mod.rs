//! The screens: one file each. A screen keeps where it is scrolled to and what it received, handles the actions that concern it,
//! and draws itself.

mod call;
mod calls;
mod follow;
mod methods;
mod problems;
mod timeline;

pub(crate) use call::CallScreen;
pub(crate) use calls::CallsScreen;
pub(crate) use follow::FollowScreen;
pub(crate) use methods::MethodsScreen;
pub(crate) use problems::ProblemsScreen;
pub(crate) use timeline::TimelineScreen;
