//! Settings that only their adapters can check, and settings in the form that adapters take.

use std::sync::Arc;

use actix_web::web;

use crate::config::{RevocationUrl, Settings, StoreUrl};
use crate::domain::destination::AllowedDestinations;
use crate::http::client_address::TrustedProxies;
use crate::http::context::HttpContext;
use crate::http::cors::AllowedOrigins;
use crate::node::Node;
use crate::revocation::{RedisList, RedisUrlError};
use crate::server::ServerError;
use crate::store::Store;
use crate::telemetry::{self, LogFlush};

/// Checks the settings that can be checked without starting anything.
pub fn check(settings: &Settings) -> Result<(), ServerError> {
    if let StoreUrl::Postgres(url) = &settings.store.url {
        Store::check_postgres_url(url.expose()).map_err(|error| ServerError::Setting(error.to_string()))?;
    }
    if let RevocationUrl::Redis(url) = &settings.revocation.url {
        RedisList::check_url(url.expose()).map_err(bad_redis_url)?;
    }
    check_log_level(settings)
}

/// Starts logging for the whole process.
pub fn start_logs(settings: &Settings) -> Result<LogFlush, ServerError> {
    check_log_level(settings)?;
    let flush = telemetry::start_logs(&settings.log.level, settings.log.format)?;
    for (setting, warning) in settings.secret_file_warnings() {
        tracing::warn!(setting, "{warning}");
    }
    Ok(flush)
}

fn check_log_level(settings: &Settings) -> Result<(), ServerError> {
    telemetry::check_level(&settings.log.level).map_err(|_| {
        let rows = settings.describe();
        let origin = rows.iter().find(|(key, ..)| key == "log.level").map_or("", |(.., origin)| origin);
        ServerError::Setting(format!(
            "{origin}: log.level is {:?}; allowed: error, warn, info, debug, trace, off, or a list such as \
             keyturn=debug,info",
            settings.log.level
        ))
    })
}

pub(super) fn bad_redis_url(error: RedisUrlError) -> ServerError {
    ServerError::Setting(error.to_string())
}

/// The number of worker threads.
pub(super) fn workers(settings: &Settings) -> usize {
    match settings.server.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from).min(512),
        workers => workers,
    }
}

/// The destinations that webhooks can reach. The networks are kept until the process ends.
pub(super) fn webhook_destinations(settings: &Settings) -> AllowedDestinations {
    let webhooks = &settings.webhooks;
    match (webhooks.private_addresses, webhooks.allowed_networks.is_empty()) {
        (true, _) => AllowedDestinations::Anywhere,
        (false, true) => AllowedDestinations::Public,
        (false, false) => AllowedDestinations::PublicAnd(webhooks.allowed_networks.clone().leak()),
    }
}

/// The context of all handlers.
pub(super) fn http_context(settings: &Settings, node: &Arc<Node>) -> web::Data<HttpContext> {
    web::Data::new(HttpContext::new(
        node.clone(),
        (trusted_proxies(settings), AllowedOrigins::new(&settings.cors.allowed_origins)),
        (settings.limits.failures_per_minute, settings.limits.changes_per_minute),
        settings.gateway.verdict_max_age_seconds,
        settings.log.requests,
    ))
}

/// The trusted proxies and the header that they write.
pub(super) fn trusted_proxies(settings: &Settings) -> TrustedProxies {
    TrustedProxies::new(settings.server.trusted_proxies.clone(), settings.server.forwarding_header)
}
