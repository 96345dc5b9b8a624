//! Creating and editing a profile. An edit that changes the access of keys is reviewed first.

use actix_web::web;
use askama::Template;

use crate::console::error_page::{ErrorPage, describe_excess};
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::keys::{Changes, DeniedRequests, version};
use crate::console::profiles::form::{ProfileFields, ProfileForm};
use crate::console::profiles::review::{Reviewed, SharedReview};
use crate::console::profiles::{find, keys_path, path};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Notice, Tone};
use crate::domain::api_key::Direction;
use crate::domain::profile::Profile;
use crate::domain::slug::Slug;
use crate::http::form::Form;
use crate::http::permission::AdminProfiles;
use crate::node::Tenant;
use crate::profiles::{self, ProfileError};
use crate::usage::{self, SharedChange};

#[derive(Template)]
#[template(path = "console/profiles/form.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    /// The name and version of the edited profile. `None` if it is new.
    of: Option<(Slug, u64)>,
    fields: ProfileFields,
}

pub(super) async fn new(visit: ConsoleRequest<AdminProfiles>) -> Result<Reply, ErrorPage> {
    let tenant = profiles::read(visit.node(), visit.organization()).await?;
    page(&build(&visit, None, &ProfileForm::empty(&tenant), &tenant, Errors::default()))
}

pub(super) async fn create(submitted: Submitted<AdminProfiles>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let tenant = profiles::read(visit.node(), visit.organization()).await?;
    let profile_form = ProfileForm::read(&form, None, &tenant)?;
    if changes_rows(&form) {
        return page(&build(&visit, None, &profile_form.change_rows(&form), &tenant, Errors::default()));
    }
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let created = match profile_form.parse_new(&tenant) {
        Ok(new) => profiles::create(node, organization, &by, new).await,
        Err(violations) => Err(ProfileError::Invalid(violations)),
    };
    match created {
        Ok(profile) => visit.done(&path(&profile.name), "Profile created. Choose it when you create or edit a key."),
        Err(error) => {
            let errors = describe(error, &profile_form, None)?;
            invalid_form(&build(&visit, None, &profile_form, &tenant, errors))
        }
    }
}

pub(super) async fn ask(visit: ConsoleRequest<AdminProfiles>, name: web::Path<String>) -> Result<Reply, ErrorPage> {
    let (tenant, profile) = find(&visit, &name).await?;
    let profile_form = ProfileForm::of(&profile, &tenant);
    let of = Some((profile.name, profile.version));
    page(&build(&visit, of, &profile_form, &tenant, Errors::default()))
}

/// Saves the profile, or shows the review if the change widens or restricts the access of keys.
pub(super) async fn edit(submitted: Submitted<AdminProfiles>, name: web::Path<String>) -> Result<Reply, ErrorPage> {
    // 1. Read the form.
    let Submitted { visit, form } = submitted;
    let (tenant, old) = find(&visit, &name).await?;
    let seen = version(&form)?;
    let of = || Some((old.name.clone(), seen));
    let profile_form = ProfileForm::read(&form, Some(&old), &tenant)?;
    if changes_rows(&form) {
        return page(&build(&visit, of(), &profile_form.change_rows(&form), &tenant, Errors::default()));
    }
    if form.value("back").is_some() {
        return page(&build(&visit, of(), &profile_form, &tenant, Errors::default()));
    }
    if seen != old.version {
        return Err(ProfileError::PreconditionFailed.into());
    }
    let parsed = profile_form.parse_edit(&old, &tenant).map_err(ProfileError::Invalid);
    let previewed = parsed.and_then(|edit| Ok((profiles::preview_edit(&tenant, &old, edit.clone())?, edit)));
    let (new, edit) = match previewed {
        Ok(previewed) => previewed,
        Err(error) => {
            let errors = describe(error, &profile_form, Some(&old))?;
            return invalid_form(&build(&visit, of(), &profile_form, &tenant, errors));
        }
    };

    // 2. Review what keys lose and gain.
    let restricts = direction(&tenant, &old, &new).restricts();
    if form.value("confirmed").is_none() && direction(&tenant, &old, &new) != Direction::Unchanged {
        let keys = profiles::key_count(visit.node(), visit.organization(), &old.name).await?;
        if keys > 0 {
            return review(&visit, &tenant, (&old, new), &form).await;
        }
    }

    // 3. Apply the change.
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    match profiles::edit(node, organization, &by, &old.name, Some(seen), edit).await {
        Ok(_) if restricts => {
            visit.done(&path(&old.name), "Profile updated. Tokens that depended on the removed access no longer work.")
        }
        Ok(_) => visit.done(&path(&old.name), "Profile updated."),
        Err(error) => {
            let errors = describe(error, &profile_form, Some(&old))?;
            invalid_form(&build(&visit, of(), &profile_form, &tenant, errors))
        }
    }
}

