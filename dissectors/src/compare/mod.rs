//! How two calls differ: one that was recorded, and one that was recorded or replayed later.
//!
//! Everything that the application sees is compared: the status with its message and details, the metadata and trailers of the
//! response, and its messages field by field. Transport details are not: compression, `grpc-*` fields, `server`, `date`, and
//! whether a response was trailers-only.
//!
//! Messages are compared as by `MessageDifferencer` of protobuf's C++ library: presence counts (unless [`Rules`] say
//! otherwise), NaN equals NaN, maps are compared by key, enumerations by number, an `Any` by what is in it, unknown fields by
//! number and wire type. A list is compared element by element; what is reported is the shortest way from one list to the
//! other. A change of a oneof's member is one difference. Without a type, the fields on the wire are compared.
//!
//! Nothing here reads files or knows of a network. Memory and time are bounded whatever the messages hold: see
//! [`MAX_DIFFERENCES`] and [`MAX_VALUES`].
//!
//! ```
//! use rpcshark_dissectors::compare::Rules;
//!
//! let mut rules = Rules::default();
//! rules.ignore("shop.Order.created").expect("it is the name of a field");
//! rules.key("shop.Order.items=sku").expect("it names a list, and a field of its elements");
//! assert!(rules.ignore("shop.Orders/Get.created").is_err(), "after a method stands request, response, …");
//! ```

mod align;
mod call;
mod difference;
mod digest;
mod fields;
mod level;
mod noise;
mod opening;
mod outcome;
mod pattern;
mod raw;
mod rules;
mod shown;
mod suggest;
#[cfg(test)]
mod tests;

pub use align::{Aligned, align};
pub use call::{Comparer, Scope};
pub use difference::{Difference, DifferenceKind, MAX_DIFFERENCES, MessageNumbers, Root, Shown};
pub use fields::Mapped;
pub use level::MAX_VALUES;
pub use noise::Noise;
pub use opening::Opening;
pub use outcome::{Comparison, Verdict};
pub use pattern::{Glob, Pattern};
pub use rules::{RuleError, Rules, Tolerance};
pub use suggest::{Likely, Suggestion, Suggestions};
