//! Checks of tokens and keys: introspection, revocation, `/verify`, and attacks on tokens.

mod introspect;
mod jwt_attacks;
mod matrix;
mod revoke;
mod rotation;
mod timing;
mod usage;
mod verify;
mod verify_api;

use keyturn::domain::key_text::{KeyId, KeyPrefix, KeyText};

/// A well-formed secret of an existing key ID with wrong random digits.
fn wrong_secret(id: &str) -> String {
    KeyText::new(KeyPrefix::default(), KeyId::parse(id).unwrap(), [9; 32]).reveal().to_string()
}

/// A well-formed secret of a key ID that does not exist.
fn unknown_key_text() -> String {
    KeyText::new(KeyPrefix::default(), KeyId::from_random([9; 16]), [9; 32]).reveal().to_string()
}
