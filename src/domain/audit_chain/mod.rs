//! The hash chain of an audit log. The hash of each entry covers the entry and the hash of the entry before it in the
//! same organization, so changed, removed, moved and added entries are detected.

mod check;

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

use crate::domain::timestamp::Timestamp;

pub use check::{ChainCheck, Fault, FaultKind};

/// Separates these digests from all others, and names the version of the encoding.
const LABEL: &[u8] = b"keyturn audit row 1";

/// SHA-256 of an entry, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash([u8; 32]);

/// An audit entry as stored. It may have been tampered with, so no field is trusted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditRow {
    /// Increases across the logs of all organizations.
    pub id: i64,
    /// Slug of the organization.
    pub organization: String,
    /// Position in that log, from 1; `None` if not chained yet.
    pub position: Option<i64>,
    pub at: Timestamp,
    /// `key:{id}`, `member:{id}`, `portal:{session}` or `keyturn`.
    pub actor: String,
    pub action: String,
    /// ID of the changed object.
    pub subject: String,
    pub address: Option<String>,
    /// State before the change, as the stored JSON text.
    pub old: Option<String>,
    /// State after the change, as the stored JSON text.
    pub new: Option<String>,
    /// `None` if not chained yet.
    pub hash: Option<ChainHash>,
}

/// The recorded end of an organization's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuditHead {
    /// ID of the last entry.
    pub id: i64,
    pub rows: i64,
    pub hash: ChainHash,
}

/// The ID and hash of an entry that was noted outside the database, written `ID:HASH`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotedHead {
    pub id: i64,
    pub hash: ChainHash,
}

impl ChainHash {
    /// Used as the predecessor of the first entry.
    pub const START: Self = Self([0; 32]);

    /// Returns `None` unless there are 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads 64 lower-case hexadecimal digits.
    ///
    /// ```
    /// use keyturn::domain::audit_chain::ChainHash;
    /// let text = "00".repeat(31) + "ff";
    /// assert_eq!(ChainHash::parse(&text).map(|hash| hash.to_string()), Some(text));
    /// assert_eq!(ChainHash::parse("00"), None);
    /// assert_eq!(ChainHash::parse(&("00".repeat(31) + "FF")), None);
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_bytes(&HEXLOWER.decode(text.as_bytes()).ok()?)
    }
}

impl AuditRow {
    /// Returns the hash of this entry if it follows an entry with the hash `previous`. Every column is encoded with its
    /// length, so no two entries have the same encoding.
    pub fn hash_after(&self, previous: &ChainHash) -> ChainHash {
        let mut text = Vec::with_capacity(512);
        let mut add = |part: Option<&[u8]>| match part {
            None => text.push(0),
            Some(part) => {
                text.push(1);
                text.extend((part.len() as u64).to_be_bytes());
                text.extend(part);
            }
        };
        add(Some(LABEL));
        add(Some(&previous.0));
        add(Some(&self.id.to_be_bytes()));
        add(Some(self.organization.as_bytes()));
        add(self.position.map(i64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice));
        add(Some(&self.at.as_millis().to_be_bytes()));
        add(Some(self.actor.as_bytes()));
        add(Some(self.action.as_bytes()));
        add(Some(self.subject.as_bytes()));
        add(self.address.as_deref().map(str::as_bytes));
        add(self.old.as_deref().map(str::as_bytes));
        add(self.new.as_deref().map(str::as_bytes));
        let mut hash = [0; 32];
        for (to, from) in hash.iter_mut().zip(digest(&SHA256, &text).as_ref()) {
            *to = *from;
        }
        ChainHash(hash)
    }
}

impl NotedHead {
    /// Reads `ID:HASH`.
    pub fn parse(text: &str) -> Option<Self> {
        let (id, hash) = text.split_once(':')?;
        Some(Self { id: id.parse().ok()?, hash: ChainHash::parse(hash)? })
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
