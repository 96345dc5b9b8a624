//! `[limits]`, `[cache]`, `[gateway]` and `[argon2]`: how much of everything.

use serde::Deserialize;

use super::error::ConfigError;
use super::section::{Section, SectionOutline, Setting};

/// `[limits]`: rate limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Failed authentications a minute from one client address (IPv6: one /64), 0 to 1000000; 0 is no limit.
    pub failures_per_minute: u32,
    /// Changes a minute with one credential, 0 to 1000000; 0 is no limit.
    pub changes_per_minute: u32,
}

/// `[cache]`: what memory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// Memory for key records in MiB, 1 to 1048576.
    pub keys_mib: u64,
    /// Memory for verified tokens in MiB, 0 to 1048576.
    pub tokens_mib: u64,
}

/// `[gateway]`: answers of `/verify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// How long a gateway may keep a verdict, 0 to 300 seconds; 0 is not at all.
    pub verdict_max_age_seconds: u32,
}

/// `[argon2]`: cost of the slow hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argon2 {
    /// Memory of one hash in KiB, 8192 to 1048576.
    pub memory_kib: u32,
    /// Passes over that memory, 1 to 10.
    pub iterations: u32,
    /// Lanes of one hash, 1 to 16.
    pub parallelism: u32,
    /// Hashes computed at once, 1 to 64.
    pub threads: usize,
    /// Hashes that may wait in each lane, 1 to 100000.
    pub queue: usize,
}

impl Limits {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let raw: RawLimits = section.raw()?;
        let failures_per_minute = section.within(&FAILURES_PER_MINUTE, raw.failures_per_minute)?;
        let changes_per_minute = section.within(&CHANGES_PER_MINUTE, raw.changes_per_minute)?;
        Ok(Self { failures_per_minute, changes_per_minute })
    }
}

impl Cache {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let raw: RawCache = section.raw()?;
        Ok(Self {
            keys_mib: section.within(&KEYS_MIB, raw.keys_mib)?,
            tokens_mib: section.within(&TOKENS_MIB, raw.tokens_mib)?,
        })
    }
}

impl Gateway {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let raw: RawGateway = section.raw()?;
        let verdict_max_age_seconds = section.within(&VERDICT_MAX_AGE_SECONDS, raw.verdict_max_age_seconds)?;
        Ok(Self { verdict_max_age_seconds })
    }
}

impl Argon2 {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, ConfigError> {
        let raw: RawArgon2 = section.raw()?;
        Ok(Self {
            memory_kib: section.within(&MEMORY_KIB, raw.memory_kib)?,
            iterations: section.within(&ITERATIONS, raw.iterations)?,
            parallelism: section.within(&PARALLELISM, raw.parallelism)?,
            threads: section.within(&THREADS, raw.threads)?,
            queue: section.within(&QUEUE, raw.queue)?,
        })
    }
}

const FAILURES_PER_MINUTE: Setting = Setting::numbers("failures_per_minute", 0, 1_000_000, "failures (0: no limit)");
const CHANGES_PER_MINUTE: Setting = Setting::numbers("changes_per_minute", 0, 1_000_000, "changes (0: no limit)");
const KEYS_MIB: Setting = Setting::numbers("keys_mib", 1, 1_048_576, "MiB");
const TOKENS_MIB: Setting = Setting::numbers("tokens_mib", 0, 1_048_576, "MiB");
const VERDICT_MAX_AGE_SECONDS: Setting = Setting::numbers("verdict_max_age_seconds", 0, 300, "seconds");
const MEMORY_KIB: Setting = Setting::numbers("memory_kib", 8192, 1_048_576, "KiB");
const ITERATIONS: Setting = Setting::numbers("iterations", 1, 10, "passes");
const PARALLELISM: Setting = Setting::numbers("parallelism", 1, 16, "lanes");
const THREADS: Setting = Setting::numbers("threads", 1, 64, "threads");
const QUEUE: Setting = Setting::numbers("queue", 1, 100_000, "waiting hashes");

pub(super) const LIMITS: SectionOutline =
    SectionOutline { name: "limits", settings: &[FAILURES_PER_MINUTE, CHANGES_PER_MINUTE] };
pub(super) const CACHE: SectionOutline = SectionOutline { name: "cache", settings: &[KEYS_MIB, TOKENS_MIB] };
pub(super) const GATEWAY: SectionOutline = SectionOutline { name: "gateway", settings: &[VERDICT_MAX_AGE_SECONDS] };
pub(super) const ARGON2: SectionOutline =
    SectionOutline { name: "argon2", settings: &[MEMORY_KIB, ITERATIONS, PARALLELISM, THREADS, QUEUE] };

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimits {
    failures_per_minute: u32,
    changes_per_minute: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCache {
    keys_mib: u64,
    tokens_mib: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGateway {
    verdict_max_age_seconds: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawArgon2 {
    memory_kib: u32,
    iterations: u32,
    parallelism: u32,
    threads: usize,
    queue: usize,
}