/// Whether the form adds or removes a scope row, which works without JavaScript.
fn changes_rows(form: &Form) -> bool {
    ["more", "remove"].iter().any(|button| form.value(button).is_some())
}

/// Compares what two states of a profile allow.
fn direction(tenant: &Tenant, old: &Profile, new: &Profile) -> Direction {
    let after = tenant.shared.with_profile(new.clone());
    let [before, after] = [&tenant.shared, &after].map(|shared| shared.addresses_of_profile(&old.name));
    Direction::of_grants(&old.grants, &new.grants)
        .and(Direction::of_networks(&before, &after))
        .and(Changes::direction_of_lifetime(old.token_ttl_seconds, new.token_ttl_seconds))
}

async fn review(
    visit: &ConsoleRequest<AdminProfiles>,
    tenant: &Tenant,
    (old, new): (&Profile, Profile),
    form: &Form,
) -> Result<Reply, ErrorPage> {
    let after = tenant.shared.with_profile(new.clone());
    let [old_networks, new_networks] = [&tenant.shared, &after].map(|shared| shared.addresses_of_profile(&old.name));
    let change = SharedChange::Profile(Box::new(old.clone()), Box::new(new.clone()));
    let impact = usage::shared_impact(visit.node(), tenant, &change, visit.now).await?;
    let is_opened = old_networks.is_restricted() && !new_networks.is_restricted();
    let gets_full_access = !old.grants.is_full_access() && new.grants.is_full_access();
    let warn = |text: &str| Notice::new(Tone::Warning, text);
    let full = "Keys with this profile get full access (*:*) or access to the Keyturn management API.";
    let open = "Keys with this profile can be used from any address, unless they have networks of their own.";
    let warnings = [(gets_full_access, full), (is_opened, open)].into_iter().filter(|(is_new, _)| *is_new);
    let reviewed = Reviewed {
        noun: "profile",
        name: old.name.clone(),
        keys: impact.keys,
        keys_path: keys_path(&old.name),
        profiles: Vec::new(),
        direction: direction(tenant, old, &new),
        warnings: warnings.map(|(_, text)| warn(text)).collect(),
        changes: Changes::default()
            .grants(&old.grants, &new.grants, &tenant.apis)
            .networks(&old_networks, &new_networks)
            .lifetime(old.token_ttl_seconds, new.token_ttl_seconds),
        denied: DeniedRequests::new(&impact.denied, &tenant.apis),
    };
    SharedReview::page(visit, reviewed, form)
}

/// Describes an error in the form, or returns its page.
fn describe(error: ProfileError, profile_form: &ProfileForm, edited: Option<&Profile>) -> Result<Errors, ErrorPage> {
    match error {
        ProfileError::Invalid(violations) => {
            let grants = profile_form.grants(edited.map(|profile| &profile.grants));
            Ok(profile_form.errors(violations, &grants))
        }
        ProfileError::GrantExceeded(excess) => Ok(Errors::sentence(describe_excess(&excess))),
        other => Err(other.into()),
    }
}

fn build(
    visit: &ConsoleRequest<AdminProfiles>,
    of: Option<(Slug, u64)>,
    profile_form: &ProfileForm,
    tenant: &Tenant,
    errors: Errors,
) -> Page {
    let title = if of.is_some() { "Edit profile" } else { "Create profile" };
    Page {
        frame: visit.frame(Section::Profiles, title),
        fields: profile_form.fields(of.is_none(), tenant, &errors),
        errors,
        of,
    }
}
