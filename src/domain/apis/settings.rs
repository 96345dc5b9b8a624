//! Validation of an API's settings.

use crate::domain::apis::Api;
use crate::domain::attribute::check_claims;
use crate::domain::audience::is_same;
use crate::domain::choices::ScopeStyle;
use crate::domain::violation::{Violation, ViolationKind};

/// Maximum number of APIs of an organization.
pub const MAX_APIS: usize = 100;
/// Maximum number of scopes of an API.
pub const MAX_API_SCOPES: usize = 200;
/// Maximum length of an audience in bytes.
const MAX_AUDIENCE_BYTES: usize = 256;
/// Maximum length of a description in characters.
const MAX_DESCRIPTION_CHARS: usize = 500;

impl Api {
    /// Returns every invalid setting. `others` are the organization's other APIs, and `reserved` audiences that only the
    /// default API can have.
    pub fn validate(&self, others: &[Self], reserved: &[&str]) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut report = |field: &str, kind: ViolationKind| violations.push(Violation::new(field, kind));
        if others.iter().any(|other| other.name == self.name) {
            report("name", ViolationKind::Other(format!("the organization already has an API named {}", self.name)));
        }
        if self.description.chars().count() > MAX_DESCRIPTION_CHARS {
            report("description", ViolationKind::TooLong(MAX_DESCRIPTION_CHARS));
        }
        match &self.audience {
            None if self.is_default() => {}
            None => report("audience", ViolationKind::Other("an audience is required, such as the API's URL".into())),
            Some(audience) => {
                if !(1..=MAX_AUDIENCE_BYTES).contains(&audience.len())
                    || !audience.bytes().all(|b| b.is_ascii_graphic())
                {
                    let text =
                        format!("1 to {MAX_AUDIENCE_BYTES} printable ASCII characters without spaces are allowed");
                    report("audience", ViolationKind::Other(text));
                } else if !self.is_default() && reserved.iter().any(|reserved| is_same(reserved, audience)) {
                    report("audience", ViolationKind::Other("this is an audience of the default API".into()));
                } else if let Some(other) =
                    others.iter().find(|other| other.audience.as_ref().is_some_and(|taken| is_same(taken, audience)))
                {
                    report("audience", ViolationKind::Other(format!("this is the audience of the API {}", other.name)));
                }
            }
        }
        if self.is_default() && self.style != ScopeStyle::Filters {
            report("scope_style", ViolationKind::Other("the default API has the style filters".into()));
        }
        if self.scopes.len() > MAX_API_SCOPES {
            report("scopes", ViolationKind::EntryCount { least: 0, most: MAX_API_SCOPES });
        }
        for (index, listed) in self.scopes.iter().enumerate() {
            if listed.description.chars().count() > MAX_DESCRIPTION_CHARS {
                report(&format!("scopes[{index}].description"), ViolationKind::TooLong(MAX_DESCRIPTION_CHARS));
            }
            if listed.scope.is_reserved() && !self.is_default() {
                let text = "resources below keyturn belong to the default API".to_owned();
                report(&format!("scopes[{index}]"), ViolationKind::Other(text));
            }
            if self.scopes.iter().take(index).any(|earlier| earlier.scope == listed.scope) {
                report(&format!("scopes[{index}]"), ViolationKind::Other(format!("{} is listed twice", listed.scope)));
            }
        }
        let grantable = self.grantable.as_deref().unwrap_or_default();
        if self.is_default() && self.grantable.is_some() {
            report("grantable_scopes", ViolationKind::Other("set grantable_scopes of the policy instead".into()));
        }
        if grantable.len() > MAX_API_SCOPES {
            report("grantable_scopes", ViolationKind::EntryCount { least: 0, most: MAX_API_SCOPES });
        }
        for (index, scope) in grantable.iter().enumerate().filter(|(_, scope)| !self.has_scope(scope)) {
            let text = format!("{scope} is not a scope of the API");
            report(&format!("grantable_scopes[{index}]"), ViolationKind::Other(text));
        }
        if self.token_ttl_seconds.is_some_and(|ttl| !(60..=3600).contains(&ttl)) {
            report("token_ttl_seconds", ViolationKind::OutOfRange { least: 60, most: 3600, optional: true });
        }
        violations.extend(check_claims("token_claims", &self.token_claims));
        violations
    }

    /// Whether a change from `old` invalidates tokens: something that a token may carry is no longer part of the API.
    pub fn restricts(&self, old: &Self) -> bool {
        let lost_scope = match (old.scopes.is_empty(), self.scopes.is_empty(), self.style) {
            (true, false, ScopeStyle::Filters) => true,
            (_, true, ScopeStyle::Filters) => false,
            _ => old.scopes.iter().any(|listed| !self.has_scope(&listed.scope)),
        };
        lost_scope || old.audience != self.audience
    }
}
