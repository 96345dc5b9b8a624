//! The calls of the load, each recorded in the history: checks, changes and views of a key.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::history::{Call, Check, Credential, GRACE, Outcome, What};
use crate::http::{Answer, Connection, Silence, request, request_with_cookie};
use crate::recorder::Recorder;
use crate::world::{CHANGE_LIMIT, JSON, KEYS, MEMBERS, World, lock, scopes};

const FORM: &str = "application/x-www-form-urlencoded";

/// Longer than a fault keeps a node from responding in the short campaign.
const CHECK_LIMIT: Duration = Duration::from_secs(12);

/// A key of the history, and all credentials that were ever valid for it.
pub struct Key {
    pub number: u32,
    pub id: String,
    /// Index into `World::organizations`.
    pub organization: usize,
    /// Set if this is a member's session.
    pub session: Option<Session>,
    held: Mutex<Held>,
}

/// The identifiers of a session and its member.
pub struct Session {
    pub id: String,
    pub member: String,
}

#[derive(Default)]
struct Held {
    secrets: Vec<Shown>,
    tokens: Vec<Shown>,
    changed: Option<Instant>,
    /// The API that its secrets are presented for.
    target: Target,
}

/// The API that a request or a token is for.
#[derive(Clone, Default)]
pub struct Target {
    /// The audience that is requested.
    pub audience: Option<String>,
    /// The API, if it changes in this history.
    pub api: Option<String>,
}

impl Target {
    /// Whether it is an API other than the default one.
    pub fn is_other_api(&self) -> bool {
        self.api.is_some() && self.audience.is_some()
    }

    /// Whether it is another audience of the default API.
    pub fn is_alias(&self) -> bool {
        self.api.is_none() && self.audience.is_some()
    }
}

/// A credential and its text.
#[derive(Clone)]
pub struct Shown {
    pub credential: Credential,
    pub text: Arc<str>,
    /// The API that a token is for.
    pub target: Target,
}

/// State that all calls of a scenario share.
pub struct Scene {
    pub world: Arc<World>,
    pub recorder: Recorder,
}

impl Key {
    pub fn new(
        number: u32,
        organization: usize,
        id: String,
        (issued, text): (u64, &str),
        session: Option<Session>,
    ) -> Self {
        let first = Shown { credential: Credential::Secret { issued }, text: text.into(), target: Target::default() };
        let held = Mutex::new(Held { secrets: vec![first], ..Held::default() });
        Self { number, id, organization, session, held }
    }

    /// Returns the current secret, as far as it is known.
    pub fn secret(&self) -> Option<Shown> {
        lock(&self.held).secrets.last().cloned()
    }

    /// Returns the newest token.
    pub fn token(&self) -> Option<Shown> {
        lock(&self.held).tokens.last().cloned()
    }

    /// Returns a credential that is or was valid.
    pub fn any(&self, dice: &mut Dice) -> Option<Shown> {
        let held = lock(&self.held);
        let from = if dice.one_in(2) || held.tokens.is_empty() { &held.secrets } else { &held.tokens };
        if dice.one_in(2) { from.last().cloned() } else { dice.pick(from).cloned() }
    }

    /// Returns all secrets and tokens that are still known.
    pub fn all(&self) -> Vec<Shown> {
        let held = lock(&self.held);
        held.secrets.iter().chain(&held.tokens).cloned().collect()
    }

    /// Sets the audience of every later exchange of this key.
    pub fn set_audience(&self, audience: &str) {
        self.set_target(Target { audience: Some(audience.into()), api: None });
    }

    /// Sets what every later request with a secret of this key is for.
    pub fn set_target(&self, target: Target) {
        lock(&self.held).target = target;
    }

    /// Returns what a request with this credential is for.
    pub fn target(&self, shown: &Shown) -> Target {
        match shown.credential {
            Credential::Secret { .. } => lock(&self.held).target.clone(),
            Credential::Token { .. } => shown.target.clone(),
        }
    }

    /// Whether it was changed within this time.
    pub fn changed_within(&self, time: Duration) -> bool {
        lock(&self.held).changed.is_some_and(|changed| changed.elapsed() < time)
    }

    /// Adds a credential, and keeps the newest and some older ones.
    fn keep(list: &mut Vec<Shown>, shown: Shown) {
        if list.len() >= 10 {
            list.remove(3);
        }
        list.push(shown);
    }
}

