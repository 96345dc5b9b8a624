//! Find: keys by name, ID, owner, or a pasted secret, token or log line. The text is sent by POST, so it is in no address,
//! history or log; the script shortens credentials before they are sent.

use actix_web::web;
use askama::Template;

use crate::console::customers::display_name as customer_name;
use crate::console::denials::find_denial;
use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, page as render};
use crate::console::keys::{display_name, may_change};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::route::{get, resource, submit};
use crate::console::submitted::Submitted;
use crate::console::ui::{Badge, Moment, Tone};
use crate::customers;
use crate::domain::api_key::{ApiKey, Status};
use crate::domain::clue::{Clue, MAX_TEXT, clues, is_sensitive};
use crate::domain::key_text::{KeyId, KeyText};
use crate::domain::member::Member;
use crate::domain::timestamp::Timestamp;
use crate::http::permission::{ReadCustomers, ReadKeys, ReadMembers, ReadUsage, WriteKeys};
use crate::keys;
use crate::members;
use crate::store::{CustomerFilter, KeyFilter};
use crate::tokens::{self, Finding, FoundBy, SecretState, TokenState};

/// Maximum number of keys, of customers and of members that a text matches.
const SHOWN: u32 = 20;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/find", [get(show), submit(send)]))
        .service(resource("/keys/{id}/revoke-token", [submit(revoke_token)]));
}

#[derive(Template)]
#[template(path = "console/find/page.html")]
struct Page {
    frame: Frame,
    /// The text, unless it may contain a credential.
    text: String,
    is_empty: bool,
    found: Vec<Found>,
    /// Sentences about credentials that belong to no key of the organization.
    unknown: Vec<&'static str>,
    keys: Vec<Match>,
    members: Vec<(String, String)>,
    /// The ID and the name of each matching customer.
    customers: Vec<(String, String)>,
    /// The list of all matching keys, if there are more.
    all: Option<String>,
    has_credential: bool,
    /// The denial whose request ID is in the text.
    denial: Option<String>,
}

