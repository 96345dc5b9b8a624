//! What is done with keys and tokens: exchange one for the other, and tell whether one is good.
//!
//! Use cases: imports `domain`, the adapters and `node`; no HTTP, no SQL.

mod authenticate;
mod exchange;
mod secret_check;

pub use authenticate::{Caller, Credential, Refusal, authenticate};
pub use exchange::{ExchangeError, ExchangeRequest, Minted, PresentedKey, exchange};
