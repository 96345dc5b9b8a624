//! Cryptography: the master key and derived keys, verifiers of secrets, Argon2, encryption.
//!
//! Imports `domain` only. Keys and secrets are never printed, logged or stored in plain text.

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
