//! Keys and digests: the master key and what is derived from it, secrets' verifiers, Argon2 behind a gate.
//!
//! Imports `domain` only. Nothing here is printed, logged or stored in the clear.

pub mod argon2_gate;
pub mod device;
pub mod digest;
pub mod durable_verifier;
pub mod fast_verifier;
pub mod master_key;
pub mod messages;
pub mod mint;
pub mod random;
pub mod sealing;
pub mod webhook_headers;
pub mod webhook_secret;
pub mod webhook_url;
