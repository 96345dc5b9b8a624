//! Keyturn: a self-hosted OAuth 2.0 client-credentials server.
//!
//! It stores an organization's long-lived API keys and exchanges a key for a short-lived access token at
//! `POST /oauth/token`, after checking the key, its state and the client's address.
//!
//! This crate is a program, not a library: `run` is its only interface. `docs/explanation/architecture.md` lists the
//! folders and their layers; `tests/it/architecture.rs` fails if a folder imports from a layer above it.

// The futures of a change are nested deeper than the default allows.
#![recursion_limit = "256"]

mod api;
mod audit;
mod cli;
mod clock;
mod config;
mod console;
mod crypto;
mod customers;
mod gateway;
mod http;
mod keys;
mod limits;
mod members;
mod node;
mod oauth;
mod organizations;
mod outbound;
mod portal;
mod profiles;
mod revocation;
mod server;
mod telemetry;
mod tokens;
mod usage;
mod verification;
mod webhooks;

// Public for `tests/`, `benches/` and `fuzz/` only.
#[doc(hidden)]
pub mod domain;
#[doc(hidden)]
pub mod signing;
#[doc(hidden)]
pub mod store;

pub use cli::run;

/// The items of other modules that `tests/`, `benches/` and `fuzz/` use.
#[doc(hidden)]
pub mod testing {
    pub mod audit {
        pub use crate::audit::{read_cursor, verify};
    }
    pub mod clock {
        pub use crate::clock::{now, parse_rfc3339};
    }
    pub mod crypto {
        pub use crate::crypto::{fast_verifier, master_key, mint};
    }
    pub mod http {
        pub use crate::http::{checks, client_address, credentials, form};
    }
    pub mod keys {
        pub use crate::keys::{cursor, read_cursor};
    }
    pub mod webhooks {
        pub use crate::webhooks::read_cursor;
    }
}
