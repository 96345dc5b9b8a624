//! `keyturn audit verify` on the database or on an export, and `keyturn audit export` from a running server.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::audit::{verify, verify_export};
use crate::cli::client::{Client, ServerArguments};
use crate::cli::{CliError, print_out};
use crate::config::Settings;
use crate::domain::audit_chain::{AuditHead, Fault, NotedHead, Wrong};
use crate::domain::slug::Slug;
use crate::server::{self, ServerError};
use crate::store::StoreError;

#[derive(Subcommand, Debug)]
pub(super) enum AuditCommand {
    /// Check that no row was edited, removed, added or moved, and show where each log ends. Changes nothing; a server may
    /// be running.
    Verify(VerifyArguments),
    /// Write the log to standard output as lines of JSON, oldest first.
    Export(ExportArguments),
}

#[derive(Args, Debug)]
pub(super) struct VerifyArguments {
    /// Only this organization.
    #[arg(long, value_name = "SLUG")]
    organization: Option<String>,
    /// The end of a log as an earlier check or export has shown it; it must still be there. May be repeated.
    #[arg(long = "head", value_name = "ID:HASH")]
    heads: Vec<String>,
    /// An export to check by itself, instead of the database.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    server: ServerArguments,
    /// The organization; that of the credential, if none is named.
    #[arg(long, value_name = "SLUG")]
    organization: Option<String>,
    /// Only this action, like key.create.
    #[arg(long)]
    action: Option<String>,
    /// Only what this one has done, like key:3kTMd9….
    #[arg(long)]
    actor: Option<String>,
    /// Only what concerns this id.
    #[arg(long)]
    subject: Option<String>,
    /// From this moment on, like 2030-01-31T00:00:00Z.
    #[arg(long, value_name = "DATE")]
    since: Option<String>,
    /// Before this moment.
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
}

impl VerifyArguments {
    /// The export to check, if it is one.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    fn notes(&self) -> Result<Vec<NotedHead>, CliError> {
        let read = |text: &String| {
            let expected =
                "--head: a row's id, a colon and its hash of 64 hexadecimal digits are expected, as verify shows them";
            NotedHead::parse(text).ok_or_else(|| CliError::Use(expected.into()))
        };
        self.heads.iter().map(read).collect()
    }

    fn organization(&self) -> Result<Option<Slug>, CliError> {
        self.organization.as_deref().map(read_slug).transpose()
    }
}

fn read_slug(text: &str) -> Result<Slug, CliError> {
    Slug::parse(text).ok_or_else(|| CliError::Use("--organization: 1 to 40 of a-z, 0-9 and '-' are expected".into()))
}

/// Checks the logs in the configured store.
pub(super) async fn verify_store(settings: &Settings, arguments: VerifyArguments) -> Result<(), CliError> {
    let (notes, wanted) = (arguments.notes()?, arguments.organization()?);
    if server::look(settings).await?.is_none() {
        return Err(CliError::Failed("store.url: there is no database yet; run: keyturn init".into()));
    }
    let store = server::open_to_read(settings).await?;
    let failed = |error: StoreError| CliError::from(ServerError::Store(error));
    let mut organizations = store.audited_organizations().await.map_err(failed)?;
    if let Some(wanted) = wanted {
        organizations.retain(|found| found == wanted.as_str());
        if organizations.is_empty() {
            return Err(CliError::Failed(format!("organization {wanted}: there is none of that name")));
        }
    }
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for organization in organizations {
        let verdict = verify(store.as_ref(), &organization, &notes).await.map_err(failed)?;
        found.extend(verdict.found);
        match verdict.end {
            Ok(head) => show(&organization, &head)?,
            Err(fault) => faults.push(format!("organization {organization}: {fault}")),
        }
    }
    store.close().await;
    if !faults.is_empty() {
        return Err(CliError::Failed(faults.join("; ")));
    }
    all_are_found(&notes, &found)
}

/// Checks an export.
pub(super) fn verify_file(arguments: &VerifyArguments, path: &Path) -> Result<(), CliError> {
    let (notes, wanted) = (arguments.notes()?, arguments.organization()?);
    let failed = |error: &dyn std::fmt::Display| CliError::Failed(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(|error| failed(&error))?;
    let (organization, head, found) = verify_export(BufReader::new(file), &notes).map_err(|error| failed(&error))?;
    if wanted.is_some_and(|wanted| wanted.as_str() != organization) {
        return Err(failed(&format!("it is an export of organization {organization}")));
    }
    all_are_found(&notes, &found)?;
    show(&organization, &head)
}

fn all_are_found(notes: &[NotedHead], found: &[NotedHead]) -> Result<(), CliError> {
    match notes.iter().find(|note| !found.contains(note)) {
        None => Ok(()),
        Some(note) => Err(CliError::Failed(Fault { id: note.id, wrong: Wrong::NotedIsGone }.to_string())),
    }
}

fn show(organization: &str, head: &AuditHead) -> Result<(), CliError> {
    print_out(&format!("{organization}: {} rows, head {}:{}\n", head.rows, head.id, head.hash))
}

/// Writes the log of a running server's organization.
pub(super) async fn export(arguments: ExportArguments) -> Result<(), CliError> {
    let ExportArguments { server, organization, action, actor, subject, since, until } = arguments;
    let organization = organization.as_deref().map(read_slug).transpose()?;
    let filters = [("action", action), ("actor", actor), ("subject", subject), ("since", since), ("until", until)];
    let mut query: Vec<_> = filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    query.push(("format", "ndjson".into()));
    let client = Client::connect(server).await?;
    client.export("audit", organization.as_ref(), &query).await
}
