//! The audit log as a chain: each row's hash covers the row and the hash of the row before it, organization by
//! organization, so that a row which was changed, removed, moved or added is found.

mod check;

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

use crate::domain::timestamp::Timestamp;

pub use check::{ChainCheck, Fault, Wrong};

/// Tells these digests from all others, and the encoding from later ones.
const LABEL: &[u8] = b"keyturn audit row 1";

/// The hash of a row: SHA-256. Written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash([u8; 32]);

/// A row of the audit log as it is stored. Nothing is taken for granted of it: it may have been tampered with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditRow {
    /// Its number; rises through the logs of all organizations.
    pub id: i64,
    /// Whose log it belongs to: a slug.
    pub organization: String,
    /// Its place in that log, from 1; `None` while it is not chained.
    pub position: Option<i64>,
    /// When.
    pub at: Timestamp,
    /// Who: `key:{id}`, `member:{id}` or `keyturn`.
    pub actor: String,
    /// What.
    pub action: String,
    /// To which: an id.
    pub subject: String,
    /// From where.
    pub address: Option<String>,
    /// What was before, as JSON, as it is stored.
    pub old: Option<String>,
    /// What is now, as JSON, as it is stored.
    pub new: Option<String>,
    /// The hash; `None` while it is not chained.
    pub hash: Option<ChainHash>,
}

/// The end of an organization's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AuditHead {
    /// The last row's id.
    pub id: i64,
    /// How many rows there are: the last row's position.
    pub rows: i64,
    /// The last row's hash.
    pub hash: ChainHash,
}

/// A row and its hash, as somebody has noted them: written `ID:HASH`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotedHead {
    /// The row's id.
    pub id: i64,
    /// Its hash.
    pub hash: ChainHash,
}

impl ChainHash {
    /// What the first row follows.
    pub const START: Self = Self([0; 32]);

    /// From its bytes; `None` when they are not 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes.
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
    /// The hash that this row has behind a row with that hash. Every column is part of it, with its length where it
    /// has one, so that no two rows read the same.
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
