//! Tokens and keys are checked: introspection, revocation, `/verify`, and what attacks tokens.

mod introspect;
mod jwt_attacks;
mod matrix;
mod revoke;
mod rotation;
mod timing;
mod usage;
mod verify;

use keyturn::domain::key_text::{KeyId, KeyPrefix, KeyText};

/// A key text of that id that is well formed and has another secret.
fn wrong_secret(id: &str) -> String {
    KeyText::new(KeyPrefix::default(), KeyId::parse(id).unwrap(), [9; 32]).reveal().to_string()
}

/// A well-formed key text of an id that does not exist.
fn unknown_key_text() -> String {
    KeyText::new(KeyPrefix::default(), KeyId::from_random([9; 16]), [9; 32]).reveal().to_string()
}
