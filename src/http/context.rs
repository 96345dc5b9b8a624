//! What every handler is given.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::HttpRequest;

use crate::domain::decision::ClientAddress;
use crate::domain::member::MemberId;
use crate::http::client_address::TrustedProxies;
use crate::http::operations::StoreProbe;
use crate::limits::{AccountLimit, AddressLimit, network};
use crate::node::Node;

/// How often somebody may try to sign in as one member in a minute, from one address; and from all addresses together,
/// which is high: whoever reaches it keeps the member out.
const SIGN_INS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(30).unwrap();
const SIGN_INS_ANYWHERE_PER_MINUTE: NonZeroU32 = NonZeroU32::new(600).unwrap();

/// The node, and what HTTP adds to it.
pub struct HttpContext {
    /// The node.
    pub node: Arc<Node>,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: TrustedProxies,
    /// How many failures an address may make.
    pub failures: AddressLimit,
    sign_ins: AccountLimit,
    sign_ins_anywhere: AccountLimit,
    sign_ins_from: AddressLimit,
    /// How long a gateway may keep a verdict, in seconds.
    pub verdict_max_age_seconds: u32,
    /// Whether the store answers, for `/readyz`.
    pub store_probe: StoreProbe,
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
            sign_ins_anywhere: AccountLimit::per_minute(SIGN_INS_ANYWHERE_PER_MINUTE),
            sign_ins_from: AddressLimit::per_minute(failures_per_minute),
            verdict_max_age_seconds,
            store_probe: StoreProbe::default(),
            stopping: AtomicBool::new(false),
        }
    }

    /// Where the caller of a request is.
    pub fn client_address(&self, request: &HttpRequest) -> ClientAddress {
        self.trusted_proxies.client_address(request.peer_addr().map(|peer| peer.ip()), request.headers())
    }

    /// Counts a try to sign in, with the right password too: a guess that is refused only when it is wrong is no less a
    /// guess. A stranger elsewhere does not use up what a member has. When there were too many, says after how many
    /// seconds to come back.
    pub fn count_sign_in(&self, account: &str, address: ClientAddress) -> Result<(), u64> {
        self.sign_ins_from.count(address)?;
        self.sign_ins.count(&format!("{account} from {}", network(address)))?;
        self.sign_ins_anywhere.count(account)
    }

    /// Counts a try to change a member's own password: whoever has found an open browser does not get to guess, and
    /// whoever has not cannot use it up.
    pub fn count_password_change(&self, member: &MemberId) -> Result<(), u64> {
        self.sign_ins.count(&format!("password of {member}"))
    }

    /// Forgets what has been quiet for long.
    pub fn tidy_sign_ins(&self) {
        self.sign_ins.tidy();
        self.sign_ins_anywhere.tidy();
        self.sign_ins_from.tidy();
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
