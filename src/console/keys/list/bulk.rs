//! Changing many keys: a review of the selected keys, then the change with a result for each.

use actix_web::http::StatusCode;
use askama::Template;

use crate::console::error_page::{ErrorPage, describe_excess};
use crate::console::frame::{Frame, Section, page};
use crate::console::keys::list::query::ListQuery;
use crate::console::keys::{display_name, may_change, owner};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Badge, Errors, Field, Moment, Select, SelectOption, format_count, to_sentence};
use crate::domain::api_key::{ApiKey, Status};
use crate::domain::key_text::KeyId;
use crate::domain::timestamp::Timestamp;
use crate::http::checks::Checks;
use crate::http::form::Form;
use crate::http::permission::WriteKeys;
use crate::keys::{self, BulkChange, KeyError, MAX_BULK};
use crate::node::Unavailable;
use crate::store::{KeyFilter, StoreError};

const DAY: i64 = 86_400;
/// A key with a use in this many days is in use.
const RECENT_DAYS: i64 = 30;
/// Maximum number of keys that a page lists.
const SHOWN: usize = 100;
/// The lifetimes to choose from, in days.
const LIFETIMES: [i64; 5] = [7, 30, 90, 180, 365];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Disable,
    Enable,
    SetExpiry,
    SetOwner,
    Revoke,
}

impl Action {
    fn read(form: &Form) -> Result<Self, ErrorPage> {
        match form.value("change") {
            Some("disable") => Ok(Self::Disable),
            Some("enable") => Ok(Self::Enable),
            Some("expiry") => Ok(Self::SetExpiry),
            Some("owner") => Ok(Self::SetOwner),
            Some("revoke") => Ok(Self::Revoke),
            _ => Err(ErrorPage::unreadable_form("it names no change")),
        }
    }

    const fn value(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::SetExpiry => "expiry",
            Self::SetOwner => "owner",
            Self::Revoke => "revoke",
        }
    }

    const fn verb(self) -> &'static str {
        match self {
            Self::Disable => "Disable",
            Self::Enable => "Enable",
            Self::SetExpiry => "Set the expiry of",
            Self::SetOwner => "Change the owner of",
            Self::Revoke => "Revoke",
        }
    }
}

#[derive(Template)]
#[template(path = "console/keys/list/bulk.html")]
struct Review {
    frame: Frame,
    change: &'static str,
    verb: &'static str,
    /// `12 keys`.
    number: String,
    ids: String,
    back: String,
    rows: Vec<Row>,
    /// Further keys that are not listed.
    more: usize,
    /// The number of keys that were used recently.
    used: usize,
    reason: Field,
    expiry: Select,
    /// Only to change the owner.
    owner: Option<Select>,
    confirm: Option<Field>,
}

struct Row {
    id: String,
    name: String,
    status: Badge,
    last_used: Option<Moment>,
    expires: Option<Moment>,
    is_used: bool,
}

#[derive(Template)]
#[template(path = "console/keys/list/bulk_done.html")]
struct Done {
    frame: Frame,
    done: String,
    failed: Vec<(String, String)>,
    back: String,
}

/// Shows the selected keys, or asks to select some.
pub(super) async fn review(submitted: Submitted<WriteKeys>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let action = Action::read(&form)?;
    let query = ListQuery::parse(form.value("filter").unwrap_or_default());
    let found = match form.value("all") {
        Some(_) => {
            let filter = super::filter(&visit, &query).await?;
            let limit = u32::try_from(MAX_BULK).unwrap_or(u32::MAX);
            keys::list(visit.node(), KeyFilter { limit, offset: 0, ..filter }).await?.items
        }
        None => load(&visit, form.values("key").filter_map(KeyId::parse)).await?,
    };
    let found: Vec<ApiKey> = found.into_iter().filter(|key| is_possible(&visit, key)).collect();
    if found.is_empty() {
        return Err(ErrorPage::conflict("No keys are selected that you can change. Go back and tick the keys."));
    }
    let owner = owner_choice(&visit, action, "organization").await?;
    page(&Review { owner, ..Review::new(&visit, action, &query, &found, &Input::default(), None) })
}

