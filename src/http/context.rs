//! What every handler is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::HttpRequest;

use crate::domain::decision::ClientAddress;
use crate::http::client_address::TrustedProxies;
use crate::limits::AddressLimit;
use crate::node::Node;

/// The node, and what HTTP adds to it.
pub struct HttpContext {
    /// The node.
    pub node: Arc<Node>,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: TrustedProxies,
    /// How many failures an address may make.
    pub failures: AddressLimit,
    /// How long a gateway may keep a verdict, in seconds.
    pub verdict_max_age_seconds: u32,
    stopping: AtomicBool,
}

impl HttpContext {
    /// A context that is ready for traffic.
    pub fn new(
        node: Arc<Node>,
        trusted_proxies: TrustedProxies,
        failures: AddressLimit,
        verdict_max_age_seconds: u32,
    ) -> Self {
        Self { node, trusted_proxies, failures, verdict_max_age_seconds, stopping: AtomicBool::new(false) }
    }

    /// Where the caller of a request is.
    pub fn client_address(&self, request: &HttpRequest) -> ClientAddress {
        self.trusted_proxies.client_address(request.peer_addr().map(|peer| peer.ip()), request.headers())
    }

    /// Says that no new traffic is wanted.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether new traffic is not wanted.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