impl Scene {
    /// Checks on a node whether the credential is valid, for writing or for reading.
    pub async fn check(
        &self,
        (node, connection): (usize, &mut Connection),
        (key, shown): (&Key, &Shown),
        (call, write, last): (Call, bool, bool),
    ) -> Outcome {
        let manager = &self.world.organizations[key.organization].manager;
        let Target { mut audience, api } = key.target(shown);
        let is_other_api = api.is_some() && audience.is_some();
        if call != Call::Exchange && !is_other_api {
            audience = None;
        }
        let request = match call {
            Call::Exchange => {
                let scope = match (write, is_other_api) {
                    (false, _) => "",
                    (true, false) => "&scope=read:*+write:*",
                    (true, true) => "&scope=things.read+things.write",
                };
                let audience = audience.iter().map(|audience| format!("&audience={audience}")).collect::<String>();
                let body = format!("grant_type=client_credentials&client_secret={}{scope}{audience}", shown.text);
                request("POST", "/oauth/token", None, Some((FORM, &body)))
            }
            Call::Introspect => {
                let body = format!("token={}", shown.text);
                request("POST", "/oauth/introspect", Some(manager), Some((FORM, &body)))
            }
            Call::Verify => {
                let action = if write { "write" } else { "read" };
                // An organization's first key can manage it but has no other scopes.
                let target = match key.organization {
                    0 if is_other_api => {
                        let audience = audience.as_deref().unwrap_or_default();
                        format!("/verify?keyturn_audience={audience}&keyturn_require=things.{action}")
                    }
                    0 => format!("/verify?keyturn_require={action}:things/1"),
                    other => format!("/o/{}/verify", self.world.organizations[other].slug),
                };
                request("GET", &target, Some(&shown.text), None)
            }
            Call::Me => request("GET", "/api/v1/me", Some(&shown.text), None),
            Call::Session if write => request_with_cookie("/api/v1/organizations/default/audit?limit=1", &shown.text),
            Call::Session => request_with_cookie("/api/v1/session", &shown.text),
        };
        // The other endpoints do not state the intended action.
        let write = write && matches!(call, Call::Exchange | Call::Verify | Call::Session);
        if connection.connect().await.is_err() {
            return Outcome::Unreached;
        }
        let target = Target { audience: audience.clone(), api: api.clone() };
        let check = Check { call, credential: shown.credential, write, minted: None, audience, api, last };
        let id = self.recorder.begin(Some(node), key.number, What::Check(check));
        let answer = connection.call(&request, CHECK_LIMIT).await;
        let (outcome, minted, token) = self.judge(call, key.organization, &answer);
        self.recorder.finish(id, outcome, minted);
        // Nothing else removes an alias from a token.
        if let Some(text) = token.filter(|_| !target.is_alias()) {
            let shown = Shown { credential: Credential::Token { mint: id }, text: text.into(), target };
            Key::keep(&mut lock(&key.held).tokens, shown);
        }
        outcome
    }

    fn judge(
        &self,
        call: Call,
        organization: usize,
        answer: &Result<Answer, Silence>,
    ) -> (Outcome, Option<bool>, Option<String>) {
        let answer = match answer {
            Ok(answer) => answer,
            Err(Silence::Unreached) => return (Outcome::Unreached, None, None),
            Err(Silence::Unknown) => return (Outcome::Unknown, None, None),
        };
        match (call, answer.status) {
            (_, 503) => (Outcome::Unavailable, None, None),
            (Call::Exchange, 200) => {
                let value = answer.json();
                let wide = value["scope"].as_str().map(|scope| scope.contains("write") || scope.contains("*:*"));
                (Outcome::Accepted, wide, value["access_token"].as_str().map(str::to_owned))
            }
            (Call::Introspect, 200) => match answer.json()["active"].as_bool() {
                Some(true) => (Outcome::Accepted, None, None),
                _ => (Outcome::Refused, None, None),
            },
            (Call::Verify | Call::Me | Call::Session, 200) => (Outcome::Accepted, None, None),
            // A scope that the key does not have, or an audience that the policy does not allow.
            (Call::Exchange, 400)
                if ["invalid_scope", "invalid_target"].iter().any(|error| answer.json()["error"] == *error) =>
            {
                (Outcome::Refused, None, None)
            }
            // The caller is a key of the same organization, which may be suspended.
            (Call::Introspect, 401 | 403) if organization > 0 => (Outcome::Refused, None, None),
            (Call::Exchange | Call::Verify | Call::Me | Call::Session, 401 | 403) => (Outcome::Refused, None, None),
            _ => {
                self.world.odd(&format!("{call:?}"), Ok(answer));
                (Outcome::Unknown, None, None)
            }
        }
    }

