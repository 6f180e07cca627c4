//! Small charts in text: sparklines and horizontal bars.

use crate::theme::Signs;

/// A sparkline: a sign for each value, its height relative to the largest. Zero is the lowest sign.
pub fn spark(values: &[u64], signs: &Signs) -> String {
    let largest = values.iter().copied().max().unwrap_or(0).max(1);
    let highest = signs.spark.len() as u64 - 1;
    let height = |value: u64| match value {
        0 => 0,
        // Anything above zero looks different from zero.
        value => (u128::from(value) * u128::from(highest) / u128::from(largest)).max(1) as usize,
    };
    values.iter().filter_map(|&value| signs.spark.get(height(value)).copied()).collect()
}

/// A bar of at most `columns`, as long as `value` is of `largest`. Anything above zero is at least one mark.
pub fn bar(value: u64, largest: u64, columns: usize, signs: &Signs) -> String {
    let steps = signs.bar.len() as u128;
    let all = columns as u128 * steps;
    let length = match (value, largest) {
        (0, _) | (_, 0) => 0,
        _ => (u128::from(value.min(largest)) * all / u128::from(largest)).max(1),
    };
    let (whole, part) = (length / steps, length % steps);
    let mut bar = signs.bar[signs.bar.len() - 1].repeat(whole as usize);
    if let Some(sign) = (part as usize).checked_sub(1).and_then(|part| signs.bar.get(part)) {
        bar.push_str(sign);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::Theme;

    #[test]
    fn a_sparkline_tells_zero_from_a_little() {
        let signs = Theme::new(false, false).signs;
        assert_eq!(spark(&[0, 1, 500, 1000], signs), "▁▂▄█");
        assert_eq!(spark(&[0, 0], signs), "▁▁");
        assert_eq!(spark(&[], signs), "");
    }

    #[test]
    fn a_bar_is_as_long_as_its_value() {
        let signs = Theme::new(false, false).signs;
        assert_eq!(bar(0, 100, 4, signs), "");
        assert_eq!(bar(1, 1_000_000, 4, signs), "▏");
        assert_eq!(bar(50, 100, 4, signs), "██");
        assert_eq!(bar(100, 100, 4, signs), "████");
        assert_eq!(bar(u64::MAX, u64::MAX, 4, signs), "████");
    }
}
