//! Opening what every command on a database needs: the store, its master keys, and Argon2.

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

/// A node that reported less than this many seconds ago counts as running.
const RUNNING_SECONDS: i64 = 15;

/// The adapters that every command on a database needs.
pub struct Opened {
    pub store: Arc<Store>,
    pub master_keys: MasterKeys,
    pub gate: Argon2Gate,
    /// Locks a SQLite file against other processes.
    pub(super) lock: Option<StoreLock>,
}

/// Reads the state of the database without changing anything. `None` if it does not exist.
pub async fn database_state(settings: &Settings) -> Result<Option<DatabaseState>, ServerError> {
    Ok(match &settings.store.url {
        StoreUrl::Sqlite(path) => Store::inspect_sqlite(path).await?,
        StoreUrl::Postgres(url) => Store::inspect_postgres(url.expose()).await?,
    })
}

/// Opens everything that a command on the database needs. A SQLite file is locked against other processes.
pub async fn open(settings: &Settings) -> Result<Opened, ServerError> {
    let lock = match &settings.store.url {
        StoreUrl::Sqlite(path) => Some(lock(path)?),
        StoreUrl::Postgres(_) => None,
    };
    // Before the schema is changed: with the wrong master key, nothing may change.
    let known = database_state(settings).await?.and_then(|state| state.master_key);
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
    .map_err(ServerError::Argon2)?;
    Ok(Opened { store, master_keys, gate, lock })
}

/// A source that reads a URL from its file again.
pub(super) fn url_source(file: UrlFile) -> UrlSource {
    Arc::new(move || file.read())
}

/// Opens an existing database for reading, while a server may use it.
pub async fn open_to_read(settings: &Settings) -> Result<Arc<Store>, ServerError> {
    Ok(Arc::new(match &settings.store.url {
        StoreUrl::Sqlite(path) => Store::read_sqlite(path).await?,
        StoreUrl::Postgres(url) => Store::read_postgres(url.expose()).await?,
    }))
}

/// Reads the version of the schema without changing anything.
pub async fn schema(settings: &Settings) -> Result<SchemaState, ServerError> {
    Ok(match &settings.store.url {
        StoreUrl::Sqlite(path) => Store::schema_of_sqlite(path).await?,
        StoreUrl::Postgres(url) => Store::schema_of_postgres(url.expose()).await?,
    })
}

/// Migrates the schema of the database.
pub async fn migrate(settings: &Settings) -> Result<(), ServerError> {
    let (_lock, store) = match &settings.store.url {
        StoreUrl::Sqlite(path) => (Some(lock(path)?), Store::open_sqlite(path, 1).await?),
        StoreUrl::Postgres(url) => (None, Store::open_postgres(url.expose(), 2).await?),
    };
    store.close().await;
    Ok(())
}

/// Locks a SQLite file against other processes. Creates its folder if it is missing.
pub fn lock(path: &Path) -> Result<StoreLock, ServerError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| ServerError::Setting(format!("{}: {error}", folder.display())))?;
    Ok(StoreLock::take(path)?)
}

/// Fails if nodes are running.
pub async fn refuse_running_nodes(opened: &Opened) -> Result<(), ServerError> {
    let since = clock::now().plus_seconds(-RUNNING_SECONDS);
    let running = opened.store.nodes().await?.into_iter().filter(|node| node.seen_at > since).count();
    if running == 0 {
        return Ok(());
    }
    Err(ServerError::Running { running, seconds: RUNNING_SECONDS })
}

/// Reads the master keys. A missing file is created only for a new database, because a new key could not decrypt an
/// existing one.
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
                "{}: the master key file of this database is missing; restore it, or copy it from another node (its path is secrets.master_key_file)",
                path.display()
            ))),
        },
    }
}

fn read_master_keys(path: &Path, text: &Zeroizing<String>) -> Result<Vec<RawMasterKey>, ServerError> {
    parse_master_keys(text).map_err(|error| ServerError::Setting(format!("{}: {error}", path.display())))
}

/// Reads the master key file, and returns its path and its keys.
pub fn master_key_file(settings: &Settings) -> Result<(PathBuf, Vec<RawMasterKey>), ServerError> {
    let MasterKeySource::File(path) = &settings.secrets.master_key else {
        return Err(ServerError::Setting(
            "secrets.master_key contains the keys themselves; to rotate, put a new key in front of them and restart"
                .into(),
        ));
    };
    let file = read_secret_file(path)?
        .ok_or_else(|| ServerError::Setting(format!("{}: master key file not found", path.display())))?;
    Ok((path.clone(), read_master_keys(path, &file.text)?))
}

fn reader_count(settings: &Settings) -> u32 {
    u32::try_from(workers(settings)).unwrap_or(u32::MAX).saturating_add(2)
}
