//! Why a server cannot start.

use std::io;
use std::net::SocketAddr;

use crate::config::SecretFileError;
use crate::crypto::argon2_gate::GateError;
use crate::crypto::master_key::MasterKeyError;
use crate::crypto::random::RandomError;
use crate::node::LoadError;
use crate::organizations::ResealError;
use crate::store::{LockError, StoreError};

/// Why a node cannot start or continue. Each message is one line.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A setting whose value cannot be used.
    #[error("{0}")]
    Setting(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    #[error(transparent)]
    SecretFile(#[from] SecretFileError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An organization cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The master key does not match the database.
    #[error(transparent)]
    Reseal(#[from] ResealError),
    #[error("{0}")]
    Argon2(GateError),
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Nodes are running that must be stopped first.
    #[error("{} running on this database in the last {seconds} s; stop every node first", nodes_were(*running))]
    Running { running: usize, seconds: i64 },
    #[error("the server failed: {0}")]
    Io(#[from] io::Error),
}

fn nodes_were(number: usize) -> String {
    if number == 1 { "1 node was".to_owned() } else { format!("{number} nodes were") }
}
