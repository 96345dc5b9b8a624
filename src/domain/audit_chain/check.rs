//! Checking a log row by row, and naming the first bad one.

use std::fmt;

use crate::domain::audit_chain::{AuditHead, AuditRow, ChainHash, NotedHead};

/// The first bad row of a log, and what is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The row's id.
    pub id: i64,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong with a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// It is not as it was written.
    Changed,
    /// It was never chained.
    NotChained,
    /// So many rows before it are missing.
    MissingBefore(i64),
    /// It stands where another should.
    OutOfOrder,
    /// It is the last, and so many rows behind it are missing.
    CutOff(i64),
    /// It stands behind the end of the log.
    Added,
    /// It is the last, and the end of the log that was recorded does not fit it.
    EndDiffers,
    /// It is the last, and the record of the end of the log is gone.
    EndGone,
    /// It has another hash than was noted.
    NotAsNoted,
    /// It was noted, and is gone.
    NotedIsGone,
    /// There is no row at all, where there must be one.
    Empty,
}

/// Checks the rows of one organization's log, one after the other, holding none of them.
#[derive(Debug)]
pub struct ChainCheck {
    /// The position that the next row must have.
    next: i64,
    /// The hash of the row before; `None` before the first row of a part, until it is found among the noted ones.
    previous: Option<ChainHash>,
    last: Option<i64>,
    notes: Vec<NotedHead>,
    found: Vec<NotedHead>,
    fault: Option<Fault>,
}

impl ChainCheck {
    /// A check of a whole log, from its first row on.
    pub fn new(notes: Vec<NotedHead>) -> Self {
        Self { next: 1, previous: Some(ChainHash::START), last: None, notes, found: Vec::new(), fault: None }
    }

    /// How many rows were found to be right.
    pub fn rows(&self) -> i64 {
        self.next - 1
    }

    /// The id of the last row that was looked at.
    pub fn last(&self) -> Option<i64> {
        self.last
    }

    /// The noted rows that were come across.
    pub fn found(&self) -> &[NotedHead] {
        &self.found
    }

    /// A part of a log, whose first row follows one that was noted: begins behind that row.
    pub fn begin_behind_note(&mut self, first: &AuditRow) {
        let follows = |note: &&NotedHead| note.id < first.id && first.hash == Some(first.hash_after(&note.hash));
        let note = self.notes.iter().find(follows).copied();
        if let (Some(note), Some(position)) = (note, first.position) {
            self.next = position;
            self.previous = Some(note.hash);
            self.found.push(note);
        }
    }

    /// Looks at the next row.
    pub fn row(&mut self, row: &AuditRow) {
        match &mut self.fault {
            // Whether what is missing stands further down decides what is said of it.
            Some(Fault { wrong: wrong @ Wrong::MissingBefore(_), .. }) if row.position == Some(self.next) => {
                *wrong = Wrong::OutOfOrder;
            }
            Some(_) => {}
            None => match self.judge(row) {
                Some(wrong) => self.fault = Some(Fault { id: row.id, wrong }),
                None => {
                    self.next += 1;
                    self.previous = row.hash;
                    self.last = Some(row.id);
                }
            },
        }
    }

    /// A row that cannot even be read.
    pub fn unreadable(&mut self, id: i64) {
        self.fault.get_or_insert(Fault { id, wrong: Wrong::Changed });
    }

    fn judge(&mut self, row: &AuditRow) -> Option<Wrong> {
        let (Some(position), Some(hash), Some(previous)) = (row.position, row.hash, self.previous) else {
            return Some(Wrong::NotChained);
        };
        if position != self.next {
            // Only its number was changed.
            if (AuditRow { position: Some(self.next), ..row.clone() }).hash_after(&previous) == hash {
                return Some(Wrong::Changed);
            }
            return Some(match position.saturating_sub(self.next) {
                missing @ 1.. => Wrong::MissingBefore(missing),
                _ => Wrong::OutOfOrder,
            });
        }
        if row.hash_after(&previous) != hash {
            return Some(Wrong::Changed);
        }
        let noted: Vec<_> = self.notes.iter().filter(|note| note.id == row.id).copied().collect();
        if noted.iter().any(|note| note.hash != hash) {
            return Some(Wrong::NotAsNoted);
        }
        self.found.extend(noted);
        None
    }

    /// Whether no further row can change what was found.
    pub fn is_over(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| !matches!(fault.wrong, Wrong::MissingBefore(_)))
    }

    /// What is wrong so far.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Whether the rows so far end where the log does.
    pub fn ends_at(&self, head: Option<&AuditHead>) -> bool {
        let end = self.last.zip(self.previous).map(|(id, hash)| AuditHead { id, rows: self.rows(), hash });
        end.is_some() && end.as_ref() == head
    }

    /// The end of the log: what was found, or the first bad row. `head` is the record of the end; `first_behind` is the
    /// first row behind it, where it names one.
    pub fn end(self, head: Option<AuditHead>, first_behind: Option<i64>) -> Result<AuditHead, Fault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let (Some(id), Some(hash)) = (self.last, self.previous) else {
            return Err(match head {
                Some(head) => Fault { id: head.id, wrong: Wrong::CutOff(head.rows) },
                None => Fault { id: 0, wrong: Wrong::Empty },
            });
        };
        let rows = self.next - 1;
        let wrong = match head {
            None => Wrong::EndGone,
            Some(head) if head == (AuditHead { id, rows, hash }) => return Ok(head),
            Some(head) if head.rows > rows => Wrong::CutOff(head.rows - rows),
            Some(head) if head.rows < rows => {
                return Err(Fault { id: first_behind.unwrap_or(id), wrong: Wrong::Added });
            }
            Some(_) => Wrong::EndDiffers,
        };
        Err(Fault { id, wrong })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id;
        match self.wrong {
            Wrong::Changed => write!(f, "row {id} was changed: it does not fit its hash"),
            Wrong::NotChained => {
                write!(f, "row {id} is not part of the chain: it was inserted, or its position or hash was removed")
            }
            Wrong::MissingBefore(rows) => write!(f, "row {id}: before it, rows are missing ({rows})"),
            Wrong::OutOfOrder => write!(f, "row {id} is out of order: it stands where another row belongs"),
            Wrong::CutOff(rows) => write!(f, "row {id}: the log is cut off at its end; rows are missing ({rows})"),
            Wrong::Added => write!(f, "row {id} was added behind the end of the log"),
            Wrong::EndDiffers => write!(f, "row {id} is the last, and the record of the log's end was changed"),
            Wrong::EndGone => write!(f, "row {id} is the last, and the record of the log's end is gone"),
            Wrong::NotAsNoted => {
                write!(f, "row {id} has another hash than was noted: the log was written anew, here or before")
            }
            Wrong::NotedIsGone => write!(f, "row {id} was noted, and is not there any more"),
            Wrong::Empty => f.write_str("there are no rows; at least the creation of the organization must be there"),
        }
    }
}
