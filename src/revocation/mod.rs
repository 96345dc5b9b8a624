//! Cached keys and revoked tokens of a node, and the protocol that keeps them current.
//!
//! Imports `domain`, `clock`, `crypto::random`, `store` and `telemetry`. The only node of a store applies every change
//! in memory before it is confirmed. One of several nodes acts on memory only under a [`Lease`], follows the changes of
//! the others, and waits for them with its own changes: [`Cluster`].

mod agreement;
mod cluster;
mod lease;
mod list;
mod redis;

pub use agreement::SharedSettings;
pub use cluster::{CLOCK_TOLERANCE, Cluster};
pub use lease::Lease;
pub use list::{LONGEST_LIFE, RevocationList};
pub use redis::{RedisFailure, RedisList, RedisUrlError};
