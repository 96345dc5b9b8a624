//! Rows of the audit log. No secret is ever part of one.

use serde_json::Value;

use crate::domain::authority::ChangeContext;

use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;

/// The names of audited actions.
pub mod action {
    /// An organization was founded.
    pub const ORGANIZATION_CREATE: &str = "organization.create";
    /// An organization was suspended: its keys and tokens are denied.
    pub const ORGANIZATION_SUSPEND: &str = "organization.suspend";
    /// The suspension of an organization ended.
    pub const ORGANIZATION_RESUME: &str = "organization.resume";
    /// The store was restored from a backup: every token and session from before ended.
    pub const STORE_RESTORE: &str = "store.restore";
    /// A key was created.
    pub const KEY_CREATE: &str = "key.create";
    /// A key was edited.
    pub const KEY_EDIT: &str = "key.edit";
    /// A key was rotated.
    pub const KEY_ROTATE: &str = "key.rotate";
    /// A key was revoked.
    pub const KEY_REVOKE: &str = "key.revoke";
    /// A key was disabled.
    pub const KEY_DISABLE: &str = "key.disable";
    /// A key was enabled.
    pub const KEY_ENABLE: &str = "key.enable";
    /// A key ends soon.
    pub const KEY_EXPIRING: &str = "key.expiring";
    /// A key was not used for as long as the policy says.
    pub const KEY_STALE: &str = "key.stale";
    /// A key was kept out by its networks.
    pub const KEY_DENIED_BY_NETWORK: &str = "key.denied_by_network";
    /// A token was revoked.
    pub const TOKEN_REVOKE: &str = "token.revoke";
    /// A signing key was made.
    pub const SIGNING_KEY_CREATE: &str = "signing-key.create";
    /// An organization's policy was changed.
    pub const POLICY_CHANGE: &str = "policy.change";
    /// A member was added.
    pub const MEMBER_CREATE: &str = "member.create";
    /// A member's role, login or password was changed.
    pub const MEMBER_CHANGE: &str = "member.change";
    /// A member was removed.
    pub const MEMBER_REMOVE: &str = "member.remove";
    /// A member signed in.
    pub const SESSION_BEGIN: &str = "session.begin";
    /// A member's session was ended.
    pub const SESSION_END: &str = "session.end";
    /// Somebody gave a member's login with a wrong password.
    pub const SESSION_REFUSE: &str = "session.refuse";
    /// Actions that are counted by hour when they are repeated.
    pub const REPEATED: [&str; 1] = [SESSION_REFUSE];
    /// A signing key was deleted.
    pub const SIGNING_KEY_DELETE: &str = "signing-key.delete";
    /// The signing keys were sealed under another master key.
    pub const MASTER_KEY_ROTATE: &str = "master-key.rotate";
    /// Rows that an earlier version had written became part of the chain.
    pub const AUDIT_CHAIN: &str = "audit.chain";
    /// A webhook was made.
    pub const WEBHOOK_CREATE: &str = "webhook.create";
    /// A webhook was edited.
    pub const WEBHOOK_EDIT: &str = "webhook.edit";
    /// A webhook was removed, and what was on its way to it.
    pub const WEBHOOK_DELETE: &str = "webhook.delete";
    /// A webhook was disabled because its receiver is gone.
    pub const WEBHOOK_DISABLE: &str = "webhook.disable";
    /// A webhook was given a new secret.
    pub const WEBHOOK_ROTATE_SECRET: &str = "webhook.rotate-secret";
    /// A webhook was tried out.
    pub const WEBHOOK_TEST: &str = "webhook.test";
    /// A dead letter was taken up again.
    pub const WEBHOOK_RETRY: &str = "webhook.retry";
}

/// A row to be written in the transaction of the change that it tells of.
#[derive(Clone, PartialEq, Debug)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who: `key:{id}`, `member:{id}` or `keyturn`.
    pub actor: String,
    /// From where, if over the network.
    pub address: Option<String>,
    /// What: one of [`action`].
    pub action: &'static str,
    /// To which: an id.
    pub subject: String,
    /// What was before.
    pub old: Option<Value>,
    /// What is now.
    pub new: Option<Value>,
    /// What the actor's standing must be when it is written, which is not part of the row; see [`ChangeContext::standing`].
    pub standing: Option<u64>,
}

impl AuditEntry {
    /// The entry of something that Keyturn did by itself.
    pub fn by_keyturn(
        at: Timestamp,
        action: &'static str,
        subject: impl ToString,
        old: Option<Value>,
        new: Option<Value>,
    ) -> Self {
        Self::of(&ChangeContext::keyturn(at), action, subject, old, new)
    }

    /// The row of what somebody did to a subject.
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
            standing: by.standing,
        }
    }
}

/// Which rows of the audit log to list.
#[derive(Clone, PartialEq, Debug)]
pub struct AuditFilter {
    /// Whose.
    pub organization: Slug,
    /// Of this action.
    pub action: Option<String>,
    /// By this actor.
    pub actor: Option<String>,
    /// Concerning this one.
    pub subject: Option<String>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// From where, and in which order.
    pub from: AuditFrom,
    /// At most so many.
    pub limit: u32,
}

/// Where a list of audit rows begins, and which way it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuditFrom {
    /// The newest first.
    Newest,
    /// The newest first, behind this row: when, and its id.
    Before(Timestamp, i64),
    /// As they were written, after this id.
    After(i64),
}
