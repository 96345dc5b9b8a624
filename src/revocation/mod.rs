//! What this node holds in memory of keys and revoked tokens, and how it is kept true.
//!
//! Imports `domain`, `clock`, `crypto::random`, `store` and `telemetry`. A node that is alone with its store applies
//! every change here before it is answered. One of several acts on memory only under a [`Lease`], follows what the
//! others change, and waits for them with what it changes itself: [`Cluster`].

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
