//! Switching between organizations: the sessions that a browser holds, and signing out of one or all of them.
//!
//! Each organization has a session of its own. The session cookie is that of the current organization; the others are in a
//! second cookie, encrypted and bound to the current session. Forms carry the token of the session whose page they are on, so
//! a form of one organization never changes another.

use actix_web::cookie::Cookie;
use actix_web::{HttpRequest, web};
use askama::Template;

use crate::console::error_page::ErrorPage;
use crate::console::flash::Flash;
use crate::console::reply::Reply;
use crate::console::request::{ConsoleRequest, sign_in_path};
use crate::console::route::{resource, submit};
use crate::console::submitted::Submitted;
use crate::console::ui::{CsrfField, html};
use crate::domain::decision::ClientAddress;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::http::permission::{AdminOrganizations, AnyCredential};
use crate::http::session::{self, ConsoleCookie};
use crate::members::{self, HeldSession, HeldSessions, SessionSecret, SignedIn};
use crate::node::{Node, Unavailable};

/// Maximum number of organizations that an operator's menu lists.
const MAX_LISTED: usize = 8;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/switch", [submit(switch)]))
        .service(resource("/sign-out", [submit(sign_out)]))
        .service(resource("/sign-out-everywhere", [submit(sign_out_everywhere)]));
}

html! { Switcher }

/// The menu at the top left.
#[derive(Template)]
#[template(path = "console/switcher.html")]
pub(super) struct Switcher {
    root: String,
    token: CsrfField,
    slug: String,
    name: String,
    /// Whether the visitor can open the organization's settings.
    has_settings: bool,
    /// Whether there are other organizations.
    has_several: bool,
    /// The slugs and names of the organizations with a session.
    held: Vec<(String, String)>,
    /// The slugs and names of organizations that an operator manages.
    managed: Vec<(String, String)>,
    /// The number of all organizations that the operator manages.
    all: usize,
}

impl Switcher {
    pub(super) fn new<P>(visit: &ConsoleRequest<P>, root: String, token: CsrfField) -> Self {
        let (node, slug) = (visit.node(), visit.organization());
        let name_of = |slug: &Slug| {
            let tenant = node.tenant(slug)?;
            Some((slug.to_string(), tenant.organization.name.clone()))
        };
        let has_settings = visit.may::<AdminOrganizations>();
        let mut managed = Vec::new();
        if has_settings && slug.is_default() {
            managed = node.tenants();
            managed.retain(|tenant| tenant.organization.slug != *slug);
            managed.sort_by(|a, b| a.organization.slug.cmp(&b.organization.slug));
        }
        let all = managed.len() + 1;
        let managed = managed.iter().take(MAX_LISTED).filter_map(|tenant| name_of(&tenant.organization.slug));
        Self {
            root,
            token,
            name: name_of(slug).map_or_else(|| slug.to_string(), |(_, name)| name),
            slug: slug.to_string(),
            has_settings,
            has_several: node.tenant_count() > 1,
            held: visit.held.iter().filter_map(|held| name_of(&held.organization)).collect(),
            managed: managed.collect(),
            all,
        }
    }
}

/// Reads the sessions in other organizations. They belong to the same email as the current session.
pub(super) fn read(
    request: &HttpRequest,
    node: &Node,
    secret: &SessionSecret,
    who: &SignedIn,
    now: Timestamp,
) -> HeldSessions {
    let empty = || HeldSessions::of(&who.member.email);
    let Some(cookie) = ConsoleCookie::Others.read(request, &node.settings.public_url) else { return empty() };
    let held = HeldSessions::open(node, secret, &cookie, now);
    if held.email() == who.member.email { held } else { empty() }
}

async fn switch(submitted: Submitted<AnyCredential>) -> Result<Reply, ErrorPage> {
    let Submitted { visit, form } = submitted;
    let slug = form.value("organization").and_then(Slug::parse).ok_or_else(ErrorPage::not_found)?;
    let (node, mut held) = (visit.node(), visit.held.clone());
    let target = held.take(&slug);
    let who = match &target {
        Some(target) => resume(node, target, held.email(), visit.now).await?,
        None => None,
    };
    let (Some(target), Some(who)) = (target, who) else {
        // The session has ended, or the page is old.
        let reply = Reply::see_other(visit.path(&below_console(&sign_in_path(node, &slug))));
        return Ok(reply.cookie(others_cookie(node, &held, &visit.secret)?));
    };
    held.add(HeldSession::new(&visit.who, visit.secret.clone()));
    enter(&visit, &who, &target.secret, &held, &format!("You are now in {}.", name(node, &slug)))
}

/// Ends the current session, and continues in another organization if the browser holds a session there.
async fn sign_out(submitted: Submitted<AnyCredential>) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    let (node, by, who) = (visit.node(), visit.by(), &visit.who);
    members::end(node, &by, &who.member, &who.session.id).await?;
    let mut held = visit.held.clone();
    while let Some(next) = held.take_first() {
        if let Some(who) = resume(node, &next, held.email(), visit.now).await? {
            let (old, new) = (name(node, visit.organization()), name(node, &next.organization));
            let message = format!("Signed out of {old}. You are still signed in to {new}.");
            return enter(&visit, &who, &next.secret, &held, &message);
        }
    }
    Ok(signed_out(&visit))
}