    /// Makes a change and waits for its response.
    pub async fn change(&self, (node, connection): (usize, &mut Connection), key: &Key, what: &What) -> Outcome {
        let Some(request) = self.request(key, what) else { return Outcome::Refused };
        if connection.connect().await.is_err() {
            return Outcome::Unreached;
        }
        let id = self.recorder.begin(Some(node), key.number, what.clone());
        let answer = connection.call(&request, CHANGE_LIMIT).await;
        let outcome = match &answer {
            Ok(answer) if answer.status < 300 => Outcome::Accepted,
            // It was deleted already, on every node.
            Ok(answer) if answer.status == 404 && matches!(what, What::DeleteApi { .. }) => Outcome::Accepted,
            Ok(answer) if answer.status == 503 => Outcome::Unavailable,
            Ok(answer) if answer.status < 500 => Outcome::Refused,
            Err(Silence::Unreached) => Outcome::Unreached,
            _ => Outcome::Unknown,
        };
        self.recorder.finish(id, outcome, None);
        if let Ok(answer) = &answer
            && !matches!(outcome, Outcome::Accepted | Outcome::Unavailable)
            && !is_repeated(key, what, answer.status)
        {
            self.world.odd(&format!("{what:?}"), Ok(answer));
        }
        let mut held = lock(&key.held);
        held.changed = Some(Instant::now());
        if matches!(what, What::Rotate | What::RotateWithGrace)
            && outcome == Outcome::Accepted
            && let Some(text) = answer.ok().and_then(|answer| answer.json()["secret"].as_str().map(Arc::from))
        {
            Key::keep(
                &mut held.secrets,
                Shown { credential: Credential::Secret { issued: id }, text, target: Target::default() },
            );
        }
        outcome
    }

    /// Sends a change on a connection of its own and resets it when `until` completes.
    pub async fn reset(&self, node: usize, key: &Key, what: &What, until: impl Future<Output = ()>) {
        let Some(request) = self.request(key, what) else { return };
        let connection = self.world.connect(node);
        let id = self.recorder.begin(Some(node), key.number, what.clone());
        if connection.send_and_reset(&request, until).await == Err(Silence::Unreached) {
            self.recorder.finish(id, Outcome::Unreached, None);
        }
    }

    /// The key's bearer revokes it at `/oauth/revoke`.
    pub async fn give_up(&self, (node, connection): (usize, &mut Connection), key: &Key) -> Outcome {
        let Some(shown) = key.secret() else { return Outcome::Unreached };
        let request =
            request("POST", "/oauth/revoke", Some(&shown.text), Some((FORM, &format!("token={}", shown.text))));
        let id = self.recorder.begin(Some(node), key.number, What::Revoke);
        let outcome = match connection.call(&request, CHANGE_LIMIT).await {
            Ok(answer) if answer.status == 200 => Outcome::Accepted,
            Ok(answer) if answer.status == 503 => Outcome::Unavailable,
            // Another change came first, and the caller's own key is no longer valid for the request.
            Ok(answer) if answer.status == 401 => Outcome::Refused,
            Ok(answer) => {
                self.world.odd("revoke by its bearer", Ok(&answer));
                Outcome::Unknown
            }
            Err(Silence::Unreached) => Outcome::Unreached,
            Err(Silence::Unknown) => Outcome::Unknown,
        };
        self.recorder.finish(id, outcome, None);
        lock(&key.held).changed = Some(Instant::now());
        outcome
    }

    /// Views the key on a node; returns its status.
    pub async fn view(&self, (node, connection): (usize, &mut Connection), key: &Key) -> Result<String, String> {
        let request = self.world.manage("GET", &format!("{KEYS}/{}", key.id), None);
        let unseen = What::View { status: String::new(), wide: false };
        let id = self.recorder.begin(Some(node), key.number, unseen);
        let answer = connection.call(&request, CHECK_LIMIT).await;
        let answer = answer.map_err(|silence| format!("node {node} does not show key {}: {silence:?}", key.id))?;
        let value: Value = answer.json();
        let (Some(status), Some(scopes)) = (value["status"].as_str(), value["scopes"].as_array()) else {
            return Err(format!("node {node} shows of key {}: {} {value}", key.id, answer.status));
        };
        self.recorder.viewed(id, status.into(), scopes.iter().any(|scope| scope["action"] == "write"));
        Ok(status.into())
    }