/// Returns the field with the new owner, for members who manage all keys.
async fn owner_choice(
    visit: &ConsoleRequest<WriteKeys>,
    action: Action,
    chosen: &str,
) -> Result<Option<Select>, ErrorPage> {
    match action {
        Action::SetOwner => {
            let field = owner::owner_field(visit, None, chosen, &Errors::default()).await?;
            field
                .map(Some)
                .ok_or_else(|| ErrorPage::not_permitted("Only admins and owners can change the owner of keys."))
        }
        _ => Ok(None),
    }
}

/// Changes the keys, each by itself.
pub(super) async fn apply(submitted: Submitted<WriteKeys>) -> Result<Reply, ErrorPage> {
    // 1. The keys and the change.
    let Submitted { visit, form } = submitted;
    let action = Action::read(&form)?;
    let query = ListQuery::parse(form.value("filter").unwrap_or_default());
    let ids: Vec<KeyId> =
        form.value("keys").unwrap_or_default().split(' ').filter_map(KeyId::parse).take(MAX_BULK).collect();
    let input = Input {
        reason: form.value("reason").unwrap_or_default().trim().to_owned(),
        expiry: form.value("expiry").unwrap_or("90").to_owned(),
    };
    let mut checks = Checks::default();
    checks.text("reason", &input.reason);
    checks.done().map_err(ErrorPage::invalid)?;

    // 2. Keys in use are revoked only if the number was typed.
    if action == Action::Revoke {
        let found = load(&visit, ids.iter().copied()).await?;
        let is_typed = form.value("confirm").is_some_and(|typed| typed.trim() == ids.len().to_string());
        if found.iter().any(|key| is_used(key, visit.now)) && !is_typed {
            let error = format!("Type {} to confirm.", ids.len());
            let page = Review::new(&visit, action, &query, &found, &input, Some(error));
            return Ok(Reply::refused((StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_FAILED"), page.render()?));
        }
    }
    let change = match action {
        Action::Disable => BulkChange::Disable,
        Action::Enable => BulkChange::Enable,
        Action::Revoke => BulkChange::Revoke(Some(input.reason).filter(|reason| !reason.is_empty())),
        Action::SetExpiry => BulkChange::SetExpiry(expires_at(&input.expiry, visit.now)?),
        Action::SetOwner => {
            let chosen = form.value("owner").unwrap_or_default();
            let owner = owner::read(&visit, chosen).ok_or_else(|| ErrorPage::unreadable_form("it names no owner"))?;
            BulkChange::SetOwner(keys::owner(visit.node(), visit.organization(), owner).await?)
        }
    };
    let credential = format!("member:{}", visit.who.member.id);
    visit.context.count_bulk(&credential, ids.len(), change.takes_away()).map_err(ErrorPage::too_many_changes)?;

    // 3. The change.
    let results = keys::change_many(visit.node(), visit.organization(), &visit.by(), &ids, &change).await;
    let number = results.iter().filter(|(_, result)| result.is_ok()).count();
    let failed = results.into_iter().filter_map(|(id, result)| Some((id.to_string(), describe(result.err()?))));
    let what = match action {
        Action::Disable => "disabled",
        Action::Enable => "enabled",
        Action::SetExpiry => "given a new expiry",
        Action::SetOwner => "given a new owner",
        Action::Revoke => "revoked",
    };
    page(&Done {
        done: format!("{} {what}.", count(number)),
        failed: failed.collect(),
        back: visit.path(&query.link(|_| ())),
        frame: visit.frame(Section::Keys, "Keys changed"),
    })
}

/// The fields of the review.
struct Input {
    reason: String,
    expiry: String,
}

impl Default for Input {
    fn default() -> Self {
        Self { reason: String::new(), expiry: "90".into() }
    }
}

impl Review {
    fn new(
        visit: &ConsoleRequest<WriteKeys>,
        action: Action,
        query: &ListQuery,
        found: &[ApiKey],
        input: &Input,
        error: Option<String>,
    ) -> Self {
        let now = visit.now;
        let ids: Vec<String> = found.iter().map(|key| key.id.to_string()).collect();
        let used = found.iter().filter(|key| is_used(key, now)).count();
        let confirm = Field::text("confirm", "Number of keys", "")
            .hint(format!("{used} of them were used in the last {RECENT_DAYS} days. Type {} to confirm.", found.len()));
        let confirm = Field { error, required: true, ..confirm };
        let mut lifetimes: Vec<SelectOption> =
            LIFETIMES.iter().map(|days| SelectOption::new(days.to_string(), format!("In {days} days"))).collect();
        lifetimes.push(SelectOption::new("none", "No expiry"));
        Self {
            change: action.value(),
            verb: action.verb(),
            number: count(found.len()),
            ids: ids.join(" "),
            back: visit.path(&query.link(|other| other.page = query.page)),
            rows: found.iter().take(SHOWN).map(|key| Row::new(key, now)).collect(),
            more: found.len().saturating_sub(SHOWN),
            used,
            reason: Field::text("reason", "Reason", &input.reason)
                .hint("Optional. Saved with the keys and in the audit log.")
                .max_length(1000),
            expiry: Select::new("expiry", "Expiry", lifetimes, &input.expiry)
                .hint("The policy limits the lifetime of a secret from its creation; keys that it does not allow are reported."),
            owner: None,
            confirm: (action == Action::Revoke && used > 0).then_some(confirm),
            frame: visit.frame(Section::Keys, format!("{} {}?", action.verb(), count(found.len()))),
        }
    }

    fn filter(&self) -> &str {
        self.back.split_once('?').map_or("", |(_, query)| query)
    }
}

impl Row {
    fn new(key: &ApiKey, now: Timestamp) -> Self {
        Self {
            id: key.id.to_string(),
            name: display_name(key),
            status: key.status(now).into(),
            last_used: key.last_used_at.map(|at| Moment::from_now(at, now)),
            expires: key.expires_at.map(|end| Moment::from_now(end, now)),
            is_used: is_used(key, now),
        }
    }
}

async fn load(visit: &ConsoleRequest<WriteKeys>, ids: impl Iterator<Item = KeyId>) -> Result<Vec<ApiKey>, ErrorPage> {
    let ids: Vec<KeyId> = ids.take(MAX_BULK).collect();
    Ok(keys::find_many(visit.node(), visit.organization(), &ids).await?)
}

fn is_possible(visit: &ConsoleRequest<WriteKeys>, key: &ApiKey) -> bool {
    may_change(visit, key) && key.status(visit.now) != Status::Revoked
}

fn is_used(key: &ApiKey, now: Timestamp) -> bool {
    key.last_used_at.is_some_and(|at| at >= now.plus_seconds(-RECENT_DAYS * DAY))
}

fn expires_at(choice: &str, now: Timestamp) -> Result<Option<Timestamp>, ErrorPage> {
    if choice == "none" {
        return Ok(None);
    }
    let days = choice.parse::<i64>().ok().filter(|days| LIFETIMES.contains(days));
    let days = days.ok_or_else(|| ErrorPage::unreadable_form("it names no expiry"))?;
    Ok(Some(now.plus_seconds(days * DAY)))
}

fn count(keys: usize) -> String {
    let number = format_count(keys as u64);
    if keys == 1 { format!("{number} key") } else { format!("{number} keys") }
}

fn describe(error: KeyError) -> String {
    match error {
        KeyError::NotFound => "Not found.".into(),
        KeyError::Invalid(violations) => {
            let errors = Errors::new(violations, &[]);
            errors.iter().map(|error| format!("{}: {}", error.label, error.message)).collect::<Vec<_>>().join(" ")
        }
        KeyError::GrantExceeded(excess) => describe_excess(&excess),
        KeyError::RoleRequired(_) => "You can only manage your own keys.".into(),
        KeyError::Conflict(detail) => to_sentence(&detail),
        KeyError::LimitReached => "Key limit reached.".into(),
        KeyError::Unavailable(Unavailable::Store(StoreError::Superseded)) => {
            "Your permissions changed during this request. The key was not changed.".into()
        }
        KeyError::Unavailable(_) => "The server is busy. The key may or may not have been changed; try again.".into(),
        KeyError::PreconditionFailed
        | KeyError::ReferencesChanged
        | KeyError::NotBootstrapped
        | KeyError::Repeated
        | KeyError::OtherRequest
        | KeyError::AlreadyDone(_) => "Someone else changed the key at the same time. Try again.".into(),
    }
}
