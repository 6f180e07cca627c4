//! A value, and how it is known.

/// A value, and how it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Known<T> {
    /// It is in the capture.
    Seen(T),
    /// It follows from what is in the capture, but another value is possible.
    Guessed(T),
    /// It is in the capture and hidden, since it is a secret.
    Hidden {
        /// Its length in bytes.
        len: usize,
    },
    /// It was not sent.
    #[default]
    Absent,
    /// It may have been sent, but is not in the capture.
    Unknown,
}

impl<T> Known<T> {
    /// The value, seen or guessed.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Seen(value) | Self::Guessed(value) => Some(value),
            Self::Hidden { .. } | Self::Absent | Self::Unknown => None,
        }
    }

    /// The same with a reference to the value.
    pub const fn as_ref(&self) -> Known<&T> {
        match self {
            Self::Seen(value) => Known::Seen(value),
            Self::Guessed(value) => Known::Guessed(value),
            Self::Hidden { len } => Known::Hidden { len: *len },
            Self::Absent => Known::Absent,
            Self::Unknown => Known::Unknown,
        }
    }

    /// The same with another value in its place, known in the same way.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Known<U> {
        match self {
            Self::Seen(value) => Known::Seen(change(value)),
            Self::Guessed(value) => Known::Guessed(change(value)),
            Self::Hidden { len } => Known::Hidden { len },
            Self::Absent => Known::Absent,
            Self::Unknown => Known::Unknown,
        }
    }

    /// The same with another value in its place; [`Known::Unknown`] where there is none.
    pub fn map_or_unknown<U>(self, change: impl FnOnce(T) -> Option<U>) -> Known<U> {
        match self.map(change) {
            Known::Seen(Some(value)) => Known::Seen(value),
            Known::Guessed(Some(value)) => Known::Guessed(value),
            Known::Seen(None) | Known::Guessed(None) | Known::Unknown => Known::Unknown,
            Known::Hidden { len } => Known::Hidden { len },
            Known::Absent => Known::Absent,
        }
    }

    /// Whether there is a value and it is guessed.
    pub const fn is_guessed(&self) -> bool {
        matches!(self, Self::Guessed(_))
    }

    /// Whether there is a value and it is hidden.
    pub const fn is_hidden(&self) -> bool {
        matches!(self, Self::Hidden { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_the_value_keeps_how_it_is_known() {
        assert_eq!(Known::Seen(2).map(|n| n * 2), Known::Seen(4));
        assert_eq!(Known::Guessed(2).map_or_unknown(|n: u8| n.checked_sub(1)), Known::Guessed(1));
        assert_eq!(Known::Guessed(0).map_or_unknown(|n: u8| n.checked_sub(1)), Known::Unknown);
        assert_eq!(Known::Hidden { len: 3 }.map(|n: u8| n), Known::Hidden { len: 3 });
        assert_eq!(Known::<u8>::Hidden { len: 3 }.value(), None);
    }
}
