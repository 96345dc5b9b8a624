//! Everything of an organization that decisions depend on, read in one snapshot.
//!
//! Parts of different moments would allow what no state of the organization allows, such as a scope that a profile had before an
//! edit from an address that it allows since then.

use std::collections::HashMap;

use crate::domain::apis::Api;
use crate::domain::organization::Organization;
use crate::domain::profile::{NamedNetwork, Profile};
use crate::domain::slug::Slug;
use crate::store::organizations::organization_from_row;
use crate::store::sql::database::Snapshot;
use crate::store::sql::statement::query;
use crate::store::{Seq, Store, StoreError, StoredSigningKey, apis, named_networks, profiles, signing_keys};

/// An organization with all that decisions depend on, as of its `changed_seq`.
#[derive(Clone, Debug)]
pub struct TenantRecord {
    pub organization: Organization,
    /// The default API is the first.
    pub apis: Vec<Api>,
    pub profiles: Vec<Profile>,
    pub networks: Vec<NamedNetwork>,
    /// Oldest first.
    pub signing_keys: Vec<StoredSigningKey>,
}

/// Selects organizations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tenants {
    All,
    /// Those that changed after a change number.
    ChangedAfter(Seq),
    One(Slug),
}

impl Store {
    /// Returns organizations, deleted ones too, all as of one moment.
    pub async fn tenants(&self, which: Tenants) -> Result<Vec<TenantRecord>, StoreError> {
        let database = self.database.clone();
        let reading = async move {
            let mut snapshot = database.begin_snapshot().await?;
            let found = read(&mut snapshot, &which).await?;
            snapshot.end().await?;
            Ok(found)
        };
        self.database.run(reading).await
    }

    /// Returns an organization.
    pub async fn tenant(&self, slug: &Slug) -> Result<Option<TenantRecord>, StoreError> {
        Ok(self.tenants(Tenants::One(slug.clone())).await?.pop())
    }
}

async fn read(snapshot: &mut Snapshot, which: &Tenants) -> Result<Vec<TenantRecord>, StoreError> {
    let statement = match which {
        Tenants::All => query("SELECT * FROM organizations ORDER BY slug"),
        Tenants::ChangedAfter(seq) => {
            query("SELECT * FROM organizations WHERE changed_seq > $1 ORDER BY slug").bind(*seq)
        }
        Tenants::One(slug) => query("SELECT * FROM organizations WHERE slug = $1").bind(slug.as_str()),
    };
    let rows = statement.fetch_all(&mut *snapshot).await?;
    let organizations = rows.iter().map(organization_from_row).collect::<Result<Vec<_>, _>>()?;
    let of_one = match organizations.as_slice() {
        [] => return Ok(Vec::new()),
        [only] => Some(only.slug.clone()),
        _ => None,
    };
    let of_one = of_one.as_ref();
    let mut apis = by_organization(apis::read(&mut *snapshot, of_one).await?, |api| &api.organization);
    let mut profiles = by_organization(profiles::read(&mut *snapshot, of_one).await?, |each| &each.organization);
    let mut networks = by_organization(named_networks::read(&mut *snapshot, of_one).await?, |each| &each.organization);
    let mut keys = by_organization(signing_keys::read(&mut *snapshot, of_one).await?, |key| &key.organization);
    let complete = |organization: Organization| {
        let slug = &organization.slug;
        TenantRecord {
            apis: apis.remove(slug).unwrap_or_default(),
            profiles: profiles.remove(slug).unwrap_or_default(),
            networks: networks.remove(slug).unwrap_or_default(),
            signing_keys: keys.remove(slug).unwrap_or_default(),
            organization,
        }
    };
    Ok(organizations.into_iter().map(complete).collect())
}

/// Groups records, and keeps their order within an organization.
fn by_organization<T>(records: Vec<T>, organization: impl Fn(&T) -> &Slug) -> HashMap<Slug, Vec<T>> {
    let mut groups: HashMap<Slug, Vec<T>> = HashMap::new();
    for record in records {
        groups.entry(organization(&record).clone()).or_default().push(record);
    }
    groups
}
