//! Use cases of tokens: exchange and its preview, introspection, revocation, lookup, and the comparison of secrets for the node's [`Verifier`].
//!
//! [`Verifier`]: crate::verification::Verifier
//!
//! Imports `domain`, the adapters, `node`, and `keys` to find a key and to revoke the key of a secret; no HTTP, no SQL.

mod exchange;
mod introspect;
mod lookup;
mod planned;
mod preview;
mod revoke;
mod secret_check;
mod validators;

pub use exchange::{ExchangeRequest, Minted, exchange};
pub use introspect::{Active, introspect};
pub use lookup::{Finding, FoundBy, SecretState, TokenState, lookup, revoke_token_of_key};
pub use preview::{Preview, PreviewRequest, PreviewSecret, TokenPreview, preview};
pub use revoke::{RevokeError, RevokeRequest, revoke};
pub use validators::{NamedValues, ValidatorView};
