//! Resolves names to allowed addresses only.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::domain::destination::AllowedDestinations;

/// A resolver that drops addresses that are not allowed. The checked addresses are the ones that are connected to, so
/// changing the DNS records in between has no effect (DNS rebinding).
#[derive(Debug)]
pub(super) struct AllowedOnly {
    pub(super) allowed: AllowedDestinations,
}

/// A name without an allowed address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no allowed address")]
pub(super) struct NoAddress;

impl Resolve for AllowedOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let destinations = self.allowed;
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(|_| NoAddress)?;
            let allowed: Vec<SocketAddr> = addresses.filter(|at| destinations.allows(at.ip())).collect();
            if allowed.is_empty() {
                return Err(NoAddress.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
