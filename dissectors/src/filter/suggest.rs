//! What may have been meant by a name that does not exist.

/// The nearest of `names`, if one is near: letters exchanged, missing or too many, whatever their case.
pub(crate) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    // A name of 4 letters may differ in one, one of 20 in three.
    let most = (name.chars().count() / 6 + 1).min(3);
    if name.len() > MAX_LEN {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    let distances = names.filter(|known| known.len().abs_diff(name.len()) <= most);
    let distances = distances.map(|known| (distance(&known.to_ascii_lowercase(), &lower), known));
    distances.min().filter(|&(distance, _)| distance <= most).map(|(_, known)| known)
}

/// Names longer than this are not compared: the work grows with the square of the length.
const MAX_LEN: usize = 100;

/// How many letters must be changed, added, removed or exchanged with their neighbour to make `a` of `b`.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            next[j] = changed.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                next[j] = next[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_if_it_is_near() {
        let names = ["rpc.status", "rpc.start", "rpc.server"];
        assert_eq!(nearest("rpc.sttus", names.into_iter()), Some("rpc.status"));
        assert_eq!(nearest("RPC.Status", names.into_iter()), Some("rpc.status"));
        assert_eq!(nearest("rpc.sevrer", names.into_iter()), Some("rpc.server"));
        assert_eq!(nearest("tcp.port", names.into_iter()), None);
        assert_eq!(nearest("", names.into_iter()), None);
        assert_eq!(distance("abcd", "abdc"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
