//! Connection options for PostgreSQL, from `store.url` or read again from its file if the server rejects the login.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use zeroize::Zeroizing;

use crate::store::sql::postgres::{location, options};
use crate::store::{StoreError, UrlSource, is_login_refused};

/// Options for new connections.
pub(in crate::store) struct Login {
    options: ArcSwap<PgConnectOptions>,
    /// Increases when the options are replaced.
    version: AtomicU64,
    source: Option<UrlSource>,
    url: Mutex<Zeroizing<String>>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({})", location(&self.options.load()))
    }
}

impl Login {
    /// Creates a login; `source` returns the current URL.
    pub(in crate::store) fn new(url: &str, source: Option<UrlSource>) -> Result<Self, StoreError> {
        Ok(Self {
            options: ArcSwap::from_pointee(options(url)?),
            version: AtomicU64::new(0),
            source,
            url: Mutex::new(Zeroizing::new(url.to_owned())),
        })
    }

    pub(in crate::store) fn current(&self) -> (u64, Arc<PgConnectOptions>) {
        // The version is read first: a newer version with older options would never be corrected.
        let version = self.version.load(Ordering::Acquire);
        (version, self.options.load_full())
    }

    /// Connects with options modified by `adapt`.
    pub(in crate::store) async fn connect_with(
        &self,
        adapt: impl Fn(&PgConnectOptions) -> PgConnectOptions,
    ) -> Result<PgConnection, sqlx::Error> {
        match PgConnection::connect_with(&adapt(&self.current().1)).await {
            Err(error) if is_login_refused(&error) && self.reload() => {
                PgConnection::connect_with(&adapt(&self.current().1)).await
            }
            connected => connected,
        }
    }

    /// Reads the URL again after the server rejected the login. Returns whether it changed.
    pub(in crate::store) fn reload(&self) -> bool {
        let Some(source) = &self.source else { return false };
        let mut url = self.url.lock();
        let read = source().and_then(|text| match options(&text) {
            Ok(options) => Ok((text, options)),
            Err(error) => Err(error.to_string()),
        });
        let (text, options) = match read {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(error, "failed to reload store.url_file");
                return false;
            }
        };
        if *text == **url {
            return false;
        }
        // Two databases at the same time would diverge.
        if location(&options) != location(&self.options.load()) {
            tracing::error!("store.url_file names another database; restart to use it");
            return false;
        }
        *url = text;
        self.options.store(Arc::new(options));
        self.version.fetch_add(1, Ordering::Release);
        tracing::info!("read new database credentials from store.url_file");
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(now: Result<&'static str, &'static str>) -> Login {
        let source: UrlSource = Arc::new(move || now.map(|url| Zeroizing::new(url.to_owned())).map_err(str::to_owned));
        Login::new("postgres://me:one@db:5432/keys", Some(source)).unwrap()
    }

    #[test]
    fn new_password_is_used() {
        let login = login(Ok("postgres://you:two@db/keys"));
        let (version, options) = login.current();
        assert_eq!((version, options.get_username()), (0, "me"));
        assert!(login.reload());
        let (version, options) = login.current();
        assert_eq!((version, options.get_username()), (1, "you"));
        assert!(!login.reload(), "it is in use already");
    }

    #[test]
    fn another_database_is_not_used() {
        for url in ["postgres://me:two@other/keys", "postgres://me:two@db/other", "postgres://me:two@db:5433/keys"] {
            let login = login(Ok(url));
            assert!(!login.reload());
            assert_eq!(login.current().0, 0);
        }
    }

    #[test]
    fn url_that_cannot_be_read_changes_nothing() {
        for read in [Err("no such file"), Ok("postgres://db/keys?sslmod=x"), Ok("postgres://me:one@db:5432/keys")] {
            let login = login(read);
            assert!(!login.reload());
            assert_eq!((login.current().0, login.current().1.get_username()), (0, "me"));
        }
        assert!(!Login::new("postgres://me:one@db/keys", None).unwrap().reload());
    }

    #[test]
    fn neither_user_nor_password_is_printed() {
        assert_eq!(format!("{:?}", login(Err(""))), "Login(db:5432/keys)");
    }
}
