//! What is kept: small traits per entity, and SQL behind them. The truth of everything lives here.
//!
//! Imports `domain` only. Not found is `Ok(None)`; a broken rule (a limit,
//! a version) is a [`Refused`] inside `Ok`; [`StoreError`] is a store that does not work.

mod audit;
mod lock;
mod sql;
mod usage;
mod webhooks;

use std::sync::Arc;

use async_trait::async_trait;
use zeroize::Zeroizing;

pub use audit::{AuditEntry, AuditFilter, AuditFrom, action};
pub use lock::{LockError, StoreLock};
pub use sql::{Copied, Look, SqlStore};
pub use usage::{
    BusyKey, BusyKeys, Interval, Notice, StaleKeys, UpkeepStore, UsageDetail, UsageOf, UsageReports, UsageStore, kind,
};
pub use webhooks::{
    AfterAttempt, Attempt, Backlog, ClaimTerms, DeliveryFilter, DeliveryStore, DueWebhook, Outbox, Undelivered,
    UnsealedUrl, WebhookSeal, WebhookStore, message,
};

use crate::domain::api_key::{ApiKey, FastVerifier, Status};
use crate::domain::audit_chain::{AuditHead, AuditRow};
use crate::domain::key_text::KeyId;
use crate::domain::member::{Member, MemberId, Session};
use crate::domain::organization::Organization;
use crate::domain::sealed::Sealed;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;

/// The number of a change; they become visible in order.
pub type Seq = u64;

/// A store that does not work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did not answer, or refused.
    #[error("the database failed: {0}")]
    Database(#[source] sqlx::Error),
    /// A row that this version cannot read.
    #[error("the database holds an unreadable {what}: {detail}")]
    Unreadable {
        /// The kind of row.
        what: &'static str,
        /// What is wrong with it; never a secret.
        detail: String,
    },
    /// The database was written by a newer Keyturn.
    #[error(
        "the database was made by a newer Keyturn (schema {found}, this version knows {known}); use that version or restore a backup"
    )]
    Newer {
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The database did not answer for too long.
    #[error("the database did not answer in time")]
    Silent,
    /// The answer to a COMMIT was lost, and the transaction could not be looked up.
    #[error("the database did not confirm the change; it may have been made")]
    CommitUnknown,
    /// Whoever asked for a change was revoked, removed or changed before it was written.
    #[error("whoever asked for the change is not what they were any more")]
    Superseded,
    /// The file, folder or server cannot be used.
    #[error("{0}")]
    Unusable(String),
}

impl StoreError {
    /// Whether no connection was free for too long.
    pub fn is_used_up(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::PoolTimedOut))
    }

    /// Whether the database refuses the user or the password.
    pub fn is_login_refused(&self) -> bool {
        matches!(self, Self::Database(error) if is_login_refused(error))
    }
}

/// How far the schema of a database is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SchemaState {
    /// Its version; `None` if Keyturn was never there.
    pub found: Option<i64>,
    /// The version that this Keyturn needs.
    pub known: i64,
}

impl SchemaState {
    /// Whether nothing has to be migrated.
    pub fn is_current(self) -> bool {
        self.found == Some(self.known)
    }
}

/// Whether PostgreSQL refuses the user or the password.
fn is_login_refused(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("28P01" | "28000"))
}

/// Gives the URL of a server with its current credentials, or says in a line without any of them why it cannot.
pub type UrlSource = Arc<dyn Fn() -> Result<Zeroizing<String>, String> + Send + Sync>;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// A change that the store's rules do not allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Somebody changed it meanwhile.
    VersionConflict,
    /// The organization's or the owner's limit of keys is reached.
    LimitReached,
    /// The policy was changed after the change was checked against it.
    PolicyChanged,
    /// There is one already.
    AlreadyExists,
    /// The same request, by its `Idempotency-Key`, was carried out already.
    Repeated,
    /// The owner is no member any more.
    OwnerGone,
    /// An organization keeps an owner.
    LastOwner,
}

