//! Verification: which key acts by a secret or an access token, and whether it has what a gateway requires.
//!
//! A [`Verifier`] decides from [`Memory`] (records, organizations with their signing keys, revoked tokens, a lease) and asks a
//! source ([`Records`], [`Secrets`]) for what memory does not hold. It knows nothing of the process around it.

mod authenticate;
mod check;
mod memory;
mod source;
mod tenants;
#[cfg(test)]
mod tests;
mod token;
mod token_cache;
mod unavailable;
mod view;

pub use authenticate::{Caller, Credential, PresentedKey, Refusal, Subject};
pub use check::{Required, RequiredAccess};
pub use memory::Memory;
pub use source::{Records, Secrets};
pub use tenants::{HeldTenant, Tenant, TenantCache};
pub use token_cache::{Stamp, TokenCache, VerifiedToken};
pub use unavailable::{LoadError, Unavailable};
pub use view::View;

/// Decides on credentials.
#[derive(Debug)]
pub struct Verifier<'a, S> {
    memory: &'a Memory,
    source: &'a S,
}

impl<S> Clone for Verifier<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Verifier<'_, S> {}

impl<'a, S: Records> Verifier<'a, S> {
    /// Creates a verifier that reads what `memory` does not hold from `source`.
    pub fn new(memory: &'a Memory, source: &'a S) -> Self {
        Self { memory, source }
    }

    /// Returns a view of the current state, for one decision.
    pub fn view(&self) -> View<'a, S> {
        View::new(self.memory, self.source)
    }
}
