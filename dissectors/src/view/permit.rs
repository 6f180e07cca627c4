//! The permission to see what is hidden.

/// The permission to see what is hidden, for code that works with secrets without showing them: a replay sends them, a
/// comparison compares them. Whoever shows anything has none.
#[derive(Debug)]
pub struct Permit(());

impl Permit {
    /// For comparing values. What is reported of hidden ones is their length.
    pub const fn to_compare() -> Self {
        Self(())
    }

    /// For sending recorded calls to a server, and for answering a client with them.
    pub const fn to_send() -> Self {
        Self(())
    }
}
