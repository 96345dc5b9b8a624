//! Integration tests: one binary, folders that mirror the surfaces.
//!
//! Each test is named for a guarantee, and runs with its own server and folder.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test fails by panicking, and is where time and the environment are set up"
)]

mod api;
mod architecture;
mod attributes;
mod audit;
mod canary;
#[path = "../cluster/checker.rs"]
mod checker;
mod checks;
mod cli;
mod console;
mod customers;
mod docs;
mod fuzz;
#[allow(dead_code, reason = "the campaign itself writes and reads histories")]
#[path = "../cluster/history.rs"]
mod history;
mod logs;
mod metrics;
mod nodes;
mod oauth;
mod operations;
mod portal;
mod process;
mod products;
mod profiles;
mod protocol;
mod repository;
mod snapshots;
mod store_conformance;
mod support;
mod webhooks;