/// Most keys that may count at once, as the policy says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// Of the organization.
    pub organization: Option<u32>,
    /// Of the key's owner.
    pub owner: Option<u32>,
    /// The version of the policy that says so; the write is refused if another is in force by then.
    pub policy_version: Option<u64>,
}

/// What a list of keys is ordered by; keys of the same value by their ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyOrder {
    /// When they were made.
    Created,
    /// Their names, whatever the case.
    Name,
    /// When they end; those that do not come last.
    Expiry,
    /// When they were last used; those never used first.
    LastUse,
}

/// A place in a list: the value that it is ordered by, and the key's id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyPlace {
    /// A moment, in milliseconds.
    At(i64, KeyId),
    /// A name in lower case.
    Named(String, KeyId),
}

impl KeyOrder {
    /// Where a key stands.
    pub fn place(self, key: &ApiKey) -> KeyPlace {
        match self {
            Self::Created => KeyPlace::At(key.created_at.as_millis(), key.id),
            Self::Name => KeyPlace::Named(key.name.to_lowercase(), key.id),
            Self::Expiry => KeyPlace::At(key.expires_at.map_or(i64::MAX, Timestamp::as_millis), key.id),
            Self::LastUse => KeyPlace::At(key.last_used_at.map_or(0, Timestamp::as_millis), key.id),
        }
    }
}

/// The answer to a request with an `Idempotency-Key`, to be given again.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// Who asked, as in the audit log.
    pub caller: String,
    /// SHA-256 of the `Idempotency-Key`.
    pub digest: [u8; 32],
    /// SHA-256 of the request.
    pub request: [u8; 32],
    /// The key that was made or rotated.
    pub key: KeyId,
    /// Its text, sealed.
    pub sealed: Sealed,
    /// When.
    pub at: Timestamp,
}

/// Which keys to list.
#[derive(Clone, Debug)]
pub struct KeyFilter {
    /// Whose.
    pub organization: Slug,
    /// In which state, at the moment given.
    pub status: Option<Status>,
    /// The moment.
    pub now: Timestamp,
    /// Part of the name, in any case.
    pub search: Option<String>,
    /// The owner.
    pub owner: Option<MemberId>,
    /// In which order.
    pub order: KeyOrder,
    /// Whether the last come first.
    pub is_descending: bool,
    /// Only those after this place in the list's order.
    pub after: Option<KeyPlace>,
    /// At most so many.
    pub limit: u32,
}

/// A signing key as it is stored.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredSigningKey {
    /// Its name in tokens and in the JWKS.
    pub kid: String,
    /// Whose.
    pub organization: Slug,
    /// `ES256`, `EdDSA` or `RS256`.
    pub algorithm: String,
    /// The private key, PKCS#8, sealed under `kid`.
    pub sealed: Sealed,
    /// When it was made and published.
    pub created_at: Timestamp,
    /// When it signs for the first time.
    pub active_from: Timestamp,
}

/// All that a new organization begins with, written at once or not at all.
#[derive(Debug)]
pub struct Founding {
    /// The organization.
    pub organization: Organization,
    /// Its first signing key; without one it must be bootstrapped.
    pub signing_key: Option<StoredSigningKey>,
    /// Its owner, and the PHC string of their password.
    pub owner: (Member, String),
    /// Its first API key.
    pub key: Option<ApiKey>,
}

/// A change as others follow it: drop what is held of that key, or refuse that token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyChange {
    /// Its number.
    pub seq: Seq,
    /// The key concerned.
    pub key: KeyId,
    /// The token revoked, if it is one alone.
    pub token: Option<RevokedToken>,
    /// The key's generation after the change.
    pub generation: u64,
}

/// A token revoked by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevokedToken {
    /// Its id.
    pub jti: String,
    /// The key it was minted from.
    pub key: KeyId,
    /// When it may be forgotten, being long dead by itself.
    pub expires_at: Timestamp,
}

