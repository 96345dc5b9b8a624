//! Webhook secrets: encrypted at rest, preserved by a change of the master key, absent from logs.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::database;
use crate::webhooks::{Receiver, Reply, await_delivery, hook, place_on_sqlite, test};

#[test]
fn signatures_survive_a_change_of_the_master_key() {
    let receiver = Receiver::start();
    let server = place_on_sqlite().start();
    let hook = hook(&server, &receiver.url(), &["policy.changed"]);
    let key = server.key.clone();
    let place = server.stop();
    let ended = place.run(&["master-key", "rotate"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let server = place.serve(key);
    test(&server, &hook.id);
    receiver.await_count(1)[0].verified(&hook.secret);
}

#[test]
fn start_reencrypts_with_the_new_master_key() {
    let (one, two) = ("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=");
    let receiver = Receiver::start();
    let place = place_on_sqlite().unset("KEYTURN_SECRETS__MASTER_KEY_FILE").set("KEYTURN_SECRETS__MASTER_KEY", one);
    let server = place.start();
    let hook = hook(&server, &receiver.url(), &["policy.changed"]);
    let key = server.key.clone();
    let server = server.stop().set("KEYTURN_SECRETS__MASTER_KEY", format!("{two},{one}")).serve(key.clone());
    let server = server.stop().set("KEYTURN_SECRETS__MASTER_KEY", two).serve(key);
    test(&server, &hook.id);
    receiver.await_count(1)[0].verified(&hook.secret);
}

#[test]
fn secrets_and_urls_do_not_leak() {
    let receiver = Receiver::answering(|_, before| Reply::Status(if before == 0 { 500 } else { 200 }, ""));
    let server = place_on_sqlite().set("KEYTURN_LOG__LEVEL", "trace").start();
    // It receives the events of all other webhooks.
    let witness = Receiver::start();
    self::hook(&server, &witness.url(), &["webhook.*"]);
    let hook = hook(&server, &receiver.url_of("/canary-in-the-path?canary-in-the-query"), &["policy.changed"]);
    let rotate = server.api("POST", &format!("webhooks/{}/rotate-secret", hook.id)).json(&serde_json::json!({}));
    let second = rotate.send().expect(200)["secret"].as_str().unwrap().to_owned();
    let id = test(&server, &hook.id);
    await_delivery(&server, &hook.id, &id, "delivered");
    assert_eq!(receiver.received().len(), 2);
    let heard: Vec<String> = witness
        .await_count(3)
        .into_iter()
        .map(|event| String::from_utf8(event.body).unwrap())
        .filter(|body| body.contains(&hook.id))
        .collect();
    assert!(heard.len() >= 2 && heard.iter().all(|body| body.contains("url_digest")), "{heard:?}");
    let metrics = server.get("/metrics").send().text();
    let events = heard.concat();
    let log = server.stderr();
    assert!(
        log.contains("TRACE") && log.contains("webhook delivery attempt failed"),
        "the log is as talkative as can be"
    );
    let secrets = [&hook.secret, &second].map(|secret| secret.strip_prefix("whsec_").unwrap().to_owned());
    for canary in ["canary-in-the-path", "canary-in-the-query"].into_iter().chain(secrets.iter().map(String::as_str)) {
        for (place, text) in [("the log", &log), ("the metrics", &metrics), ("an event", &events)] {
            let line = text.lines().find(|line| line.contains(canary));
            assert!(line.is_none(), "{canary} in {place}: {line:?}");
        }
    }
    let place = server.stop();
    for entry in fs::read_dir(place.path("data")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for canary in ["canary-in-the-path", "canary-in-the-query"] {
            let found = bytes.windows(canary.len()).any(|part| part == canary.as_bytes());
            assert!(!found, "{canary} in {}", path.display());
        }
        for secret in &secrets {
            for form in [secret.as_bytes().to_vec(), STANDARD.decode(secret).unwrap()] {
                assert!(!bytes.windows(form.len()).any(|part| part == form), "{}", path.display());
            }
        }
    }
}

#[test]
fn urls_of_an_earlier_version_are_encrypted_at_start() {
    let receiver = Receiver::start();
    let server = place_on_sqlite().start();
    let hook = hook(&server, &receiver.url(), &["policy.changed"]);
    let key = server.key.clone();
    let place = server.stop();
    // As the migration webhook_secrecy leaves a webhook of an earlier version.
    let url = receiver.url_of("/moved?token=canary");
    database::execute(
        &place.database(),
        &format!(
            "UPDATE webhooks SET unsealed_url = '{url}', origin = '', url_digest = '', url_master_key = '', \
             url_sealed = x''"
        ),
    );
    let server = place.serve(key);
    test(&server, &hook.id);
    let received = &receiver.await_count(1)[0];
    assert_eq!(received.target, "/moved?token=canary");
    received.verified(&hook.secret);
    let shown = server.api("GET", &format!("webhooks/{}", hook.id)).send().expect(200);
    assert_eq!((&shown["url"], &shown["version"]), (&serde_json::json!(url), &serde_json::json!(1)));
    let place = server.stop();
    assert_eq!(database::column(&place.database(), "SELECT unsealed_url FROM webhooks"), [""]);
    assert_eq!(
        database::column(&place.database(), "SELECT origin FROM webhooks"),
        [format!("http://{}", receiver.address)]
    );
}

#[test]
fn url_of_another_webhook_is_not_used() {
    let (receiver, server) = (Receiver::start(), place_on_sqlite().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "").start());
    let (one, other) = (
        hook(&server, &receiver.url(), &["policy.changed"]),
        hook(&server, &receiver.url_of("/b"), &["policy.changed"]),
    );
    let key = server.key.clone();
    let place = server.stop();
    let moved = format!(
        "UPDATE webhooks SET url_sealed = (SELECT url_sealed FROM webhooks WHERE id = '{}') WHERE id = '{}'",
        one.id, other.id
    );
    database::execute(&place.database(), &moved);
    let server = place.serve(key);
    let id = test(&server, &other.id);
    let dead = await_delivery(&server, &other.id, &id, "dead");
    assert_eq!(dead["last_error"], "the webhook's URL or secret cannot be decrypted");
    let path = format!("webhooks/{}", other.id);
    assert!(server.api("GET", &path).send().expect(200)["url"].is_null());
    // A new URL repairs it.
    server.api("PATCH", &path).json(&serde_json::json!({ "url": receiver.url_of("/b") })).send().expect(200);
    let id = test(&server, &other.id);
    await_delivery(&server, &other.id, &id, "delivered");
    assert_eq!(receiver.received().len(), 1);
}
