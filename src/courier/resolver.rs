//! Names resolved to the addresses that may be connected to, and to no other.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::domain::destination::{Reach, is_public};

/// Resolves names with the system's resolver. What is connected to is what was looked at: a name that leads elsewhere
/// the next time it is asked for gains nothing.
#[derive(Debug)]
pub(super) struct PublicOnly {
    pub(super) reach: Reach,
}

/// Why a name leads nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// It has no address.
    #[error("its name has no address")]
    Unresolved,
    /// It has none that is public.
    #[error("its name leads to addresses that are not public")]
    NotPublic,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(|_| Refused::Unresolved)?;
            let found: Vec<SocketAddr> = found.collect();
            let allowed: Vec<SocketAddr> =
                found.iter().copied().filter(|at| reach == Reach::Anywhere || is_public(at.ip())).collect();
            match (found.is_empty(), allowed.is_empty()) {
                (true, _) => Err(Refused::Unresolved.into()),
                (false, true) => Err(Refused::NotPublic.into()),
                (false, false) => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}
