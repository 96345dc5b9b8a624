//! What is done with keys and tokens: exchange one for the other, tell whether one is good, end one.
//!
//! Use cases: imports `domain`, the adapters, `node`, and `keys` for a key
//! that its bearer ends; no HTTP, no SQL.

mod authenticate;
mod check;
mod exchange;
mod introspect;
mod revoke;
mod secret_check;
mod verified;

pub use authenticate::{Caller, Credential, Refusal, Subject, authenticate};
pub use check::{CheckError, Required, RequiredAccess, authenticate_caller, check, count, count_use};
pub use exchange::{ExchangeError, ExchangeRequest, Minted, PresentedKey, exchange};
pub use introspect::{Active, introspect};
pub use revoke::{RevokeError, RevokeRequest, revoke};
