//! Use cases of keys and tokens: exchange, authentication, verification, introspection, revocation.
//!
//! Imports `domain`, the adapters, `node`, and `keys` to revoke the key of a secret; no HTTP, no SQL.

mod authenticate;
mod check;
mod exchange;
mod introspect;
mod revoke;
mod secret_check;
mod verified;

pub use authenticate::{Caller, Credential, Refusal, Subject, authenticate};
pub use check::{Required, RequiredAccess, authenticate_caller, check, count, count_use};
pub use exchange::{ExchangeRequest, Minted, PresentedKey, exchange};
pub use introspect::{Active, introspect};
pub use revoke::{RevokeError, RevokeRequest, revoke};