    /// Returns the request for a change; `None` if its token is no longer known.
    fn request(&self, key: &Key, what: &What) -> Option<Vec<u8>> {
        if let Some(session) = &key.session {
            return self.session_request(session, what);
        }
        let post = |action: &str, body| self.world.manage("POST", &format!("{KEYS}/{}/{action}", key.id), body);
        let edit = |wide| {
            let body = json!({ "scopes": scopes(wide) }).to_string();
            self.world.manage("PATCH", &format!("{KEYS}/{}", key.id), Some(&body))
        };
        let json = |method: &str, manager: &str, organization: usize, rest: &str, body: &str| {
            let slug = &self.world.organizations[organization].slug;
            request(method, &format!("/api/v1/organizations/{slug}/{rest}"), Some(manager), Some((JSON, body)))
        };
        Some(match what {
            What::SetAudiences { organization, audiences } => {
                let manager = &self.world.organizations[*organization].manager;
                json("PUT", manager, *organization, "policy", &json!({ "audiences": audiences }).to_string())
            }
            What::Suspend { organization } => json("POST", &self.world.manager, *organization, "suspend", "{}"),
            What::Resume { organization } => json("POST", &self.world.manager, *organization, "resume", "{}"),
            What::RotateSigningKey { organization } => {
                let manager = &self.world.organizations[*organization].manager;
                json("POST", manager, *organization, "signing-keys/rotate", "{\"retire_now\":true}")
            }
            What::CreateApi { .. } | What::EditApi { .. } | What::DeleteApi { .. } => self.api_request(what)?,
            What::GiveToCustomer { .. } | What::SuspendCustomer { .. } | What::ReinstateCustomer { .. } => {
                self.customer_request(key, what)?
            }
            What::GiveProfile { .. } | What::EditProfile { .. } => self.profile_request(key, what)?,
            What::Grant { api } => self.grant_request(key, Some(api)),
            What::Ungrant { .. } => self.grant_request(key, None),
            What::Disable => post("disable", None),
            What::Enable => post("enable", None),
            What::Rotate => post("rotate", Some("{\"grace_seconds\":0}")),
            What::RotateWithGrace => {
                let body = json!({ "grace_seconds": Duration::from_micros(GRACE).as_secs() }).to_string();
                post("rotate", Some(&body))
            }
            What::Narrow => edit(false),
            What::Widen => edit(true),
            What::RevokeToken { mint } => {
                let credential = Credential::Token { mint: *mint };
                let text = lock(&key.held).tokens.iter().find(|token| token.credential == credential)?.text.clone();
                let body = format!("token={text}");
                request("POST", "/oauth/revoke", Some(&self.world.manager), Some((FORM, &body)))
            }
            _ => post("revoke", Some("{\"reason\":\"campaign\"}")),
        })
    }

    /// Returns the request that ends a session or changes its member's role.
    fn session_request(&self, session: &Session, what: &What) -> Option<Vec<u8>> {
        let member = format!("{MEMBERS}/{}", session.member);
        let role = |role: &str| self.world.manage("PATCH", &member, Some(&json!({ "role": role }).to_string()));
        match what {
            What::Revoke => Some(self.world.manage("DELETE", &format!("{member}/sessions/{}", session.id), None)),
            What::Narrow => Some(role("viewer")),
            What::Widen => Some(role("admin")),
            _ => None,
        }
    }

    /// Adds a member with the administrator's role who signs in; returns the session and its cookie.
    pub async fn sign_in(&self, connection: &mut Connection) -> Result<(Session, String), String> {
        let email = format!("member{}@example.org", self.world.next_number());
        let body = json!({ "email": email, "role": "admin" }).to_string();
        let answer = connection.call(&self.world.manage("POST", MEMBERS, Some(&body)), CHANGE_LIMIT).await;
        let added = answer.map_err(|silence| format!("a member could not be added: {silence:?}"))?;
        let password = added.json()["password"].clone();
        let body = json!({ "organization": "default", "email": email, "password": password }).to_string();
        let sign_in = request("POST", "/api/v1/session", None, Some((JSON, &body)));
        let answer = connection.call(&sign_in, CHANGE_LIMIT).await;
        let answer = answer.map_err(|silence| format!("a member could not sign in: {silence:?}"))?;
        let (value, cookie) = (answer.json(), answer.cookie());
        match (value["session"]["id"].as_str(), value["member"]["id"].as_str(), cookie) {
            (Some(id), Some(member), Some(cookie)) => Ok((Session { id: id.into(), member: member.into() }, cookie)),
            _ => Err(format!("a member could not sign in: {} {value}, added: {}", answer.status, added.json())),
        }
    }
}

/// Whether this error is expected for a repeated change: a session that has ended does not exist, a rotation with a
/// grace period does not shorten a running one, and a key is not given to a customer while the policy changes.
fn is_repeated(key: &Key, what: &What, status: u16) -> bool {
    matches!((what, status), (What::Revoke, 404) if key.session.is_some())
        || matches!((what, status), (What::RotateWithGrace | What::GiveToCustomer { .. }, 409))
}
