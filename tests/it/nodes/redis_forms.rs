//! Redis deployments: behind Sentinels, as a Cluster, with TLS.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::nodes::{Two, is_good, logged, metric, place_with, timed, warnings};
use crate::support::postgres::Database;
use crate::support::redis::{Redis, free_port};
use crate::support::tls::Authority;
use crate::support::{Server, eventually, eventually_within};

/// Waits until changes are as fast as with Redis, and checks that they are effective.
#[track_caller]
fn fast_and_right(two: &Two) {
    for server in [&two.a, &two.b] {
        eventually("Redis in use", || (metric(server, "keyturn_redis_up")? == 1.0).then_some(()));
        assert_eq!(warnings(server), [""; 0]);
    }
    // Subscribers may connect a moment later than publishers.
    eventually("a fast change", || {
        let key = two.a.make(&json!({}));
        (timed(|| revoke(&two.a, &key.id)).0 < Duration::from_millis(120)).then_some(())
    });
    // Without Redis a change takes 125 ms on average. Concurrent tests can slow down single rounds, not all of them.
    eventually_within(60, "a round of fast changes", || {
        let mut fast = 0;
        for n in 0..8 {
            let (one, other) = two.turn(n);
            let key = one.make(&json!({}));
            let token = other.token(&key, &[]);
            fast += u32::from(timed(|| revoke(one, &key.id)).0 < Duration::from_millis(120));
            other.exchange(&key.text, &[]).expect(401);
            assert!(!is_good(other, &token));
        }
        (fast >= 6).then_some(())
    });
}

fn revoke(server: &Server, id: &str) {
    server.change("POST", &format!("{id}/revoke"), &json!({}));
}

/// A Sentinel that monitors a master.
fn sentinel(folder: &Path, master: u16) -> Redis {
    let file = folder.join(format!("sentinel-{}.conf", free_port()));
    let text = format!(
        "sentinel monitor main 127.0.0.1 {master} 1\nsentinel down-after-milliseconds main 600\n\
         sentinel failover-timeout main 2000\nsentinel auth-pass main s3cret\n"
    );
    fs::write(&file, text).unwrap();
    Redis::with(&[file.to_str().unwrap(), "--sentinel"])
}

#[test]
fn sentinel_failover_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let login = ["--requirepass", "s3cret", "--masterauth", "s3cret"];
    let mut master = Redis::with(&login);
    let port = master.port.to_string();
    let replica =
        Redis::with(&[&login[..], &["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"]].concat());
    let sentinel = sentinel(folder.path(), master.port);
    // The first Sentinel does not exist, as one of several may be unavailable.
    let url = format!("redis+sentinel://:s3cret@127.0.0.1:{},127.0.0.1:{}/main", free_port(), sentinel.port);
    let two = Two::with(&url);
    fast_and_right(&two);
    let keys =
        |redis: &Redis| redis.ask_with(&["-a", "s3cret", "--no-auth-warning"], &["KEYS", "keyturn:revoked:key:*"]);
    let before = keys(&master);
    assert!(before.lines().count() >= 9);

    eventually("the replica", || {
        let known = sentinel.ask(&["SENTINEL", "REPLICAS", "main"]);
        (keys(&replica).lines().count() == before.lines().count() && known.contains(&replica.port.to_string()))
            .then_some(())
    });
    master.kill();
    eventually_within(30, "the failover", || {
        let now = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"]);
        now.contains(&replica.port.to_string()).then_some(())
    });
    eventually_within(30, "Redis in use", || {
        (warnings(&two.a).is_empty() && warnings(&two.b).is_empty()).then_some(())
    });
    fast_and_right(&two);
    assert!(keys(&replica).lines().count() >= before.lines().count() + 9);
    assert!(!two.a.stderr().contains("s3cret"));
}

#[test]
fn redis_cluster_works() {
    // Two servers that share the keys.
    let cluster: Vec<Redis> = (0..2)
        .map(|_| {
            let bus = free_port().to_string();
            Redis::with(&["--cluster-enabled", "yes", "--cluster-port", &bus])
        })
        .collect();
    let bus = cluster[1].ask(&["CLUSTER", "MYID"]);
    assert!(!bus.is_empty());
    for (redis, slots) in cluster.iter().zip([["0", "8191"], ["8192", "16383"]]) {
        redis.ask(&["CLUSTER", "ADDSLOTSRANGE", slots[0], slots[1]]);
    }
    let second = cluster[1].port.to_string();
    let bus = cluster[1].ask(&["--raw", "CONFIG", "GET", "cluster-port"]);
    let bus = bus.lines().last().unwrap().to_owned();
    cluster[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &second, &bus]);
    eventually("the cluster", || {
        let whole = |redis: &Redis| {
            let info = redis.ask(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:2")
        };
        cluster.iter().all(whole).then_some(())
    });
    let url = format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", cluster[0].port, cluster[1].port);
    let two = Two::with(&url);
    fast_and_right(&two);
    let count = || cluster.iter().map(|redis| redis.keys("keyturn:revoked:key:*").len()).sum::<usize>();
    let before = count();
    assert!(before >= 9, "{before}");
    assert!(cluster.iter().all(|redis| !redis.keys("keyturn:*").is_empty()), "each has a part");
    for redis in &cluster {
        redis.ask(&["FLUSHALL"]);
    }
    eventually("the list", || (count() == before).then_some(()));
}

#[test]
fn tls_certificate_is_verified() {
    let authority = Authority::new();
    let path = |name: &str| authority.path(name).display().to_string();
    let tls = free_port();
    let redis = Redis::with(&[
        "--tls-port",
        &tls.to_string(),
        "--tls-cert-file",
        &path("server.pem"),
        "--tls-key-file",
        &path("server.key"),
        "--tls-ca-cert-file",
        &path("ca.pem"),
        "--tls-auth-clients",
        "no",
        "--requirepass",
        "s3cret",
    ]);
    let url = format!("rediss://:s3cret@127.0.0.1:{tls}");
    let two = Two::on(Database::create(), |database| place_with(database, &url).set("SSL_CERT_FILE", path("ca.pem")));
    fast_and_right(&two);
    let keys = redis.ask_with(&["-a", "s3cret", "--no-auth-warning"], &["KEYS", "keyturn:revoked:key:*"]);
    assert!(keys.lines().count() >= 9);

    // A node that does not trust the certificate logs why, and serves.
    let Two { a, b, database } = two;
    let key = a.key.clone();
    drop((a, b));
    let server = place_with(&database, &url).serve(key);
    // On a busy machine the first attempt may time out before it fails.
    let of_certificate = |warning: &String| warning.to_lowercase().contains("certificate");
    let warning = eventually("a warning about the certificate", || warnings(&server).into_iter().find(of_certificate));
    assert!(!warning.contains("s3cret") && logged(&server, "s3cret").is_empty(), "{warning}");
    server.token(&server.key, &[]);
    drop(server);
}
