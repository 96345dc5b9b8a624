//! What the surfaces share: the client's address, credentials in headers and cookies, strict forms, limits, logs.
//!
//! Imports `domain`, `node`, `tokens`, `members` and `clock`; knows nothing of any one surface.

pub mod access;
pub mod body;
pub mod body_chunks;
pub mod checks;
pub mod client_address;
pub mod client_response;
pub mod compression;
pub mod context;
pub mod cors;
pub mod credentials;
pub mod denials;
pub mod description;
pub mod form;
pub mod methods;
pub mod operations;
pub mod permission;
pub mod public_path;
pub mod request_log;
pub mod session;
pub mod sign_in;
pub mod warnings;
