//! Keyturn's processes: bootstrapping, starting, stopping, and reading their logs and metrics.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tokio::time::sleep;

use crate::http::{Answer, Connection, Silence, request};
use crate::postgres::Postgres;
use crate::process::{Process, Wrapper, run};
use crate::proxy::Proxy;

pub struct Node {
    pub number: usize,
    pub address: SocketAddr,
    pub postgres: Proxy,
    pub redis: Proxy,
    program: PathBuf,
    folder: PathBuf,
    environment: Vec<(&'static str, String)>,
    process: Option<Process>,
}

/// Settings of all nodes.
pub struct Settings {
    pub program: PathBuf,
    pub public_url: String,
    pub master_key: String,
}

impl Node {
    /// Prepares a node behind proxies of its own without starting it.
    pub async fn new(
        number: usize,
        address: SocketAddr,
        folder: &Path,
        settings: &Settings,
        (postgres, redis): (u16, u16),
    ) -> Result<Self, String> {
        let folder = folder.join(format!("node-{number}"));
        fs::create_dir(&folder).map_err(|error| format!("{folder:?}: {error}"))?;
        let (postgres, redis) = (Proxy::start(postgres).await?, Proxy::start(redis).await?);
        let environment = vec![
            ("KEYTURN_SERVER__LISTEN", address.to_string()),
            ("KEYTURN_SERVER__PUBLIC_URL", settings.public_url.clone()),
            ("KEYTURN_SERVER__WORKERS", "2".into()),
            ("KEYTURN_STORE__URL", Postgres::url(postgres.port)),
            ("KEYTURN_REVOCATION__URL", format!("redis://127.0.0.1:{}", redis.port)),
            ("KEYTURN_SECRETS__MASTER_KEY", settings.master_key.clone()),
            ("KEYTURN_TOKEN__TTL_SECONDS", "3600".into()),
            ("KEYTURN_LIMITS__FAILURES_PER_MINUTE", "0".into()),
            ("KEYTURN_LIMITS__CHANGES_PER_MINUTE", "0".into()),
            ("KEYTURN_ARGON2__MEMORY_KIB", "8192".into()),
            ("KEYTURN_ARGON2__ITERATIONS", "1".into()),
        ];
        let program = settings.program.clone();
        Ok(Self { number, address, postgres, redis, program, folder, environment, process: None })
    }

    /// Creates an organization with `keyturn init --json` and returns the secret of its first key.
    pub fn found(&self, organization: &str) -> Result<String, String> {
        let mut command = self.command();
        command.args(["init", "--json", "--organization", organization]);
        let printed = run(command)?;
        let value: Value =
            serde_json::from_str(&printed).map_err(|error| format!("keyturn init: {error}: {printed}"))?;
        value["api_key"]["client_secret"].as_str().map(str::to_owned).ok_or(format!("keyturn init: no key: {printed}"))
    }

    /// Prepares a restored database with `keyturn store after-restore`.
    pub fn prepare_restored(&self) -> Result<(), String> {
        let mut command = self.command();
        command.args(["store", "after-restore"]);
        run(command).map(drop)
    }

    pub fn start(&mut self) -> Result<(), String> {
        let mut command = self.command();
        command.arg("serve");
        let log = self.folder.with_extension("log");
        self.process = Some(Process::start(&format!("node {}", self.number), &Wrapper::PLAIN, command, &log)?);
        Ok(())
    }

    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    pub fn signal(&self, signal: Signal) -> Result<(), String> {
        self.process.as_ref().ok_or(format!("node {} does not run", self.number))?.signal(signal)
    }

    /// Sends a signal that ends it and waits; returns how long that took.
    pub async fn end(&mut self, signal: Signal) -> Result<Duration, String> {
        let process = self.process.take().ok_or(format!("node {} does not run", self.number))?;
        let begun = Instant::now();
        let status = process.end(signal).await?;
        if signal == Signal::TERM && !status.success() {
            return Err(format!("node {} left with {status} after SIGTERM\n{}", self.number, self.log()));
        }
        Ok(begun.elapsed())
    }

    /// Waits until the node is ready for traffic.
    pub async fn ready(&mut self) -> Result<Duration, String> {
        let begun = Instant::now();
        loop {
            let last = match self.get("/readyz").await {
                Ok(answer) if answer.status == 200 => return Ok(begun.elapsed()),
                Ok(answer) => format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)),
                Err(silence) => format!("{silence:?}"),
            };
            if let Some(status) = self.process.as_mut().and_then(Process::ended) {
                return Err(format!("node {} ended: {status}\n{}", self.number, self.log()));
            }
            if begun.elapsed() > Duration::from_secs(45) {
                return Err(format!("node {} is not ready after 45 s: {last}\n{}", self.number, self.log()));
            }
            sleep(Duration::from_millis(25)).await;
        }
    }

    pub async fn get(&self, target: &str) -> Result<Answer, Silence> {
        Connection::new(self.address).call(&request("GET", target, None, None), Duration::from_secs(1)).await
    }

    /// Returns the sum of a metric over its labels that contain this; `None` if the node does not respond or has no
    /// such metric.
    pub async fn metric(&self, name: &str, labels: &str) -> Option<f64> {
        let body = self.get("/metrics").await.ok()?.body;
        let text = String::from_utf8_lossy(&body);
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix("keyturn_")?.strip_prefix(name)?;
            let (label, value) = rest.rsplit_once(' ')?;
            (label.is_empty() || label.starts_with('{') && label.contains(labels)).then(|| value.parse::<f64>().ok())?
        });
        values.reduce(|sum, value| sum + value)
    }

    /// Returns the end of the node's log.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.with_extension("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    fn command(&self) -> Command {
        let mut command = Wrapper::PLAIN.command(&self.program);
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).current_dir(&self.folder);
        command
    }
}
