//! The first steps of a member. A step is done if this member did it, or if it is a setting of their organization.

use crate::audit;
use crate::console::error_page::ErrorPage;
use crate::domain::api_key::{ApiKey, Status};
use crate::domain::key_text::KeyId;
use crate::domain::member::{Member, Role};
use crate::domain::timestamp::Timestamp;
use crate::domain::usage::UsageOutcome;
use crate::http::permission::{
    AdminMembers, AdminPolicy, AdminSigningKeys, Permission, ReadUsage, WriteKeys, check_role,
};
use crate::keys;
use crate::members;
use crate::node::{Node, Unavailable};
use crate::store::{AuditFilter, Interval, KeyFilter, KeyOrder, action};
use crate::usage::{self, Span};

/// A verification in this many days shows that a gateway is connected.
pub(super) const VERIFICATION_DAYS: u32 = 30;
const DAY: i64 = 86_400;
/// How many of the member's newest keys are looked at.
const OWN_KEYS: u32 = 10;
/// How many of the newest changes to the member are looked at.
const CHANGES: u32 = 100;
/// The creator of the key that the server printed when it first started.
const SYSTEM: &str = "keyturn";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Password,
    FirstKey,
    SigningKey,
    Policy,
    Members,
    Key,
    Token,
    Gateway,
}

/// The steps of a member's role, in order, and whether each is done.
pub(in crate::console) struct Steps {
    pub(super) all: Vec<(Step, bool)>,
    /// Whether the member is the first owner, whose password was printed.
    pub(super) is_first_owner: bool,
    /// The key that the server printed, if it still works.
    pub(super) first_key: Option<ApiKey>,
}

impl Steps {
    pub(in crate::console) async fn of(node: &Node, member: &Member, now: Timestamp) -> Result<Self, ErrorPage> {
        let organization = &member.organization;
        let tenant = node.tenant(organization).ok_or_else(ErrorPage::not_found)?;
        let people = members::list(node, organization).await?;
        let oldest = people.iter().min_by_key(|person| (person.created_at, person.id.clone()));
        let is_first_owner = member.role == Role::Owner && oldest.is_some_and(|oldest| oldest.id == member.id);
        let mut all = vec![(Step::Password, !has_given_password(node, member).await?)];
        let mut first_key = None;
        if may::<AdminMembers>(member) {
            let filter = KeyFilter { is_descending: false, limit: 1, ..KeyFilter::new(organization.clone(), now) };
            let oldest = keys::list(node, filter).await?.items.into_iter().next();
            if let Some(key) = oldest.filter(|key| key.created_by == SYSTEM) {
                first_key = Some(key).filter(|key| key.status(now) == Status::Active);
                all.push((Step::FirstKey, first_key.is_none()));
            }
        }
        if may::<AdminSigningKeys>(member) {
            all.push((Step::SigningKey, !tenant.ring.is_empty()));
        }
        if may::<AdminPolicy>(member) {
            all.push((Step::Policy, tenant.organization.policy_version > 1));
        }
        if may::<AdminMembers>(member) {
            all.push((Step::Members, people.len() > 1));
        }
        if may::<WriteKeys>(member) {
            let own = own_keys(node, member, now).await?;
            all.push((Step::Key, !own.is_empty()));
            all.push((Step::Token, own.iter().any(|key| key.last_used_at.is_some())));
            if may::<ReadUsage>(member) {
                all.push((Step::Gateway, is_gateway_connected(node, member, &own, now).await?));
            }
        }
        Ok(Self { all, is_first_owner, first_key })
    }

    pub(in crate::console) fn are_done(&self) -> bool {
        self.all.iter().all(|(_, is_done)| *is_done)
    }

    /// Whether the member still has the password that was given to them.
    pub(in crate::console) fn has_given_password(&self) -> bool {
        self.all.iter().any(|(step, is_done)| *step == Step::Password && !is_done)
    }
}

fn may<P: Permission>(member: &Member) -> bool {
    P::NEEDS.is_none_or(|need| check_role(member.role, need).is_ok())
}

/// Whether the member's password is still the one that was printed or that an admin passed on.
async fn has_given_password(node: &Node, member: &Member) -> Result<bool, Unavailable> {
    if member.version == 1 {
        return Ok(true);
    }
    let filter =
        AuditFilter { subject: Some(member.id.0.clone()), ..AuditFilter::new(member.organization.clone(), CHANGES) };
    let rows = audit::list(node, &filter).await?.items;
    let password = |text: &Option<String>| {
        let new: serde_json::Value = serde_json::from_str(text.as_deref()?).ok()?;
        Some(new.get("password")?.as_str()? == "changed")
    };
    let newest = rows.iter().find_map(|row| password(&row.new));
    // Without an entry, the password was never changed if the log reaches back to the beginning.
    let reaches_back = rows.iter().any(|row| row.action == action::MEMBER_CREATE);
    Ok(newest.map_or(reaches_back, |is_changed| !is_changed))
}

/// Returns the newest keys that the member owns or created.
async fn own_keys(node: &Node, member: &Member, now: Timestamp) -> Result<Vec<ApiKey>, ErrorPage> {
    let organization = &member.organization;
    let filter = KeyFilter {
        owner: Some(member.id.clone()),
        order: KeyOrder::LastUse,
        limit: OWN_KEYS,
        ..KeyFilter::new(organization.clone(), now)
    };
    let mut own = keys::list(node, filter).await?.items;
    let filter = AuditFilter {
        action: Some(action::KEY_CREATE.into()),
        actor: Some(format!("member:{}", member.id)),
        ..AuditFilter::new(organization.clone(), OWN_KEYS)
    };
    for row in audit::list(node, &filter).await?.items {
        let Some(id) = KeyId::parse(&row.subject).filter(|id| own.iter().all(|key| key.id != *id)) else { continue };
        match keys::find(node, organization, &id).await {
            Ok(key) => own.push(key),
            Err(keys::KeyError::NotFound) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(own)
}

/// Whether a gateway verifies tokens: of any key for those who set up the organization, of their own keys for others.
async fn is_gateway_connected(node: &Node, member: &Member, own: &[ApiKey], now: Timestamp) -> Result<bool, ErrorPage> {
    if may::<AdminMembers>(member) {
        let since = now.plus_seconds(-i64::from(VERIFICATION_DAYS) * DAY);
        let span = Span::touched(Interval::Day, since, now.plus_seconds(1));
        let usage = usage::usage_of_organization(node, &member.organization, span).await?;
        return Ok(usage.totals().of(UsageOutcome::Verified) > 0);
    }
    let ids: Vec<KeyId> = own.iter().map(|key| key.id).collect();
    let recent = usage::recent(node, &member.organization, &ids, VERIFICATION_DAYS, now).await?;
    Ok(recent.values().flatten().any(|counts| counts.of(UsageOutcome::Verified) > 0))
}
