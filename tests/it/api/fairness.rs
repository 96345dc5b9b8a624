//! No stranger harms a good caller: attacks from many networks, beside good clients.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::check::problem;
use crate::support::{Place, Server, database, eventually};

const ATTACK: Duration = Duration::from_secs(4);

fn behind_proxy() -> Place {
    Place::on_sqlite().set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.1")
}

fn sign_in(server: &Server, email: &str, password: &str, from: &str) -> u16 {
    let body = json!({ "email": email, "password": password });
    let request = server.request("POST", "/api/v1/session").header("X-Forwarded-For", from);
    request.json(&body).send().status
}

/// An exchange by the good client, at an address of its own.
fn exchange(server: &Server, text: &str) -> u16 {
    let request = server.request("POST", "/oauth/token").header("X-Forwarded-For", "198.51.100.77");
    request.bearer(text).form(&[("grant_type", "client_credentials")]).send().status
}

/// Runs strangers' requests on many connections beside the good client's, for a bounded time.
fn during_attack<T>(connections: usize, attack: impl Fn(usize) + Sync, good: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    let end = Instant::now() + ATTACK * 5;
    std::thread::scope(|scope| {
        for n in 0..connections {
            let (attack, is_over) = (&attack, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) && Instant::now() < end {
                    attack(n);
                }
            });
        }
        std::thread::sleep(Duration::from_millis(500));
        let result = good();
        is_over.store(true, Ordering::Relaxed);
        result
    })
}

#[test]
fn sign_in_flood_from_many_networks_delays_no_management() {
    let place = behind_proxy();
    let founded = place.init(&[]);
    let mut server = place.serve(founded.key.clone());
    server.forwarded_for = Some("198.51.100.77");
    let attack = |n: usize| {
        let login = format!("nobody-{n}@example.org");
        sign_in(&server, &login, "wrong password here", &format!("2001:db8:{n:x}::1"));
    };
    during_attack(64, attack, || {
        let begun = Instant::now();
        let (mut times, mut exchanges) = (Vec::new(), Vec::new());
        while begun.elapsed() < ATTACK {
            let started = Instant::now();
            let key = server.make(&json!({}));
            times.push(started.elapsed());
            let started = Instant::now();
            assert_eq!(exchange(&server, &key.text), 200);
            exchanges.push(started.elapsed());
            server.change("POST", &format!("{}/rotate", key.id), &json!({}));
        }
        times.sort_unstable();
        exchanges.sort_unstable();
        assert!(times[times.len() * 99 / 100] < Duration::from_millis(500), "{times:?}");
        assert!(exchanges[exchanges.len() * 95 / 100] < Duration::from_millis(200), "{exchanges:?}");
        let p99 = |times: &[Duration]| times[times.len() * 99 / 100];
        println!("p99: creation {:?}, exchange {:?}", p99(&times), p99(&exchanges));
        assert_eq!(sign_in(&server, &founded.email, &founded.password, "203.0.113.9"), 201);
    });
}

#[test]
fn exchanges_survive_attacks_after_master_key_rotation() {
    let mut server = behind_proxy().start_behind_proxy();
    let keys: Vec<_> = (0..40).map(|_| server.make(&json!({}))).collect();
    let target = server.key.clone();
    let place = server.stop();
    assert_eq!(place.run(&["master-key", "rotate"]).code, 0);
    server = place.serve(target.clone());
    server.forwarded_for = Some("198.51.100.77");
    // A well-formed secret that is not the target's: only Argon2 can tell.
    let wrong = keys[0].secret();
    let attack = |n: usize| {
        let form = [("grant_type", "client_credentials"), ("client_id", &target.id), ("client_secret", wrong)];
        let request = server.request("POST", "/oauth/token").header("X-Forwarded-For", format!("2001:db8:{n:x}::1"));
        request.form(&form).send();
    };
    during_attack(32, attack, || {
        std::thread::scope(|scope| {
            for key in &keys {
                scope.spawn(|| assert_eq!(exchange(&server, &key.text), 200));
            }
        });
        assert_eq!(exchange(&server, &target.text), 200);
    });
}

#[test]
fn minted_secret_survives_a_rotation_before_its_argon2_hash() {
    let place = Place::on_sqlite();
    let founded = place.init(&[]);
    let verifier = || database::column(&place.database(), "SELECT secret_phc FROM api_keys").remove(0);
    assert!(verifier().starts_with("$sha256$"), "no process has computed the Argon2 hash yet");
    assert_eq!(place.run(&["master-key", "rotate"]).code, 0);
    let server = place.serve(founded.key.clone());
    server.exchange(&founded.key.text, &[]).expect(200);
    let stored = || database::column(&server.database(), "SELECT secret_phc FROM api_keys").remove(0);
    eventually("the Argon2 hash", || {
        server.exchange(&founded.key.text, &[]).expect(200);
        stored().starts_with("$argon2id$").then_some(())
    });
}

