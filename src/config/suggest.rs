//! Finds the name for "did you mean".

/// The candidate that is most similar to `given`, if any is similar. Case and hyphens are ignored.
pub(super) fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_lowercase().replace('-', "_");
    if given.chars().count() > LONGEST {
        return None;
    }
    candidates
        .into_iter()
        .filter_map(|candidate| distance(&given, candidate).map(|distance| (distance, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Longer text is not a misspelled name.
const LONGEST: usize = 64;

fn distance(given: &str, candidate: &str) -> Option<usize> {
    let distance = strsim::osa_distance(given, candidate);
    let few = (candidate.len() / 3).clamp(1, 3);
    let shortened = given.len() >= 3 && (candidate.starts_with(given) || given.starts_with(candidate));
    (distance <= few || shortened).then_some(distance)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn only_similar_names_are_suggested() {
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
