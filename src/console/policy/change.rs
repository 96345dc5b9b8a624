//! Editing the policy: the form, the preview of its effects, and applying it.

use std::collections::BTreeMap;

use actix_web::http::StatusCode;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::policy::form::{FormFields, RawForm};
use crate::console::policy::settings::{Difference, differences, label};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Badge, Errors, Moment, Tone, format_count, to_sentence};
use crate::domain::api_key::ApiKey;
use crate::domain::key_view::BrokenRules;
use crate::domain::member::MemberId;
use crate::domain::organization::Organization;
use crate::domain::policy::Policy;
use crate::domain::timestamp::Timestamp;
use crate::http::permission::AdminPolicy;
use crate::keys;
use crate::members;
use crate::organizations::{self, AffectedKey, Effect, PolicyError};
use crate::store::{KeyFilter, KeyOrder};

#[derive(Template)]
#[template(path = "console/policy/change.html")]
struct FormPage {
    frame: Frame,
    version: u64,
    errors: Errors,
    fields: FormFields,
}

#[derive(Template)]
#[template(path = "console/policy/preview.html")]
struct Preview {
    frame: Frame,
    version: u64,
    sent: Vec<(&'static str, String)>,
    differences: Vec<Difference>,
    effects: Vec<EffectRow>,
    /// Whether someone else changed the policy after the form was opened.
    is_late: bool,
    /// Whether some keys would be disabled.
    disables: bool,
}

/// All keys that do not meet a setting of a policy that is not applied yet.
#[derive(Template)]
#[template(path = "console/policy/affected.html")]
struct AffectedPage {
    frame: Frame,
    version: u64,
    sent: Vec<(&'static str, String)>,
    setting: &'static str,
    keys: Vec<AffectedKeyRow>,
    /// The number of all of them.
    count: String,
    has_more: bool,
}

/// The effect of a setting on existing keys.
struct EffectRow {
    setting: &'static str,
    /// The name of the setting, if its keys can be listed.
    show: Option<&'static str>,
    effect: String,
    count: Badge,
    /// The settings under which all of these keys are counted as well.
    also: String,
    /// Some of the keys.
    keys: Vec<AffectedKeyRow>,
    summary: String,
    /// Whether the list of keys is open from the start.
    is_short: bool,
    /// The number of further keys, or empty.
    more: String,
}

struct AffectedKeyRow {
    id: String,
    name: String,
    owner: String,
    last_used: Option<Moment>,
}

/// Maximum number of keys on the page of a setting.
const LISTED: u32 = 200;

/// Maximum length of a list of keys that is open from the start.
const SHORT: usize = 3;

pub(super) async fn show(visit: ConsoleRequest<AdminPolicy>) -> Result<Reply, ErrorPage> {
    let organization = organizations::read_policy(visit.node(), visit.organization()).await?;
    page(&form_page(&visit, &organization, &RawForm::of(&organization.policy), Errors::default()))
}

/// Shows the preview; only `intent=apply` applies the policy.
pub(super) async fn submit(submitted: Submitted<AdminPolicy>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let (raw, intent) = (RawForm::read(&form)?, form.value("intent"));
    let version = form.value("version").and_then(|version| version.parse::<u64>().ok());
    let organization = organizations::read_policy(visit.node(), visit.organization()).await?;
    let policy = match raw.policy() {
        Ok(_) if intent == Some("edit") => return page(&form_page(&visit, &organization, &raw, Errors::default())),
        Ok(policy) => policy,
        Err(violations) => {
            return invalid_form(&form_page(&visit, &organization, &raw, RawForm::errors(violations)));
        }
    };
    if let Some(setting) = form.value("show") {
        return page(&AffectedPage::new(&visit, &raw, &policy, setting, organization.policy_version).await?);
    }
    let is_late = version != Some(organization.policy_version);
    if intent != Some("apply") {
        return page(&Preview::new(&visit, &organization, &raw, &policy, is_late).await?);
    }
    let message = if policy == organization.policy { "No changes to save." } else { "Policy updated." };
    let late = async |organization: &Organization| {
        let preview = Preview::new(&visit, organization, &raw, &policy, true).await?;
        Ok(Reply::refused((StatusCode::PRECONDITION_FAILED, "PRECONDITION_FAILED"), preview.render()?))
    };
    if is_late {
        return late(&organization).await;
    }
    let (node, slug, by, new) = (visit.node(), visit.organization(), visit.by(), policy.clone());
    match organizations::replace_policy(node, slug, &by, version, new).await {
        Ok(_) => visit.done("/policy", message),
        Err(PolicyError::PreconditionFailed | PolicyError::Raced) => {
            late(&organizations::read_policy(visit.node(), visit.organization()).await?).await
        }
        Err(other) => Err(other.into()),
    }
}

fn form_page(
    visit: &ConsoleRequest<AdminPolicy>,
    organization: &Organization,
    raw: &RawForm,
    errors: Errors,
) -> FormPage {
    FormPage {
        frame: visit.frame(Section::Policy, "Edit policy"),
        version: organization.policy_version,
        fields: raw.fields(&errors),
        errors,
    }
}

impl Preview {
    async fn new(
        visit: &ConsoleRequest<AdminPolicy>,
        organization: &Organization,
        raw: &RawForm,
        policy: &Policy,
        is_late: bool,
    ) -> Result<Self, ErrorPage> {
        let node = visit.node();
        let effects = organizations::effects(node, visit.organization(), policy, visit.now).await?;
        let names_keys = effects.iter().any(|effect| !effect.examples.is_empty());
        let owners = if names_keys { members::list(node, visit.organization()).await? } else { Vec::new() };
        let emails = owners.into_iter().map(|member| (member.id, member.email)).collect();
        Ok(Self {
            frame: visit.frame(Section::Policy, "Review policy changes"),
            version: organization.policy_version,
            sent: raw.sent(),
            differences: differences(&organization.policy, policy, &node.settings),
            disables: effects.iter().any(|effect| effect.setting == "disable_when_stale"),
            effects: effects.into_iter().map(|effect| EffectRow::new(effect, policy, &emails, visit.now)).collect(),
            is_late,
        })
    }
}

impl AffectedPage {
    async fn new(
        visit: &ConsoleRequest<AdminPolicy>,
        raw: &RawForm,
        policy: &Policy,
        setting: &str,
        version: u64,
    ) -> Result<Self, ErrorPage> {
        let broken = BrokenRules::parse(setting, policy).ok_or_else(ErrorPage::not_found)?;
        let (node, organization) = (visit.node(), visit.organization());
        let filter = KeyFilter {
            broken: Some(broken),
            order: KeyOrder::LastUse,
            limit: LISTED,
            ..KeyFilter::new(organization.clone(), visit.now)
        };
        let count = keys::count(node, &filter).await?;
        let found = keys::list(node, filter).await?;
        let members = members::list(node, organization).await?;
        let emails = members.into_iter().map(|member| (member.id, member.email)).collect();
        let row = |key: &ApiKey| AffectedKeyRow::new(AffectedKey::from(key), &emails, visit.now);
        Ok(Self {
            frame: visit.frame(Section::Policy, "Keys that don’t meet the new policy"),
            version,
            sent: raw.sent(),
            setting: label(setting),
            keys: found.items.iter().map(row).collect(),
            count: format_count(count),
            has_more: found.has_more,
        })
    }
}

impl EffectRow {
    fn new(effect: Effect, policy: &Policy, emails: &BTreeMap<MemberId, String>, now: Timestamp) -> Self {
        let tone = if effect.setting == "disable_when_stale" { Tone::Bad } else { Tone::Warning };
        let more = effect.count.saturating_sub(effect.examples.len() as u64);
        let has_more = more > 0 && !effect.examples.is_empty();
        let also: Vec<String> = effect.also.iter().map(|setting| format!("“{}”", label(setting))).collect();
        Self {
            setting: label(effect.setting),
            show: BrokenRules::parse(effect.setting, policy).map(|_| effect.setting),
            count: Badge::new(tone, format_count(effect.count)),
            effect: to_sentence(&effect.description),
            also: also.join(" and "),
            summary: match effect.examples.len() {
                1 => "1 key".into(),
                number if has_more => format!("{number} of {} keys", format_count(effect.count)),
                number => format!("{number} keys"),
            },
            is_short: effect.examples.len() <= SHORT,
            more: if has_more { format_count(more) } else { String::new() },
            keys: effect.examples.into_iter().map(|key| AffectedKeyRow::new(key, emails, now)).collect(),
        }
    }
}

impl AffectedKeyRow {
    fn new(key: AffectedKey, emails: &BTreeMap<MemberId, String>, now: Timestamp) -> Self {
        Self {
            id: key.id.to_string(),
            name: if key.name.trim().is_empty() { format!("Unnamed ({})", key.id) } else { key.name },
            owner: match &key.owner {
                None => "Organization".into(),
                Some(owner) => emails.get(owner).cloned().unwrap_or_else(|| "Removed member".into()),
            },
            last_used: key.last_used_at.map(|at| Moment::from_now(at, now)),
        }
    }
}
