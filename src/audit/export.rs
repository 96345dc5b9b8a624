//! Exports of the audit log: one JSON line per entry, oldest first, and a last line with the end of the log.

use std::io::{self, BufRead, Read};

use serde::{Deserialize, Serialize};

use crate::audit::item::AuditItem;
use crate::domain::audit_chain::{AuditHead, AuditRow, ChainCheck, ChainHash, Fault, FaultKind, NotedHead};

/// Upper bound of a line.
const MAX_LINE: u64 = 4 << 20;

#[derive(Debug)]
pub struct Export {
    end: End,
}

/// The last line of an export.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LastLine {
    end: End,
}

/// The last entry of an export; fields are null if there is no entry.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    organization: String,
    id: Option<i64>,
    position: Option<i64>,
    hash: Option<String>,
}

/// Reason why an export is not valid.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// An entry does not match the chain.
    #[error("organization {organization}: {fault}")]
    Entry { organization: String, fault: Fault },
    /// A line is not an entry.
    #[error("line {0} is not part of an audit log export")]
    Line(u64),
    /// The last line is missing, and perhaps entries before it.
    #[error("organization {organization}: the export ends after entry {id}; its last line is missing")]
    CutOff { organization: String, id: i64 },
    #[error("the export has no entries")]
    Empty,
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Export {
    /// Starts an export of an organization's log.
    pub fn new(organization: String) -> Self {
        Self { end: End { organization, id: None, position: None, hash: None } }
    }

    /// Returns the lines of the next entries.
    pub fn lines(&mut self, rows: Vec<AuditRow>) -> serde_json::Result<String> {
        let mut text = String::new();
        if let Some(last) = rows.last() {
            self.end.id = Some(last.id);
            self.end.position = last.position;
            self.end.hash = last.hash.map(|hash| hash.to_string());
        }
        for row in rows {
            text.push_str(&serde_json::to_string(&AuditItem::from(row))?);
            text.push('\n');
        }
        Ok(text)
    }

    pub fn last_line(self) -> serde_json::Result<String> {
        Ok(serde_json::to_string(&LastLine { end: self.end })? + "\n")
    }
}

/// Verifies an export without a database. Returns its organization, its end, and the noted entries that it contains.
pub fn verify_export(
    mut lines: impl BufRead,
    notes: &[NotedHead],
) -> Result<(String, AuditHead, Vec<NotedHead>), ExportError> {
    let mut check = ChainCheck::new(notes.to_vec());
    let (mut organization, mut end, mut line, mut number) = (None, None, Vec::new(), 0);
    loop {
        line.clear();
        number += 1;
        if lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let Some(text) = line.strip_suffix(b"\n") else { return Err(cut_off(organization, &check, number)) };
        if organization.is_some() && end.is_none() && text.starts_with(b"{\"end\":") {
            let last: LastLine = serde_json::from_slice(text).map_err(|_| ExportError::Line(number))?;
            end = Some(last.end);
            continue;
        }
        let item: AuditItem = serde_json::from_slice(text).map_err(|_| ExportError::Line(number))?;
        let row = item.into_row().ok_or(ExportError::Line(number))?;
        let slug = organization.get_or_insert_with(|| row.organization.clone());
        if end.is_some() {
            let fault = Fault { id: row.id, kind: FaultKind::Added };
            return Err(ExportError::Entry { organization: slug.clone(), fault });
        }
        if number == 1 {
            check.start_after_note(&row);
        }
        check.row(&row);
    }
    let Some(slug) = organization.clone() else { return Err(ExportError::Empty) };
    if check.fault().is_none() && end.is_none() {
        return Err(cut_off(organization, &check, number));
    }
    let head = end.and_then(|end| {
        let hash = ChainHash::parse(&end.hash?)?;
        Some(AuditHead { id: end.id?, rows: end.position?, hash })
    });
    let confirmed = check.confirmed().to_vec();
    let head = check.end(head, None).map_err(|fault| ExportError::Entry { organization: slug.clone(), fault })?;
    Ok((slug, head, confirmed))
}

/// Returns the error for an export that ends early.
fn cut_off(organization: Option<String>, check: &ChainCheck, line: u64) -> ExportError {
    match (organization, check.fault(), check.last()) {
        (Some(organization), Some(fault), _) => ExportError::Entry { organization, fault: fault.clone() },
        (Some(organization), None, Some(id)) => ExportError::CutOff { organization, id },
        _ => ExportError::Line(line),
    }
}
