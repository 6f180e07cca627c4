//! Shows where two texts differ, line by line.

/// Lines shown on both sides of a difference.
const AROUND: usize = 2;

/// Differing lines shown of each text.
const MOST: usize = 6;

/// Longest part of a line that is shown, around the first differing character.
const WIDTH: usize = 160;

/// `None` where the texts are equal, else the first differing lines of both with their numbers.
pub(crate) fn difference(expected: &str, got: &str) -> Option<String> {
    if expected == got {
        return None;
    }
    let (left, right): (Vec<&str>, Vec<&str>) = (expected.split('\n').collect(), got.split('\n').collect());
    let first = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
    let tail = left[first..].iter().rev().zip(right[first..].iter().rev()).take_while(|(a, b)| a == b).count();
    let mut shown = String::new();
    let mut push = |mark: char, number: usize, line: &str, from: usize| {
        shown.push_str(&format!("{mark}{:>5} {}\n", number + 1, window(line, from)));
    };
    let mut range = |mark: char, lines: &[&str], from: usize, to: usize, at: usize| {
        for (number, line) in lines.iter().enumerate().take(to).skip(from) {
            push(mark, number, line, at);
        }
    };
    range(' ', &left, first.saturating_sub(AROUND), first, 0);
    let same = match (left.get(first), right.get(first)) {
        (Some(a), Some(b)) => a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count(),
        _ => 0,
    };
    range('-', &left, first, (left.len() - tail).min(first + MOST), same);
    range('+', &right, first, (right.len() - tail).min(first + MOST), same);
    shown.push_str(&format!(
        "({} of {} expected lines and {} of {} got lines stand in the differing part; - expected, + got)\n",
        left.len() - tail - first,
        left.len(),
        right.len() - tail - first,
        right.len()
    ));
    Some(shown)
}

/// The part of a long line in which the difference lies.
fn window(line: &str, difference: usize) -> String {
    if line.chars().count() <= WIDTH {
        return line.to_owned();
    }
    let from = difference.saturating_sub(WIDTH / 2);
    let part: String = line.chars().skip(from).take(WIDTH).collect();
    format!("[from character {from}] {part}")
}
