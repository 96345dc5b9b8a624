//! Ending and extending the grace period of a rotation.

use actix_web::web;
use askama::Template;

use crate::console::error_page::{self, ErrorPage};
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::keys::create::policy;
use crate::console::keys::rotate::{GRACE_PERIODS, describe_length};
use crate::console::keys::rotation::Rotation;
use crate::console::keys::{display_name, find, may_change, version};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Labels, Select, SelectOption, format_date, to_sentence};
use crate::domain::api_key::ApiKey;
use crate::domain::policy::Policy;
use crate::domain::timestamp::Timestamp;
use crate::http::permission::WriteKeys;
use crate::keys::{self, KeyError};

const FIELDS: &Labels = &[("grace_seconds", "New end")];

#[derive(Template)]
#[template(path = "console/keys/end_grace.html")]
struct EndPage {
    frame: Frame,
    id: String,
    key_name: String,
    version: u64,
    rotation: Option<Rotation>,
    is_in_use: bool,
}

#[derive(Template)]
#[template(path = "console/keys/extend_grace.html")]
struct ExtendPage {
    frame: Frame,
    errors: Errors,
    id: String,
    key_name: String,
    version: u64,
    /// `None` if the grace period cannot be longer.
    length: Option<Select>,
    has_rotation: bool,
}

pub(super) async fn show_end(visit: ConsoleRequest<WriteKeys>, path: web::Path<String>) -> Result<Reply, ErrorPage> {
    let key = find_changeable(&visit, &path).await?;
    let rotation = Rotation::load(&visit, &key, false).await?;
    page(&EndPage {
        frame: visit.frame(Section::Keys, "End grace period?"),
        id: key.id.to_string(),
        key_name: display_name(&key),
        version: key.version,
        is_in_use: rotation.as_ref().is_some_and(Rotation::is_in_use),
        rotation: rotation.map(Rotation::without_actions),
    })
}

pub(super) async fn end(submitted: Submitted<WriteKeys>, path: web::Path<String>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let key = find(&visit, &path).await?;
    // Like revoking, this only removes access, so another change meanwhile does not stop it.
    version(&form)?;
    keys::end_grace(visit.node(), visit.organization(), &visit.by(), &key.id, None).await?;
    visit.done(&format!("/keys/{}", key.id), "Grace period ended. Only the current secret works.")
}

pub(super) async fn show_extend(visit: ConsoleRequest<WriteKeys>, path: web::Path<String>) -> Result<Reply, ErrorPage> {
    let key = find_changeable(&visit, &path).await?;
    page(&build(&visit, &key, key.version, &policy(&visit)?, "", Errors::default()))
}

pub(super) async fn extend(submitted: Submitted<WriteKeys>, path: web::Path<String>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let key = find(&visit, &path).await?;
    let seen = version(&form)?;
    let chosen = form.value("grace_seconds").unwrap_or_default();
    let errors = match chosen.parse() {
        Err(_) => Errors::sentence("Choose how long the previous secret works."),
        Ok(seconds) => {
            let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
            match keys::extend_grace(node, organization, &by, &key.id, Some(seen), seconds).await {
                Ok(key) => {
                    return visit.done(&format!("/keys/{}", key.id), "Grace period extended.");
                }
                Err(KeyError::Invalid(violations)) => Errors::new(violations, FIELDS),
                Err(KeyError::GrantExceeded(excess)) => Errors::sentence(error_page::describe_excess(&excess)),
                Err(KeyError::Conflict(detail)) => Errors::sentence(to_sentence(&detail)),
                Err(other) => return Err(other.into()),
            }
        }
    };
    invalid_form(&build(&visit, &key, seen, &policy(&visit)?, chosen, errors))
}

async fn find_changeable(visit: &ConsoleRequest<WriteKeys>, id: &str) -> Result<ApiKey, ErrorPage> {
    let key = find(visit, id).await?;
    match may_change(visit, &key) {
        true => Ok(key),
        false => Err(ErrorPage::not_permitted("You can only manage your own keys. Ask the owner or an admin.")),
    }
}

fn build(
    visit: &ConsoleRequest<WriteKeys>,
    key: &ApiKey,
    version: u64,
    policy: &Policy,
    chosen: &str,
    errors: Errors,
) -> ExtendPage {
    let options = options(key, policy, visit.now);
    ExtendPage {
        frame: visit.frame(Section::Keys, "Extend grace period"),
        id: key.id.to_string(),
        key_name: display_name(key),
        version,
        has_rotation: key.grace_ends(visit.now).is_some(),
        length: (!options.is_empty()).then(|| {
            let limit = describe_length(policy.max_grace_seconds);
            Select::new("grace_seconds", "Keep the previous secret working until", options, chosen)
                .hint(format!("The policy allows a grace period of up to {limit} from the rotation."))
                .errors(&errors)
        }),
        errors,
    }
}

/// Returns the lengths that are longer than the current grace period and allowed, each with its end.
fn options(key: &ApiKey, policy: &Policy, now: Timestamp) -> Vec<SelectOption> {
    let Some(running) = key.grace_ends(now) else { return Vec::new() };
    let rotated_at = key.secret_since();
    let mut lengths: Vec<u32> = GRACE_PERIODS.into_iter().filter(|length| *length < policy.max_grace_seconds).collect();
    lengths.push(policy.max_grace_seconds);
    let mut options = Vec::new();
    for length in lengths {
        let wanted = rotated_at.plus_seconds(i64::from(length));
        let until = key.expires_at.map_or(wanted, |end| wanted.min(end));
        if until > running {
            let text =
                format!("{} {}", format_date(until), crate::clock::rfc3339(until).get(11..16).unwrap_or_default());
            options.push(SelectOption::new(
                length.to_string(),
                format!(
                    "{text} UTC ({} after the rotation{})",
                    describe_length(length),
                    if until < wanted { ", at the key’s expiry" } else { "" }
                ),
            ));
            if until < wanted {
                break;
            }
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api_key::tests::key;
    use crate::domain::api_key::{PreviousSecret, SecretVerifier};

    #[test]
    fn only_longer_and_allowed_lengths_are_offered() {
        let at = Timestamp::from_seconds;
        let secret = SecretVerifier { phc: String::new(), fast: None };
        let previous = Some(PreviousSecret::new(secret, String::new(), at(86_400)));
        let rotating = ApiKey { rotated_at: Some(at(0)), previous, ..key("read:a", &[]) };
        let values = |key: &ApiKey, most: u32| {
            let policy = Policy { max_grace_seconds: most, ..Policy::default() };
            options(key, &policy, at(10)).into_iter().map(|option| option.value).collect::<Vec<_>>()
        };
        assert_eq!(values(&rotating, 8 * 86_400), ["604800", "691200"]);
        assert!(values(&rotating, 86_400).is_empty());
        let expiring = ApiKey { expires_at: Some(at(90_000)), ..rotating };
        assert_eq!(values(&expiring, 8 * 86_400), ["604800"], "all later ones end at the expiry as well");
    }
}
