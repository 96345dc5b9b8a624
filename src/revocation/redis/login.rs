//! Redis as `revocation.url` says, read again from its file when the server refuses user or password.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::revocation::redis::RedisFailure;
use crate::revocation::redis::connection::{Redis, RedisUrlError};
use crate::store::UrlSource;

/// The connections in use, and where to find the current credentials.
pub(super) struct Login {
    redis: ArcSwap<Redis>,
    source: Option<UrlSource>,
    /// The URL in use.
    url: Mutex<Zeroizing<String>>,
}

impl Login {
    /// Prepares connections to a URL; none is made.
    pub(super) fn new(url: &str, source: Option<UrlSource>) -> Result<Self, RedisUrlError> {
        let redis = ArcSwap::from_pointee(Redis::at(url)?);
        Ok(Self { redis, source, url: Mutex::new(Zeroizing::new(url.to_owned())) })
    }

    /// The connections in use.
    pub(super) fn redis(&self) -> Arc<Redis> {
        self.redis.load_full()
    }

    /// Reads the URL again if that is what a failure calls for. Returns whether there is a new one.
    pub(super) fn read_again_after(&self, failure: &RedisFailure) -> bool {
        let RedisFailure::Redis(error) = failure else { return false };
        is_login_refused(error) && self.read_again()
    }

    fn read_again(&self) -> bool {
        let Some(source) = &self.source else { return false };
        let mut url = self.url.lock();
        let read = source().and_then(|text| match Redis::at(&text) {
            _ if *text == **url => Ok(None),
            Ok(redis) => Ok(Some((text, redis))),
            Err(error) => Err(error.to_string()),
        });
        match read {
            Ok(None) => false,
            Ok(Some((text, redis))) => {
                *url = text;
                self.redis.store(Arc::new(redis));
                tracing::info!("read new credentials of Redis from revocation.url_file");
                true
            }
            Err(error) => {
                tracing::error!(error, "failed to read revocation.url_file again");
                false
            }
        }
    }
}

/// Whether Redis refuses the user or the password.
pub(super) fn is_login_refused(error: &redis::RedisError) -> bool {
    error.kind() == redis::ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("WRONGPASS" | "NOAUTH" | "NOPERM"))
}