/// The name of a running node; no two runs have the same.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct NodeId(String);

impl NodeId {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for NodeId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// A node that serves from the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberNode {
    /// Its name.
    pub id: NodeId,
    /// When it was last heard of, by the database's clock.
    pub seen_at: Timestamp,
    /// A change up to which it has followed; it may be further.
    pub applied: Seq,
    /// Given up: it serves no more once its lease has ended.
    pub is_struck: bool,
}

/// What was done to a database that went back in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restored {
    /// The first number of the new epoch.
    pub epoch: Seq,
    /// API keys whose earlier tokens ended.
    pub keys: u64,
    /// Sessions that ended.
    pub sessions: u64,
}

/// What has happened since a change, as one view of the store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct News {
    /// The last change in this view.
    pub last_seq: Seq,
    /// The last change of organizations or signing keys in this view.
    pub tenants_seq: Seq,
    /// Changes up to this one are no longer listed.
    pub pruned_seq: Seq,
    /// Whether the node that asks is a member that has not been struck.
    pub is_member: bool,
    /// Whether `changes` goes as far as `last_seq`.
    pub is_whole: bool,
    /// The database's clock, where it has one of its own.
    pub clock: Option<Timestamp>,
    /// The changes of keys and tokens, in order.
    pub changes: Vec<KeyChange>,
}

/// Events of one subject, network and hour.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CountedEvent {
    /// The organization that they concern.
    pub organization: Slug,
    /// The audit action.
    pub action: &'static str,
    /// The audit subject.
    pub subject: String,
    /// Where they came from, as CIDR.
    pub network: String,
    /// The address of the first.
    pub address: Option<String>,
    /// Hours since the epoch.
    pub hour: i64,
    /// How many.
    pub count: u64,
    /// When the first happened.
    pub first_at: Timestamp,
    /// When the last happened.
    pub last_at: Timestamp,
}

impl CountedEvent {
    /// The networks that are not listed one by one.
    pub const OTHER_NETWORKS: &str = "others";
}

/// Organizations.
#[async_trait]
pub trait OrganizationStore: Send + Sync {
    /// Those whose policy, state or signing keys changed after a change number; after 0, or `None`, all of them.
    async fn organizations(&self, changed_after: Option<Seq>) -> Result<Vec<Organization>, StoreError>;
    /// One organization.
    async fn organization(&self, slug: &Slug) -> Result<Option<Organization>, StoreError>;
    /// The number of the last change of an organization's policy, state or signing keys.
    async fn organization_seq(&self, slug: &Slug) -> Result<Option<Seq>, StoreError>;
    /// Suspends an organization, or ends its suspension, and writes the audit entry. `None` if it is in that state
    /// already.
    async fn suspend_organization(
        &self,
        slug: &Slug,
        suspended_at: Option<Timestamp>,
        entry: &AuditEntry,
    ) -> Result<Option<Seq>, StoreError>;
    /// Writes a new one with all that it begins with, and its audit row.
    async fn found(&self, founding: &Founding, entry: &AuditEntry) -> Result<Result<Seq, Refused>, StoreError>;
    /// Writes the next state of an organization whose stored policy version is the one before, and its audit row.
    async fn update_policy(
        &self,
        organization: &Organization,
        entry: &AuditEntry,
    ) -> Result<Result<Seq, Refused>, StoreError>;
}

