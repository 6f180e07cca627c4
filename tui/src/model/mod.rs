//! What screens show, as plain data: made of the values of `rpcshark_dissectors::view`, either from a few rows while the
//! store is locked ([`calls`]) or by the program's workers, with bodies ([`detail`], [`preview`]).

pub mod calls;
pub mod connections;
pub mod detail;
pub mod fields;
pub mod follow;
pub mod frames;
pub(crate) mod lines;
pub mod methods;
pub mod preview;
pub mod problems;
pub mod replay;
pub mod timeline;

pub use calls::CallColumn;
pub use detail::Detail;
pub use fields::Fields;
pub use follow::Conversation;
pub use methods::Methods;
pub use preview::Preview;
pub use problems::ProblemList;
pub use timeline::Timeline;
