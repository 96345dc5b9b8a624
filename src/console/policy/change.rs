//! Changing the policy: the form, what it would mean, and putting it in force.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use crate::console::frame::{Frame, Section, denied, page, refused};
use crate::console::policy::form::{Fields, Typed};
use crate::console::policy::settings::{Difference, differences, label};
use crate::console::see_other;
use crate::console::submitted::Submitted;
use crate::console::trouble::Trouble;
use crate::console::ui::{Badge, Errors, Tone, count};
use crate::console::visit::Visit;
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
    fields: Fields,
}

#[derive(Template)]
#[template(path = "console/policy/preview.html")]
struct Preview {
    frame: Frame,
    version: u64,
    typed: Vec<(&'static str, String)>,
    differences: Vec<Difference>,
    effects: Vec<EffectRow>,
    /// Somebody else changed the policy since the form was opened.
    is_late: bool,
    /// Keys stop working by it.
    disables: bool,
}

/// What a setting would mean to keys that there are.
struct EffectRow {
    setting: &'static str,
    meaning: String,
    count: Badge,
    examples: Vec<String>,
    /// How many there are beside the examples.
    more: String,
}

pub(super) async fn show(visit: Visit<AdminPolicy>) -> Result<HttpResponse, Trouble> {
    let organization = organizations::read_policy(visit.node(), visit.organization()).await?;
    page(&form_page(&visit, &organization, &Typed::of(&organization.policy), Errors::default()))
}

/// A first submit shows what the policy would mean; only `intent=apply` puts it in force.
pub(super) async fn submit(submitted: Submitted<AdminPolicy>) -> Result<HttpResponse, Trouble> {
    let Submitted { visit, form } = submitted;
    let (typed, intent) = (Typed::read(&form)?, form.value("intent"));
    let version = form.value("version").and_then(|version| version.parse::<u64>().ok());
    let organization = organizations::read_policy(visit.node(), visit.organization()).await?;
    let policy = match typed.policy() {
        Ok(_) if intent == Some("edit") => return page(&form_page(&visit, &organization, &typed, Errors::default())),
        Ok(policy) => policy,
        Err(wrong) => return refused(&form_page(&visit, &organization, &typed, Typed::errors(wrong))),
    };
    let is_late = version != Some(organization.policy_version);
    if intent != Some("apply") {
        return page(&Preview::new(&visit, &organization, &typed, &policy, is_late).await?);
    }
    let done = if policy == organization.policy { "same" } else { "changed" };
    let late = async |organization: &Organization| {
        let preview = Preview::new(&visit, organization, &typed, &policy, true).await?;
        Ok(denied((StatusCode::PRECONDITION_FAILED, "PRECONDITION_FAILED"), preview.render()?, None))
    };
    if is_late {
        return late(&organization).await;
    }
    let (node, slug, by, new) = (visit.node().clone(), visit.organization().clone(), visit.by(), policy.clone());
    let replaced = async move { organizations::replace_policy(&node, &slug, &by, version, new).await };
    match visit.node().run_to_end(replaced).await {
        Ok(_) => Ok(see_other(&visit.path(&format!("/policy?done={done}")))),
        Err(PolicyError::PreconditionFailed | PolicyError::Raced) => {
            late(&organizations::read_policy(visit.node(), visit.organization()).await?).await
        }
        Err(other) => Err(other.into()),
    }
}

fn form_page(visit: &Visit<AdminPolicy>, organization: &Organization, typed: &Typed, errors: Errors) -> FormPage {
    FormPage {
        frame: visit.frame(Section::Policy, "Change the policy"),
        version: organization.policy_version,
        fields: typed.fields(&errors),
        errors,
    }
}

impl Preview {
    async fn new(
        visit: &Visit<AdminPolicy>,
        organization: &Organization,
        typed: &Typed,
        policy: &Policy,
        is_late: bool,
    ) -> Result<Self, Trouble> {
        let node = visit.node();
        let effects = organizations::effects(node, visit.organization(), policy, visit.now).await?;
        Ok(Self {
            frame: visit.frame(Section::Policy, "What the policy would mean"),
            version: organization.policy_version,
            typed: typed.sent(),
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
            count: Badge::new(tone, count(effect.count)),
            meaning: effect.meaning,
            examples: effect.examples.iter().map(ToString::to_string).collect(),
            more: if has_more { count(more) } else { String::new() },
        }
    }
}
