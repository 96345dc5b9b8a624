//! The load of a scenario: checkers on every node, changers on any, and all keys that they have used.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::calls::{Key, Scene, Session, Shown, Target};
use crate::dice::Dice;
use crate::history::{Call, Outcome};
use crate::http::Connection;
use crate::recorder::Recorder;
use crate::world::{DEFAULT_API, LIMITED, World, lock};
use crate::{api_changers, changers, customer_changers, organization_changers, profile_changers};

/// Number of checking tasks for each node.
const CHECKERS: usize = 4;

/// How long a key is checked intensively after a change.
const HOT: Duration = Duration::from_secs(4);

/// Number of keys that every node has cached, waiting to be revoked.
const WARMED: usize = 24;

/// Number of unused keys, waiting to be cached.
const FRESH: usize = 40;

pub struct Load {
    pub scene: Scene,
    /// Every key of this history.
    keys: Mutex<Vec<Arc<Key>>>,
    warmed: Mutex<Vec<Arc<Key>>>,
    stop: AtomicBool,
    stop_changes: AtomicBool,
    calm: AtomicBool,
}

/// A caller's kept connections, one per node.
pub struct Caller {
    world: Arc<World>,
    connections: Vec<Connection>,
    pub dice: Dice,
}

impl Caller {
    pub fn new(world: &Arc<World>) -> Self {
        let connections = (0..world.nodes.len()).map(|node| world.connect(node)).collect();
        Self { world: world.clone(), connections, dice: Dice::another() }
    }

    pub fn to(&mut self, node: usize) -> (usize, &mut Connection) {
        (node, &mut self.connections[node])
    }

    /// Returns a node for a change: one that can respond, if there is any.
    pub fn choose(&mut self) -> usize {
        let (up, able) = (self.world.up(), self.world.able());
        self.dice.pick(if able.is_empty() { &up } else { &able }).copied().unwrap_or_default()
    }

    fn lend(&mut self, node: usize) -> Connection {
        std::mem::replace(&mut self.connections[node], self.world.connect(node))
    }
}

impl Load {
    pub fn new(world: Arc<World>) -> Arc<Self> {
        let scene = Scene { world, recorder: Recorder::new() };
        let stopped = AtomicBool::new(false);
        Arc::new(Self {
            scene,
            keys: Mutex::default(),
            warmed: Mutex::default(),
            stop: stopped,
            stop_changes: AtomicBool::new(false),
            // Until enough keys are cached: changes would use them up as fast as they are created.
            calm: AtomicBool::new(true),
        })
    }

    /// Starts all tasks; they end when the set is dropped or the load is stopped.
    pub fn start(self: &Arc<Self>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for node in 0..self.scene.world.nodes.len() {
            for _ in 0..CHECKERS {
                tasks.spawn(self.clone().checker(node));
            }
        }
        tasks.spawn(self.clone().warmer());
        changers::start(self, &mut tasks);
        organization_changers::start(self, &mut tasks);
        api_changers::start(self, &mut tasks);
        customer_changers::start(self, &mut tasks);
        profile_changers::start(self, &mut tasks);
        tasks
    }

    pub fn stop_changes(&self) {
        self.stop_changes.store(true, Ordering::Relaxed);
    }

    pub fn stop(&self) {
        self.stop_changes();
        self.stop.store(true, Ordering::Relaxed);
    }

    pub fn changing(&self) -> bool {
        !self.stop_changes.load(Ordering::Relaxed)
    }

    /// Pauses the changers, so that the nodes' caches are preserved.
    pub fn calm(&self, calm: bool) {
        self.calm.store(calm, Ordering::Relaxed);
    }

