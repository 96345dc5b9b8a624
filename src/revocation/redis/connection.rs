//! Connects to Redis: a single server, the master behind Sentinels, or a Cluster.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::cluster::{Manager as ClusterManager, Pool as ClusterPool};
use deadpool_redis::sentinel::{
    Manager as SentinelManager, Pool as SentinelPool, SentinelNodeConnectionInfo, SentinelServerType, TlsMode,
};
use deadpool_redis::{Config, Pool, PoolConfig, RedisConnectionInfo, Runtime, Timeouts};
use redis::aio::PubSub;
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo as NodeInfo};
use redis::{Client, Cmd, FromRedisValue};
use tokio::sync::Mutex;
use url::Url;

use crate::revocation::redis::RedisFailure;

/// Maximum number of connections. They are used for changes, not for requests.
const CONNECTIONS: usize = 8;

/// A Redis deployment.
pub(super) enum Redis {
    Single(Pool, Box<Client>),
    /// The master with a name that Sentinels know.
    Sentinel(SentinelPool, Arc<Mutex<SentinelClient>>),
    /// A Cluster, and its configured servers.
    Cluster(ClusterPool, Vec<Client>),
}

/// `revocation.url` is not valid.
#[derive(Debug, thiserror::Error)]
#[error("revocation.url: {0}")]
pub struct RedisUrlError(String);

/// Parts of a URL with several servers.
struct Servers {
    is_secure: bool,
    /// `user:password@`, or empty.
    login: String,
    hosts: Vec<String>,
    /// Path segments.
    path: Vec<String>,
}

impl Redis {
    /// Parses a URL of any form, without connecting.
    pub(super) fn from_url(url: &str) -> Result<Self, RedisUrlError> {
        if let Some(servers) = Servers::parse(url, "sentinel")? {
            return Self::behind_sentinels(&servers);
        }
        if let Some(servers) = Servers::parse(url, "cluster")? {
            return Self::in_cluster(&servers);
        }
        let pool = Config::from_url(url)
            .builder()
            .map_err(url_error)?
            .config(pool_config())
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(url_error)?;
        Ok(Self::Single(pool, Box::new(Client::open(url).map_err(url_error)?)))
    }

    fn behind_sentinels(servers: &Servers) -> Result<Self, RedisUrlError> {
        let [name, database @ ..] = servers.path.as_slice() else {
            return Err(RedisUrlError("the master's name is missing; use redis+sentinel://HOST:26379/NAME".into()));
        };
        let database = match database {
            [] => 0,
            [number] => number
                .parse()
                .map_err(|_| RedisUrlError("the database after the master's name must be a number".into()))?,
            _ => return Err(RedisUrlError("only a database number is allowed after the master's name".into())),
        };
        let login = Url::parse(&format!("redis://{}host", servers.login)).map_err(url_error)?;
        let user = decoded(login.username())?;
        let password = login.password().map(decoded).transpose()?;
        let connection = RedisConnectionInfo {
            db: database,
            username: Some(user).filter(|user| !user.is_empty()),
            password,
            ..RedisConnectionInfo::default()
        };
        let info = SentinelNodeConnectionInfo {
            tls_mode: servers.is_secure.then_some(TlsMode::Secure),
            redis_connection_info: Some(connection),
        };
        let urls = servers.urls("");
        let manager = SentinelManager::new(urls.clone(), name.clone(), Some(info.clone()), SentinelServerType::Master)
            .map_err(url_error)?;
        let pool =
            SentinelPool::builder(manager).config(pool_config()).runtime(Runtime::Tokio1).build().map_err(url_error)?;
        let client = SentinelClient::build(
            urls,
            name.clone(),
            Some(NodeInfo::from(info)),
            redis::sentinel::SentinelServerType::Master,
        )
        .map_err(url_error)?;
        Ok(Self::Sentinel(pool, Arc::new(Mutex::new(client))))
    }

    fn in_cluster(servers: &Servers) -> Result<Self, RedisUrlError> {
        if !servers.path.is_empty() {
            return Err(RedisUrlError("a Cluster has no databases; remove the path after the hosts".into()));
        }
        let urls = servers.urls(&servers.login);
        let clients = urls.iter().map(|url| Client::open(url.as_str()).map_err(url_error)).collect::<Result<_, _>>()?;
        let manager = ClusterManager::new(urls, false).map_err(url_error)?;
        let pool =
            ClusterPool::builder(manager).config(pool_config()).runtime(Runtime::Tokio1).build().map_err(url_error)?;
        Ok(Self::Cluster(pool, clients))
    }

