//! Deleting a profile. If keys have it, they are moved to another profile or revoked, and its name must be typed.

use actix_web::web;
use askama::Template;

use crate::console::error_page::{ErrorPage, describe_excess};
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::keys::version;
use crate::console::profiles::{counted, find, keys_path};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Choice, ChoiceOption, Errors, Field, Labels, Select, SelectOption};
use crate::domain::profile::Profile;
use crate::domain::slug::Slug;
use crate::domain::violation::Violation;
use crate::http::form::Form;
use crate::http::permission::{AdminProfiles, WriteKeys};
use crate::node::Tenant;
use crate::profiles::{self, KeysOfDeletedProfile, ProfileError};

const FIELDS: &Labels = &[("keys", "Keys"), ("move_keys_to", "New profile"), ("confirm", "Confirm")];

#[derive(Template)]
#[template(path = "console/profiles/delete.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    name: Slug,
    version: u64,
    keys: u64,
    counted: String,
    keys_path: String,
    /// The choice for the keys. `None` if there are none.
    choice: Option<Choice>,
    /// The other profiles. `None` if there are none.
    move_to: Option<Select>,
    confirm: Option<Field>,
}

pub(super) async fn ask(visit: ConsoleRequest<AdminProfiles>, name: web::Path<String>) -> Result<Reply, ErrorPage> {
    let (tenant, profile) = find(&visit, &name).await?;
    page(&Page::new(&visit, (&tenant, &profile), &Form::default(), Errors::default()).await?)
}

pub(super) async fn delete(submitted: Submitted<AdminProfiles>, name: web::Path<String>) -> Result<Reply, ErrorPage> {
    // 1. Read the form.
    let Submitted { visit, form } = submitted;
    let (tenant, profile) = find(&visit, &name).await?;
    let seen = version(&form)?;
    // Enter in a field.
    if form.value("back").is_some() {
        return page(&Page::new(&visit, (&tenant, &profile), &form, Errors::default()).await?);
    }
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let count = profiles::key_count(node, organization, &profile.name).await?;
    let keys = match (count, read_choice(&form, &profile)) {
        (0, _) => KeysOfDeletedProfile::None,
        (_, Ok(keys)) if visit.may::<WriteKeys>() => keys,
        (_, Ok(_)) => return Err(ProfileError::HasKeys.into()),
        (_, Err(violations)) => {
            let errors = Errors::new(violations, FIELDS);
            return invalid_form(&Page::new(&visit, (&tenant, &profile), &form, errors).await?);
        }
    };

    // 2. Delete the profile, after its keys are changed.
    match profiles::delete(node, organization, &by, &profile.name, Some(seen), &keys).await {
        Ok(changed) => {
            let message = match keys {
                KeysOfDeletedProfile::None => "Profile deleted.".to_owned(),
                KeysOfDeletedProfile::MoveTo(to) => {
                    format!("Profile deleted. {} moved to {to}; their earlier tokens no longer work.", counted(changed))
                }
                KeysOfDeletedProfile::Revoke => format!("Profile deleted, and {} revoked.", counted(changed)),
            };
            visit.done("/profiles", &message)
        }
        Err(ProfileError::Invalid(violations)) => {
            let errors = Errors::new(violations, FIELDS);
            invalid_form(&Page::new(&visit, (&tenant, &profile), &form, errors).await?)
        }
        Err(ProfileError::GrantExceeded(excess)) => {
            let errors = Errors::sentence(describe_excess(&excess));
            invalid_form(&Page::new(&visit, (&tenant, &profile), &form, errors).await?)
        }
        Err(other) => Err(other.into()),
    }
}

/// Reads what happens to the keys, which the typed name confirms.
fn read_choice(form: &Form, profile: &Profile) -> Result<KeysOfDeletedProfile, Vec<Violation>> {
    let mut violations = Vec::new();
    let keys = match form.value("keys") {
        Some("revoke") => Some(KeysOfDeletedProfile::Revoke),
        Some("move") => {
            let to = form.value("move_keys_to").and_then(Slug::parse);
            if to.is_none() {
                violations.push(Violation::new("move_keys_to", "Choose a profile."));
            }
            to.map(KeysOfDeletedProfile::MoveTo)
        }
        _ => {
            violations.push(Violation::new("keys", "Choose what happens to the keys."));
            None
        }
    };
    if form.value("confirm").unwrap_or_default().trim() != profile.name.as_str() {
        violations.push(Violation::new("confirm", format!("Enter {}.", profile.name)));
    }
    match keys {
        Some(keys) if violations.is_empty() => Ok(keys),
        _ => Err(violations),
    }
}

impl Page {
    async fn new(
        visit: &ConsoleRequest<AdminProfiles>,
        (tenant, profile): (&Tenant, &Profile),
        form: &Form,
        errors: Errors,
    ) -> Result<Self, ErrorPage> {
        let keys = profiles::key_count(visit.node(), visit.organization(), &profile.name).await?;
        let others = tenant.shared.profiles().filter(|other| other.name != profile.name);
        let others: Vec<SelectOption> =
            others.map(|other| SelectOption::new(other.name.as_str(), other.name.as_str())).collect();
        let value = |name| form.value(name).unwrap_or_default();
        let has_others = !others.is_empty();
        let choice = || {
            let moves = ChoiceOption::new("move", "Move them to another profile")
                .hint("Their access is that of the other profile, and their earlier tokens stop working.");
            let revokes = ChoiceOption::new("revoke", "Revoke them")
                .hint("They and their tokens stop working. You can’t undo this.")
                .dangerous();
            let options = if has_others { vec![moves, revokes] } else { vec![revokes] };
            Choice::new("keys", "What happens to the keys", options, value("keys")).errors(&errors)
        };
        Ok(Self {
            frame: visit.frame(Section::Profiles, "Delete profile"),
            name: profile.name.clone(),
            version: profile.version,
            keys,
            counted: counted(keys),
            keys_path: keys_path(&profile.name),
            choice: (keys > 0).then(choice),
            move_to: (keys > 0 && has_others)
                .then(|| Select::new("move_keys_to", "New profile", others, value("move_keys_to")).errors(&errors)),
            confirm: (keys > 0).then(|| {
                Field::text("confirm", "Confirm", value("confirm"))
                    .hint(format!("Type {} to delete it.", profile.name))
                    .required(true)
                    .max_length(40)
                    .errors(&errors)
            }),
            errors,
        })
    }
}