#[test]
fn sign_in_flood_from_one_network_locks_nobody_out() {
    let place = behind_proxy();
    let founded = place.init(&[]);
    let server = place.serve(founded.key.clone());
    let mut limited = 0;
    for n in 0..600_u32 {
        let from = format!("2001:db8:{:x}:{n:x}::1", n / 256);
        limited += u32::from(sign_in(&server, &founded.email, "wrong password here", &from) == 429);
    }
    assert!(limited > 200, "{limited}");
    assert_eq!(sign_in(&server, &founded.email, &founded.password, "203.0.113.9"), 201);
    let entries = "SELECT COUNT(*) || '' FROM audit WHERE action = 'session.refuse'";
    let counted = "SELECT COALESCE(SUM(event_count), 0) || '' FROM repeated_events";
    let number = |sql| database::column(&server.database(), sql).remove(0).parse::<u32>().unwrap();
    eventually("every refused try is counted", || (number(counted) == 600 - limited).then_some(()));
    // One entry for each /48; twice as many if the hour turned meanwhile.
    assert!(number(entries) <= 6, "{}", number(entries));
}

#[test]
fn changes_are_limited_per_credential_except_revocations() {
    let server = Place::on_sqlite().set("KEYTURN_LIMITS__CHANGES_PER_MINUTE", 10).start();
    let key = server.make(&json!({}));
    let answers: Vec<_> = (0..14).map(|_| server.api("POST", "keys").json(&json!({})).send()).collect();
    let limited = answers.iter().find(|answer| answer.status == 429).expect("a limit");
    problem(limited, 429, "TOO_MANY_CHANGES");
    assert!(limited.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let stored = database::column(&server.database(), "SELECT id FROM api_keys").len();
    assert_eq!(stored, created + 2, "nothing is written");
    let token = server.token(&server.key, &[]);
    problem(&server.api_as(&token, "POST", "keys").json(&json!({})).send(), 429, "TOO_MANY_CHANGES");
    server.api("GET", "keys").send().expect(200);
    server.api("POST", &format!("keys/{}/revoke", key.id)).json(&json!({})).send().expect(200);
}

#[test]
fn a_key_without_scopes_cannot_grow_the_audit_log() {
    let server = Place::on_sqlite().set("KEYTURN_LIMITS__CHANGES_PER_MINUTE", 10).start();
    let key = server.make(&json!({ "scopes": [] }));
    let rows =
        || database::column(&server.database(), "SELECT id || '' FROM audit WHERE action = 'token.revoke'").len();
    let revoke = |token: &str| {
        server.request("POST", "/oauth/revoke").basic(&key.id, key.secret()).form(&[("token", token)]).send()
    };
    let once = server.token(&key, &[]);
    for _ in 0..10 {
        revoke(&once).expect(200);
    }
    assert_eq!(rows(), 1, "a repetition writes nothing");
    let answers: Vec<_> = (0..10).map(|_| revoke(&server.token(&key, &[]))).collect();
    let limited = answers.iter().find(|answer| answer.status == 429).expect("a limit");
    assert_eq!(limited.json()["code"], "TOO_MANY_CHANGES");
    assert!(rows() <= 6);
}

#[test]
fn a_member_cannot_grow_the_audit_log_by_signing_in() {
    let place = behind_proxy().set("KEYTURN_LIMITS__CHANGES_PER_MINUTE", 10);
    let founded = place.init(&[]);
    let mut server = place.serve(founded.key.clone());
    server.forwarded_for = Some("198.51.100.77");
    let other = json!({ "email": "other@example.org", "role": "viewer" });
    let other = server.api("POST", "members").json(&other).send().expect(201);
    let statuses: Vec<u16> =
        (0..20).map(|n| sign_in(&server, &founded.email, &founded.password, &format!("203.0.113.{n}"))).collect();
    assert_eq!(statuses[0], 201, "{statuses:?}");
    assert!(statuses[15..].iter().all(|status| *status == 429), "from wherever: {statuses:?}");
    let begun = "SELECT id || '' FROM audit WHERE action = 'session.begin'";
    assert!(database::column(&server.database(), begun).len() <= 12, "what is limited is not written");
    let password = other["password"].as_str().unwrap();
    assert_eq!(sign_in(&server, "other@example.org", password, "203.0.113.99"), 201, "others are not held up");
}

/// Processor time that the server's process has used.
fn processor_time(server: &Server) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.id())).unwrap();
    // The name may hold spaces. utime and stime are the 14th and 15th fields, in hundredths of a second.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

#[test]
fn new_key_is_hashed_once() {
    let server = Place::on_sqlite().start();
    let key = server.make(&json!({}));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| (0..60).for_each(|_| assert_eq!(server.exchange(&key.text, &[]).status, 200)));
        }
    });
    let before = processor_time(&server);
    std::thread::sleep(Duration::from_secs(1));
    let used = processor_time(&server) - before;
    assert!(used < Duration::from_millis(500), "{used:?} of a second after the last request");
    let stopping = Instant::now();
    server.stop();
    assert!(stopping.elapsed() < Duration::from_secs(3), "stopped after {:?}", stopping.elapsed());
}
