//! How to connect to PostgreSQL: the options of `store.url`, read again from their file when the server refuses them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use zeroize::Zeroizing;

use crate::store::sql::postgres::{options, place};
use crate::store::{StoreError, UrlSource, is_login_refused};

/// The options that connections are opened with.
pub(in crate::store) struct Login {
    options: ArcSwap<PgConnectOptions>,
    /// Incremented when the options are replaced.
    version: AtomicU64,
    source: Option<UrlSource>,
    /// The URL in use.
    url: Mutex<Zeroizing<String>>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({})", place(&self.options.load()))
    }
}

impl Login {
    /// A login with a URL; `source` gives the current one.
    pub(in crate::store) fn new(url: &str, source: Option<UrlSource>) -> Result<Self, StoreError> {
        Ok(Self {
            options: ArcSwap::from_pointee(options(url)?),
            version: AtomicU64::new(0),
            source,
            url: Mutex::new(Zeroizing::new(url.to_owned())),
        })
    }

    /// The options, and their version.
    pub(in crate::store) fn current(&self) -> (u64, Arc<PgConnectOptions>) {
        // In this order: a newer version than its options would never be replaced.
        let version = self.version.load(Ordering::Acquire);
        (version, self.options.load_full())
    }

    /// Connects; `adapt` changes the options of this connection.
    pub(in crate::store) async fn connect_with(
        &self,
        adapt: impl Fn(&PgConnectOptions) -> PgConnectOptions,
    ) -> Result<PgConnection, sqlx::Error> {
        match PgConnection::connect_with(&adapt(&self.current().1)).await {
            Err(error) if is_login_refused(&error) && self.read_again() => {
                PgConnection::connect_with(&adapt(&self.current().1)).await
            }
            connected => connected,
        }
    }

    /// Reads the URL again after the server has refused the login. Returns whether there is a new one.
    pub(in crate::store) fn read_again(&self) -> bool {
        let Some(source) = &self.source else { return false };
        let mut url = self.url.lock();
        let read = source().and_then(|text| match options(&text) {
            Ok(options) => Ok((text, options)),
            Err(error) => Err(error.to_string()),
        });
        let (text, options) = match read {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(error, "failed to read store.url_file again");
                return false;
            }
        };
        if *text == **url {
            return false;
        }
        // Two databases at once would be two truths.
        if place(&options) != place(&self.options.load()) {
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
        assert!(login.read_again());
        let (version, options) = login.current();
        assert_eq!((version, options.get_username()), (1, "you"));
        assert!(!login.read_again(), "it is in use already");
    }

    #[test]
    fn another_database_is_not_used() {
        for url in ["postgres://me:two@other/keys", "postgres://me:two@db/other", "postgres://me:two@db:5433/keys"] {
            let login = login(Ok(url));
            assert!(!login.read_again());
            assert_eq!(login.current().0, 0);
        }
    }

    #[test]
    fn url_that_cannot_be_read_changes_nothing() {
        for read in [Err("no such file"), Ok("postgres://db/keys?sslmod=x"), Ok("postgres://me:one@db:5432/keys")] {
            let login = login(read);
            assert!(!login.read_again());
            assert_eq!((login.current().0, login.current().1.get_username()), (0, "me"));
        }
        assert!(!Login::new("postgres://me:one@db/keys", None).unwrap().read_again());
    }

    #[test]
    fn neither_user_nor_password_is_printed() {
        assert_eq!(format!("{:?}", login(Err(""))), "Login(db:5432/keys)");
    }
}
