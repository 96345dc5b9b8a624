//! `keyturn audit verify` on the database or on an export, and `keyturn audit export` from a running server.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::audit::{verify, verify_export};
use crate::cli::client::Client;
use crate::cli::credential::ServerArguments;
use crate::cli::table::count;
use crate::cli::values::parse_past;
use crate::cli::{CliError, no_database, parse_organization, print_out};
use crate::config::Settings;
use crate::domain::audit_chain::{AuditHead, Fault, FaultKind, NotedHead};
use crate::domain::slug::Slug;
use crate::server::{self, ServerError};
use crate::store::StoreError;

#[derive(Subcommand, Debug)]
pub(super) enum AuditCommand {
    /// Verify that no entry was changed, removed, inserted or moved, and print where each log ends. Reads only; a server
    /// can be running
    #[command(after_help = "Examples:\n  keyturn audit verify\n  keyturn audit verify --file audit.ndjson\n\n\
        Without --file this reads the configured database and needs no credential.")]
    Verify(VerifyArguments),
    /// Write the log to standard output, oldest entry first, one JSON object per line (NDJSON)
    #[command(after_help = "Examples:\n  keyturn audit export --action key.revoke --since 7d > audit.ndjson\n  \
        keyturn audit export --direction widened --field allowed_cidrs --since 7d")]
    Export(Box<ExportArguments>),
}

#[derive(Args, Debug)]
pub(super) struct VerifyArguments {
    /// Only this organization
    #[arg(long, value_name = "SLUG")]
    organization: Option<String>,
    /// End of a log as an earlier verification or export printed it; it must still exist. Can be repeated
    #[arg(long = "head", value_name = "ID:HASH")]
    heads: Vec<String>,
    /// Export to verify, instead of the database
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    server: ServerArguments,
    /// Organization; the default is that of the credential
    #[arg(long, value_name = "SLUG")]
    organization: Option<String>,
    /// Only this action, such as key.create
    #[arg(long)]
    action: Option<String>,
    /// Only changes by this actor, such as key:3kTMd9aB7xQ2LpZs
    #[arg(long)]
    actor: Option<String>,
    /// Only changes of the object with this ID
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    subject: Option<String>,
    /// Only changes that widened or restricted access
    #[arg(long, value_parser = ["widened", "restricted"])]
    direction: Option<String>,
    /// Only changes of this field, such as allowed_cidrs
    #[arg(long)]
    field: Option<String>,
    /// Only entries from this point in time on: a date, or how long ago, such as 7d
    #[arg(long, value_name = "DATE", value_parser = parse_past)]
    since: Option<String>,
    /// Only entries before this point in time
    #[arg(long, value_name = "DATE", value_parser = parse_past)]
    until: Option<String>,
}

impl VerifyArguments {
    /// The export to verify, if any.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    fn notes(&self) -> Result<Vec<NotedHead>, CliError> {
        let read = |text: &String| {
            let expected = "--head: must be an entry's ID, a colon and its hash of 64 hexadecimal digits";
            NotedHead::parse(text).ok_or_else(|| CliError::Use(expected.into()))
        };
        self.heads.iter().map(read).collect()
    }

    fn organization(&self) -> Result<Option<Slug>, CliError> {
        self.organization.as_deref().map(parse_organization).transpose()
    }
}

/// Verifies the logs in the configured store.
pub(super) async fn verify_store(settings: &Settings, arguments: VerifyArguments) -> Result<(), CliError> {
    let (notes, wanted) = (arguments.notes()?, arguments.organization()?);
    if server::database_state(settings).await?.is_none() {
        return Err(no_database());
    }
    let store = server::open_to_read(settings).await?;
    let failed = |error: StoreError| CliError::from(ServerError::Store(error));
    let mut organizations = store.audited_organizations().await.map_err(failed)?;
    if let Some(wanted) = wanted {
        organizations.retain(|known| known == wanted.as_str());
        if organizations.is_empty() {
            return Err(CliError::Failed(format!("organization {wanted}: does not exist")));
        }
    }
    let (mut confirmed, mut faults) = (Vec::new(), Vec::new());
    for organization in organizations {
        let verdict = verify(store.as_ref(), &organization, &notes).await.map_err(failed)?;
        confirmed.extend(verdict.confirmed);
        match verdict.end {
            Ok(head) => show(&organization, &head)?,
            Err(fault) => faults.push(format!("organization {organization}: {fault}")),
        }
    }
    store.close().await;
    if !faults.is_empty() {
        return Err(CliError::Failed(faults.join("; ")));
    }
    check_heads(&notes, &confirmed)
}

/// Verifies an export.
pub(super) fn verify_file(arguments: &VerifyArguments, path: &Path) -> Result<(), CliError> {
    let (notes, wanted) = (arguments.notes()?, arguments.organization()?);
    let failed = |error: &dyn std::fmt::Display| CliError::Failed(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(|error| failed(&error))?;
    let (organization, head, confirmed) =
        verify_export(BufReader::new(file), &notes).map_err(|error| failed(&error))?;
    if wanted.is_some_and(|wanted| wanted.as_str() != organization) {
        return Err(failed(&format!("this is an export of organization {organization}")));
    }
    check_heads(&notes, &confirmed)?;
    show(&organization, &head)
}

fn check_heads(notes: &[NotedHead], confirmed: &[NotedHead]) -> Result<(), CliError> {
    match notes.iter().find(|note| !confirmed.contains(note)) {
        None => Ok(()),
        Some(note) => Err(CliError::Failed(Fault { id: note.id, kind: FaultKind::NotedMissing }.to_string())),
    }
}

fn show(organization: &str, head: &AuditHead) -> Result<(), CliError> {
    let entries = count(u64::try_from(head.rows).unwrap_or_default(), "entry");
    print_out(&format!("{organization}: {entries}, head {}:{}\n", head.id, head.hash))
}

/// Exports the log of an organization from a running server.
pub(super) async fn export(arguments: ExportArguments) -> Result<(), CliError> {
    let ExportArguments { server, organization, action, actor, subject, direction, field, since, until } = arguments;
    let organization = organization.as_deref().map(parse_organization).transpose()?;
    let filters = [
        ("action", action),
        ("actor", actor),
        ("subject", subject),
        ("direction", direction),
        ("field", field),
        ("since", since),
        ("until", until),
    ];
    let mut query: Vec<_> = filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    query.push(("format", "ndjson".into()));
    let client = Client::connect(server).await?;
    client.export("audit", organization.as_ref(), &query).await
}
