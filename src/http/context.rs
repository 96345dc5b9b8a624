//! The shared context of all handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::HttpRequest;
use actix_web::http::Method;

use crate::domain::api_key::ApiKey;
use crate::domain::choices::LoggedRequests;
use crate::domain::decision::ClientAddress;
use crate::domain::member::MemberId;
use crate::http::access::Identity;
use crate::http::client_address::TrustedProxies;
use crate::http::cors::AllowedOrigins;
use crate::http::operations::StoreProbe;
use crate::http::public_path::PublicPath;
use crate::limits::{AddressLimit, NameLimit, SignInLimits};
use crate::node::Node;

/// Attempts per minute to change one's own password.
const PASSWORD_CHANGES_PER_MINUTE: u32 = 30;

/// Changes that only revoke rights have a limit this many times as high, so an incident response is not held up.
const TAKING_AWAY: u32 = 10;

/// Items of a bulk change that count as one change.
const ITEMS_PER_CHANGE: usize = 10;

/// The node, and the state of the HTTP layer.
pub struct HttpContext {
    /// The node that serves the requests.
    pub node: Arc<Node>,
    /// The path of the public URL.
    pub public_path: PublicPath,
    /// The proxies whose forwarding headers are trusted.
    pub trusted_proxies: TrustedProxies,
    /// The limit on failed authentications per address.
    pub failures: AddressLimit,
    /// The limits on sign-in attempts.
    pub sign_ins: SignInLimits,
    password_changes: NameLimit,
    changes: NameLimit,
    removals: NameLimit,
    /// The origins whose pages can request and revoke tokens.
    pub allowed_origins: AllowedOrigins,
    /// How long a gateway can cache a verdict, in seconds.
    pub verdict_max_age_seconds: u32,
    /// Which requests are logged.
    pub logged_requests: LoggedRequests,
    /// Whether the database answers, for `/readyz`.
    pub store_probe: StoreProbe,
    stopping: AtomicBool,
}

impl HttpContext {
    /// Creates a context that is ready for traffic.
    pub fn new(
        node: Arc<Node>,
        (trusted_proxies, allowed_origins): (TrustedProxies, AllowedOrigins),
        (failures_per_minute, changes_per_minute): (u32, u32),
        verdict_max_age_seconds: u32,
        logged_requests: LoggedRequests,
    ) -> Self {
        if logged_requests == LoggedRequests::All {
            node.gateways.keep_on();
        }
        Self {
            public_path: PublicPath::of(&node.settings.public_url),
            node,
            trusted_proxies,
            failures: AddressLimit::per_minute(failures_per_minute),
            sign_ins: SignInLimits::new(failures_per_minute),
            password_changes: NameLimit::per_minute(PASSWORD_CHANGES_PER_MINUTE),
            changes: NameLimit::per_minute(changes_per_minute),
            removals: NameLimit::per_minute(changes_per_minute.saturating_mul(TAKING_AWAY)),
            allowed_origins,
            verdict_max_age_seconds,
            logged_requests,
            store_probe: StoreProbe::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// Returns the client's address.
    pub fn client_address(&self, request: &HttpRequest) -> ClientAddress {
        self.trusted_proxies.client_address(request.peer_addr().map(|peer| peer.ip()), request.headers())
    }

    /// Notes the key of a successful request if successes are logged.
    pub fn note_success(&self, request: &HttpRequest, key: &ApiKey) {
        if self.logged_requests == LoggedRequests::All {
            Identity::of_key(key).note(request);
        }
    }

    /// Counts an attempt to change a member's own password. Only the member's sessions count, so nobody else can use up
    /// the limit. Above the limit, returns the seconds to wait.
    pub fn count_password_change(&self, member: &MemberId) -> Result<(), u64> {
        self.password_changes.count(&member.0)
    }

    /// Counts a change by a credential, before anything is written. Above the limit, returns the seconds to wait.
    pub fn count_change(&self, credential: &str, request: &HttpRequest) -> Result<(), u64> {
        if request.method().is_safe() {
            return Ok(());
        }
        let limit = if takes_away(request) { &self.removals } else { &self.changes };
        limit.count(credential)
    }

    /// Counts the items of a change of many keys: ten of them like one change, because a bulk change of a whole
    /// organization must be possible, and still be bounded. Above the limit, returns the seconds to wait.
    pub fn count_bulk(&self, credential: &str, items: usize, takes_away: bool) -> Result<(), u64> {
        let limit = if takes_away { &self.removals } else { &self.changes };
        (0..items.div_ceil(ITEMS_PER_CHANGE)).try_for_each(|_| limit.count(credential))
    }

    /// Counts a new session like the member's other changes, because each is stored and audited. Above the limit, returns
    /// the seconds to wait.
    pub fn count_sign_in(&self, member: &MemberId) -> Result<(), u64> {
        self.changes.count(&format!("member:{member}"))
    }

    /// Stops accepting traffic: `/readyz` fails from now on.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the server is stopping.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

/// Whether a request can only revoke rights.
fn takes_away(request: &HttpRequest) -> bool {
    // A bulk change is counted by its items in `count_bulk`, in the limit of what it does to them.
    const ENDINGS: [&str; 9] =
        ["revoke", "disable", "suspend", "end-grace", "end", "remove", "sign-out", "bulk", "apply"];
    let ending = request.path().rsplit('/').next().unwrap_or_default();
    request.method() == Method::DELETE || ENDINGS.contains(&ending)
}
