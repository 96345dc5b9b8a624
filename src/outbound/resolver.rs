//! Names resolved to the addresses that may be connected to, and to no other.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::domain::destination::AllowedDestinations;

/// Resolves names with the system's resolver. What is connected to is what was looked at: a name that leads elsewhere
/// the next time it is asked for gains nothing.
#[derive(Debug)]
pub(super) struct PublicOnly {
    pub(super) reach: AllowedDestinations,
}

/// A name without an address that may be connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no allowed address")]
pub(super) struct NoAddress;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(|_| NoAddress)?;
            let allowed: Vec<SocketAddr> = found.filter(|at| reach.allows(at.ip())).collect();
            if allowed.is_empty() {
                return Err(NoAddress.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
