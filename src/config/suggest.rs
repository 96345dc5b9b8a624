//! "Did you mean": the nearest of the names that would have been right.

/// The candidate most like `given`, if any is like it at all. Case and hyphens do not count.
pub(super) fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase().replace('-', "_");
    if given.chars().count() > LONGEST {
        return None;
    }
    candidates
        .into_iter()
        .filter_map(|candidate| likeness(&given, candidate).map(|distance| (distance, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// No name is longer than this; what is longer is not a slip of the hand.
const LONGEST: usize = 64;

fn likeness(given: &str, candidate: &str) -> Option<usize> {
    let distance = edits(given, candidate);
    let few = (candidate.len() / 3).clamp(1, 3);
    let shortened = given.len() >= 3 && (candidate.starts_with(given) || given.starts_with(candidate));
    (distance <= few || shortened).then_some(distance)
}

/// Insertions, removals, replacements and swaps of neighbours that lead from one to the other.
fn edits(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mut before_last = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut row = vec![i; to.len() + 1];
        for j in 1..=to.len() {
            let replaced = last[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::{edits, nearest};

    #[test]
    fn counts_edits() {
        for (from, to, distance) in [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("lsiten", "listen", 1)] {
            assert_eq!(edits(from, to), distance, "{from} {to}");
        }
    }

    #[test]
    fn suggests_only_what_is_near() {
        let names = ["ttl_seconds", "algorithm", "typ", "audience"];
        for (given, expected) in [
            ("ttl", Some("ttl_seconds")),
            ("TTL-Seconds", Some("ttl_seconds")),
            ("algoritm", Some("algorithm")),
            ("type", Some("typ")),
            ("audiences", Some("audience")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, names), expected, "{given}");
        }
        assert_eq!(nearest(&"ttl".repeat(100), names), None);
    }
}
