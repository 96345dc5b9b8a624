//! Revoking a signing key: what it costs, a typed confirmation, and the revocation.

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::signing_keys::format_length;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Field, format_count};
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::Violation;
use crate::http::permission::AdminSigningKeys;
use crate::node::Tenant;
use crate::organizations::retire_signing_key;
use crate::signing::{KeyState, SigningKey};
use crate::usage::estimate_issued;

/// Number of characters of the key ID to type.
const CONFIRMED: usize = 8;

#[derive(Template)]
#[template(path = "console/signing_keys/revoke.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    kid: String,
    confirm: Field,
    state: KeyState,
    /// Retired keys that are revoked together with the current one.
    retired: usize,
    /// The waiting next key, which a revocation of the current one does not affect.
    next: Option<String>,
    tokens: String,
    ttl: String,
}

pub(super) async fn ask(visit: ConsoleRequest<AdminSigningKeys>, kid: web::Path<String>) -> Result<Reply, ErrorPage> {
    page(&Page::new(&visit, &kid, String::new(), Errors::default()).await?)
}

pub(super) async fn revoke(submitted: Submitted<AdminSigningKeys>, kid: web::Path<String>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let typed = form.value("confirm").unwrap_or_default().trim().to_owned();
    if typed != beginning(&kid) {
        let violation = Violation::new("confirm", format!("Enter {}.", beginning(&kid)));
        let errors = Errors::new([violation], &[("confirm", "Confirm")]);
        return invalid_form(&Page::new(&visit, &kid, typed, errors).await?);
    }
    retire_signing_key(visit.node(), visit.organization(), &kid, &visit.by()).await?;
    visit.done("/signing-keys?show=checklist", "Signing key revoked.")
}

/// Returns the part of a key ID that confirms its revocation.
fn beginning(kid: &str) -> &str {
    kid.char_indices().nth(CONFIRMED).map_or(kid, |(end, _)| kid.get(..end).unwrap_or(kid))
}

impl Page {
    async fn new(
        visit: &ConsoleRequest<AdminSigningKeys>,
        kid: &str,
        typed: String,
        errors: Errors,
    ) -> Result<Self, ErrorPage> {
        let (node, now) = (visit.node(), visit.now);
        let tenant = node.tenant(visit.organization()).ok_or_else(ErrorPage::not_found)?;
        let key = tenant.ring.find(kid).ok_or_else(ErrorPage::not_found)?;
        let state = tenant.key_state(key, now);
        let (from, to) = signing_time(&tenant, key, now);
        let tokens = estimate_issued(node, visit.organization(), from, to, now).await?;
        let ttl_seconds = tenant.longest_ttl_seconds();
        let of_algorithm = || {
            let published = tenant.ring.published(now, ttl_seconds);
            published.filter(|other| other.kid() != kid && other.algorithm() == key.algorithm())
        };
        let title = if state == KeyState::Current { "Rotate and revoke signing key" } else { "Revoke signing key" };
        Ok(Self {
            frame: visit.frame(Section::SigningKeys, title),
            confirm: Field::text("confirm", "Confirm", typed)
                .hint(format!("Type {}, the first {CONFIRMED} characters of the key ID.", beginning(kid)))
                .required(true)
                .max_length(100)
                .errors(&errors),
            errors,
            kid: kid.to_owned(),
            retired: of_algorithm().filter(|other| tenant.key_state(other, now) == KeyState::Retired).count(),
            next: of_algorithm()
                .find(|other| tenant.key_state(other, now) == KeyState::Next)
                .map(|other| other.kid().to_owned()),
            tokens: describe_tokens(tokens),
            ttl: format_length(ttl_seconds),
            state,
        })
    }
}

/// Returns the period in which the tokens that a revocation invalidates were signed. The current key is revoked
/// together with all earlier ones.
fn signing_time(tenant: &Tenant, key: &SigningKey, now: Timestamp) -> (Timestamp, Timestamp) {
    let ring = &tenant.ring;
    let earliest = now.plus_seconds(-i64::from(tenant.longest_ttl_seconds()));
    if tenant.key_state(key, now) == KeyState::Current {
        return (earliest, now);
    }
    let until = ring.superseded_at(key.kid()).unwrap_or(now).min(now);
    (earliest.max(key.active_from()), until)
}

/// Describes an estimate with two significant digits.
fn describe_tokens(count: u64) -> String {
    let mut unit = 1;
    while count / unit >= 100 {
        unit *= 10;
    }
    match (count + unit / 2) / unit * unit {
        0 => "No tokens".into(),
        1 => "About 1 token".into(),
        rounded => format!("About {} tokens", format_count(rounded)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_have_two_significant_digits() {
        for (count, text) in
            [(0, "No tokens"), (1, "About 1 token"), (99, "About 99 tokens"), (12_345, "About 12 000 tokens")]
        {
            assert_eq!(describe_tokens(count).replace('\u{202f}', " "), text);
        }
    }

    #[test]
    fn short_key_ids_are_typed_whole() {
        assert_eq!((beginning("abcdefghij"), beginning("abc"), beginning("")), ("abcdefgh", "abc", ""));
    }
}
