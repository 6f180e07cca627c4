//! A stream over time in one row of cells.
//!
//! ```text
//! ↑───────────────────────✗     ↑ ↓ messages   = part of a message   h headers   ✓ ✗ R ends   … continues
//! ```

use rpcshark_captures::Direction;

use super::canvas::Canvas;
use crate::model::timeline::{StreamLine, What};
use crate::theme::{Role, Signs};

/// Which time each column stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeScale {
    /// The time at the left border of the first column, in nanoseconds since the capture began.
    pub from_ns: i64,
    /// Nanoseconds in a column; at least 1.
    pub step_ns: i64,
    /// How many columns.
    pub columns: u16,
}

impl TimeScale {
    /// The column of a time, if it is one of those shown.
    pub fn column(self, at_ns: i64) -> Option<u16> {
        let column = at_ns.checked_sub(self.from_ns)?.div_euclid(self.step_ns.max(1));
        u16::try_from(column).ok().filter(|&column| column < self.columns)
    }

    /// The time at the left border of a column.
    pub const fn at(self, column: u16) -> i64 {
        self.from_ns.saturating_add(self.step_ns.saturating_mul(column as i64))
    }

    /// The time at the right border of the last column.
    pub const fn end(self) -> i64 {
        self.at(self.columns)
    }
}

/// The sign and the role of something that happened.
fn sign(what: What, direction: Direction, signs: &'static Signs) -> (&'static str, Role) {
    let way = match direction {
        Direction::ToServer => (signs.up, Role::ToServer),
        Direction::ToClient => (signs.down, Role::ToClient),
    };
    match what {
        What::Headers | What::HalfClose => ("h", Role::Quiet),
        What::Part => ("=", way.1),
        What::Message(_) => way,
        What::Ended => ("?", Role::Warning),
        What::Ok => (if signs.ascii { "k" } else { signs.ok }, Role::Ok),
        What::Failed => (if signs.ascii { "x" } else { signs.error }, Role::Error),
        What::Reset => ("R", Role::Error),
    }
}

/// Draws a stream from column `x` of row `y` on. `end_ns`: when the connection ends; what is open is drawn until then.
pub fn draw_timeline_row(canvas: &mut Canvas<'_>, x: u16, y: u16, scale: TimeScale, stream: &StreamLine, end_ns: i64) {
    let signs = canvas.theme.signs;
    let Some((first, last)) = stream.span() else { return };
    let last = if stream.open { end_ns.max(last) } else { last };
    let first = if stream.joined { i64::MIN } else { first };
    for column in 0..scale.columns {
        let (from, to) = (scale.at(column), scale.at(column + 1));
        if to <= first || from > last {
            continue;
        }
        let events = stream.between(from, to);
        let most = events.iter().max_by_key(|event| event.what);
        let (text, role) = match most {
            Some(event) => sign(event.what, event.direction, signs),
            None if stream.open && last < to => (signs.ellipsis, Role::Quiet),
            None if column == 0 && from > first || column + 1 == scale.columns && to <= last => {
                (signs.ellipsis, Role::Quiet)
            }
            None => (signs.rule, Role::Quiet),
        };
        canvas.text(x + column, y, 1, text, role);
    }
}

/// What arrived in each column, added up.
pub fn sums(scale: TimeScale, bytes: &[(i64, u32)]) -> Vec<u64> {
    let mut sums = vec![0; scale.columns.into()];
    let start = bytes.partition_point(|&(at, _)| at < scale.from_ns);
    for &(at, len) in bytes.get(start..).unwrap_or_default() {
        let Some(column) = scale.column(at) else { break };
        if let Some(sum) = sums.get_mut(usize::from(column)) {
            *sum += u64::from(len);
        }
    }
    sums
}

/// The least value in each column; `None` before the first one. A value stays until the next.
pub fn least(scale: TimeScale, values: &[(i64, i64)]) -> Vec<Option<i64>> {
    let mut next = values.partition_point(|&(at, _)| at < scale.from_ns);
    let mut current = next.checked_sub(1).and_then(|before| values.get(before)).map(|&(_, value)| value);
    let mut least = Vec::with_capacity(scale.columns.into());
    for column in 0..scale.columns {
        let end = scale.at(column + 1);
        let mut lowest = current;
        while let Some(&(_, value)) = values.get(next).filter(|&&(at, _)| at < end) {
            lowest = Some(lowest.map_or(value, |lowest| lowest.min(value)));
            current = Some(value);
            next += 1;
        }
        least.push(lowest);
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: TimeScale = TimeScale { from_ns: 100, step_ns: 10, columns: 4 };

    #[test]
    fn times_fall_into_columns() {
        assert_eq!(SCALE.column(99), None);
        assert_eq!(SCALE.column(100), Some(0));
        assert_eq!(SCALE.column(139), Some(3));
        assert_eq!(SCALE.column(140), None);
        assert_eq!((SCALE.at(2), SCALE.end()), (120, 140));
    }

    #[test]
    fn bytes_are_added_up_by_column() {
        assert_eq!(sums(SCALE, &[(90, 7), (100, 1), (109, 2), (130, 4), (140, 8)]), [3, 0, 0, 4]);
    }

    #[test]
    fn a_window_stays_until_it_changes_and_its_lowest_value_counts() {
        let values = [(105, 50), (112, 10), (118, 90), (131, 70)];
        assert_eq!(least(SCALE, &values), [Some(50), Some(10), Some(90), Some(70)]);
        assert_eq!(least(SCALE, &[(50, 5)]), [Some(5); 4]);
        assert_eq!(least(SCALE, &[(115, 5)]), [None, Some(5), Some(5), Some(5)]);
    }
}