/// API keys.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// The key of that id.
    async fn key(&self, id: &KeyId) -> Result<Option<ApiKey>, StoreError>;
    /// The keys that a filter lets through.
    async fn keys(&self, filter: &KeyFilter) -> Result<Vec<ApiKey>, StoreError>;
    /// Writes a new key if the limits allow one more and its owner is a member, its audit row, and the answer that can
    /// be asked for again.
    async fn insert_key(
        &self,
        key: &ApiKey,
        limits: Limits,
        entry: &AuditEntry,
        once: Option<&Remembered>,
    ) -> Result<Result<Seq, Refused>, StoreError>;
    /// Writes the next state of a key whose stored version is the one before, and its audit row. `limits`
    /// is given when the key did not count before and does now.
    async fn update_key(
        &self,
        key: &ApiKey,
        limits: Option<Limits>,
        entry: &AuditEntry,
        once: Option<&Remembered>,
    ) -> Result<Result<Seq, Refused>, StoreError>;
    /// Writes a fast verifier anew where Argon2 has just decided. Not a change: nothing is granted or taken.
    async fn refresh_fast_verifier(&self, id: &KeyId, phc: &str, fast: &FastVerifier) -> Result<(), StoreError>;
    /// Replaces a pending verifier of a key's current or previous secret by its PHC string. Not a change.
    async fn complete_verifier(&self, id: &KeyId, pending: &str, phc: &str) -> Result<(), StoreError>;
    /// The answer to a caller's request of that `Idempotency-Key` (its SHA-256), if it is not older than `since`.
    async fn remembered(
        &self,
        caller: &str,
        digest: &[u8; 32],
        since: Timestamp,
    ) -> Result<Option<Remembered>, StoreError>;
    /// Forgets answers from before a moment.
    async fn forget_answers(&self, before: Timestamp) -> Result<u64, StoreError>;
}

/// Signing keys.
#[async_trait]
pub trait SigningKeyStore: Send + Sync {
    /// Those of one organization, or of all, oldest first.
    async fn signing_keys(&self, organization: Option<&Slug>) -> Result<Vec<StoredSigningKey>, StoreError>;
    /// The organization that a signing key belongs to.
    async fn organization_of_signing_key(&self, kid: &str) -> Result<Option<Slug>, StoreError>;
    /// Writes a new one and its audit entry. Refused if another was created after `newest`.
    async fn insert_signing_key(
        &self,
        key: &StoredSigningKey,
        newest: Option<&str>,
        entry: &AuditEntry,
    ) -> Result<Result<Seq, Refused>, StoreError>;
    /// Deletes one of an organization's and writes the audit entry: its tokens are invalid from then on. `None` if
    /// there is no such key.
    async fn delete_signing_key(
        &self,
        organization: &Slug,
        kid: &str,
        entry: &AuditEntry,
    ) -> Result<Option<Seq>, StoreError>;
    /// Replaces the seals of signing keys and webhooks, and the master key's name, all at once. A webhook that was
    /// changed meanwhile keeps its seal. Every organization gets the audit row.
    async fn reseal(
        &self,
        seals: &[(String, Sealed)],
        webhooks: &[WebhookSeal],
        master_key: &str,
        entry: &AuditEntry,
    ) -> Result<(), StoreError>;
    /// The id of the master key that the store belongs to.
    async fn master_key(&self) -> Result<Option<String>, StoreError>;
    /// Claims a new store for a master key.
    async fn set_master_key(&self, id: &str) -> Result<(), StoreError>;
}

/// The keys that a removed member leaves behind: the next state of each, and its audit row.
pub type EndKey<'a> = &'a (dyn Fn(ApiKey) -> Option<(ApiKey, AuditEntry)> + Send + Sync);

/// Members. Those who were removed are none.
#[async_trait]
pub trait MemberStore: Send + Sync {
    /// A member of an organization.
    async fn member(&self, organization: &Slug, id: &MemberId) -> Result<Option<Member>, StoreError>;
    /// A member by login, and the PHC string of their password.
    async fn login(&self, organization: &Slug, email: &str) -> Result<Option<(Member, String)>, StoreError>;
    /// Every member of an organization, by login.
    async fn members(&self, organization: &Slug) -> Result<Vec<Member>, StoreError>;
    /// Writes a new member with the PHC string of their password, and the audit row.
    async fn insert_member(
        &self,
        member: &Member,
        password_phc: &str,
        entry: &AuditEntry,
    ) -> Result<Result<(), Refused>, StoreError>;
    /// Writes the next state of a member whose stored version is the one before, and the audit row. A new password ends
    /// every session but `stays`.
    async fn update_member(
        &self,
        member: &Member,
        password: Option<(&str, Option<&str>)>,
        entry: &AuditEntry,
    ) -> Result<Result<(), Refused>, StoreError>;
    /// Removes a member whose stored version is `member`'s, with their sessions; their keys become what `end` says. Gives
    /// those keys, and the number of the last change.
    async fn remove_member(
        &self,
        member: &Member,
        end: EndKey<'_>,
        entry: &AuditEntry,
    ) -> Result<Result<(Seq, Vec<ApiKey>), Refused>, StoreError>;
}

