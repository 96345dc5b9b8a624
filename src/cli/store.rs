//! `keyturn store`: the schema, copying a SQLite file into PostgreSQL, and what follows a restore.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use crate::cli::credential::in_file;
use crate::cli::table::count;
use crate::cli::{CliError, print_out};
use crate::clock;
use crate::config::{Settings, StoreUrl};
use crate::server::{self, ServerError};
use crate::store::{SchemaState, Store};

#[derive(Subcommand, Debug)]
pub(super) enum StoreCommand {
    /// Copy everything from a SQLite file into an empty PostgreSQL database. Stop the server first. Every API key, token
    /// and login keeps working with the same master key
    #[command(
        after_help = "Example:\n  keyturn store copy --from sqlite://data/keyturn.db --to-file /run/secrets/database-url\n\n\
        Other users of this machine can see arguments. Pass a URL with a password in a file or in KEYTURN_COPY_TO, or leave \
        the password out and set PGPASSWORD."
    )]
    Copy(CopyArguments),
    /// Update the schema, as a user who may change it. The server can then run as a user who may only read and write data
    #[command(after_help = "Example:\n  keyturn store migrate --check || keyturn store migrate")]
    Migrate(MigrateArguments),
    /// Prepare a database that was restored from a backup, before any node starts. Tokens and sessions from before the
    /// restore become invalid
    #[command(after_help = "Example:\n  keyturn store after-restore")]
    AfterRestore,
}

#[derive(Args, Debug)]
pub(super) struct CopyArguments {
    /// SQLite file: sqlite://PATH
    #[arg(long, value_name = "URL")]
    from: String,
    /// PostgreSQL database: postgres://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE
    #[arg(
        long,
        value_name = "URL",
        env = "KEYTURN_COPY_TO",
        hide_env_values = true,
        required_unless_present = "to_file",
        conflicts_with = "to_file"
    )]
    to: Option<String>,
    /// File that contains the URL of the PostgreSQL database
    #[arg(long, value_name = "FILE", env = "KEYTURN_COPY_TO_FILE")]
    to_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct MigrateArguments {
    /// Change nothing; exit with 1 if the schema is not current
    #[arg(long)]
    check: bool,
}

/// Updates the schema, or reports whether it is current.
pub(super) async fn migrate(settings: &Settings, arguments: MigrateArguments) -> Result<(), CliError> {
    if arguments.check {
        let known = server::database_state(settings).await?;
        let state = match known {
            Some(_) => Some(server::schema(settings).await?),
            None => None,
        };
        return match state {
            Some(state) if state.is_current() => {
                print_out(&format!("The schema is current (version {}).\n", state.known))
            }
            Some(SchemaState { found: Some(found), known }) => Err(CliError::Failed(format!(
                "the schema has version {found}, this Keyturn needs version {known}; run: keyturn store migrate"
            ))),
            _ => Err(CliError::Failed("the database has no schema yet; run: keyturn store migrate".into())),
        };
    }
    server::migrate(settings).await?;
    print_out(&format!("The schema is current (version {}).\n", server::schema(settings).await?.known))
}

/// Prepares a restored database.
pub(super) async fn after_restore(settings: &Settings) -> Result<(), CliError> {
    if server::database_state(settings).await?.is_none() {
        return Err(CliError::Failed("store.url: there is no database; restore the backup first".into()));
    }
    let opened = server::open(settings).await?;
    server::refuse_running_nodes(&opened).await?;
    let restored = opened.store.begin_epoch(clock::now()).await.map_err(ServerError::Store)?;
    opened.store.close().await;
    let Some(restored) = restored else { return Err(CliError::Failed("the database was not changed".into())) };
    print_out(&format!(
        "The database is ready (epoch {}).\n\
         Invalidated every token of {} and ended {}. Clients request new tokens by themselves.\n\
         Changes made after the backup are lost. Revoke, rotate or narrow again every key that was changed since then, suspend or remove customers again, and \
         delete signing keys that were retired.\n",
        restored.epoch,
        count(restored.keys, "API key"),
        count(restored.sessions, "console session")
    ))
}

pub(super) async fn copy(arguments: CopyArguments) -> Result<(), CliError> {
    let url = |name: &str, text: &str| {
        StoreUrl::parse(text).map_err(|complaint| CliError::Use(format!("{name} {complaint}")))
    };
    let (to, name) = match (arguments.to, arguments.to_file) {
        (_, Some(path)) => (in_file("--to-file", &path)?, "--to-file"),
        (to, None) => (Zeroizing::new(to.unwrap_or_default()), "--to"),
    };
    let (StoreUrl::Sqlite(path), StoreUrl::Postgres(to)) = (url("--from", &arguments.from)?, url(name, &to)?) else {
        return Err(CliError::Use(format!("--from must be a sqlite:// URL and {name} a postgres:// URL")));
    };
    let failed = |error| CliError::from(ServerError::Store(error));
    // Before anything is created: it may be the wrong file.
    match Store::inspect_sqlite(&path).await.map_err(failed)? {
        None => return Err(CliError::Failed(format!("{}: no such database", path.display()))),
        Some(look) if look.organizations.is_empty() => {
            let path = path.display();
            return Err(CliError::Failed(format!("{path}: there is no organization in it; is it the right file?")));
        }
        Some(_) => {}
    }
    // Held to the end: a running server would change what has been copied already.
    let _lock = server::lock(&path)?;
    let source = Store::open_sqlite(&path, 1).await.map_err(failed)?;
    let target = Store::open_postgres(to.expose(), 2).await.map_err(failed)?;
    let copied = source.copy_to(&target).await.map_err(failed)?;
    source.close().await;
    target.close().await;
    let mut report = String::from("Copied:\n");
    for table in copied {
        report.push_str(&format!("  {:>9}  {}\n", table.rows, table.table));
    }
    report.push_str("Set store.url to the new database and keep the master key; the file is no longer needed.\n");
    print_out(&report)
}
