//! Removing a member, and transferring or revoking their keys.

use std::collections::BTreeMap;

use actix_web::web;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::members::{KeyLink, error_page, find_member, is_last_owner, may_change, read_version};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Choice, ChoiceOption, Errors, Field, Moment, format_count, was_used_recently};
use crate::domain::api_key::{ApiKey, Status};
use crate::domain::key_text::KeyId;
use crate::domain::member::Member;
use crate::domain::usage::Counts;
use crate::domain::violation::Violation;
use crate::http::form::Form;
use crate::http::permission::AdminMembers;
use crate::keys::{self, KeyOfRemovedMember};
use crate::members::{self, MemberKeys};
use crate::store::{KeyFilter, KeyOrder};
use crate::usage;

/// Maximum number of listed keys.
const SHOWN: u32 = 100;
/// Days of counted requests.
const DAYS: u32 = 30;

#[derive(Template)]
#[template(path = "console/members/remove.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    id: String,
    email: String,
    version: u64,
    may_change: bool,
    is_last_owner: bool,
    is_self: bool,
    keys: Vec<OwnedKey>,
    has_more: bool,
    choice: Choice,
    confirmation: Option<Field>,
}

/// A key of the member, with its use.
struct OwnedKey {
    link: KeyLink,
    last_used: Option<Moment>,
    requests: String,
    is_revoked: bool,
}

/// The values of the form.
#[derive(Default)]
struct RawForm {
    /// `transfer`, `revoke` or `each`.
    keys: String,
    each: BTreeMap<KeyId, KeyOfRemovedMember>,
    confirmation: String,
}

pub(super) async fn show(visit: ConsoleRequest<AdminMembers>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    let member = find_member(&visit, &id).await?;
    let version = member.version;
    page(
        &build(&visit, member, version, &RawForm { keys: "transfer".into(), ..RawForm::default() }, Errors::default())
            .await?,
    )
}

pub(super) async fn remove(submitted: Submitted<AdminMembers>, id: web::Path<String>) -> Result<Reply, ErrorPage> {
    // 1. Read the form. If a key is in use, it must contain the email.
    let Submitted { visit, form } = submitted;
    let member = find_member(&visit, &id).await?;
    let raw = RawForm::read(&form);
    let version = read_version(&form);
    if form.value("back").is_some() {
        let seen = version.unwrap_or_default();
        return page(&build(&visit, member, seen, &raw, Errors::default()).await?);
    }
    let mut violations = Vec::new();
    let all = match raw.keys.as_str() {
        "transfer" | "each" => KeyOfRemovedMember::Transfer,
        "revoke" => KeyOfRemovedMember::Revoke,
        _ => {
            violations.push(Violation::new("keys", "choose what happens to the keys"));
            KeyOfRemovedMember::Transfer
        }
    };
    let owned = owned_keys(&visit, &member).await?;
    if is_in_use(&visit, &owned) && raw.confirmation.trim().to_lowercase() != member.email.to_lowercase() {
        violations.push(Violation::new("confirmation", "type the email address exactly"));
    }
    if !violations.is_empty() {
        let errors = Errors::new(violations, &[("keys", "Their keys"), ("confirmation", "Confirmation")]);
        let seen = version.unwrap_or_default();
        return invalid_form(&build(&visit, member, seen, &raw, errors).await?);
    }

    // 2. Remove the member.
    let is_self = member.id == visit.who.member.id;
    let except = if raw.keys == "each" { raw.each } else { BTreeMap::new() };
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let removed = members::remove(node, organization, &by, &member.id, version, &MemberKeys { all, except }).await;
    removed.map_err(error_page)?;
    if is_self {
        return Ok(Reply::see_other(visit.path("/sign-in")));
    }
    visit.done("/members", "Member removed. Their sessions ended.")
}

impl RawForm {
    fn read(form: &Form) -> Self {
        let fate = |(name, value): (&str, &str)| {
            let to = if value == "revoke" { KeyOfRemovedMember::Revoke } else { KeyOfRemovedMember::Transfer };
            Some((KeyId::parse(name.strip_prefix("key-")?)?, to))
        };
        Self {
            keys: form.value("keys").unwrap_or("transfer").to_owned(),
            each: form.all().filter_map(fate).collect(),
            confirmation: form.value("confirmation").unwrap_or_default().to_owned(),
        }
    }
}

/// Returns the member's keys that are not revoked, the last used first: at most [`SHOWN`] and one more of each status.
async fn owned_keys(visit: &ConsoleRequest<AdminMembers>, member: &Member) -> Result<Vec<ApiKey>, ErrorPage> {
    let mut owned = Vec::new();
    for status in [Status::Active, Status::Disabled, Status::Expired] {
        let filter = KeyFilter {
            status: Some(status),
            owner: Some(member.id.clone()),
            order: KeyOrder::LastUse,
            is_descending: true,
            limit: SHOWN.saturating_add(1),
            ..KeyFilter::new(member.organization.clone(), visit.now)
        };
        owned.extend(keys::list(visit.node(), filter).await?.items);
    }
    Ok(owned)
}

fn is_in_use(visit: &ConsoleRequest<AdminMembers>, owned: &[ApiKey]) -> bool {
    owned.iter().any(|key| was_used_recently(key.last_used_at, visit.now))
}

async fn build(
    visit: &ConsoleRequest<AdminMembers>,
    member: Member,
    version: u64,
    raw: &RawForm,
    errors: Errors,
) -> Result<Page, ErrorPage> {
    let mut owned = owned_keys(visit, &member).await?;
    let has_more = owned.len() > SHOWN as usize;
    let is_in_use = is_in_use(visit, &owned);
    owned.truncate(SHOWN as usize);
    let ids: Vec<KeyId> = owned.iter().map(|key| key.id).collect();
    let counted = usage::recent(visit.node(), visit.organization(), &ids, DAYS, visit.now).await?;
    let requests = |id: &KeyId| {
        let mut sum = Counts::default();
        counted.get(id).into_iter().flatten().for_each(|counts| sum.merge(counts));
        format_count(sum.uses())
    };
    let keys = owned.iter().map(|key| OwnedKey {
        link: KeyLink::from(key),
        last_used: key.last_used_at.map(|at| Moment::from_now(at, visit.now)),
        requests: requests(&key.id),
        is_revoked: raw.each.get(&key.id) == Some(&KeyOfRemovedMember::Revoke),
    });
    let keys: Vec<OwnedKey> = keys.collect();
    let options = vec![
        ChoiceOption::new("transfer", "Transfer all keys to the organization")
            .hint("Applications keep working. Rotate the keys if the person knows their secrets."),
        ChoiceOption::new("each", "Choose for each key"),
        ChoiceOption::new("revoke", "Revoke all keys")
            .hint("The keys and their tokens stop working immediately. You can’t undo this.")
            .dangerous(),
    ];
    Ok(Page {
        frame: visit.frame(Section::Members, "Remove member?"),
        version,
        may_change: may_change(visit, member.role),
        is_last_owner: is_last_owner(visit, &member).await?,
        is_self: member.id == visit.who.member.id,
        id: member.id.to_string(),
        choice: Choice::new("keys", "Their keys", options, &raw.keys).errors(&errors),
        confirmation: is_in_use.then(|| {
            Field::text("confirmation", "Confirmation", &raw.confirmation)
                .hint(format!("Their keys were used in the last 30 days. Type {} to confirm.", member.email))
                .required(true)
                .errors(&errors)
        }),
        email: member.email,
        keys,
        has_more,
        errors,
    })
}