/// Sessions of members.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Writes a new one under the SHA-256 of what the browser holds, and the audit row; false where the member is not
    /// as they were when their password was checked.
    async fn open_session(
        &self,
        session: &Session,
        digest: &[u8; 32],
        member: &Member,
        entry: &AuditEntry,
    ) -> Result<bool, StoreError>;
    /// The session of that digest, and whose it is.
    async fn session(&self, digest: &[u8; 32]) -> Result<Option<(Session, Member)>, StoreError>;
    /// Notes that a session was used.
    async fn touch_session(&self, id: &str, now: Timestamp) -> Result<(), StoreError>;
    /// A member's sessions, newest first.
    async fn sessions(&self, member: &MemberId) -> Result<Vec<Session>, StoreError>;
    /// Ends one of a member's sessions, and writes the audit row; false where there is none.
    async fn end_session(&self, member: &Member, id: &str, entry: &AuditEntry) -> Result<bool, StoreError>;
    /// Forgets those that have ended by themselves: by age at `now`, by rest when last used before `idle_since`.
    async fn forget_sessions(&self, now: Timestamp, idle_since: Timestamp) -> Result<u64, StoreError>;
}

/// Security events that strangers can repeat at will.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Counts events of one subject, network and hour. The first of them is written to the audit log at once.
    async fn count_event(&self, event: &CountedEvent) -> Result<(), StoreError>;
    /// Writes the counts of hours before one to the audit log; returns how many. To be repeated until it is none.
    async fn close_event_hours(&self, before: i64, now: Timestamp) -> Result<u64, StoreError>;
}

/// Tokens revoked by themselves.
#[async_trait]
pub trait RevokedTokenStore: Send + Sync {
    /// Writes one, and its audit row. A second time is no change.
    async fn revoke_token(
        &self,
        token: &RevokedToken,
        organization: &Slug,
        entry: &AuditEntry,
    ) -> Result<Seq, StoreError>;
    /// All that are not forgotten yet, expired or not: whether one has expired is for a clock that may be wrong to say.
    async fn revoked_tokens(&self) -> Result<Vec<RevokedToken>, StoreError>;
    /// Whether a token was revoked by itself, and is not forgotten.
    async fn is_token_revoked(&self, jti: &str) -> Result<bool, StoreError>;
    /// Forgets the tokens of these IDs.
    async fn forget_revoked_tokens(&self, ids: &[String]) -> Result<u64, StoreError>;
}

/// The changes, in order.
#[async_trait]
pub trait ChangeLog: Send + Sync {
    /// Starts a new epoch of a database that went back in time: a restore, or a fail-over that lost changes. `now` is in
    /// milliseconds and so higher than any number that was counted; every generation, secret version, version and change
    /// number continues from it, so that none is given out a second time. That ends every token; sessions end too,
    /// because which of them were ended is not known. Every node reads everything again, and each organization gets an
    /// audit entry.
    ///
    /// With a number that a node has followed up to, nothing is done (`None`) if the database has reached it: another
    /// node has started the epoch. Without one no node runs, and those that the database lists are removed.
    async fn begin_epoch(&self, followed: Option<Seq>, now: Timestamp) -> Result<Option<Restored>, StoreError>;
    /// The number of the last change.
    async fn last_seq(&self) -> Result<Seq, StoreError>;
    /// What has happened after a change, for a node; at most `limit` changes.
    async fn follow(&self, after: Seq, node: &NodeId, limit: u32) -> Result<News, StoreError>;
    /// Forgets the changes before a moment.
    async fn shorten(&self, before: Timestamp) -> Result<(), StoreError>;
    /// The keys that were changed since a moment, as they are now.
    async fn changed_keys(&self, since: Timestamp) -> Result<Vec<ApiKey>, StoreError>;
}

