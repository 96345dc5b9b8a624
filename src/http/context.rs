//! What every handler is given.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::HttpRequest;

use crate::domain::decision::ClientAddress;
use crate::http::client_address::TrustedProxies;
use crate::limits::{AccountLimit, AddressLimit};
use crate::node::Node;

/// How often somebody may try to sign in as one member in a minute.
const SIGN_INS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(30).unwrap();

/// The node, and what HTTP adds to it.
pub struct HttpContext {
    /// The node.
    pub node: Arc<Node>,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: TrustedProxies,
    /// How many failures an address may make.
    pub failures: AddressLimit,
    /// How often somebody may try to sign in as one member.
    pub sign_ins: AccountLimit,
    /// How often somebody may try to sign in from one address, with the right password too: a guess that is refused
    /// only when it is wrong is no less a guess.
    pub sign_ins_from: AddressLimit,
    /// How long a gateway may keep a verdict, in seconds.
    pub verdict_max_age_seconds: u32,
    stopping: AtomicBool,
}

impl HttpContext {
    /// A context that is ready for traffic.
    pub fn new(
        node: Arc<Node>,
        trusted_proxies: TrustedProxies,
        failures_per_minute: u32,
        verdict_max_age_seconds: u32,
    ) -> Self {
        Self {
            node,
            trusted_proxies,
            failures: AddressLimit::per_minute(failures_per_minute),
            sign_ins: AccountLimit::per_minute(SIGN_INS_PER_MINUTE),
            sign_ins_from: AddressLimit::per_minute(failures_per_minute),
            verdict_max_age_seconds,
            stopping: AtomicBool::new(false),
        }
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