/// Ends all sessions of all logins for which the browser holds a session, in every browser.
async fn sign_out_everywhere(submitted: Submitted<AnyCredential>) -> Result<Reply, ErrorPage> {
    let visit = submitted.visit;
    let node = visit.node();
    for held in visit.held.iter() {
        if let Some(who) = resume(node, held, visit.held.email(), visit.now).await? {
            members::end_all(node, &who.by(visit.address, visit.now), &who.member).await?;
        }
    }
    members::end_all(node, &visit.by(), &visit.who.member).await?;
    Ok(signed_out(&visit))
}

/// Makes another session the current one.
fn enter(
    visit: &ConsoleRequest<AnyCredential>,
    who: &SignedIn,
    secret: &SessionSecret,
    held: &HeldSessions,
    message: &str,
) -> Result<Reply, ErrorPage> {
    let (node, public_url) = (visit.node(), &visit.node().settings.public_url);
    let seconds = who.session.ends_at.as_seconds().saturating_sub(visit.now.as_seconds()).max(0);
    Ok(Reply::see_other(visit.path("/overview"))
        .cookie(session::cookie(secret, public_url, seconds))
        .cookie(others_cookie(node, held, secret)?)
        .cookie(organization_cookie(node, &who.member.organization))
        .cookie(Flash::cookie(node, who, message)?))
}

fn signed_out(visit: &ConsoleRequest<AnyCredential>) -> Reply {
    let public_url = &visit.node().settings.public_url;
    Reply::see_other(visit.path(&below_console(&sign_in_path(visit.node(), visit.organization()))))
        .cookie(session::no_cookie(public_url))
        .cookie(ConsoleCookie::Others.build(String::new(), public_url, 0))
}

/// Returns the cookies after a sign-in: the browser holds the sessions of the same person in other organizations. Those that
/// the new one replaces end.
pub(super) async fn after_sign_in(
    node: &Node,
    request: &HttpRequest,
    who: &SignedIn,
    secret: &SessionSecret,
    address: ClientAddress,
) -> Result<[Cookie<'static>; 2], ErrorPage> {
    let (now, public_url, member) = (who.session.created_at, &node.settings.public_url, &who.member);
    let mut held = HeldSessions::of(&member.email);
    let mut ended = Vec::new();
    if let Some(old) = session::from_cookie(request, public_url) {
        // 1. The sessions beside the earlier one, if they are of the same person.
        let cookie = ConsoleCookie::Others.read(request, public_url).unwrap_or_default();
        let earlier = HeldSessions::open(node, &old, &cookie, now);
        if earlier.email() == member.email {
            held = earlier;
            ended.extend(held.take(&member.organization));
        }

        // 2. The earlier one. That of another person is not touched.
        let before = members::resume(node, &old, now).await.map_err(|cause| ErrorPage::node_unavailable(&cause))?;
        if let Some(before) = before.filter(|before| before.member.email == member.email) {
            let is_kept = before.member.organization != member.organization;
            let before = HeldSession::new(&before, old);
            ended.extend(if is_kept { held.add(before) } else { vec![before] });
        }
    }

    // 3. The sessions of this person that the browser can no longer use.
    for session in ended {
        let Some(gone) = members::resume(node, &session.secret, now).await.ok().flatten() else { continue };
        if let Err(error) = members::end(node, &gone.by(address, now), &gone.member, &gone.session.id).await {
            tracing::warn!(?error, "failed to end an earlier session of a browser");
        }
    }
    Ok([others_cookie(node, &held, secret)?, organization_cookie(node, &member.organization)])
}

/// Returns the member of a held session if it is valid and still of the same person and organization.
async fn resume(node: &Node, held: &HeldSession, email: &str, now: Timestamp) -> Result<Option<SignedIn>, ErrorPage> {
    let who = members::resume(node, &held.secret, now).await.map_err(|cause| ErrorPage::node_unavailable(&cause))?;
    Ok(who.filter(|who| who.member.organization == held.organization && who.member.email == email))
}

fn others_cookie(node: &Node, held: &HeldSessions, current: &SessionSecret) -> Result<Cookie<'static>, Unavailable> {
    let public_url = &node.settings.public_url;
    if held.is_empty() {
        return Ok(ConsoleCookie::Others.build(String::new(), public_url, 0));
    }
    Ok(ConsoleCookie::Others.build(held.seal(node, current)?, public_url, node.settings.session_seconds))
}

fn organization_cookie(node: &Node, organization: &Slug) -> Cookie<'static> {
    const SECONDS: i64 = 365 * 86_400;
    ConsoleCookie::Organization.build(organization.to_string(), &node.settings.public_url, SECONDS)
}

fn name(node: &Node, slug: &Slug) -> String {
    node.tenant(slug).map_or_else(|| slug.to_string(), |tenant| tenant.organization.name.clone())
}

/// Returns a path below the public URL as a path below `/console`.
fn below_console(path: &str) -> String {
    path.strip_prefix("/console").unwrap_or(path).to_owned()
}
