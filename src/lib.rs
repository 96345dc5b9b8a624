//! Keyturn: a self-hosted OAuth 2.0 client-credentials server.
//!
//! It stores an organization's long-lived API keys and exchanges a key for a short-lived access token at
//! `POST /oauth/token`, after checking the key, its state and the caller's address.
//!
//! # Layers
//!
//! A folder imports only from the layers below it; `tests/it/architecture.rs` fails if it does not.
//!
//! | layer | folders |
//! | --- | --- |
//! | surfaces: parse once, call one use case, render | [`oauth`], [`gateway`], [`api`], [`console`]; what they share: [`http`] |
//! | use cases: one function each, numbered steps | [`tokens`], [`keys`], [`members`], [`organizations`], [`audit`], [`webhooks`], [`usage`] |
//! | what a running node holds | [`node`] |
//! | adapters: each owns one external system or library | [`config`], [`telemetry`], [`clock`], [`crypto`], [`outbound`], [`limits`], [`store`], [`revocation`], [`signing`] |
//! | pure rules | [`domain`] |
//!
//! [`server`] and [`cli`] assemble them.

// The futures of a change are nested deeper than the default allows.
#![recursion_limit = "256"]

pub mod api;
pub mod audit;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod crypto;
pub mod domain;
pub mod gateway;
pub mod http;
pub mod keys;
pub mod limits;
pub mod members;
pub mod node;
pub mod oauth;
pub mod organizations;
pub mod outbound;
pub mod revocation;
pub mod server;
pub mod signing;
pub mod store;
pub mod telemetry;
pub mod tokens;
pub mod usage;
pub mod webhooks;
