//! Opening what every command on a store needs: the store, the master keys that fit it, and the gate for hashing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::clock;
use crate::config::{MasterKeySource, Settings, StoreUrl, UrlFile, parse_master_keys, read_secret_file};
use crate::crypto::argon2_gate::{Argon2Gate, GateSettings};
use crate::crypto::master_key::{self, MasterKeys, RawMasterKey};
use crate::organizations::{check_master_key, check_master_key_id};
use crate::server::ServerError;
use crate::server::settings::workers;
use crate::store::{DatabaseState, SchemaState, Store, StoreLock, UrlSource};

/// A node that was heard of less than so many seconds ago is running.
const RUNNING_SECONDS: i64 = 15;

/// The adapters that every command on a store needs.
pub struct Opened {
    /// The store.
    pub store: Arc<Store>,
    /// The master keys.
    pub master_keys: MasterKeys,
    /// Argon2.
    pub gate: Argon2Gate,
    /// Keeps other processes off a SQLite file.
    pub(super) lock: Option<StoreLock>,
}

/// Looks at the store without changing anything; `None` when there is none.
pub async fn look(settings: &Settings) -> Result<Option<DatabaseState>, ServerError> {
    Ok(match &settings.store.url {
        StoreUrl::Sqlite(path) => Store::inspect_sqlite(path).await?,
        StoreUrl::Postgres(url) => Store::inspect_postgres(url.expose()).await?,
    })
}

/// Opens everything that a command on the store needs. A SQLite file is kept from other processes.
pub async fn open(settings: &Settings) -> Result<Opened, ServerError> {
    let lock = match &settings.store.url {
        StoreUrl::Sqlite(path) => Some(lock(path)?),
        StoreUrl::Postgres(_) => None,
    };
    // Before the schema is touched: with a wrong master key nothing may change.
    let known = look(settings).await?.and_then(|look| look.master_key);
    let raw = master_keys(settings, known.is_none())?;
    let master_keys = MasterKeys::derive(&raw)?;
    if let Some(id) = known {
        check_master_key_id(&id, &master_keys)?;
    }
    let store = Arc::new(match &settings.store.url {
        StoreUrl::Sqlite(path) => Store::open_sqlite(path, reader_count(settings)).await?,
        StoreUrl::Postgres(url) => {
            let source = settings.store.url_file.clone().map(url_source);
            Store::open_postgres_with(url.expose(), source, settings.store.connections).await?
        }
    });
    check_master_key(store.as_ref(), &master_keys).await?;
    let gate = Argon2Gate::start(GateSettings {
        memory_kib: settings.argon2.memory_kib,
        iterations: settings.argon2.iterations,
        parallelism: settings.argon2.parallelism,
        threads: settings.argon2.threads,
        queue: settings.argon2.queue,
    })
    .map_err(ServerError::Gate)?;
    Ok(Opened { store, master_keys, gate, lock })
}

/// Reads a URL again from its file.
pub(super) fn url_source(file: UrlFile) -> UrlSource {
    Arc::new(move || file.read())
}

/// Opens a store that there is for reading alone, beside whoever serves from it.
pub async fn open_to_read(settings: &Settings) -> Result<Arc<Store>, ServerError> {
    Ok(Arc::new(match &settings.store.url {
        StoreUrl::Sqlite(path) => Store::read_sqlite(path).await?,
        StoreUrl::Postgres(url) => Store::read_postgres(url.expose()).await?,
    }))
}

/// How far the schema of the store is; nothing is changed.
pub async fn schema(settings: &Settings) -> Result<SchemaState, ServerError> {
    Ok(match &settings.store.url {
        StoreUrl::Sqlite(path) => Store::schema_of_sqlite(path).await?,
        StoreUrl::Postgres(url) => Store::schema_of_postgres(url.expose()).await?,
    })
}

/// Brings the schema of the store up to date and does nothing else.
pub async fn migrate(settings: &Settings) -> Result<(), ServerError> {
    let (_lock, store) = match &settings.store.url {
        StoreUrl::Sqlite(path) => (Some(lock(path)?), Store::open_sqlite(path, 1).await?),
        StoreUrl::Postgres(url) => (None, Store::open_postgres(url.expose(), 2).await?),
    };
    store.close().await;
    Ok(())
}

/// Keeps other processes off a SQLite file, in a folder that is made if it is not there.
pub fn lock(path: &Path) -> Result<StoreLock, ServerError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| ServerError::Setting(format!("{}: {error}", folder.display())))?;
    Ok(StoreLock::take(path)?)
}

/// Refuses to go on while nodes are running, for what must be done while none is.
pub async fn refuse_running_nodes(opened: &Opened) -> Result<(), ServerError> {
    let since = clock::now().plus_seconds(-RUNNING_SECONDS);
    let running = opened.store.nodes().await?.into_iter().filter(|node| node.seen_at > since).count();
    if running == 0 {
        return Ok(());
    }
    Err(ServerError::Running { running, seconds: RUNNING_SECONDS })
}

/// The master keys as configured. A missing file is made for a new store, and for no other: its keys
/// would not open what the store holds.
fn master_keys(settings: &Settings, is_new: bool) -> Result<Vec<RawMasterKey>, ServerError> {
    match &settings.secrets.master_key {
        MasterKeySource::Inline(keys) => Ok(keys.clone()),
        MasterKeySource::File(path) => match read_secret_file(path)? {
            Some(file) => read_master_keys(path, &file.text),
            None if is_new => {
                let key = master_key::generate()?;
                master_key::write_file(path, std::slice::from_ref(&key))?;
                Ok(vec![key])
            }
            None => Err(ServerError::Setting(format!(
                "{}: the master key file of this database is missing; put it back, or copy it from another node (secrets.master_key_file says where it is looked for)",
                path.display()
            ))),
        },
    }
}

fn read_master_keys(path: &Path, text: &Zeroizing<String>) -> Result<Vec<RawMasterKey>, ServerError> {
    parse_master_keys(text).map_err(|error| ServerError::Setting(format!("{}: {error}", path.display())))
}

/// The path of the master key file and the keys in it, for changing them.
pub fn master_key_file(settings: &Settings) -> Result<(PathBuf, Vec<RawMasterKey>), ServerError> {
    let MasterKeySource::File(path) = &settings.secrets.master_key else {
        return Err(ServerError::Setting(
            "secrets.master_key holds the keys themselves; put a new one in front of them, restart, and this is done"
                .into(),
        ));
    };
    let file = read_secret_file(path)?
        .ok_or_else(|| ServerError::Setting(format!("{}: there is no master key file", path.display())))?;
    Ok((path.clone(), read_master_keys(path, &file.text)?))
}

fn reader_count(settings: &Settings) -> u32 {
    u32::try_from(workers(settings)).unwrap_or(u32::MAX).saturating_add(2)
}
