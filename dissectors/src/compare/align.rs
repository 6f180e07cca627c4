//! Which elements of two lists belong together.

/// How an element of one list stands to the other list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aligned {
    /// Element so-and-so of the first list belongs to element so-and-so of the second.
    Pair(usize, usize),
    /// Only the first list has it.
    First(usize),
    /// Only the second list has it.
    Second(usize),
}

/// Edits that a shortest way may have. Beyond it, what is between the equal ends is paired by position: the memory for a way
/// grows with the square of its edits.
const MAX_EDITS: usize = 1000;

/// Steps that looking for a shortest way may take.
const MAX_STEPS: usize = 20_000_000;

/// Aligns two lists by the digests of their elements: equal elements on a longest common subsequence are pairs. Where elements
/// of both lists are between two of those, they are paired in their order, too: they are treated as changed ones.
pub fn align(first: &[u64], second: &[u64]) -> Vec<Aligned> {
    let head = first.iter().zip(second).take_while(|(a, b)| a == b).count();
    let (a, b) = (first.get(head..).unwrap_or_default(), second.get(head..).unwrap_or_default());
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let a = a.get(..a.len() - tail).unwrap_or_default();
    let b = b.get(..b.len() - tail).unwrap_or_default();

    let mut aligned: Vec<Aligned> = (0..head).map(|at| Aligned::Pair(at, at)).collect();
    let (mut i, mut j) = (0, 0);
    let ends = (a.len(), b.len());
    for (equal_i, equal_j) in common(a, b).into_iter().chain([ends]) {
        while i < equal_i || j < equal_j {
            aligned.push(match (i < equal_i, j < equal_j) {
                (true, true) => Aligned::Pair(head + i, head + j),
                (true, false) => Aligned::First(head + i),
                _ => Aligned::Second(head + j),
            });
            i += usize::from(i < equal_i);
            j += usize::from(j < equal_j);
        }
        if (i, j) != ends {
            aligned.push(Aligned::Pair(head + i, head + j));
            (i, j) = (i + 1, j + 1);
        }
    }
    let (a_tail, b_tail) = (first.len() - tail, second.len() - tail);
    aligned.extend((0..tail).map(|at| Aligned::Pair(a_tail + at, b_tail + at)));
    aligned
}

/// The places of a longest common subsequence, by the algorithm of Myers ("An O(ND) Difference Algorithm and Its Variations",
/// 1986); none where finding it would take too long.
fn common(a: &[u64], b: &[u64]) -> Vec<(usize, usize)> {
    if a.is_empty() || b.is_empty() {
        return Vec::new();
    }
    // How far each diagonal got with each number of edits. With `edits`, diagonal `t` is the one where i - j = 2t - edits.
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    let mut steps = 0;
    for edits in 0..=MAX_EDITS.min(a.len() + b.len()) {
        let mut reached = Vec::with_capacity(edits + 1);
        for t in 0..=edits {
            let (mut i, _) = start(rounds.last(), edits, t);
            let mut j = (i + edits).saturating_sub(2 * t);
            while let (Some(x), Some(y)) = (a.get(i), b.get(j))
                && x == y
            {
                (i, j) = (i + 1, j + 1);
                steps += 1;
            }
            steps += 1;
            reached.push(i);
            if i >= a.len() && j >= b.len() {
                rounds.push(reached);
                return way_back(&rounds, a.len(), b.len());
            }
        }
        if steps > MAX_STEPS {
            break;
        }
        rounds.push(reached);
    }
    Vec::new()
}

/// Where the search on diagonal `t` begins: one edit away from where a neighbouring diagonal got in the round before. And whether
/// that edit takes an element of the second list.
fn start(before: Option<&Vec<usize>>, edits: usize, t: usize) -> (usize, bool) {
    let Some(before) = before.filter(|_| edits > 0) else { return (0, false) };
    let lower = t.checked_sub(1).and_then(|t| before.get(t)).copied();
    let upper = before.get(t).copied();
    match (lower, upper) {
        (Some(lower), Some(upper)) if lower >= upper => (lower + 1, false),
        (_, Some(upper)) => (upper, true),
        (Some(lower), None) => (lower + 1, false),
        (None, None) => (0, false),
    }
}