    /// Waits while changers are paused.
    pub async fn turn(&self) {
        while self.calm.load(Ordering::Relaxed) && self.changing() {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Adds a key of the pool to the history.
    pub fn enter(&self) -> Option<Arc<Key>> {
        let fresh = self.scene.world.take()?;
        Some(self.add(0, fresh.id, &fresh.text))
    }

    /// Adds the first key of an organization to the history.
    pub fn enter_first_key(&self, organization: usize) -> Arc<Key> {
        let secret = &self.scene.world.organizations[organization].manager;
        let id = secret.split('_').nth(1).unwrap_or_default();
        self.add(organization, id.into(), secret)
    }

    /// Adds a member's session to the history.
    pub fn enter_session(&self, session: Session, cookie: &str) -> Arc<Key> {
        self.add_with(0, session.id.clone(), cookie, Some(session))
    }

    fn add(&self, organization: usize, id: String, secret: &str) -> Arc<Key> {
        self.add_with(organization, id, secret, None)
    }

    fn add_with(&self, organization: usize, id: String, secret: &str, session: Option<Session>) -> Arc<Key> {
        let mut keys = lock(&self.keys);
        let number = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        let issued = self.scene.recorder.created(number, &id, organization);
        let key = Arc::new(Key::new(number, organization, id, (issued, secret), session));
        if organization == LIMITED {
            key.set_target(Target { audience: None, api: Some(DEFAULT_API.into()) });
        }
        keys.push(key.clone());
        key
    }

    pub fn keys(&self) -> Vec<Arc<Key>> {
        lock(&self.keys).clone()
    }

    /// Returns a key that every node has cached; `None` if they are used up.
    pub fn warmed(&self) -> Option<Arc<Key>> {
        let mut warmed = lock(&self.warmed);
        if warmed.is_empty() { None } else { Some(warmed.remove(0)) }
    }

    /// Whether enough keys are cached.
    pub fn is_warm(&self) -> bool {
        self.warmed_count() >= WARMED
    }

    pub fn warmed_count(&self) -> usize {
        lock(&self.warmed).len()
    }

    /// Exchanges a token on each node at the same time, so that each has cached the key.
    pub async fn warm(self: &Arc<Self>, caller: &mut Caller, key: &Arc<Key>, patience: Duration) {
        let minted = [(Call::Exchange, false), (Call::Verify, false)];
        self.everywhere(caller, key, 1, patience, move |_, key, _| {
            key.secret().map(|shown| minted.map(|(call, write)| (call, write, shown.clone())).to_vec())
        })
        .await;
    }

    /// Checks a key that was just changed with all its past credentials, on every node at once.
    pub async fn volley(self: &Arc<Self>, caller: &mut Caller, key: &Arc<Key>) {
        self.everywhere(caller, key, 4, Duration::from_millis(300), |node, key, dice| {
            let mut all = key.all();
            // Newest first, and in a different order on each node.
            all.reverse();
            let turn = node.min(all.len().saturating_sub(1));
            all.rotate_left(turn);
            all.truncate(3);
            Some(
                all.into_iter()
                    .map(|shown| {
                        let (call, write) = way(key, &shown, dice);
                        (call, write, shown)
                    })
                    .collect(),
            )
        })
        .await;
    }

    /// Checks one token on every node at once.
    pub async fn check_everywhere(self: &Arc<Self>, caller: &mut Caller, key: &Arc<Key>, token: &Shown, rounds: usize) {
        let token = token.clone();
        self.everywhere(caller, key, rounds, Duration::from_millis(300), move |_, key, dice| {
            let (call, write) = way(key, &token, dice);
            Some(vec![(call, write, token.clone())])
        })
        .await;
    }

    /// Runs checks on every node; does not wait for checks that take longer than `patience`.
    async fn everywhere<F>(
        self: &Arc<Self>,
        caller: &mut Caller,
        key: &Arc<Key>,
        rounds: usize,
        patience: Duration,
        plan: F,
    ) where
        F: Fn(usize, &Key, &mut Dice) -> Option<Vec<(Call, bool, Shown)>> + Clone + Send + Sync + 'static,
    {
        let mut running = Vec::new();
        for node in self.scene.world.up() {
            let (load, key, plan, mut connection) = (self.clone(), key.clone(), plan.clone(), caller.lend(node));
            let task = tokio::spawn(async move {
                let mut dice = Dice::another();
                for _ in 0..rounds {
                    for (call, write, shown) in plan(node, &key, &mut dice).unwrap_or_default() {
                        load.scene.check((node, &mut connection), (&key, &shown), (call, write, false)).await;
                    }
                }
                connection
            });
            running.push((node, task));
        }
        let _ = timeout(patience, async {
            for (node, task) in &mut running {
                if let Ok(connection) = task.await {
                    caller.connections[*node] = connection;
                }
            }
        })
        .await;
    }

    /// Sends checks of these keys to one node, each on a connection of its own, and waits for all responses.
    pub async fn burst(self: &Arc<Self>, node: usize, keys: &[Arc<Key>]) -> JoinSet<Outcome> {
        let mut sent = JoinSet::new();
        for key in keys {
            for shown in key.all() {
                let (load, key) = (self.clone(), key.clone());
                sent.spawn(async move {
                    let (call, write) = way(&key, &shown, &mut Dice::another());
                    let mut connection = load.scene.world.connect(node);
                    load.scene.check((node, &mut connection), (&key, &shown), (call, write, false)).await
                });
            }
        }
        sent
    }

    /// Checks one node continuously, mostly keys that were changed recently.
    async fn checker(self: Arc<Self>, node: usize) {
        let mut connection = self.scene.world.connect(node);
        let mut dice = Dice::another();
        while !self.stop.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(dice.between(4, 12))).await;
            if !self.scene.world.up().contains(&node) {
                sleep(Duration::from_millis(20)).await;
                continue;
            }
            let Some(key) = self.interesting(&mut dice) else { continue };
            let Some(shown) = key.any(&mut dice) else { continue };
            let (call, write) = way(&key, &shown, &mut dice);
            let outcome = self.scene.check((node, &mut connection), (&key, &shown), (call, write, false)).await;
            if matches!(outcome, Outcome::Unreached | Outcome::Unknown) {
                sleep(Duration::from_millis(30)).await;
            }
        }
    }

