//! A COMMIT whose response is lost: every kind of change reports the actual outcome.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use keyturn::domain::member::Session;
use keyturn::domain::usage::DetailCount;
use keyturn::domain::webhook::{Delivery, DeliveryId, DeliveryState, Webhook};
use keyturn::store::{AfterAttempt, Attempt, ClaimTerms, Notice, StoreError, StoredResponse, kind};

use super::*;

/// `COMMIT` as a simple query of PostgreSQL's protocol.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// The fault of the next COMMIT.
#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(u8)]
enum Fault {
    None,
    /// The server does not receive it.
    Dropped,
    /// The server executes it; its response is dropped.
    AnswerDropped,
    /// The client's connection is cut first, and the server receives it later.
    Late,
    /// Like `AnswerDropped`, and no further connection is accepted.
    DatabaseGone,
}

/// A proxy between a store and PostgreSQL that cuts connections around a COMMIT.
struct Proxy {
    port: u16,
    next: Arc<AtomicU8>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, next) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU8::new(Fault::None as u8)));
        let weak = Arc::downgrade(&next);
        listener.set_nonblocking(true).unwrap();
        std::thread::spawn(move || {
            while let Some(next) = weak.upgrade() {
                match listener.accept() {
                    Ok(_) if next.load(Ordering::SeqCst) == u8::MAX => {}
                    Ok((client, _)) => {
                        client.set_nonblocking(false).unwrap();
                        std::thread::spawn(move || serve(client, next));
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(2)),
                }
            }
        });
        Self { port, next }
    }

    fn set(&self, fault: Fault) {
        self.next.store(fault as u8, Ordering::SeqCst);
    }

    fn has_fired(&self) -> bool {
        matches!(self.next.load(Ordering::SeqCst), 0 | u8::MAX)
    }
}