/// The equal pairs on the way that the rounds found, in order.
fn way_back(rounds: &[Vec<usize>], len_a: usize, len_b: usize) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    let (mut i, mut j) = (len_a, len_b);
    for edits in (0..rounds.len()).rev() {
        let t = (i + edits).saturating_sub(j) / 2;
        let before = edits.checked_sub(1).and_then(|before| rounds.get(before));
        let (from, takes_second) = start(before, edits, t);
        while i > from && j > 0 {
            (i, j) = (i - 1, j - 1);
            pairs.push((i, j));
        }
        match takes_second {
            true => j = j.saturating_sub(1),
            false => i = i.saturating_sub(1),
        }
    }
    pairs.reverse();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(a: &[u64], b: &[u64]) -> String {
        let parts: Vec<String> = align(a, b)
            .into_iter()
            .map(|aligned| match aligned {
                Aligned::Pair(i, j) if a[i] == b[j] => format!("={}", a[i]),
                Aligned::Pair(i, j) => format!("{}>{}", a[i], b[j]),
                Aligned::First(i) => format!("-{}", a[i]),
                Aligned::Second(j) => format!("+{}", b[j]),
            })
            .collect();
        parts.join(" ")
    }

    #[test]
    fn what_is_equal_is_paired_and_the_rest_in_its_order() {
        for (a, b, expected) in [
            (&[][..], &[][..], ""),
            (&[1, 2, 3], &[1, 2, 3], "=1 =2 =3"),
            (&[1, 2, 3], &[1, 3], "=1 -2 =3"),
            (&[1, 3], &[1, 2, 3], "=1 +2 =3"),
            (&[1, 2, 3], &[1, 4, 3], "=1 2>4 =3"),
            (&[1, 2, 3, 4], &[2, 3, 4, 5], "-1 =2 =3 =4 +5"),
            (&[1, 2, 9, 3, 8], &[7, 2, 5, 6, 3], "1>7 =2 9>5 +6 =3 -8"),
            (&[1], &[2, 3], "1>2 +3"),
        ] {
            assert_eq!(shown(a, b), expected, "{a:?} {b:?}");
        }
    }

    /// The length of a longest common subsequence, by the textbook.
    fn longest(a: &[u64], b: &[u64]) -> usize {
        let mut row = vec![0; b.len() + 1];
        for x in a {
            let mut diagonal = 0;
            for (at, y) in b.iter().enumerate() {
                let above = row[at + 1];
                row[at + 1] = if x == y { diagonal + 1 } else { above.max(row[at]) };
                diagonal = above;
            }
        }
        row[b.len()]
    }

    proptest! {
        #[test]
        fn every_element_has_one_place_in_order_and_as_many_as_possible_are_equal(
            a in prop::collection::vec(0_u64..6, 0..24), b in prop::collection::vec(0_u64..6, 0..24)
        ) {
            let aligned = align(&a, &b);
            let firsts: Vec<usize> = aligned.iter().filter_map(|x| match x {
                Aligned::Pair(i, _) | Aligned::First(i) => Some(*i),
                Aligned::Second(_) => None,
            }).collect();
            let seconds: Vec<usize> = aligned.iter().filter_map(|x| match x {
                Aligned::Pair(_, j) | Aligned::Second(j) => Some(*j),
                Aligned::First(_) => None,
            }).collect();
            prop_assert_eq!(firsts, (0..a.len()).collect::<Vec<_>>());
            prop_assert_eq!(seconds, (0..b.len()).collect::<Vec<_>>());
            let equal = aligned.iter().filter(|x| matches!(x, Aligned::Pair(i, j) if a[*i] == b[*j])).count();
            prop_assert_eq!(equal, longest(&a, &b));
        }
    }

    #[test]
    fn lists_without_anything_in_common_are_paired_by_position_in_bounded_time() {
        let a: Vec<u64> = (0..300_000).collect();
        let b: Vec<u64> = (1_000_000..1_400_000).collect();
        let aligned = align(&a, &b);
        assert_eq!(aligned.len(), 400_000);
        assert_eq!((aligned[5], aligned[399_999]), (Aligned::Pair(5, 5), Aligned::Second(399_999)));
    }
}