/// A key that the text refers to.
struct Found {
    id: String,
    name: String,
    hint: String,
    status: Badge,
    owner: String,
    last_used: Option<Moment>,
    last_used_ip: Option<String>,
    expires: Option<Moment>,
    previous_until: Option<Moment>,
    what: &'static str,
    verdict: (Tone, &'static str),
    checksum: Option<bool>,
    token: Option<FoundToken>,
    can_revoke: bool,
}

struct FoundToken {
    jti: String,
    expires_at: i64,
    expires: Moment,
    scopes: Option<String>,
    can_revoke: bool,
}

/// A key whose name, description or ID matches.
struct Match {
    id: String,
    name: String,
    hint: String,
    owner: String,
    status: Badge,
    last_used: Option<Moment>,
}

async fn show(visit: ConsoleRequest<ReadKeys>) -> Result<Reply, ErrorPage> {
    results(&visit, "").await
}

async fn send(submitted: Submitted<ReadKeys>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let text = form.value("text").unwrap_or_default();
    let is_alone = text.split_whitespace().count() == 1;
    let page = Page::new(&visit, text).await?;
    match &page.denial {
        // A request ID alone leads to its denial.
        Some(path) if is_alone && page.found.is_empty() => Ok(Reply::see_other(path.clone())),
        _ => render(&page),
    }
}

/// Renders what a text refers to.
pub(super) async fn results(visit: &ConsoleRequest<ReadKeys>, text: &str) -> Result<Reply, ErrorPage> {
    render(&Page::new(visit, text).await?)
}

impl Page {
    async fn new(visit: &ConsoleRequest<ReadKeys>, text: &str) -> Result<Self, ErrorPage> {
        let text = text.trim();
        if text.len() > MAX_TEXT {
            return Err(ErrorPage::unreadable_form("the text is too long"));
        }
        // 1. The keys that the text refers to.
        let (node, organization) = (visit.node(), visit.organization());
        let is_secret = is_sensitive(text);
        let findings = tokens::lookup(node, organization, &visit.by(), visit.may::<WriteKeys>(), text)
            .await
            .map_err(|cause| ErrorPage::node_unavailable(&cause))?;
        let members = members::list(node, organization).await?;
        let unknown = unknown(text, &findings);

        // 2. The keys, customers and members that it is part of the name of, unless it may contain a credential.
        let is_name = !text.is_empty() && !is_secret && text.chars().count() <= 100 && findings.is_empty();
        let (mut matches, mut people, mut given, mut all) = (Vec::new(), Vec::new(), Vec::new(), None);
        if is_name {
            let filter = KeyFilter {
                search: Some(text.to_owned()),
                limit: SHOWN,
                ..KeyFilter::new(organization.clone(), visit.now)
            };
            let found = keys::list(node, filter).await?;
            all = found.has_more.then(|| {
                let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("search", text).finish();
                visit.path(&format!("/keys?status=all&owner=any&{query}"))
            });
            matches = found.items.iter().map(|key| Match::new(key, &members, visit.now)).collect();
            if visit.may::<ReadCustomers>() {
                let filter = CustomerFilter {
                    search: Some(text.to_owned()),
                    ..CustomerFilter::new(organization.clone(), SHOWN)
                };
                let found = customers::list(node, filter).await?.items;
                given = found.iter().map(|each| (each.id.to_string(), customer_name(each))).collect();
            }
            if visit.may::<ReadMembers>() {
                let part = text.to_lowercase();
                let found = members.iter().filter(|member| member.email.to_lowercase().contains(&part));
                people = found.take(SHOWN as usize).map(|member| (member.id.0.clone(), member.email.clone())).collect();
            }
        }

        // 3. The denial whose request ID is in the text.
        let denial = match visit.may::<ReadUsage>() && !text.is_empty() {
            true => find_denial(visit, text).await?.map(|path| visit.path(&path)),
            false => None,
        };

        // 4. The page.
        Ok(Self {
            denial,
            frame: visit.frame(Section::Find, "Find"),
            text: if is_secret { String::new() } else { text.to_owned() },
            is_empty: text.is_empty(),
            found: findings.into_iter().map(|finding| Found::new(visit, finding, &members)).collect(),
            unknown,
            keys: matches,
            members: people,
            customers: given,
            all,
            has_credential: is_secret,
        })
    }
}

/// Describes the credentials in a text that belong to no key that was found.
fn unknown(text: &str, findings: &[Finding]) -> Vec<&'static str> {
    let is_found = |id: &KeyId| findings.iter().any(|finding| finding.key.id == *id);
    let mut unknown = Vec::new();
    for clue in clues(text) {
        let sentence = match clue {
            Clue::Secret { id, text } if !is_found(&id) => match KeyText::parse(text) {
                Ok(_) => "A secret of Keyturn with a valid checksum, but of no key in this organization.",
                Err(_) => "A text like a secret, but of no key in this organization, and its checksum is invalid.",
            },
            Clue::SecretPart { id, .. } if !is_found(&id) => "A secret, but of no key in this organization.",
            Clue::Token(_) if !findings.iter().any(|finding| matches!(finding.by, FoundBy::Token { .. })) => {
                "A token that no signing key of this organization signed."
            }
            Clue::TokenPart { key, .. } if !is_found(&key) => "A token, but of no key in this organization.",
            _ => continue,
        };
        if !unknown.contains(&sentence) {
            unknown.push(sentence);
        }
    }
    unknown
}

/// Revokes one token of a key.
async fn revoke_token(submitted: Submitted<WriteKeys>, path: web::Path<String>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let id = KeyId::parse(&path).ok_or_else(ErrorPage::not_found)?;
    let jti = form.value("jti").unwrap_or_default();
    let expires_at = form.value("expires_at").and_then(|text| text.parse::<i64>().ok());
    let expires_at = expires_at.ok_or_else(|| ErrorPage::unreadable_form("it names no token"))?;
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let expires_at = Timestamp::from_seconds(expires_at);
    tokens::revoke_token_of_key(node, organization, &by, &id, jti, expires_at).await?;
    visit.done(&format!("/keys/{id}"), "Token revoked. The key itself still works.")
}

