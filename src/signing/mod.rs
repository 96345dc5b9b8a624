//! Signing keys in memory: signing, verification, publication. The only user of the JWT library.
//!
//! Imports `domain` only. A private key is parsed once, when its ring is built, because parsing costs as much as a
//! signature.

mod algorithm;
mod ring;
mod signing_key;
mod verify;

pub use ring::{KeyRing, KeyState};
pub use signing_key::{KeyMaterial, SigningError, SigningKey};
pub use verify::{KeyHint, VERIFY_MAX_BYTES, check_times, peek, verify};
