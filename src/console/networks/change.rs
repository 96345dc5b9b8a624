//! Creating and editing a named network. An edit of its addresses is reviewed first if keys refer to it.

use actix_web::web;
use askama::Template;

use crate::console::error_page::{ErrorPage, describe_excess};
use crate::console::frame::{Frame, Section, invalid_form, page};
use crate::console::keys::{Changes, DeniedRequests, version};
use crate::console::networks::form::{FIELDS, NamedNetworkFields, NetworkForm};
use crate::console::networks::{find, keys_path, path, profiles_with};
use crate::console::profiles::{Reviewed, SharedReview};
use crate::console::reply::Reply;
use crate::console::request::ConsoleRequest;
use crate::console::submitted::Submitted;
use crate::console::ui::{Errors, Notice, Tone};
use crate::domain::api_key::Direction;
use crate::domain::profile::NamedNetwork;
use crate::domain::slug::Slug;
use crate::http::permission::AdminProfiles;
use crate::profiles::{self, ProfileError};
use crate::usage::{self, SharedChange};

#[derive(Template)]
#[template(path = "console/networks/form.html")]
struct Page {
    frame: Frame,
    errors: Errors,
    /// The name and version of the edited network. `None` if it is new.
    of: Option<(Slug, u64)>,
    fields: NamedNetworkFields,
}

pub(super) async fn new(visit: ConsoleRequest<AdminProfiles>) -> Result<Reply, ErrorPage> {
    page(&build(&visit, None, &NetworkForm::default(), Errors::default()))
}

pub(super) async fn create(submitted: Submitted<AdminProfiles>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let network_form = NetworkForm::read(&form, None)?;
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    let created = match network_form.parse_new() {
        Ok(new) => profiles::create_network(node, organization, &by, new).await,
        Err(violations) => Err(ProfileError::Invalid(violations)),
    };
    match created {
        Ok(network) => visit.done(&path(&network.name), "Network created. Choose it in keys and profiles."),
        Err(error) => invalid_form(&build(&visit, None, &network_form, errors_of(error)?)),
    }
}

pub(super) async fn ask(visit: ConsoleRequest<AdminProfiles>, name: web::Path<String>) -> Result<Reply, ErrorPage> {
    let (_, network) = find(&visit, &name).await?;
    let network_form = NetworkForm::of(&network);
    page(&build(&visit, Some((network.name, network.version)), &network_form, Errors::default()))
}

/// Saves the network, or shows the review if its addresses change and keys have it.
pub(super) async fn edit(submitted: Submitted<AdminProfiles>, name: web::Path<String>) -> Result<Reply, ErrorPage> {
    // 1. Read the form.
    let Submitted { visit, form } = submitted;
    let (tenant, old) = find(&visit, &name).await?;
    let seen = version(&form)?;
    let of = || Some((old.name.clone(), seen));
    let network_form = NetworkForm::read(&form, Some(&old))?;
    if form.value("back").is_some() {
        return page(&build(&visit, of(), &network_form, Errors::default()));
    }
    if seen != old.version {
        return Err(ProfileError::PreconditionFailed.into());
    }
    let parsed = network_form.parse_edit().map_err(ProfileError::Invalid);
    let previewed = parsed.and_then(|edit| Ok((profiles::preview_network_edit(&old, edit.clone())?, edit)));
    let (new, edit) = match previewed {
        Ok(previewed) => previewed,
        Err(error) => return invalid_form(&build(&visit, of(), &network_form, errors_of(error)?)),
    };

    // 2. Review the addresses that keys lose and gain.
    let direction = Direction::of_networks(&old.addresses(), &new.addresses());
    if form.value("confirmed").is_none() && direction != Direction::Unchanged {
        let change = SharedChange::Network(Box::new(old.clone()), Box::new(new.clone()));
        let impact = usage::shared_impact(visit.node(), &tenant, &change, visit.now).await?;
        if impact.keys > 0 {
            let reviewed = Reviewed {
                noun: "network",
                name: old.name.clone(),
                keys: impact.keys,
                keys_path: keys_path(&old.name),
                profiles: profiles_with(&tenant.shared, &old.name),
                direction,
                warnings: warning(&old, &new).into_iter().collect(),
                changes: Changes::default().networks(&old.addresses(), &new.addresses()),
                denied: DeniedRequests::new(&impact.denied, &tenant.apis).at_most(),
            };
            return SharedReview::page(&visit, reviewed, &form);
        }
    }

    // 3. Apply the change.
    let (node, organization, by) = (visit.node(), visit.organization(), visit.by());
    match profiles::edit_network(node, organization, &by, &old.name, Some(seen), edit).await {
        Ok(_) if direction.restricts() => {
            visit.done(&path(&old.name), "Network updated. Removed addresses are denied from now on.")
        }
        Ok(_) => visit.done(&path(&old.name), "Network updated."),
        Err(error) => invalid_form(&build(&visit, of(), &network_form, errors_of(error)?)),
    }
}

fn warning(old: &NamedNetwork, new: &NamedNetwork) -> Option<Notice> {
    let is_opened = old.addresses().is_restricted() && !new.addresses().is_restricted();
    let text = "The network contains every address. Keys that refer to it can be used from anywhere.";
    is_opened.then(|| Notice::new(Tone::Warning, text))
}

/// Describes an error in the form, or returns its page.
fn errors_of(error: ProfileError) -> Result<Errors, ErrorPage> {
    match error {
        ProfileError::Invalid(violations) => Ok(Errors::new(violations, FIELDS)),
        ProfileError::GrantExceeded(excess) => Ok(Errors::sentence(describe_excess(&excess))),
        other => Err(other.into()),
    }
}

fn build(
    visit: &ConsoleRequest<AdminProfiles>,
    of: Option<(Slug, u64)>,
    network_form: &NetworkForm,
    errors: Errors,
) -> Page {
    let title = if of.is_some() { "Edit network" } else { "Create network" };
    Page {
        frame: visit.frame(Section::Profiles, title),
        fields: network_form.fields(of.is_none(), &errors),
        errors,
        of,
    }
}
