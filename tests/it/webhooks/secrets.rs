//! Secrets of webhooks: sealed at rest, kept over a change of the master key, and in no log.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::webhooks::{Receiver, Reply, await_delivery, hook, place_on_sqlite, test};

#[test]
fn after_a_change_of_the_master_key_a_webhook_signs_as_before() {
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
fn with_a_new_master_key_in_front_a_start_seals_webhooks_anew() {
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
fn neither_secret_nor_path_nor_query_is_in_a_log_or_a_metric_and_no_secret_in_a_file() {
    let receiver = Receiver::answering(|_, before| Reply::Status(if before == 0 { 500 } else { 200 }, ""));
    let server = place_on_sqlite().set("KEYTURN_LOG__LEVEL", "trace").start();
    let hook = hook(&server, &receiver.url_of("/canary-in-the-path?canary-in-the-query"), &["policy.changed"]);
    let rotate = server.api("POST", &format!("webhooks/{}/rotate-secret", hook.id)).json(&serde_json::json!({}));
    let second = rotate.send().expect(200)["secret"].as_str().unwrap().to_owned();
    let id = test(&server, &hook.id);
    await_delivery(&server, &hook.id, &id, "delivered");
    assert_eq!(receiver.received().len(), 2);
    let metrics = server.get("/metrics").send().text();
    let log = server.stderr();
    assert!(log.contains("TRACE") && log.contains("an event was not taken"), "the log is as talkative as can be");
    let secrets = [&hook.secret, &second].map(|secret| secret.strip_prefix("whsec_").unwrap().to_owned());
    for canary in ["canary-in-the-path", "canary-in-the-query"].into_iter().chain(secrets.iter().map(String::as_str)) {
        for (place, text) in [("the log", &log), ("the metrics", &metrics)] {
            let line = text.lines().find(|line| line.contains(canary));
            assert!(line.is_none(), "{canary} in {place}: {line:?}");
        }
    }
    let place = server.stop();
    for entry in fs::read_dir(place.path("data")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for secret in &secrets {
            for form in [secret.as_bytes().to_vec(), STANDARD.decode(secret).unwrap()] {
                assert!(!bytes.windows(form.len()).any(|part| part == form), "{}", path.display());
            }
        }
    }
}
