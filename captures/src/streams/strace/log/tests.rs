//! Logs written out, and what must come out of them.
