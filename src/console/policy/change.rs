//! Editing the policy: the form, the preview of its effects, and applying it.

use actix_web::http::StatusCode;
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::policy::form::{FormFields, RawForm};
use crate::console::policy::settings::{Difference, differences, label};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Badge, Errors, Tone, format_count, to_sentence};
use crate::domain::organization::Organization;
use crate::domain::policy::Policy;
use crate::http::permission::AdminPolicy;
use crate::organizations::{self, Effect, PolicyError};

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

/// The effect of a setting on existing keys.
struct EffectRow {
    setting: &'static str,
    effect: String,
    count: Badge,
    examples: Vec<String>,
    /// The number of further keys, or empty.
    more: String,
}

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
    let is_late = version != Some(organization.policy_version);
    if intent != Some("apply") {
        return page(&Preview::new(&visit, &organization, &raw, &policy, is_late).await?);
    }
    let done = if policy == organization.policy { "same" } else { "changed" };
    let late = async |organization: &Organization| {
        let preview = Preview::new(&visit, organization, &raw, &policy, true).await?;
        Ok(Reply::refused((StatusCode::PRECONDITION_FAILED, "PRECONDITION_FAILED"), preview.render()?))
    };
    if is_late {
        return late(&organization).await;
    }
    let (node, slug, by, new) = (visit.node(), visit.organization(), visit.by(), policy.clone());
    match organizations::replace_policy(node, slug, &by, version, new).await {
        Ok(_) => Ok(Reply::see_other(visit.path(&format!("/policy?done={done}")))),
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
        Ok(Self {
            frame: visit.frame(Section::Policy, "Review policy changes"),
            version: organization.policy_version,
            sent: raw.sent(),
            differences: differences(&organization.policy, policy, &node.settings),
            disables: effects.iter().any(|effect| effect.setting == "disable_when_stale"),
            effects: effects.into_iter().map(EffectRow::from).collect(),
            is_late,
        })
    }
}

impl From<Effect> for EffectRow {
    fn from(effect: Effect) -> Self {
        let tone = if effect.setting == "disable_when_stale" { Tone::Bad } else { Tone::Warning };
        let more = effect.count.saturating_sub(effect.examples.len() as u64);
        let has_more = more > 0 && !effect.examples.is_empty();
        Self {
            setting: label(effect.setting),
            count: Badge::new(tone, format_count(effect.count)),
            effect: to_sentence(&effect.description),
            examples: effect.examples.iter().map(ToString::to_string).collect(),
            more: if has_more { format_count(more) } else { String::new() },
        }
    }
}
