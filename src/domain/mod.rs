//! The rules of Keyturn: API keys, scopes, networks, policies, and the decision whether a key may act.
//!
//! Imports nothing from the rest of the crate. No async, no I/O, no clock, no randomness: time and random bytes are
//! arguments, so every rule can be tested as a property.

pub mod api_key;
pub mod apis;
pub mod attribute;
pub mod audience;
pub mod audit_chain;
pub mod authority;
pub mod choices;
pub mod claims;
pub mod clue;
pub mod customer;
pub mod decision;
pub mod delivery_attempt;
pub mod delivery_error;
pub mod destination;
pub mod event;
pub mod grants;
pub mod key_text;
pub mod key_view;
pub mod member;
pub mod metadata;
pub mod networks;
pub mod organization;
pub mod outcome;
pub mod page;
pub mod policy;
pub mod portal;
pub mod profile;
pub mod redaction;
pub mod requirement;
pub mod scope;
pub mod sealed;
pub mod slug;
pub mod text;
pub mod timestamp;
pub mod usage;
pub mod violation;
pub mod webhook;
pub mod webhook_headers;
