//! Audit entries. They never contain a secret.

use serde_json::Value;

use crate::domain::authority::{ActorVersion, ChangeContext};
use crate::domain::customer::CustomerId;

use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;

/// Names of audited actions.
pub mod action {
    pub const ORGANIZATION_CREATE: &str = "organization.create";
    /// The display name of an organization was changed.
    pub const ORGANIZATION_EDIT: &str = "organization.edit";
    /// The keys and tokens of an organization are denied.
    pub const ORGANIZATION_SUSPEND: &str = "organization.suspend";
    /// The suspension of an organization has ended.
    pub const ORGANIZATION_RESUME: &str = "organization.resume";
    /// An organization was deleted. In the log of organization `default`.
    pub const ORGANIZATION_DELETE: &str = "organization.delete";
    /// The store was restored from a backup, which invalidated all tokens and sessions.
    pub const STORE_RESTORE: &str = "store.restore";
    pub const KEY_CREATE: &str = "key.create";
    pub const KEY_EDIT: &str = "key.edit";
    pub const KEY_ROTATE: &str = "key.rotate";
    /// The grace period of a previous secret was ended early.
    pub const KEY_END_GRACE: &str = "key.end-grace";
    pub const KEY_EXTEND_GRACE: &str = "key.extend-grace";
    pub const KEY_REVOKE: &str = "key.revoke";
    pub const KEY_DISABLE: &str = "key.disable";
    pub const KEY_ENABLE: &str = "key.enable";
    /// A key expires soon.
    pub const KEY_EXPIRING: &str = "key.expiring";
    /// A key has not been used for the time in the policy.
    pub const KEY_STALE: &str = "key.stale";
    /// A key was denied by its allowed networks.
    pub const KEY_DENIED_BY_NETWORK: &str = "key.denied_by_network";
    pub const TOKEN_REVOKE: &str = "token.revoke";
    /// A signing key was created.
    pub const SIGNING_KEY_CREATE: &str = "signing-key.create";
    pub const API_CREATE: &str = "api.create";
    pub const API_EDIT: &str = "api.edit";
    pub const API_DELETE: &str = "api.delete";
    pub const PROFILE_CREATE: &str = "profile.create";
    pub const PROFILE_EDIT: &str = "profile.edit";
    pub const PROFILE_DELETE: &str = "profile.delete";
    pub const NETWORK_CREATE: &str = "network.create";
    pub const NETWORK_EDIT: &str = "network.edit";
    pub const NETWORK_DELETE: &str = "network.delete";
    pub const CUSTOMER_CREATE: &str = "customer.create";
    pub const CUSTOMER_EDIT: &str = "customer.edit";
    /// The keys and tokens of a customer are denied.
    pub const CUSTOMER_SUSPEND: &str = "customer.suspend";
    /// The suspension of a customer has ended.
    pub const CUSTOMER_REINSTATE: &str = "customer.reinstate";
    /// A customer was removed, and its keys were revoked.
    pub const CUSTOMER_REMOVE: &str = "customer.remove";
    /// The URL of a session in the portal was created.
    pub const PORTAL_SESSION_CREATE: &str = "portal-session.create";
    /// The URL of a session in the portal was opened.
    pub const PORTAL_SESSION_REDEEM: &str = "portal-session.redeem";
    /// A session in the portal was ended.
    pub const PORTAL_SESSION_END: &str = "portal-session.end";
    /// The settings of the portal were changed.
    pub const PORTAL_CHANGE: &str = "portal.change";
    pub const POLICY_CHANGE: &str = "policy.change";
    pub const MEMBER_CREATE: &str = "member.create";
    /// A member's role, login or password was changed.
    pub const MEMBER_CHANGE: &str = "member.change";
    pub const MEMBER_REMOVE: &str = "member.remove";
    pub const SESSION_BEGIN: &str = "session.begin";
    /// A member's session was ended.
    pub const SESSION_END: &str = "session.end";
    /// A sign-in with a wrong password.
    pub const SESSION_REFUSE: &str = "session.refuse";
    /// Actions whose repetitions are counted by hour.
    pub const REPEATED: [&str; 1] = [SESSION_REFUSE];
    /// A signing key was deleted.
    pub const SIGNING_KEY_DELETE: &str = "signing-key.delete";
    /// Signing keys and webhooks were encrypted with another master key.
    pub const MASTER_KEY_ROTATE: &str = "master-key.rotate";
    /// Entries of an earlier version were added to the chain.
    pub const AUDIT_CHAIN: &str = "audit.chain";
    pub const WEBHOOK_CREATE: &str = "webhook.create";
    pub const WEBHOOK_EDIT: &str = "webhook.edit";
    /// A webhook and its queued deliveries were deleted.
    pub const WEBHOOK_DELETE: &str = "webhook.delete";
    /// A webhook was disabled because its receiver responded with 410.
    pub const WEBHOOK_DISABLE: &str = "webhook.disable";
    /// A webhook's secret was rotated.
    pub const WEBHOOK_ROTATE_SECRET: &str = "webhook.rotate-secret";
    /// A test event was sent to a webhook.
    pub const WEBHOOK_TEST: &str = "webhook.test";
    /// A dead letter was retried.
    pub const WEBHOOK_RETRY: &str = "webhook.retry";
}