fn owner_of(key: &ApiKey, members: &[Member]) -> String {
    match &key.owner {
        None => "Organization".into(),
        Some(owner) => members
            .iter()
            .find(|member| member.id == *owner)
            .map_or_else(|| "Removed member".into(), |member| member.email.clone()),
    }
}

impl Match {
    fn new(key: &ApiKey, members: &[Member], now: Timestamp) -> Self {
        Self {
            id: key.id.to_string(),
            name: display_name(key),
            hint: key.hint.clone(),
            owner: owner_of(key, members),
            status: key.status(now).into(),
            last_used: key.last_used_at.map(|at| Moment::from_now(at, now)),
        }
    }
}

impl Found {
    fn new(visit: &ConsoleRequest<ReadKeys>, finding: Finding, members: &[Member]) -> Self {
        let Finding { key, by } = finding;
        let now = visit.now;
        let status = key.status(now);
        let can_change = may_change(visit, &key);
        let (what, checksum, verdict, token) = match by {
            FoundBy::KeyId => ("Key ID", None, (Tone::Plain, "The text contains the ID of this key."), None),
            FoundBy::LastFour => {
                ("Last four characters", None, (Tone::Plain, "The current secret ends with these characters."), None)
            }
            FoundBy::Secret { checksum, state } => ("Secret", checksum, secret_verdict(state, status), None),
            FoundBy::Token { jti, expires_at, scopes, state } => {
                let is_open = matches!(state, TokenState::Valid | TokenState::NotVerified);
                let token = FoundToken {
                    jti,
                    expires_at: expires_at.as_seconds(),
                    expires: Moment::from_now(expires_at, now),
                    scopes: scopes.map(|scopes| scopes.to_string()),
                    can_revoke: can_change && is_open && status == Status::Active,
                };
                ("Access token", None, token_verdict(state), Some(token))
            }
        };
        let previous = key.previous.as_ref().filter(|previous| now < previous.until);
        Self {
            id: key.id.to_string(),
            name: display_name(&key),
            hint: key.hint.clone(),
            status: status.into(),
            owner: owner_of(&key, members),
            last_used: key.last_used_at.map(|at| Moment::from_now(at, now)),
            last_used_ip: key.last_used_ip.clone(),
            expires: key.expires_at.map(|end| Moment::from_now(end, now)),
            previous_until: previous.map(|previous| Moment::from_now(previous.until, now)),
            what,
            verdict,
            checksum,
            token,
            can_revoke: can_change && status != Status::Revoked,
        }
    }
}

fn secret_verdict(state: SecretState, status: Status) -> (Tone, &'static str) {
    match state {
        SecretState::Current if status == Status::Active => {
            (Tone::Bad, "This is the current secret, and it works. If it leaked, revoke the key or rotate it now.")
        }
        SecretState::Current => {
            (Tone::Plain, "This is the current secret. The key is not active, so it does not work.")
        }
        SecretState::Previous => (Tone::Bad, "This is the previous secret. It works until the grace period ends."),
        SecretState::Other => (Tone::Good, "This is neither the current nor the previous secret, so it does not work."),
        SecretState::ProbablyCurrent => (
            Tone::Bad,
            "The checksum is valid and the last four characters are those of the current secret. Treat it as the current secret.",
        ),
        SecretState::NotChecked => {
            (Tone::Warning, "Whether this secret works was not checked. Treat it as the current secret.")
        }
    }
}

fn token_verdict(state: TokenState) -> (Tone, &'static str) {
    match state {
        TokenState::Valid => (Tone::Bad, "The token is valid."),
        TokenState::Expired => (Tone::Good, "The token has expired."),
        TokenState::Revoked => (Tone::Good, "The token is revoked."),
        TokenState::KeyChanged => (
            Tone::Good,
            "The token no longer works: its key was revoked, disabled, restricted or rotated, or its customer was suspended.",
        ),
        TokenState::NotVerified => (
            Tone::Warning,
            "The token has not expired and was not revoked. Its signature was not sent, so it was not verified.",
        ),
    }
}
