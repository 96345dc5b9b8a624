//! Settings as the adapters take them.

use crate::config::{self, Settings};
use crate::domain::destination::AllowedDestinations;
use crate::http::client_address::{ForwardingHeader, TrustedProxies};
use crate::http::request_log::LoggedRequests;
use crate::signing::Algorithm;

/// The algorithm that new signing keys are made for.
pub fn algorithm(settings: &Settings) -> Algorithm {
    use crate::config::Algorithm as Configured;
    match settings.token.algorithm {
        Configured::Es256 => Algorithm::Es256,
        Configured::EdDsa => Algorithm::EdDsa,
        Configured::Rs256 => Algorithm::Rs256,
    }
}

/// The number of worker threads.
pub(super) fn workers(settings: &Settings) -> usize {
    match settings.server.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from).min(512),
        workers => workers,
    }
}

/// Which requests are logged.
pub(super) fn logged_requests(settings: &Settings) -> LoggedRequests {
    match settings.log.requests {
        config::LoggedRequests::Failed => LoggedRequests::Failed,
        config::LoggedRequests::All => LoggedRequests::All,
        config::LoggedRequests::None => LoggedRequests::None,
    }
}

/// Where webhooks may go. The networks are kept for as long as the process lives.
pub(super) fn webhook_reach(settings: &Settings) -> AllowedDestinations {
    let webhooks = &settings.webhooks;
    match (webhooks.private_addresses, webhooks.allowed_networks.is_empty()) {
        (true, _) => AllowedDestinations::Anywhere,
        (false, true) => AllowedDestinations::Public,
        (false, false) => AllowedDestinations::PublicAnd(webhooks.allowed_networks.clone().leak()),
    }
}

/// The trusted proxies and the header that they write.
pub(super) fn trusted_proxies(settings: &Settings) -> TrustedProxies {
    let header = match settings.server.forwarding_header {
        config::ForwardingHeader::Auto => ForwardingHeader::Auto,
        config::ForwardingHeader::XForwardedFor => ForwardingHeader::XForwardedFor,
        config::ForwardingHeader::Forwarded => ForwardingHeader::Forwarded,
    };
    TrustedProxies::new(settings.server.trusted_proxies.clone(), header)
}
