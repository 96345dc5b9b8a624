//! The published test vectors match Keyturn's behavior.

use keyturn::domain::scope::{Action, Resource, ScopeSet};
use serde::Deserialize;

use crate::docs::read;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    scope: String,
    action: String,
    resource: String,
    allowed: bool,
    #[serde(rename = "why")]
    _why: String,
}

#[test]
fn vectors_hold() {
    let vectors: Vec<Vector> = serde_json::from_str(&read("docs/reference/scope-vectors.json")).unwrap();
    for vector in &vectors {
        let scopes = ScopeSet::parse(&vector.scope).unwrap();
        let action = Action::parse(&vector.action).unwrap();
        // A text that is not a resource is allowed by no scope.
        let allowed = Resource::parse(&vector.resource).is_ok_and(|resource| scopes.allows(&action, &resource));
        assert_eq!(allowed, vector.allowed, "{vector:?}");
    }
    let (allowed, denied): (Vec<_>, Vec<_>) = vectors.iter().partition(|vector| vector.allowed);
    assert!(allowed.len() > 15 && denied.len() > 20, "{} and {}", allowed.len(), denied.len());
}
