//! Connections from `revocation.url`, whose URL is read again from its file if the server rejects the login.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::revocation::redis::RedisFailure;
use crate::revocation::redis::connection::{Redis, RedisUrlError};
use crate::store::UrlSource;

/// The current connections, and the source of current credentials.
pub(super) struct Login {
    redis: ArcSwap<Redis>,
    source: Option<UrlSource>,
    url: Mutex<Zeroizing<String>>,
}

impl Login {
    /// Prepares connections to a URL, without connecting.
    pub(super) fn new(url: &str, source: Option<UrlSource>) -> Result<Self, RedisUrlError> {
        let redis = ArcSwap::from_pointee(Redis::from_url(url)?);
        Ok(Self { redis, source, url: Mutex::new(Zeroizing::new(url.to_owned())) })
    }

    pub(super) fn redis(&self) -> Arc<Redis> {
        self.redis.load_full()
    }

    /// Reads the URL again if a failure is due to the login. Returns whether it changed.
    pub(super) fn reload_after(&self, failure: &RedisFailure) -> bool {
        let RedisFailure::Redis(error) = failure else { return false };
        is_login_refused(error) && self.reload()
    }

    fn reload(&self) -> bool {
        let Some(source) = &self.source else { return false };
        let mut url = self.url.lock();
        let read = source().and_then(|text| match Redis::from_url(&text) {
            _ if *text == **url => Ok(None),
            Ok(redis) => Ok(Some((text, redis))),
            Err(error) => Err(error.to_string()),
        });
        match read {
            Ok(None) => false,
            Ok(Some((text, redis))) => {
                *url = text;
                self.redis.store(Arc::new(redis));
                tracing::info!("read new Redis credentials from revocation.url_file");
                true
            }
            Err(error) => {
                tracing::error!(error, "failed to reload revocation.url_file");
                false
            }
        }
    }
}

/// Whether Redis rejected the user or the password.
pub(super) fn is_login_refused(error: &redis::RedisError) -> bool {
    error.kind() == redis::ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("WRONGPASS" | "NOAUTH" | "NOPERM"))
}
