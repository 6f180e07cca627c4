//! What screens show, as plain data: made of the values of `rpcshark_dissectors::view`, either from a few rows while the
//! store is locked ([`calls`]) or by the program's workers, with bodies ([`detail`], [`preview`]).

pub mod calls;
pub mod detail;
pub(crate) mod lines;
pub mod preview;

pub use calls::CallColumn;
pub use detail::Detail;
pub use preview::Preview;