fn serve(mut client: TcpStream, next: Arc<AtomicU8>) {
    let mut server = TcpStream::connect(("127.0.0.1", Database::port())).unwrap();
    let (mut answers, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut buffer = [0; 64 * 1024];
    loop {
        let read = match client.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let chunk = &buffer[..read];
        let fault = if chunk.windows(COMMIT.len()).any(|part| part == COMMIT) {
            let after = if next.load(Ordering::SeqCst) == Fault::DatabaseGone as u8 { u8::MAX } else { 0 };
            next.swap(after, Ordering::SeqCst)
        } else {
            0
        };
        if fault == Fault::Dropped as u8 {
            break;
        }
        if fault == 0 || fault == u8::MAX {
            if server.write_all(chunk).is_err() {
                break;
            }
            continue;
        }
        // No response reaches the client from here on.
        client.shutdown(Shutdown::Both).unwrap();
        if fault == Fault::Late as u8 {
            std::thread::sleep(Duration::from_millis(300));
        }
        server.write_all(chunk).unwrap();
        // The server ends the session after executing the messages that it received.
        std::thread::sleep(Duration::from_millis(100));
        break;
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
}

/// A store behind a proxy.
struct World {
    database: Database,
    proxy: Proxy,
    store: Arc<Store>,
    /// How the response of an executed COMMIT is lost.
    lost: Fault,
}

impl World {
    async fn new(lost: Fault) -> Self {
        let (database, proxy) = (Database::create(), Proxy::start());
        let store = Store::open_postgres(&database.url_at(proxy.port), 4).await.unwrap();
        Self { database, proxy, store: Arc::new(store), lost }
    }

    /// Returns all data except the IDs of transactions.
    fn contents(&self) -> Vec<String> {
        self.database.contents_but(&["commits"])
    }
}

/// Runs a change twice. First its COMMIT is dropped, which must be an error without a change; then only the response is
/// lost, which must be a success with a change.
macro_rules! check {
    ($world:ident, $what:literal, $change:expr) => {{
        let before = $world.contents();
        $world.proxy.set(Fault::Dropped);
        let result = $change.await;
        assert!($world.proxy.has_fired(), "{}: no COMMIT", $what);
        assert!(result.is_err(), "{}: reported as made: {result:?}", $what);
        assert!(!format!("{result:?}").contains("CommitUnknown"), "{}: could be looked up", $what);
        assert_eq!($world.contents(), before, "{}: changed something", $what);
        $world.proxy.set($world.lost);
        let result = $change.await;
        assert!($world.proxy.has_fired(), "{}: no COMMIT", $what);
        let made = result.unwrap_or_else(|error| panic!("{}: made, and reported as {error}", $what));
        assert_ne!($world.contents(), before, "{}: changed nothing", $what);
        made
    }};
}

fn member(email: &str) -> Member {
    Member {
        id: MemberId(format!("member-{email}")),
        organization: slug("acme"),
        email: email.into(),
        role: Role::Developer,
        created_at: NOW,
        version: 1,
        last_sign_in_at: None,
    }
}

fn webhook() -> Webhook {
    Webhook { version: 1, ..super::webhooks::webhook(1) }
}

async fn every_change_reports_its_outcome(lost: Fault) {
    let world = World::new(lost).await;
    let store = world.store.as_ref();
    let by = |action| entry(action, "subject");

    check!(world, "claim for a master key", store.set_master_key("master"));
    check!(world, "deployment", store.deployment("first"));
    let new = new_organization("acme", 0);
    check!(world, "organization", store.create_organization(&new, &by(action::ORGANIZATION_CREATE)));
    let policy = Organization { policy_version: 2, ..new.organization.clone() };
    check!(world, "policy", store.update_policy(&policy, &by(action::POLICY_CHANGE)));

    let (one, once) = (key(1), remembered());
    let create = by(action::KEY_CREATE);
    check!(world, "new key", store.insert_key(&one, Limits::default(), &create, Some(&once), None));
    let edited = next(&one);
    check!(world, "edited key", store.update_key(&edited, None, &by(action::KEY_EDIT), None, None));
    let fast = FastVerifier { pepper: "new".into(), digest: [9; 32] };
    check!(world, "fast verifier", store.refresh_fast_verifier(&one.id, &one.secret.phc, &fast));
    let token = RevokedToken { jti: "jti".into(), key: one.id, expires_at: NOW.plus_seconds(60) };
    check!(world, "token", store.revoke_token(&token, &slug("acme"), &by(action::TOKEN_REVOKE)));

    let second = signing_key("second", "acme", 100);
    check!(world, "signing key", store.insert_signing_key(&second, Some("kid-acme"), &by(action::SIGNING_KEY_CREATE)));
    check!(
        world,
        "deleted signing key",
        store.delete_signing_key(&slug("acme"), "kid-acme", None, &by(action::SIGNING_KEY_DELETE))
    );
    check!(world, "master key", store.reseal(&[], &[], "other", &by(action::MASTER_KEY_ROTATE)));

    let ann = member("ann@acme.example");
    check!(world, "member", store.insert_member(&ann, "phc", &by(action::MEMBER_CREATE)));
    let admin = Member { role: Role::Admin, version: 2, ..ann.clone() };
    check!(world, "role", store.update_member(&admin, None, &by(action::MEMBER_CHANGE)));
    let session = Session {
        id: "session".into(),
        member: ann.id.clone(),
        created_at: NOW,
        last_seen_at: NOW,
        ends_at: NOW.plus_seconds(60),
        address: None,
        user_agent: String::new(),
    };
    let begin = by(action::SESSION_BEGIN);
    assert!(check!(world, "session", store.open_session(&session, &[1; 32], &admin, &begin)));
    assert!(check!(world, "ended session", store.end_session(&admin, "session", &by(action::SESSION_END))));
    let owned = ApiKey { owner: Some(ann.id.clone()), ..key(2) };
    store.insert_key(&owned, Limits::default(), &create, None, None).await.outcome().unwrap();
    let end = |key: ApiKey| Some((next(&key), entry(action::KEY_REVOKE, key.id)));
    let (_, ended) = check!(world, "removed member", store.remove_member(&admin, &end, &by(action::MEMBER_REMOVE)));
    assert_eq!(ended.len(), 1);

    let hook = webhook();
    check!(world, "webhook", store.insert_webhook(&hook, 9, &by(action::WEBHOOK_CREATE)));
    let changed = Webhook { description: "d".into(), version: 2, ..hook.clone() };
    check!(world, "edited webhook", store.update_webhook(&changed, &by(action::WEBHOOK_EDIT)));
    let delivery = delivery(&hook);
    check!(world, "delivery", store.queue_delivery(&slug("acme"), &delivery, &by(action::WEBHOOK_TEST)));
    let terms = ClaimTerms { by: "n", now: NOW, until: NOW.plus_seconds(9), limit: 9 };
    store.claim_deliveries(&hook.id, terms).await.unwrap();
    let dead = Attempt {
        at: NOW,
        started_at: NOW,
        duration_ms: 1,
        status: None,
        error: None,
        response: None,
        then: AfterAttempt::Dead,
    };
    assert!(store.finish_attempt(&delivery.id, "n", &dead).await.unwrap());
    let retry = by(action::WEBHOOK_RETRY);
    check!(world, "retry", store.retry_delivery(&slug("acme"), (&hook.id, &delivery.id), &retry));
    check!(world, "deleted webhook", store.delete_webhook(&changed, &by(action::WEBHOOK_DELETE)));

    let seen = DetailCount { day: 1, value: Some("192.0.2.1".parse().unwrap()), exchanges: 3, verifications: 0 };
    let details = Details { addresses: vec![seen], ..Details::default() };
    let usage = KeyUsage { key: one.id, counts: vec![(1, UsageOutcome::Exchanged, 2)], last_used: None, details };
    let batch = [usage];
    check!(world, "usage", store.add_usage(&batch));
    let rows = world.database.sql("SELECT count FROM usage_hours");
    assert_eq!(rows, "2", "counted once");
    check!(world, "details of usage", store.add_details(&batch));
    assert_eq!(world.database.sql("SELECT SUM(exchanges) FROM usage_details"), "3", "counted once");
    let notice = Notice { key: one.id, kind: kind::STALE, period: 1, detail: String::new(), most: 9 };
    let entry_of_notice = by(action::KEY_STALE);
    assert!(check!(world, "notice", store.record_notice(&notice, NOW, &entry_of_notice)));
    check!(world, "shortened log", store.prune_changes(NOW.plus_seconds(9)));
    store.close().await;
}

fn remembered() -> StoredResponse {
    StoredResponse {
        caller: "key:a".into(),
        digest: [1; 32],
        request: [2; 32],
        key: id(1),
        sealed: Sealed { master_key: "master".into(), bytes: vec![1] },
        at: NOW,
    }
}

fn delivery(to: &Webhook) -> Delivery {
    Delivery {
        id: DeliveryId::of_random(&to.id, "0123456789abcdefghij_-"),
        webhook: to.id.clone(),
        event: "test".into(),
        payload: "{}".into(),
        state: DeliveryState::Pending,
        attempts: 0,
        due_at: NOW,
        created_at: NOW,
        last_attempt_at: None,
        last_status: None,
        last_error: None,
        ended_at: None,
    }
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test);
}

#[test]
fn commit_with_dropped_response_is_reported_as_made() {
    block_on(every_change_reports_its_outcome(Fault::AnswerDropped));
}

#[test]
fn commit_after_a_lost_connection_is_awaited() {
    block_on(every_change_reports_its_outcome(Fault::Late));
}

#[test]
fn commit_without_lookup_is_reported_as_unknown() {
    block_on(async {
        let world = World::new(Fault::DatabaseGone).await;
        world.store.set_master_key("master").await.unwrap();
        world.proxy.set(Fault::DatabaseGone);
        let begun = Instant::now();
        let result = world.store.deployment("first").await;
        assert!(matches!(result, Err(StoreError::CommitUnknown)), "{result:?}");
        assert!(begun.elapsed() < Duration::from_secs(15));
    });
}
