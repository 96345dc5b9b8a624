//! Metadata, custom claims and headers as lines of a form: `name=value`, `name = source`.

use std::collections::BTreeSet;

use crate::domain::attribute::{Attribute, Attributes};
use crate::domain::metadata::Metadata;
use crate::domain::violation::Violation;
use crate::http::checks::Checks;

/// Returns one line for each pair of metadata.
pub fn metadata_to_text(metadata: &Metadata) -> String {
    metadata.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
}

/// Parses the field `metadata`. Spaces around a value belong to it.
pub fn parse_metadata(checks: &mut Checks, text: &str) -> Option<Metadata> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let pairs = lines.map(|line| line.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.to_owned())));
    let Some(pairs) = pairs.collect::<Option<Vec<_>>>() else {
        checks.wrong("metadata", "Enter one name=value per line.");
        return None;
    };
    let names: BTreeSet<&String> = pairs.iter().map(|(name, _)| name).collect();
    if names.len() < pairs.len() {
        checks.wrong("metadata", "A name is listed twice.");
        return None;
    }
    Metadata::new(pairs).map_err(|error| checks.wrong("metadata", error.to_string())).ok()
}

/// Returns one line for each.
pub fn to_lines(attributes: &Attributes) -> Vec<String> {
    attributes.iter().map(|(name, source)| format!("{name} = {source}")).collect()
}

/// Reads the lines of a field. Returns what could be read, and the violations.
pub fn from_lines(field: &str, text: &str) -> (Attributes, Vec<Violation>) {
    let (mut attributes, mut violations) = (Attributes::new(), Vec::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some((name, source)) = line.split_once('=').map(|(name, source)| (name.trim(), source.trim())) else {
            violations.push(Violation::new(field, format!("“{line}”: enter a name, “=” and a source.")));
            continue;
        };
        match Attribute::parse_typed(source) {
            Err(error) => violations.push(Violation::new(field, format!("{name}: {error}."))),
            Ok(_) if attributes.contains_key(name) => {
                violations.push(Violation::new(field, format!("{name} is listed twice.")));
            }
            Ok(source) => drop(attributes.insert(name.to_owned(), source)),
        }
    }
    (attributes, violations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_round_trip() {
        let text = "level = 3\nplan = metadata.plan\ntier = =owner";
        let (attributes, violations) = from_lines("token_claims", text);
        assert_eq!((to_lines(&attributes).join("\n").as_str(), violations.len()), (text, 0));
        let (attributes, violations) = from_lines("token_claims", "plan\n\nplan = metadata.\na=b\na=c");
        assert_eq!((attributes.len(), violations.len()), (1, 3));
    }
}
