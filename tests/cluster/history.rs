//! What happened: an entry for each call that was made, and how a history looks in a file (a JSON object a line).
//!
//! A member's session is written down as a key: its cookie is the secret, to end it is to revoke it, and to take the
//! administrator's role away is to take the write scope away.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// One call of one node, or something the driver knows to have been so for a time.
///
/// All times are microseconds of one monotonic clock in one process. The place in the history is `id`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Event {
    pub id: u64,
    /// Taken before the first byte was sent.
    pub at: u64,
    /// Taken after the last byte of the answer was read; `None` when no answer came.
    pub end: Option<u64>,
    /// The node that was called; `None`: all of them.
    pub node: Option<usize>,
    /// Number of the key in this history; its `Create` tells the key's id.
    pub key: u32,
    #[serde(flatten)]
    pub what: What,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// The key is there, active, with read and write scopes; this event issues its first secret.
    Create {
        name: String,
        /// Index of the key's organization; 0 is `default`.
        #[serde(default)]
        organization: usize,
    },
    Revoke,
    Disable,
    Enable,
    /// Without grace. An accepted one issues the next secret.
    Rotate,
    /// With `GRACE`: the previous secret and its tokens are good for that long.
    RotateWithGrace,
    /// Takes the write scope away.
    Narrow,
    /// Gives it back.
    Widen,
    /// Ends the token that the exchange `mint` gave.
    RevokeToken {
        mint: u64,
    },
    /// Replaces the audiences that the organization's policy allows.
    SetAudiences {
        organization: usize,
        audiences: Vec<String>,
    },
    /// Denies every key and token of the organization.
    Suspend {
        organization: usize,
    },
    /// Ends the suspension; existing tokens are valid again.
    Resume {
        organization: usize,
    },
    /// Replaces the organization's signing key and deletes the previous one at once.
    RotateSigningKey {
        organization: usize,
    },
    Check(Check),
    /// What the management API shows of the key.
    View {
        status: String,
        wide: bool,
    },
    /// From `at` until `end` PostgreSQL certainly did not answer the node.
    Outage,
    /// A backup of the database was taken at some moment from `at` until `end`.
    Backup,
    /// From `at` on the nodes were stopped, the database was restored from this backup, and none served before `end`.
    Restore {
        backup: u64,
    },
}

/// How long `RotateWithGrace` keeps the previous secret, in microseconds.
pub const GRACE: u64 = 2_000_000;

/// A question that the server may only answer with yes while the credential is good.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Check {
    pub call: Call,
    pub credential: Credential,
    /// The write scope was asked for.
    pub write: bool,
    /// Of an accepted exchange: whether the token has the write scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minted: Option<bool>,
    /// The audience that an exchange requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Made at the end, when everything had recovered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    Exchange,
    Introspect,
    Verify,
    Me,
    /// Who a session belongs to, or the audit log, which takes the administrator's role.
    Session,
}

/// What a check relied upon.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Credential {
    /// The secret that this `Create` or `Rotate` issued.
    Secret { issued: u64 },
    /// The token that this exchange gave.
    Token { mint: u64 },
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A check was answered with yes, a change with success.
    Accepted,
    /// Answered with no: a change was not made.
    Refused,
    /// 503: of a change it is not known whether it was made, or will be.
    Unavailable,
    /// No answer, or none that makes sense: a change may have been made, or may yet be.
    Unknown,
    /// It was never sent.
    Unreached,
}

impl Event {
    /// The last moment at which the change can have been made: its answer, or never ending.
    pub fn last_moment(&self) -> u64 {
        if self.outcome == Outcome::Accepted { self.end.unwrap_or(u64::MAX) } else { u64::MAX }
    }

    /// Whether the change was, or may have been, made.
    pub fn possible(&self) -> bool {
        !matches!(self.outcome, Outcome::Refused | Outcome::Unreached)
    }
}

pub fn save(history: &[Event], path: &Path) -> Result<(), String> {
    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        for event in history {
            serde_json::to_writer(&mut file, event)?;
            file.write_all(b"\n")?;
        }
        file.flush()
    };
    write().map_err(|error| format!("cannot write {}: {error}", path.display()))
}

pub fn load(path: &Path) -> Result<Vec<Event>, String> {
    let file = File::open(path).map_err(|error| format!("cannot open {}: {error}", path.display()))?;
    let mut history = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let wrong = |what: String| format!("{}, line {}: {what}", path.display(), number + 1);
        let line = line.map_err(|error| wrong(error.to_string()))?;
        let event: Event = serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?;
        if event.id != number as u64 {
            return Err(wrong(format!("its id is {}, its place is {number}", event.id)));
        }
        history.push(event);
    }
    Ok(history)
}
