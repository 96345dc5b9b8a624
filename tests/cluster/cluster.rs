//! The cluster: one PostgreSQL, one Redis, three nodes behind proxies of their own, and a fourth that can join.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::nodes::{Node, Settings};
use crate::postgres::Postgres;
use crate::process::free_port;
use crate::redis::Redis;
use crate::world::{Organization, SLUGS, World};

/// Nodes that run all the time, and the one that joins.
pub const NODES: usize = 3;
pub const JOINING: usize = NODES;

/// Existing keys before the first scenario.
const KEYS: usize = 60;

/// Dropped in this order: a dependent process is stopped before its dependency.
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub replica: Option<Redis>,
    pub redis: Redis,
    pub postgres: Postgres,
    pub world: Arc<World>,
    folder: TempDir,
}

impl Cluster {
    pub async fn start(program: PathBuf) -> Result<Self, String> {
        let folder =
            TempDir::with_prefix("keyturn-cluster-").map_err(|error| format!("a temporary folder: {error}"))?;
        // PostgreSQL may run as another user, in a folder of its own below this one.
        let mut open = fs::metadata(folder.path()).map_err(|error| error.to_string())?.permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut open, 0o711);
        fs::set_permissions(folder.path(), open).map_err(|error| error.to_string())?;
        let postgres = Postgres::start(&folder.path().join("postgres")).await?;
        let redis = Redis::start(&folder.path().join("redis")).await?;

        let mut addresses = Vec::new();
        for _ in 0..=NODES {
            addresses.push(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)));
        }
        let settings = Settings {
            program,
            public_url: "http://keyturn.test".into(),
            master_key: STANDARD.encode(b"nothing secret, thirty-two bytes"),
        };
        let mut nodes = Vec::new();
        for (number, address) in addresses.iter().enumerate() {
            nodes.push(Node::new(number, *address, folder.path(), &settings, (postgres.port, redis.port)).await?);
        }
        let mut organizations = Vec::new();
        for slug in SLUGS {
            organizations.push(Organization { slug, manager: nodes[0].found(slug)? });
        }
        let world = Arc::new(World::new(addresses, organizations));
        let mut cluster = Self { nodes, replica: None, redis, postgres, world, folder };
        cluster.recover().await?;
        let mut connection = cluster.world.connect(0);
        for _ in 0..KEYS {
            cluster.world.make(&mut connection).await?;
        }
        Ok(cluster)
    }

    /// Ends every fault, starts stopped processes, and waits until three nodes are ready; returns how long that took.
    pub async fn recover(&mut self) -> Result<Duration, String> {
        if !self.postgres.runs() {
            self.postgres.start_again().await?;
        }
        if !self.redis.runs() {
            self.redis.remove_file();
            self.redis.start_again().await?;
        }
        let _ = self.redis.signal(Signal::CONT);
        if self.nodes[JOINING].runs() {
            self.serves(JOINING, false);
            self.nodes[JOINING].end(Signal::TERM).await?;
        }
        let begun = Instant::now();
        for node in &mut self.nodes[..NODES] {
            node.postgres.pass();
            node.redis.pass();
            node.redis.point_to(self.redis.port);
            if node.runs() {
                node.signal(Signal::CONT)?;
            } else {
                node.start()?;
            }
        }
        self.replica = None;
        for number in 0..NODES {
            self.nodes[number].ready().await?;
            self.serves(number, true);
            self.mute(number, false);
        }
        Ok(begun.elapsed())
    }

    /// Sets whether a node should serve.
    pub fn serves(&self, node: usize, up: bool) {
        self.world.nodes[node].up.store(up, Ordering::Relaxed);
    }

    /// Sets whether a fault keeps a node from responding.
    pub fn mute(&self, node: usize, mute: bool) {
        self.world.nodes[node].mute.store(mute, Ordering::Relaxed);
    }

    /// Starts a replica of Redis with all its data.
    pub async fn start_replica(&mut self) -> Result<(), String> {
        self.replica = None;
        let folder = self.folder.path().join("replica");
        let _ = fs::remove_dir_all(&folder);
        let replica = Redis::start(&folder).await?;
        replica.ask(&format!("REPLICAOF 127.0.0.1 {}", self.redis.port)).await?;
        let begun = Instant::now();
        while replica.info("master_link_status").await? != "up" {
            if begun.elapsed() > Duration::from_secs(15) {
                return Err("the replica of Redis did not catch up within 15 s".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.replica = Some(replica);
        Ok(())
    }

    /// Returns the sum of a metric over the nodes that run all the time.
    pub async fn metric(&self, name: &str, labels: &str) -> f64 {
        let mut sum = 0.0;
        for node in &self.nodes[..NODES] {
            sum += node.metric(name, labels).await.unwrap_or_default();
        }
        sum
    }

    /// Copies the logs of all processes to a folder.
    pub fn keep_logs(&self, to: &Path) {
        for entry in fs::read_dir(self.folder.path()).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "log") {
                let _ = fs::copy(entry.path(), to.join(entry.file_name()));
            }
        }
    }
}
