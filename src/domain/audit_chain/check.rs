//! Verifies a log entry by entry and reports the first bad one.

use std::fmt;

use crate::domain::audit_chain::{AuditHead, AuditRow, ChainHash, NotedHead};

/// The first bad entry of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    pub id: i64,
    pub kind: FaultKind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// The entry does not match its hash.
    Changed,
    /// The entry has no position or hash.
    NotChained,
    /// This many entries before it are missing.
    MissingBefore(i64),
    /// The entry is in the place of another.
    OutOfOrder,
    /// This many entries after it are missing at the end.
    CutOff(i64),
    /// The entry is after the recorded end of the log.
    Added,
    /// The last entry does not match the recorded end of the log.
    EndDiffers,
    /// The record of the end of the log is missing.
    EndGone,
    /// The hash differs from a noted one.
    DiffersFromNote,
    /// A noted entry is missing.
    NotedMissing,
    /// The log has no entries. It must contain at least the creation of the organization.
    Empty,
}

/// Verifies an organization's log one entry at a time, in constant memory.
#[derive(Debug)]
pub struct ChainCheck {
    /// Expected position of the next entry.
    next: i64,
    /// Hash of the previous entry. `None` before the first entry of a partial log, until a noted entry matches it.
    previous: Option<ChainHash>,
    last: Option<i64>,
    notes: Vec<NotedHead>,
    confirmed: Vec<NotedHead>,
    fault: Option<Fault>,
}

impl ChainCheck {
    /// Starts at the first entry of a complete log.
    pub fn new(notes: Vec<NotedHead>) -> Self {
        Self { next: 1, previous: Some(ChainHash::START), last: None, notes, confirmed: Vec::new(), fault: None }
    }

    /// Number of verified entries.
    pub fn rows(&self) -> i64 {
        self.next - 1
    }

    /// ID of the last verified entry.
    pub fn last(&self) -> Option<i64> {
        self.last
    }

    /// Noted entries that the log contains.
    pub fn confirmed(&self) -> &[NotedHead] {
        &self.confirmed
    }

    /// Starts a partial log whose first entry follows a noted one.
    pub fn start_after_note(&mut self, first: &AuditRow) {
        let follows = |note: &&NotedHead| note.id < first.id && first.hash == Some(first.hash_after(&note.hash));
        let note = self.notes.iter().find(follows).copied();
        if let (Some(note), Some(position)) = (note, first.position) {
            self.next = position;
            self.previous = Some(note.hash);
            self.confirmed.push(note);
        }
    }

    /// Verifies the next entry.
    pub fn row(&mut self, row: &AuditRow) {
        match &mut self.fault {
            // If the missing entry follows later, the log is out of order.
            Some(Fault { kind: kind @ FaultKind::MissingBefore(_), .. }) if row.position == Some(self.next) => {
                *kind = FaultKind::OutOfOrder;
            }
            Some(_) => {}
            None => match self.check(row) {
                Some(kind) => self.fault = Some(Fault { id: row.id, kind }),
                None => {
                    self.next += 1;
                    self.previous = row.hash;
                    self.last = Some(row.id);
                }
            },
        }
    }

    /// Reports an entry that cannot be decoded.
    pub fn unreadable(&mut self, id: i64) {
        self.fault.get_or_insert(Fault { id, kind: FaultKind::Changed });
    }

    fn check(&mut self, row: &AuditRow) -> Option<FaultKind> {
        let (Some(position), Some(hash), Some(previous)) = (row.position, row.hash, self.previous) else {
            return Some(FaultKind::NotChained);
        };
        if position != self.next {
            // Only the position was changed.
            if (AuditRow { position: Some(self.next), ..row.clone() }).hash_after(&previous) == hash {
                return Some(FaultKind::Changed);
            }
            return Some(match position.saturating_sub(self.next) {
                missing @ 1.. => FaultKind::MissingBefore(missing),
                _ => FaultKind::OutOfOrder,
            });
        }
        if row.hash_after(&previous) != hash {
            return Some(FaultKind::Changed);
        }
        let noted: Vec<_> = self.notes.iter().filter(|note| note.id == row.id).copied().collect();
        if noted.iter().any(|note| note.hash != hash) {
            return Some(FaultKind::DiffersFromNote);
        }
        self.confirmed.extend(noted);
        None
    }

    /// Whether further entries cannot change the result.
    pub fn is_final(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| !matches!(fault.kind, FaultKind::MissingBefore(_)))
    }

    /// Returns the first fault so far.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Whether the verified entries end at `head`.
    pub fn ends_at(&self, head: Option<&AuditHead>) -> bool {
        let end = self.last.zip(self.previous).map(|(id, hash)| AuditHead { id, rows: self.rows(), hash });
        end.is_some() && end.as_ref() == head
    }

    /// Returns the end of the log, or the first fault. `head` is the recorded end; `first_after` is the ID of the
    /// first entry after it.
    pub fn end(self, head: Option<AuditHead>, first_after: Option<i64>) -> Result<AuditHead, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let (Some(id), Some(hash)) = (self.last, self.previous) else {
            return Err(match head {
                Some(head) => Fault { id: head.id, kind: FaultKind::CutOff(head.rows) },
                None => Fault { id: 0, kind: FaultKind::Empty },
            });
        };
        let rows = self.next - 1;
        let kind = match head {
            None => FaultKind::EndGone,
            Some(head) if head == (AuditHead { id, rows, hash }) => return Ok(head),
            Some(head) if head.rows > rows => FaultKind::CutOff(head.rows - rows),
            Some(head) if head.rows < rows => {
                return Err(Fault { id: first_after.unwrap_or(id), kind: FaultKind::Added });
            }
            Some(_) => FaultKind::EndDiffers,
        };
        Err(Fault { id, kind })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id;
        match self.kind {
            FaultKind::Changed => write!(f, "entry {id} was changed: it does not match its hash"),
            FaultKind::NotChained => {
                write!(f, "entry {id} is not part of the chain: it was inserted, or its position or hash was removed")
            }
            FaultKind::MissingBefore(rows) => write!(f, "entry {id}: entries before it are missing ({rows})"),
            FaultKind::OutOfOrder => write!(f, "entry {id} is out of order: it is in the place of another entry"),
            FaultKind::CutOff(rows) => {
                write!(f, "entry {id}: entries after it are missing at the end of the log ({rows})")
            }
            FaultKind::Added => write!(f, "entry {id} was added after the end of the log"),
            FaultKind::EndDiffers => write!(f, "entry {id} is the last, but differs from the recorded end of the log"),
            FaultKind::EndGone => write!(f, "entry {id} is the last, but the record of the log's end is missing"),
            FaultKind::DiffersFromNote => {
                write!(f, "entry {id} does not have the noted hash: this entry or an earlier one was rewritten")
            }
            FaultKind::NotedMissing => write!(f, "entry {id} was noted but is missing"),
            FaultKind::Empty => {
                f.write_str("the log has no entries; it must at least contain the creation of the organization")
            }
        }
    }
}