/// The nodes that serve from the store. A change is answered only when none of them can act on what was before.
#[async_trait]
pub trait Membership: Send + Sync {
    /// Enters a node, before it serves.
    async fn join(&self, node: &NodeId, now: Timestamp) -> Result<(), StoreError>;
    /// Takes a node out that serves no more.
    async fn leave(&self, node: &NodeId) -> Result<(), StoreError>;
    /// All that are entered, the struck ones too.
    async fn nodes(&self) -> Result<Vec<MemberNode>, StoreError>;
    /// Notes up to which change a node has followed, and that it was heard of.
    async fn report(&self, node: &NodeId, applied: Seq, now: Timestamp) -> Result<(), StoreError>;
    /// Gives a node up that was not heard of since a moment; false where it was.
    async fn strike(&self, node: &NodeId, seen_before: Timestamp) -> Result<bool, StoreError>;
    /// Stores the settings of a node that others must share with it.
    async fn declare_settings(&self, node: &NodeId, settings: &str) -> Result<(), StoreError>;
    /// The settings of each node that was heard of since a moment and is not given up.
    async fn declared_settings(&self, seen_since: Timestamp) -> Result<Vec<(NodeId, String)>, StoreError>;
    /// The name of all nodes together: the proposed one, or that which it has.
    async fn deployment(&self, proposed: &str) -> Result<String, StoreError>;
}

/// A row of the audit log, or the id of one that cannot be read.
pub type FoundAuditRow = Result<AuditRow, i64>;

/// The audit log; rows are written by the changes themselves.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// The rows that a filter lets through.
    async fn audit_rows(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError>;
    /// The rows of an organization after an id, oldest first, at most `limit`, whatever has become of them.
    async fn audit_after(
        &self,
        organization: &str,
        id: Option<i64>,
        limit: u32,
    ) -> Result<Vec<FoundAuditRow>, StoreError>;
    /// Where the log of an organization ends.
    async fn audit_head(&self, organization: &str) -> Result<Option<AuditHead>, StoreError>;
    /// The slugs of all organizations, and of all that have a log.
    async fn audited_organizations(&self) -> Result<Vec<String>, StoreError>;
}

/// Everything that is kept.
#[async_trait]
pub trait Store:
    OrganizationStore
    + KeyStore
    + SigningKeyStore
    + MemberStore
    + SessionStore
    + EventStore
    + RevokedTokenStore
    + ChangeLog
    + Membership
    + AuditLog
    + UsageStore
    + WebhookStore
    + DeliveryStore
    + Outbox
    + UsageReports
    + UpkeepStore
{
    /// Whether the store answers.
    async fn ping(&self) -> Result<(), StoreError>;
    /// Tries to get a store back to work that does not answer although its database may.
    async fn recover(&self) -> Result<(), StoreError>;
    /// Finishes what is under way and closes the database.
    async fn close(&self);
    /// Returns what the pool of connections to PostgreSQL says of itself; `None` for a database without one.
    fn pool(&self) -> Option<PoolState> {
        None
    }
}

/// A pool of connections, and how long it let its users wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PoolState {
    /// Open connections that nobody uses.
    pub idle: u32,
    /// Connections in use.
    pub used: u32,
    /// Connections that may be open.
    pub most: u32,
    /// How often a connection was taken.
    pub waits: u64,
    /// How long taking them took in total, in nanoseconds.
    pub wait_nanos: u64,
}
