//! Three-valued logic (Kleene): true, false, and unknown where the capture does not say.

/// What a filter says about a call or frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    /// It matches.
    True,
    /// It does not match.
    False,
    /// It depends on something that the capture does not hold, or that is hidden.
    Unknown,
}

impl Truth {
    /// True only if both are; false as soon as one is.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            _ => Self::Unknown,
        }
    }

    /// True as soon as one is; false only if both are.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::True, _) | (_, Self::True) => Self::True,
            (Self::False, Self::False) => Self::False,
            _ => Self::Unknown,
        }
    }

    /// The opposite; unknown stays unknown.
    #[must_use]
    pub const fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(truth: bool) -> Self {
        if truth { Self::True } else { Self::False }
    }
}

#[cfg(test)]
mod tests {
    use super::Truth::{self, False, True, Unknown};

    #[test]
    fn kleene_tables() {
        let and = [(True, True, True), (True, Unknown, Unknown), (Unknown, False, False), (Unknown, Unknown, Unknown)];
        for (a, b, result) in and {
            assert_eq!((a.and(b), b.and(a)), (result, result), "{a:?} and {b:?}");
            // De Morgan.
            assert_eq!(a.not().or(b.not()), result.not(), "{a:?} or {b:?}");
        }
        assert_eq!(Truth::from(true).not(), False);
        assert_eq!(Unknown.not(), Unknown);
    }
}
