//! Begins changes only if the actor still has the rights with which it started.

use crate::store::{AuditEntry, Seq, Store, StoreError, portal_sessions};

use crate::domain::authority::ActorVersion;
use crate::domain::profile::SharedVersion;
use crate::store::key_rows::names_from;
use crate::store::sql::columns::unsigned;
use crate::store::sql::database::Transaction;
use crate::store::sql::statement::{Row, query};

impl Store {
    /// Begins a change, unless the actor lost rights since authentication: a key that was revoked or narrowed, or whose
    /// customer was suspended, or whose profile or networks were changed, a member who was removed or changed, or a portal
    /// session that ended, can change nothing after that was confirmed. Entries without an expected version
    /// are not checked: revoking and disabling keys, and what Keyturn does itself. The change row is locked, so the result
    /// holds until the write.
    pub(super) async fn begin_as(&self, entry: &AuditEntry) -> Result<(Transaction, Seq), StoreError> {
        let (mut transaction, seq) = self.begin().await?;
        if has_its_rights(&mut transaction, entry).await? {
            return Ok((transaction, seq));
        }
        transaction.rollback().await?;
        Err(StoreError::Superseded)
    }
}

/// Whether the actor of a change has the version that the change requires.
async fn has_its_rights(transaction: &mut Transaction, entry: &AuditEntry) -> Result<bool, StoreError> {
    let Some(expected) = entry.expected_version else { return Ok(true) };
    let (sql, id) = match entry.actor.split_once(':') {
        Some(("portal", id)) => {
            if !portal_sessions::may_change(transaction, id, entry).await? {
                return Ok(false);
            }
            return match portal_sessions::creator_key(transaction, id).await? {
                Some(creator) => shares_what_is_expected(transaction, &creator, expected).await,
                None => Ok(true),
            };
        }
        // As in `Caller::actor_version`.
        Some(("key", id)) => (
            "SELECT k.generation + k.secret_version AS version, c.generation AS customer FROM api_keys k \
             LEFT JOIN customers c ON c.id = k.customer_id \
             WHERE k.id = $1 AND k.state = 'active' AND c.suspended_at IS NULL AND c.removed_at IS NULL",
            id,
        ),
        Some(("member", id)) => {
            ("SELECT version, CAST(NULL AS BIGINT) AS customer FROM members WHERE id = $1 AND removed_at IS NULL", id)
        }
        _ => return Ok(true),
    };
    let row = query(sql).bind(id).fetch_optional(&mut *transaction).await?;
    let version = |row: &Row| {
        let customer: Option<i64> = row.try_get("customer")?;
        let customer = customer.map(|generation| unsigned(generation, "generation of a customer")).transpose()?;
        let own = unsigned(row.try_get("version")?, "version")?;
        Ok::<_, StoreError>(ActorVersion { own, customer, shared: expected.shared })
    };
    Ok(row.as_ref().map(version).transpose()? == Some(expected)
        && shares_what_is_expected(transaction, id, expected).await?)
}

/// Whether the profile and the networks that a key refers to have the expected versions, if there are any.
async fn shares_what_is_expected(
    transaction: &mut Transaction,
    key: &str,
    expected: ActorVersion,
) -> Result<bool, StoreError> {
    match expected.shared {
        Some(shared) => Ok(shared_version(transaction, key).await? == Some(shared)),
        None => Ok(true),
    }
}

/// Returns the stored versions of what a key refers to, as `SharedAccess::version_of`.
async fn shared_version(transaction: &mut Transaction, key: &str) -> Result<Option<SharedVersion>, StoreError> {
    let finding = query(
        "SELECT k.organization AS organization, k.named_networks AS own, p.version AS version, \
         p.named_networks AS of_profile FROM api_keys k \
         LEFT JOIN profiles p ON p.organization = k.organization AND p.name = k.profile WHERE k.id = $1",
    );
    let Some(row) = finding.bind(key).fetch_optional(&mut *transaction).await? else { return Ok(None) };
    let mut names = names_from(&row.try_get::<String>("own")?)?;
    names.extend(names_from(&row.try_get::<Option<String>>("of_profile")?.unwrap_or_default())?);
    let profile: Option<i64> = row.try_get("version")?;
    let mut networks = 0;
    if !names.is_empty() {
        let reading = query("SELECT name, version FROM named_networks WHERE organization = $1");
        for row in reading.bind(row.try_get::<String>("organization")?).fetch_all(transaction).await? {
            let name: String = row.try_get("name")?;
            let times = names.iter().filter(|referred| referred.as_str() == name).count() as u64;
            networks += times * unsigned(row.try_get("version")?, "version of a network")?;
        }
    }
    let profile = profile.map(|version| unsigned(version, "version of a profile")).transpose()?;
    Ok(Some(SharedVersion { profile, networks }))
}
