//! `keyturn store`: copying a SQLite file into PostgreSQL, and starting over after a restore.

use clap::{Args, Subcommand};

use crate::cli::{CliError, print_out};
use crate::clock;
use crate::config::{Settings, StoreUrl};
use crate::server::{self, ServerError};
use crate::store::{SchemaState, Store};

#[derive(Subcommand, Debug)]
pub(super) enum StoreCommand {
    /// Copy everything from a SQLite file into an empty PostgreSQL database. Stop the server first; every API key,
    /// token and login goes on working with the same master key.
    Copy(CopyArguments),
    /// Bring the schema up to date, as a user who may change it. The server can then run as one who may only read and write.
    Migrate(MigrateArguments),
    /// Prepare a database that was restored from a backup, before any node starts. Earlier tokens and sessions end, and
    /// no generation or version is used a second time.
    AfterRestore,
}

#[derive(Args, Debug)]
pub(super) struct CopyArguments {
    /// The file: sqlite://PATH.
    #[arg(long, value_name = "URL")]
    from: String,
    /// The database: postgres://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE. A password may also come from PGPASSWORD.
    #[arg(long, value_name = "URL", env = "KEYTURN_COPY_TO", hide_env_values = true)]
    to: String,
}

#[derive(Args, Debug)]
pub(super) struct MigrateArguments {
    /// Change nothing; exit code 1 if the schema is not current.
    #[arg(long)]
    check: bool,
}

/// Brings the schema up to date, or tells whether it is.
pub(super) async fn migrate(settings: &Settings, arguments: MigrateArguments) -> Result<(), CliError> {
    if arguments.check {
        let known = server::look(settings).await?;
        let state = match known {
            Some(_) => Some(server::schema(settings).await?),
            None => None,
        };
        return match state {
            Some(state) if state.is_current() => {
                print_out(&format!("The schema is current (version {}).\n", state.known))
            }
            Some(SchemaState { found: Some(found), known }) => Err(CliError::Failed(format!(
                "the schema has version {found}, this Keyturn needs {known}; run: keyturn store migrate"
            ))),
            _ => Err(CliError::Failed("the database has no schema yet; run: keyturn store migrate".into())),
        };
    }
    server::migrate(settings).await?;
    print_out(&format!("The schema is current (version {}).\n", server::schema(settings).await?.known))
}

/// Prepares a restored database.
pub(super) async fn after_restore(settings: &Settings) -> Result<(), CliError> {
    if server::look(settings).await?.is_none() {
        return Err(CliError::Failed("store.url: there is no database; restore the backup first".into()));
    }
    let opened = server::open(settings).await?;
    server::refuse_running_nodes(&opened).await?;
    let restored = opened.store.begin_epoch(None, clock::now()).await.map_err(ServerError::Store)?;
    opened.store.close().await;
    let Some(restored) = restored else { return Err(CliError::Failed("nothing was changed".into())) };
    print_out(&format!(
        "The database is ready to be served from. Epoch: {}.\n\
         Ended: every token of {} API keys, and {} console sessions. Clients request new tokens by themselves.\n\
         Changes made after the backup are lost. Revoke, rotate or narrow again every key that was changed since then, and \
         delete signing keys that were retired.\n",
        restored.epoch, restored.keys, restored.sessions
    ))
}

pub(super) async fn copy(arguments: CopyArguments) -> Result<(), CliError> {
    let url = |name: &str, text: &str| {
        StoreUrl::parse(text).map_err(|complaint| CliError::Use(format!("{name} {complaint}")))
    };
    let (StoreUrl::Sqlite(path), StoreUrl::Postgres(to)) =
        (url("--from", &arguments.from)?, url("--to", &arguments.to)?)
    else {
        return Err(CliError::Use("copying goes from a sqlite:// URL to a postgres:// URL".into()));
    };
    let failed = |error| CliError::from(ServerError::Store(error));
    // Before anything is made: it may be the wrong file.
    match Store::look_at_sqlite(&path).await.map_err(failed)? {
        None => return Err(CliError::Failed(format!("{}: there is no such database", path.display()))),
        Some(look) if look.organizations.is_empty() => {
            let path = path.display();
            return Err(CliError::Failed(format!("{path}: it holds no organization; is it the right file?")));
        }
        Some(_) => {}
    }
    // Held to the end: a server that served on would go on changing what was copied.
    let _lock = server::lock(&path)?;
    let source = Store::open_sqlite(&path, 1).await.map_err(failed)?;
    let target = Store::open_postgres(to.expose(), 2).await.map_err(failed)?;
    let copied = source.copy_to(&target).await.map_err(failed)?;
    source.close().await;
    target.close().await;
    let mut said = String::from("Copied:\n");
    for table in copied {
        said.push_str(&format!("  {:>9}  {}\n", table.rows, table.table));
    }
    said.push_str("Set store.url to the new database and keep the master key; the file is no longer needed.\n");
    print_out(&said)
}