    fn interesting(&self, dice: &mut Dice) -> Option<Arc<Key>> {
        let keys = lock(&self.keys);
        let now: Duration = if dice.one_in(2) { Duration::from_millis(200) } else { HOT };
        let hot: Vec<_> = keys.iter().filter(|key| key.changed_within(now)).collect();
        if hot.is_empty() || dice.one_in(8) {
            dice.pick(&keys).cloned()
        } else {
            dice.pick(&hot).map(|key| (*key).clone())
        }
    }

    /// Keeps the pools of unused and of cached keys full.
    async fn warmer(self: Arc<Self>) {
        let mut caller = Caller::new(&self.scene.world);
        while self.changing() {
            if self.warmed_count() < WARMED
                && let Some(key) = self.enter()
            {
                self.warm(&mut caller, &key, Duration::from_millis(500)).await;
                lock(&self.warmed).push(key);
            } else if self.scene.world.fresh() < FRESH
                && !self.scene.world.is_closed()
                && !self.scene.world.able().is_empty()
            {
                let (_, connection) = {
                    let node = caller.choose();
                    caller.to(node)
                };
                if self.scene.world.make(connection).await.is_err() {
                    sleep(Duration::from_millis(200)).await;
                }
            } else {
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// Returns a call that accepts this credential, and whether it requests the write scope.
fn way(key: &Key, shown: &Shown, dice: &mut Dice) -> (Call, bool) {
    let target = key.target(shown);
    let calls: &[Call] = match shown.credential {
        _ if key.session.is_some() => &[Call::Session],
        // Only an exchange has an audience of the default API, and the management API accepts tokens for it only.
        crate::history::Credential::Secret { .. } if target.is_alias() => &[Call::Exchange],
        crate::history::Credential::Secret { .. } if target.is_other_api() => {
            &[Call::Exchange, Call::Exchange, Call::Verify]
        }
        crate::history::Credential::Token { .. } if target.is_other_api() => {
            &[Call::Verify, Call::Verify, Call::Introspect]
        }
        crate::history::Credential::Secret { .. } => {
            &[Call::Exchange, Call::Exchange, Call::Verify, Call::Introspect, Call::Me]
        }
        crate::history::Credential::Token { .. } => {
            &[Call::Verify, Call::Verify, Call::Introspect, Call::Introspect, Call::Me]
        }
    };
    // The first keys of the other organizations do not have the write scope.
    (dice.pick(calls).copied().unwrap_or(Call::Verify), key.organization == 0 && dice.one_in(2))
}
