//! Monitors Redis: receives notifications, and detects that it was lost, emptied or belongs to another deployment.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use redis::cmd;

use crate::clock::{self, BootTime};
use crate::crypto::random;
use crate::revocation::redis::{ALIVE, Condition, RedisFailure, RedisList, describe_error};

/// Interval of checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Interval of complete rewrites of the list without a known loss.
const REWRITE_INTERVAL: Duration = Duration::from_secs(60);

/// The connection is closed after this long without a message; every node sends one per second.
const SILENCE: Duration = Duration::from_secs(4);

/// Identity of a Redis instance. If it changes, written data may be lost.
#[derive(Clone, PartialEq, Eq, Default)]
struct Identity {
    run_id: String,
    replication_id: String,
    epoch: Option<String>,
}

impl RedisList {
    /// Receives notifications until the process ends.
    pub async fn listen(&self) {
        loop {
            match self.listen_once().await {
                Ok(()) => tracing::debug!("no message on the Redis channel; reconnecting"),
                Err(error) => tracing::debug!(%error, "failed to subscribe to the Redis channel"),
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    async fn listen_once(&self) -> Result<(), RedisFailure> {
        let connecting = async {
            let mut channel = match self.login.redis().listen().await {
                Err(failure) if self.login.reload_after(&failure) => self.login.redis().listen().await?,
                result => result?,
            };
            channel.subscribe(self.name("changes")).await?;
            Ok::<_, RedisFailure>(channel)
        };
        let connected = tokio::time::timeout(Duration::from_secs(2), connecting).await;
        let mut channel = connected.unwrap_or(Err(RedisFailure::Silent))?;
        // Notifications may have been sent before the subscription.
        self.nudged.notify_one();
        let mut messages = channel.on_message();
        while let Ok(Some(message)) = tokio::time::timeout(SILENCE, messages.next()).await {
            if let Ok(message) = message.get_payload::<String>() {
                self.handle_message(&message);
            }
        }
        Ok(())
    }

    /// Monitors Redis until the process ends.
    pub async fn watch(&self) {
        let (mut known, mut rewritten) = (Identity::default(), BootTime::from_nanos(0));
        loop {
            match self.check().await {
                Ok(None) => {}
                Ok(Some(current)) => {
                    let is_due = clock::boot().since(rewritten) >= REWRITE_INTERVAL;
                    if self.is_behind.swap(false, Ordering::Relaxed) || current != known || is_due {
                        let is_new = current != known;
                        let rewrite = async {
                            let count = self.rewrite().await?;
                            if is_new {
                                self.reconcile().await?;
                            }
                            Ok::<_, RedisFailure>(count)
                        };
                        match rewrite.await {
                            Ok(count) if current != known => {
                                if known == Identity::default() {
                                    tracing::info!(count, "revocation list written to Redis");
                                } else {
                                    tracing::warn!(
                                        count,
                                        "Redis was restarted, replaced or emptied; revocation list written again"
                                    );
                                }
                                (known, rewritten) = (current, clock::boot());
                            }
                            Ok(_) => rewritten = clock::boot(),
                            Err(error) => {
                                self.is_behind.store(true, Ordering::Relaxed);
                                tracing::warn!(%error, "failed to write the revocation list to Redis");
                            }
                        }
                    }
                }
                Err(error) => self.report_error(&error),
            }
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
    }

    /// Returns the identity of Redis; `None` if it belongs to another deployment.
    async fn check(&self) -> Result<Option<Identity>, RedisFailure> {
        // 1. The deployment that it belongs to.
        let mut claim = cmd("SET");
        claim.arg(self.name("deployment")).arg(&self.deployment).arg("NX");
        let _: Option<String> = self.try_run(&claim).await?;
        let owner: Option<String> = self.try_run(cmd("GET").arg(self.name("deployment"))).await?;
        if owner.as_deref().is_some_and(|owner| owner != self.deployment) {
            self.set_condition(Condition {
                error: Some(format!(
                    "Redis is not used: the prefix {:?} belongs to another Keyturn deployment; set another \
                     revocation.prefix, or delete {} in Redis if that deployment no longer exists",
                    self.prefix,
                    self.name("deployment")
                )),
                warning: None,
                is_foreign: true,
            });
            return Ok(None);
        }

        // 2. Its identity and configuration.
        let mut current = Identity::default();
        let mut warning = None;
        if !self.login.redis().is_cluster() {
            let info: String = self.try_run(&cmd("INFO")).await?;
            let line = |name: &str| {
                info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
            };
            (current.run_id, current.replication_id) = (line("run_id:"), line("master_replid:"));
            warning = may_evict(&line("maxmemory_policy:"));
        }
        let mut epoch = cmd("SET");
        let proposed = random::identifier().unwrap_or_default();
        epoch.arg(self.name("epoch")).arg(proposed).arg("NX");
        let _: Option<String> = self.try_run(&epoch).await?;
        current.epoch = self.try_run(cmd("GET").arg(self.name("epoch"))).await?;
        self.set_condition(Condition { error: None, warning, is_foreign: false });

        // 3. A heartbeat for other nodes.
        self.try_run::<i64>(cmd("PUBLISH").arg(self.name("changes")).arg(ALIVE)).await?;
        Ok(Some(current))
    }

    fn report_error(&self, error: &RedisFailure) {
        let reason = match error {
            RedisFailure::Redis(error) => describe_error(error),
            other => other.to_string(),
        };
        let effect = "decisions continue; changes take up to a second longer";
        self.set_condition(Condition { error: Some(format!("{reason}; {effect}")), ..Condition::default() });
    }

    /// Stores the result of a check and logs differences.
    fn set_condition(&self, new: Condition) {
        self.metrics.redis(new.error.is_none());
        let old = {
            let mut condition = self.condition.lock();
            std::mem::replace(&mut *condition, new.clone())
        };
        match (&old.error, &new.error) {
            (None, Some(error)) => tracing::error!("{error}"),
            (Some(_), None) => tracing::info!("Redis is available again"),
            _ => {}
        }
        if let Some(warning) = new.warning.filter(|warning| old.warning.as_ref() != Some(warning)) {
            tracing::warn!("{warning}");
        }
    }
}

/// Returns a warning if entries can be evicted: gateways would treat evicted revocations as valid tokens.
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
    fn only_noeviction_is_safe() {
        assert_eq!(may_evict("noeviction"), None);
        for policy in ["allkeys-lru", "volatile-ttl", "volatile-lru"] {
            assert!(may_evict(policy).is_some_and(|warning| warning.contains(policy)));
        }
    }
}
