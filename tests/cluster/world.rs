//! Shared knowledge of the load: node addresses, management credentials, and unused keys.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;

use crate::http::{Answer, Connection, Silence, request};

pub const KEYS: &str = "/api/v1/organizations/default/keys";
pub const MEMBERS: &str = "/api/v1/organizations/default/members";
pub const JSON: &str = "application/json";

/// The management API waits for other nodes; longer waits are errors.
pub const CHANGE_LIMIT: Duration = Duration::from_secs(20);

pub struct World {
    pub nodes: Vec<Place>,
    /// Has all permissions, and is never changed.
    pub manager: String,
    /// `default` first.
    pub organizations: Vec<Organization>,
    fresh: Mutex<Vec<FreshKey>>,
    /// The pool is not refilled: a restore would lose the new keys.
    is_closed: AtomicBool,
    named: AtomicU32,
    /// Unexpected responses, and how often they occurred.
    odd: Mutex<BTreeMap<String, u64>>,
}

pub struct Organization {
    pub slug: &'static str,
    /// Secret of a key with all rights in the organization.
    pub manager: String,
}

/// Index of the organization that is suspended and resumed.
pub const SUSPENDED: usize = 1;
/// Index of the organization whose signing keys are rotated.
pub const ROTATED: usize = 2;
/// Index of the organization whose default API loses and regains scopes.
pub const LIMITED: usize = 3;
/// The slugs of the organizations.
pub const SLUGS: [&str; 4] = ["default", "suspended", "rotated", "limited"];
/// The name of every organization's default API.
pub const DEFAULT_API: &str = "default";

/// Address and expected state of a node.
pub struct Place {
    pub address: SocketAddr,
    /// It serves, or should.
    pub up: AtomicBool,
    /// A fault keeps it from responding: few changes go there, because the load would only wait.
    pub mute: AtomicBool,
}

/// A key with read and write scopes that no history contains.
pub struct FreshKey {
    pub id: String,
    pub text: String,
}

impl World {
    pub fn new(addresses: Vec<SocketAddr>, organizations: Vec<Organization>) -> Self {
        let place = |address| Place { address, up: AtomicBool::new(false), mute: AtomicBool::new(false) };
        Self {
            nodes: addresses.into_iter().map(place).collect(),
            manager: organizations[0].manager.clone(),
            organizations,
            fresh: Mutex::default(),
            is_closed: AtomicBool::new(false),
            named: AtomicU32::new(0),
            odd: Mutex::default(),
        }
    }

    /// Returns the nodes that should serve.
    pub fn up(&self) -> Vec<usize> {
        self.nodes
            .iter()
            .enumerate()
            .filter(|(_, place)| place.up.load(Ordering::Relaxed))
            .map(|(node, _)| node)
            .collect()
    }

    /// Returns the nodes that should serve and are not affected by a fault.
    pub fn able(&self) -> Vec<usize> {
        self.up().into_iter().filter(|node| !self.nodes[*node].mute.load(Ordering::Relaxed)).collect()
    }

    pub fn connect(&self, node: usize) -> Connection {
        Connection::new(self.nodes[node].address)
    }

    /// Returns a request to the management API.
    pub fn manage(&self, method: &str, target: &str, body: Option<&str>) -> Vec<u8> {
        request(method, target, Some(&self.manager), body.map(|body| (JSON, body)))
    }

    /// Creates a key and adds it to the pool.
    pub async fn make(&self, connection: &mut Connection) -> Result<(), String> {
        let key = self.create(connection).await?;
        lock(&self.fresh).push(key);
        Ok(())
    }

    /// Creates a key.
    pub async fn create(&self, connection: &mut Connection) -> Result<FreshKey, String> {
        let name = format!("key {}", self.next_number());
        let body = json!({ "name": name, "scopes": scopes(true) }).to_string();
        let answer = connection.call(&self.manage("POST", KEYS, Some(&body)), CHANGE_LIMIT).await;
        let answer = answer.map_err(|silence| format!("a key could not be made: {silence:?}"))?;
        let value = answer.json();
        match (answer.status, value["id"].as_str(), value["secret"].as_str()) {
            (201, Some(id), Some(text)) => Ok(FreshKey { id: id.into(), text: text.into() }),
            (status, ..) => Err(format!("a key could not be made: {status} {value}")),
        }
    }

    /// Returns a unique number.
    pub fn next_number(&self) -> u32 {
        self.named.fetch_add(1, Ordering::Relaxed)
    }

    pub fn take(&self) -> Option<FreshKey> {
        lock(&self.fresh).pop()
    }

    /// Stops or resumes the refilling of the pool.
    pub fn close(&self, is_closed: bool) {
        self.is_closed.store(is_closed, Ordering::Relaxed);
    }

    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    pub fn fresh(&self) -> usize {
        lock(&self.fresh).len()
    }

    pub fn odd(&self, what: &str, answer: Result<&Answer, Silence>) {
        let text = match answer {
            Ok(answer) => format!("{what}: {} {}", answer.status, String::from_utf8_lossy(&answer.body)),
            Err(silence) => format!("{what}: {silence:?}"),
        };
        *lock(&self.odd).entry(text.chars().take(200).collect()).or_default() += 1;
    }

    pub fn take_odd(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut lock(&self.odd))
    }
}

/// Returns scopes in the API's form.
pub fn scopes(wide: bool) -> serde_json::Value {
    let scope = |action| json!({ "action": action, "resource": "*" });
    if wide { json!([scope("read"), scope("write")]) } else { json!([scope("read")]) }
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