/// An entry to be written in the transaction of its change.
#[derive(Clone, PartialEq, Debug)]
pub struct AuditEntry {
    pub at: Timestamp,
    /// `key:{id}`, `member:{id}`, `portal:{session}` or `keyturn`.
    pub actor: String,
    /// The client's address, if the change was made over the network.
    pub address: Option<String>,
    /// One of [`action`].
    pub action: &'static str,
    /// ID of the changed object.
    pub subject: String,
    pub old: Option<Value>,
    pub new: Option<Value>,
    /// The actor's version that the write requires; not stored. See [`ChangeContext::expected_version`].
    pub expected_version: Option<ActorVersion>,
}

impl AuditEntry {
    /// Creates an entry for a change that Keyturn makes automatically.
    pub fn by_keyturn(
        at: Timestamp,
        action: &'static str,
        subject: impl ToString,
        old: Option<Value>,
        new: Option<Value>,
    ) -> Self {
        Self::of(&ChangeContext::keyturn(at), action, subject, old, new)
    }

    /// Creates an entry for a change by an actor.
    pub fn of(
        by: &ChangeContext,
        action: &'static str,
        subject: impl ToString,
        old: Option<Value>,
        new: Option<Value>,
    ) -> Self {
        Self {
            at: by.now,
            actor: by.actor.clone(),
            address: by.address.map(|address| address.to_string()),
            action,
            subject: subject.to_string(),
            old,
            new,
            expected_version: by.expected_version,
        }
    }
}

/// Filter and order of a list of audit entries.
#[derive(Clone, PartialEq, Debug)]
pub struct AuditFilter {
    pub organization: Slug,
    pub action: Option<String>,
    pub actor: Option<String>,
    pub subject: Option<String>,
    /// Only entries of this customer and of its keys.
    pub customer: Option<CustomerId>,
    /// Any of these subjects; empty for all.
    pub subjects: Vec<String>,
    /// Only changes that widened or restricted access.
    pub direction: Option<AuditDirection>,
    /// Only changes of this field.
    pub field: Option<String>,
    /// Inclusive.
    pub since: Option<Timestamp>,
    /// Exclusive.
    pub until: Option<Timestamp>,
    pub from: AuditFrom,
    pub limit: u32,
}

impl AuditFilter {
    /// Returns a filter for all entries of an organization, newest first.
    pub fn new(organization: Slug, limit: u32) -> Self {
        Self {
            organization,
            action: None,
            actor: None,
            subject: None,
            customer: None,
            subjects: Vec::new(),
            direction: None,
            field: None,
            since: None,
            until: None,
            from: AuditFrom::Newest,
            limit,
        }
    }
}

/// Whether access became wider or narrower.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuditDirection {
    Widened,
    Restricted,
}

impl AuditDirection {
    pub const ALL: [Self; 2] = [Self::Widened, Self::Restricted];

    /// Its name in the API and in the column.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Widened => "widened",
            Self::Restricted => "restricted",
        }
    }
}

/// Start and direction of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuditFrom {
    /// Newest first.
    Newest,
    /// Newest first, after the entry with this time and ID.
    Before(Timestamp, i64),
    /// In the order of the log, after this ID.
    After(i64),
}
