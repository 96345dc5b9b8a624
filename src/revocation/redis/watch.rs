//! Keeping an eye on Redis: hearing of changes, and noticing that it was lost, emptied or is somebody else's.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use redis::cmd;

use crate::clock::{self, BootTime};
use crate::crypto::random;
use crate::revocation::redis::{ALIVE, Condition, RedisFailure, RedisList, told};

/// How often Redis is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often the whole list is written although nothing seems to be lost.
const REWRITE_EVERY: Duration = Duration::from_secs(60);

/// After so long without a message, of which every node sends one a second, the connection is taken for dead.
const SILENCE: Duration = Duration::from_secs(4);

/// What Redis says of itself. When it changes, what was written may be lost.
#[derive(Clone, PartialEq, Eq, Default)]
struct Identity {
    run_id: String,
    replication_id: String,
    epoch: Option<String>,
}

impl RedisList {
    /// Hears of changes until the process ends.
    pub async fn listen(&self) {
        loop {
            match self.listen_once().await {
                Ok(()) => tracing::debug!("nothing was heard on the channel for long"),
                Err(error) => tracing::debug!(%error, "changes are not heard of through Redis"),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    async fn listen_once(&self) -> Result<(), RedisFailure> {
        let connecting = async {
            let mut channel = match self.login.redis().listen().await {
                Err(failure) if self.login.read_again_after(&failure) => self.login.redis().listen().await?,
                listening => listening?,
            };
            channel.subscribe(self.name("changes")).await?;
            Ok::<_, RedisFailure>(channel)
        };
        let connected = tokio::time::timeout(Duration::from_secs(2), connecting).await;
        let mut channel = connected.unwrap_or(Err(RedisFailure::Silent))?;
        // Something may have been said before we listened.
        self.nudged.notify_one();
        let mut messages = channel.on_message();
        while let Ok(Some(message)) = tokio::time::timeout(SILENCE, messages.next()).await {
            if let Ok(message) = message.get_payload::<String>() {
                self.hear(&message);
            }
        }
        Ok(())
    }

    /// Looks after Redis until the process ends.
    pub async fn watch(&self) {
        let (mut known, mut rewritten) = (Identity::default(), BootTime::from_nanos(0));
        loop {
            match self.look().await {
                Ok(None) => {}
                Ok(Some(found)) => {
                    let is_due = clock::boot().since(rewritten) >= REWRITE_EVERY;
                    if self.is_behind.swap(false, Ordering::Relaxed) || found != known || is_due {
                        let is_new = found != known;
                        let rewritten_now = async {
                            let count = self.rewrite().await?;
                            if is_new {
                                self.confirm().await?;
                            }
                            Ok::<_, RedisFailure>(count)
                        };
                        match rewritten_now.await {
                            Ok(count) if found != known => {
                                if known == Identity::default() {
                                    tracing::info!(count, "revocation list written to Redis");
                                } else {
                                    tracing::warn!(
                                        count,
                                        "Redis was restarted, replaced or emptied; revocation list written again"
                                    );
                                }
                                (known, rewritten) = (found, clock::boot());
                            }
                            Ok(_) => rewritten = clock::boot(),
                            Err(error) => {
                                self.is_behind.store(true, Ordering::Relaxed);
                                tracing::warn!(%error, "failed to write the revocation list to Redis");
                            }
                        }
                    }
                }
                Err(error) => self.find_trouble(&error),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How Redis is found; `None` where it is somebody else's.
    async fn look(&self) -> Result<Option<Identity>, RedisFailure> {
        // 1. Whose it is.
        let mut claim = cmd("SET");
        claim.arg(self.name("deployment")).arg(&self.deployment).arg("NX");
        let _: Option<String> = self.try_ask(&claim).await?;
        let owner: Option<String> = self.try_ask(cmd("GET").arg(self.name("deployment"))).await?;
        if owner.as_deref().is_some_and(|owner| owner != self.deployment) {
            self.find(Condition {
                trouble: Some(format!(
                    "Redis is not used: under the prefix {:?} it holds the list of another Keyturn deployment; give this one \
                     another revocation.prefix, or delete {} there if that deployment is gone",
                    self.prefix,
                    self.name("deployment")
                )),
                warning: None,
                is_foreign: true,
            });
            return Ok(None);
        }

        // 2. Whether it is the one that was written to, and has what was written.
        let mut found = Identity::default();
        let mut warning = None;
        if !self.login.redis().is_cluster() {
            let info: String = self.try_ask(&cmd("INFO")).await?;
            let line = |name: &str| {
                info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
            };
            (found.run_id, found.replication_id) = (line("run_id:"), line("master_replid:"));
            warning = may_evict(&line("maxmemory_policy:"));
        }
        let mut epoch = cmd("SET");
        let proposed = random::identifier().unwrap_or_default();
        epoch.arg(self.name("epoch")).arg(proposed).arg("NX");
        let _: Option<String> = self.try_ask(&epoch).await?;
        found.epoch = self.try_ask(cmd("GET").arg(self.name("epoch"))).await?;
        self.find(Condition { trouble: None, warning, is_foreign: false });

        // 3. Others hear that their channel is alive.
        self.try_ask::<i64>(cmd("PUBLISH").arg(self.name("changes")).arg(ALIVE)).await?;
        Ok(Some(found))
    }

    fn find_trouble(&self, error: &RedisFailure) {
        let reason = match error {
            RedisFailure::Redis(error) => told(error),
            other => other.to_string(),
        };
        let effect = "decisions go on; changes are answered up to a second later";
        self.find(Condition { trouble: Some(format!("{reason}; {effect}")), ..Condition::default() });
    }

    /// Notes how Redis was found, and says so where that is news.
    fn find(&self, found: Condition) {
        self.metrics.redis(found.trouble.is_none());
        let old = {
            let mut condition = self.condition.lock();
            std::mem::replace(&mut *condition, found.clone())
        };
        match (&old.trouble, &found.trouble) {
            (None, Some(trouble)) => tracing::error!("{trouble}"),
            (Some(_), None) => tracing::info!("Redis is in use again"),
            _ => {}
        }
        if let Some(warning) = found.warning.filter(|warning| old.warning.as_ref() != Some(warning)) {
            tracing::warn!("{warning}");
        }
    }
}

/// The list must not be evicted: a gateway that reads it takes what is missing for good.
fn may_evict(policy: &str) -> Option<String> {
    let is_safe = policy.is_empty() || policy == "noeviction";
    (!is_safe).then(|| {
        format!(
            "Redis may evict the revocation list (maxmemory-policy is {policy}); Keyturn itself does not need it, but \
             gateways that read it may: set maxmemory-policy noeviction"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_redis_that_never_evicts_is_safe() {
        assert_eq!(may_evict("noeviction"), None);
        for policy in ["allkeys-lru", "volatile-ttl", "volatile-lru"] {
            assert!(may_evict(policy).is_some_and(|warning| warning.contains(policy)));
        }
    }
}