    /// Whether this is a Redis Cluster.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster(..))
    }

    /// Runs a command.
    pub(super) async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisFailure> {
        match self {
            Self::Single(pool, _) => Ok(command.query_async(&mut pool.get().await.map_err(no_connection)?).await?),
            Self::Sentinel(pool, _) => Ok(command.query_async(&mut pool.get().await.map_err(no_connection)?).await?),
            Self::Cluster(pool, _) => Ok(command.query_async(&mut pool.get().await.map_err(no_connection)?).await?),
        }
    }

    /// Opens a connection of its own for subscriptions.
    pub(super) async fn listen(&self) -> Result<PubSub, RedisFailure> {
        match self {
            Self::Single(_, client) => Ok(client.get_async_pubsub().await?),
            Self::Sentinel(_, client) => {
                let master = client.lock().await.async_get_client().await?;
                Ok(master.get_async_pubsub().await?)
            }
            Self::Cluster(_, clients) => {
                // Messages are delivered on all servers of a Cluster.
                let mut last = RedisFailure::Unavailable;
                for client in clients {
                    match client.get_async_pubsub().await {
                        Ok(listening) => return Ok(listening),
                        Err(error) => last = error.into(),
                    }
                }
                Err(last)
            }
        }
    }
}

impl Servers {
    /// Parses `redis+KIND://[USER:PASSWORD@]HOST[:PORT],…[/PATH]`; `None` for another kind.
    fn parse(url: &str, kind: &str) -> Result<Option<Self>, RedisUrlError> {
        let plain = url.strip_prefix(&format!("redis+{kind}://"));
        let secure = url.strip_prefix(&format!("rediss+{kind}://"));
        let Some(rest) = plain.or(secure) else { return Ok(None) };
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) => (format!("{login}@"), rest),
            None => (String::new(), rest),
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts: Vec<String> = hosts.split(',').map(str::to_owned).collect();
        if hosts.iter().any(String::is_empty) {
            return Err(RedisUrlError("a host is empty; separate several hosts by commas".into()));
        }
        let path = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Ok(Some(Self { is_secure: secure.is_some(), login, hosts, path }))
    }

    fn urls(&self, login: &str) -> Vec<String> {
        let scheme = if self.is_secure { "rediss" } else { "redis" };
        self.hosts.iter().map(|host| format!("{scheme}://{login}{host}")).collect()
    }
}

fn pool_config() -> PoolConfig {
    let timeout = Some(Duration::from_millis(200));
    PoolConfig {
        max_size: CONNECTIONS,
        timeouts: Timeouts { wait: timeout, create: timeout, recycle: timeout },
        ..PoolConfig::default()
    }
}

fn decoded(text: &str) -> Result<String, RedisUrlError> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(|text| text.into_owned()).map_err(|_| RedisUrlError("the user or password is not valid UTF-8".into()))
}

/// Returns the error for an invalid URL, without any part of it.
fn url_error(error: impl Into<InvalidUrl>) -> RedisUrlError {
    RedisUrlError(error.into().0)
}

/// A library's error without parts of the URL.
struct InvalidUrl(String);

impl From<redis::RedisError> for InvalidUrl {
    fn from(error: redis::RedisError) -> Self {
        Self(format!(
            "not a valid Redis URL ({}); use redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]",
            error.category()
        ))
    }
}

impl From<deadpool_redis::ConfigError> for InvalidUrl {
    fn from(error: deadpool_redis::ConfigError) -> Self {
        match error {
            deadpool_redis::ConfigError::Redis(error) => error.into(),
            _ => Self("not a valid Redis URL".into()),
        }
    }
}

impl From<deadpool_redis::BuildError> for InvalidUrl {
    fn from(_: deadpool_redis::BuildError) -> Self {
        Self("failed to create a connection pool".into())
    }
}

impl From<url::ParseError> for InvalidUrl {
    fn from(error: url::ParseError) -> Self {
        Self(format!("invalid user or password: {error}"))
    }
}

fn no_connection(error: deadpool_redis::PoolError) -> RedisFailure {
    match error {
        deadpool_redis::PoolError::Backend(error) => RedisFailure::Redis(error),
        deadpool_redis::PoolError::Timeout(_) => RedisFailure::Silent,
        other => RedisFailure::Connection(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_url_is_accepted() {
        assert!(matches!(Redis::from_url("redis://:pw@127.0.0.1:6379/2"), Ok(Redis::Single(..))));
        assert!(matches!(Redis::from_url("rediss://cache:6380"), Ok(Redis::Single(..))));
        assert!(matches!(Redis::from_url("redis+sentinel://u:p%40w@a:26379,b:26379/main/1"), Ok(Redis::Sentinel(..))));
        assert!(matches!(Redis::from_url("redis+cluster://:pw@a:6379,b:6379"), Ok(Redis::Cluster(..))));
    }

    #[test]
    fn incomplete_url_is_rejected() {
        for (url, complaint) in [
            ("redis+sentinel://a:26379", "the master's name is missing; use redis+sentinel://HOST:26379/NAME"),
            ("redis+sentinel://a:26379/main/x", "the database after the master's name must be a number"),
            ("redis+cluster://a:6379,,b:6379", "a host is empty; separate several hosts by commas"),
            ("redis+cluster://a:6379/1", "a Cluster has no databases; remove the path after the hosts"),
        ] {
            let error = Redis::from_url(url).err().map(|error| error.to_string());
            assert_eq!(error, Some(format!("revocation.url: {complaint}")), "{url}");
        }
    }
}
