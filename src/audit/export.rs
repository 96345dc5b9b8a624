//! An export: a line of JSON for each row, oldest first, and a last line that says where it ends.

use std::io::{self, BufRead, Read};

use serde::{Deserialize, Serialize};

use crate::audit::item::AuditItem;
use crate::domain::audit_chain::{AuditHead, AuditRow, ChainCheck, ChainHash, Fault, NotedHead, Wrong};

/// Longer than any line.
const MAX_LINE: u64 = 4 << 20;

/// What has been exported so far.
#[derive(Debug)]
pub struct Export {
    end: End,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LastLine {
    end: End,
}

/// The last row of an export; members are null where it has none.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    organization: String,
    id: Option<i64>,
    position: Option<i64>,
    hash: Option<String>,
}

/// Why an export is not whole.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A row.
    #[error("organization {organization}: {fault}")]
    Row {
        /// Whose.
        organization: String,
        /// Which, and what is wrong with it.
        fault: Fault,
    },
    /// A line that is no row.
    #[error("line {0} is not one of an export of the audit log")]
    Line(u64),
    /// Nothing behind this row, not even the last line.
    #[error("organization {organization}: row {id}: the export is cut off behind it; its last line is missing")]
    CutOff {
        /// Whose.
        organization: String,
        /// The last row that is there.
        id: i64,
    },
    /// There are no rows.
    #[error("the export holds no row")]
    Empty,
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Export {
    /// An export of an organization's log.
    pub fn new(organization: String) -> Self {
        Self { end: End { organization, id: None, position: None, hash: None } }
    }

    /// The lines of the next rows.
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

    /// The last line.
    pub fn last_line(self) -> serde_json::Result<String> {
        Ok(serde_json::to_string(&LastLine { end: self.end })? + "\n")
    }
}

/// Checks an export by itself, line by line: whose it is, where it ends, and which of the noted rows it holds.
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
        let of = organization.get_or_insert_with(|| row.organization.clone());
        if end.is_some() {
            let fault = Fault { id: row.id, wrong: Wrong::Added };
            return Err(ExportError::Row { organization: of.clone(), fault });
        }
        if number == 1 {
            check.begin_behind_note(&row);
        }
        check.row(&row);
    }
    let Some(of) = organization.clone() else { return Err(ExportError::Empty) };
    if check.fault().is_none() && end.is_none() {
        return Err(cut_off(organization, &check, number));
    }
    let head = end.and_then(|end| {
        let hash = ChainHash::parse(&end.hash?)?;
        Some(AuditHead { id: end.id?, rows: end.position?, hash })
    });
    let found = check.found().to_vec();
    let head = check.end(head, None).map_err(|fault| ExportError::Row { organization: of.clone(), fault })?;
    Ok((of, head, found))
}

/// An export that ends in the middle.
fn cut_off(organization: Option<String>, check: &ChainCheck, line: u64) -> ExportError {
    match (organization, check.fault(), check.last()) {
        (Some(organization), Some(fault), _) => ExportError::Row { organization, fault: fault.clone() },
        (Some(organization), None, Some(id)) => ExportError::CutOff { organization, id },
        _ => ExportError::Line(line),
    }
}
