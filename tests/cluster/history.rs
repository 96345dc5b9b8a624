//! The history: an entry for each call, and its file format (a JSON object per line).
//!
//! A member's session is recorded as a key: its cookie is the secret, ending it is a revoke, and removing the
//! administrator's role is removing the write scope.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// One call to one node, or an interval that the driver knows about.
///
/// All times are microseconds of one monotonic clock in one process. `id` is the index in the history.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Event {
    pub id: u64,
    /// Before the first byte was sent.
    pub at: u64,
    /// After the last byte of the response was read; `None` without a response.
    pub end: Option<u64>,
    /// The node that was called; `None`: all of them.
    pub node: Option<usize>,
    /// Number of the key in this history; its `Create` has the key's ID.
    pub key: u32,
    #[serde(flatten)]
    pub what: What,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// The key exists, active, with read and write scopes; this event issues its first secret.
    Create {
        name: String,
        /// Index of the key's organization; 0 is `default`.
        #[serde(default)]
        organization: usize,
    },
    Revoke,
    Disable,
    Enable,
    /// Without a grace period. An accepted one issues the next secret.
    Rotate,
    /// With `GRACE`: the previous secret and its tokens stay valid for that long.
    RotateWithGrace,
    /// Removes the write scope.
    Narrow,
    /// Adds the write scope again.
    Widen,
    /// Revokes the token of the exchange `mint`.
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
    /// Replaces the organization's signing key and deletes the previous one immediately.
    RotateSigningKey {
        organization: usize,
    },
    /// Creates an API with this audience, with read and write scopes.
    CreateApi {
        organization: usize,
        api: String,
        audience: String,
    },
    /// Sets an API's audience and whether it has the write scope. The audience of the default API does not change.
    EditApi {
        organization: usize,
        api: String,
        audience: Option<String>,
        write: bool,
    },
    DeleteApi {
        organization: usize,
        api: String,
    },
    /// Grants the key all scopes of an API.
    Grant {
        api: String,
    },
    /// Removes an API from the key, which invalidates all its tokens.
    Ungrant {
        api: String,
    },
    /// Gives the key to a new customer with this ID, which invalidates all its tokens.
    GiveToCustomer {
        customer: String,
    },
    /// Denies the key, which is the only one of this customer, and invalidates all its tokens.
    SuspendCustomer {
        customer: String,
    },
    /// Ends the suspension; existing tokens stay invalid.
    ReinstateCustomer {
        customer: String,
    },
    /// Gives the key a profile that allows everything, which invalidates all its tokens.
    GiveProfile {
        profile: String,
    },
    /// Sets whether a profile allows the networks of the clients, and whether it has the write scope.
    EditProfile {
        profile: String,
        open: bool,
        write: bool,
    },
    Check(Check),
    /// The key in the management API.
    View {
        status: String,
        wide: bool,
    },
    /// From `at` until `end` PostgreSQL certainly did not respond to the node.
    Outage,
    /// A backup of the database was taken at some time from `at` until `end`.
    Backup,
    /// From `at` on the nodes were stopped, the database was restored from this backup, and none served before `end`.
    Restore {
        backup: u64,
    },
}

/// How long `RotateWithGrace` keeps the previous secret, in microseconds.
pub const GRACE: u64 = 2_000_000;

/// A request that succeeds only while the credential is valid.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Check {
    pub call: Call,
    pub credential: Credential,
    /// Whether the write scope was requested.
    pub write: bool,
    /// Whether the token of an accepted exchange has the write scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minted: Option<bool>,
    /// The audience that an exchange or a verification requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The API that the request or the token is for, if APIs change in this history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// Whether it was made at the end, after recovery.
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
    /// The member of a session, or the audit log, which requires the administrator's role.
    Session,
}

/// The credential of a check.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Credential {
    /// The secret that this `Create` or `Rotate` issued.
    Secret { issued: u64 },
    /// The token of this exchange.
    Token { mint: u64 },
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A check or change succeeded.
    Accepted,
    /// A check was denied, or a change was not made.
    Refused,
    /// 503: it is not known whether a change was or will be made.
    Unavailable,
    /// No valid response: a change may have been made, or may still be made.
    Unknown,
    /// The request was not sent.
    Unreached,
}

impl Event {
    /// Returns the last time at which the change can have been made: its confirmation, or no limit.
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
