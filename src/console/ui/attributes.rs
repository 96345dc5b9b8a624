//! Custom claims and headers as lines of a form: `name = source`.

use crate::domain::attribute::{Attribute, Attributes};
use crate::domain::violation::Violation;

/// Returns one line for each.
pub fn to_lines(attributes: &Attributes) -> Vec<String> {
    attributes.iter().map(|(name, source)| format!("{name} = {source}")).collect()
}

/// Reads the lines of a field. Returns what could be read, and what is wrong.
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
