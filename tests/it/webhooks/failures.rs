//! Receivers that fail, are slow, redirect or are gone.

use serde_json::json;

use crate::support::check::problem;
use crate::support::{eventually_within, now};
use crate::webhooks::{Receiver, Reply, await_all, await_delivery, deliveries, hook, place, test};

#[test]
fn retries_are_identical() {
    let receiver = Receiver::answering(|_, before| Reply::Status(if before < 2 { 500 } else { 200 }, ""));
    let server = place().start();
    let hook = hook(&server, &receiver.url(), &["key.*"]);
    server.make(&json!({}));
    let deliveries = await_all(&server, &hook.id, "delivered");
    assert_eq!(
        (deliveries.len(), &deliveries[0]["attempts"], &deliveries[0]["last_status"]),
        (1, &json!(3), &json!(200))
    );
    let received = receiver.received();
    assert_eq!(received.len(), 3);
    for attempt in &received {
        attempt.verified(&hook.secret);
        assert_eq!((attempt.id(), &attempt.body), (received[0].id(), &received[0].body));
    }
    let times: Vec<i64> = received.iter().map(|attempt| attempt.timestamp()).collect();
    assert!(times.is_sorted() && times[2] - times[0] >= 2, "each attempt has its own time: {times:?}");
}

#[test]
fn dead_letter_can_be_retried() {
    let receiver = Receiver::answering(|_, before| Reply::Status(if before < 3 { 503 } else { 200 }, ""));
    let server = place().start();
    let hook = hook(&server, &receiver.url(), &["policy.changed"]);
    let id = test(&server, &hook.id);
    let retry = || server.api("POST", &format!("webhooks/{}/deliveries/{id}/retry", hook.id)).json(&json!({})).send();
    let dead = await_delivery(&server, &hook.id, &id, "dead");
    assert_eq!(
        (&dead["attempts"], &dead["last_status"], &dead["last_error"]),
        (&json!(3), &json!(503), &json!("HTTP 503"))
    );
    assert!(dead["ended_at"].is_string() && dead["next_attempt_at"].is_null(), "{dead}");
    let listed = server.api("GET", &format!("webhooks/{}/deliveries?state=dead", hook.id)).send().expect(200);
    assert_eq!(crate::support::field(&listed["items"], "id"), [id.as_str()]);
    let again = retry().expect(202);
    assert_eq!((&again["id"], &again["state"], &again["attempts"]), (&json!(id), &json!("pending"), &json!(0)));
    await_delivery(&server, &hook.id, &id, "delivered");
    problem(&retry(), 409, "CONFLICT");
    let received = receiver.received();
    assert_eq!(received.len(), 4);
    assert!(received.iter().all(|attempt| attempt.id() == id && attempt.body == received[0].body));
    assert_eq!(server.stderr().matches("webhook delivery attempt failed").count(), 3, "a line for each");
}

#[test]
fn silent_receiver_times_out_without_delaying_others() {
    let slow = Receiver::answering(|_, _| Reply::Silence);
    let (quick, server) = (Receiver::start(), place().start());
    let waiting = hook(&server, &slow.url(), &["key.*"]);
    let served = hook(&server, &quick.url(), &["key.*"]);
    for _ in 0..12 {
        server.make(&json!({}));
    }
    quick.await_count(12);
    await_all(&server, &served.id, "delivered");
    assert_eq!(slow.received().len(), 4, "so many at once for one webhook");
    let failed = eventually_within(40, "the first attempt has failed", || {
        deliveries(&server, &waiting.id).into_iter().find(|delivery| delivery["attempts"] == 1)
    });
    assert_eq!((&failed["last_status"], &failed["last_error"]), (&json!(null), &json!("no response within 15 s")));
}

#[test]
fn redirect_is_not_followed() {
    let elsewhere = Receiver::start();
    let location: &'static str = format!("Location: {}\r\n", elsewhere.url()).leak();
    for status in [301, 302, 307, 308] {
        let receiver = Receiver::answering(move |_, _| Reply::Status(status, location));
        let server = place().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "").start();
        let hook = hook(&server, &receiver.url(), &["policy.changed"]);
        let id = test(&server, &hook.id);
        let dead = await_delivery(&server, &hook.id, &id, "dead");
        assert_eq!(dead["last_status"], status);
        assert!(dead["last_error"].as_str().unwrap().contains("redirects are not followed"), "{dead}");
        assert_eq!(receiver.received().len(), 1);
    }
    assert_eq!(elsewhere.received().len(), 0);
}

#[test]
fn receiver_that_is_gone_disables_the_webhook() {
    let gone = Receiver::answering(|_, _| Reply::Status(410, ""));
    let (witness, server) = (Receiver::start(), place().start());
    let hook_gone = hook(&server, &gone.url(), &["key.*"]);
    let watching = hook(&server, &witness.url(), &["webhook.disabled"]);
    server.make(&json!({}));
    let shown = eventually_within(20, "the webhook is disabled", || {
        let shown = server.api("GET", &format!("webhooks/{}", hook_gone.id)).send().expect(200);
        (shown["state"] == "disabled").then_some(shown)
    });
    assert!(shown["disabled_reason"].as_str().unwrap().contains("410"), "{shown}");
    assert_eq!(shown["version"], 2);
    let dead = &deliveries(&server, &hook_gone.id)[0];
    assert_eq!((&dead["state"], &dead["attempts"], &dead["last_status"]), (&json!("dead"), &json!(1), &json!(410)));
    server.make(&json!({}));
    assert_eq!(deliveries(&server, &hook_gone.id).len(), 1);
    let event = witness.await_count(1)[0].verified(&watching.secret);
    assert_eq!((&event["data"]["actor"], &event["data"]["subject"]), (&json!("keyturn"), &json!(hook_gone.id)));
    let body = json!({ "state": "enabled" });
    let enabled = server.api("PATCH", &format!("webhooks/{}", hook_gone.id)).json(&body).send().expect(200);
    assert!(enabled["disabled_reason"].is_null(), "{enabled}");
}

#[test]
fn retry_after_is_honored_up_to_a_limit() {
    for (asked, given) in
        [("Retry-After: 600\r\n", 600), ("Retry-After: 99999999999\r\n", 86_400), ("Retry-After: x\r\n", 1)]
    {
        let receiver = Receiver::answering(move |_, _| Reply::Status(429, asked));
        let server = place().start();
        let hook = hook(&server, &receiver.url(), &["policy.changed"]);
        test(&server, &hook.id);
        let waiting = eventually_within(20, "the first attempt", || {
            deliveries(&server, &hook.id).into_iter().find(|delivery| delivery["attempts"] == 1)
        });
        let next: jiff::Timestamp = waiting["next_attempt_at"].as_str().unwrap().parse().unwrap();
        let pause = next.as_second() - now();
        assert!((given - 5..=given + 2).contains(&pause), "{asked}: {pause}");
    }
}

#[test]
fn long_response_is_a_success() {
    let receiver = Receiver::answering(|_, _| Reply::Body(200, 50_000_000));
    let server = place().start();
    let hook = hook(&server, &receiver.url(), &["policy.changed"]);
    let id = test(&server, &hook.id);
    let event = await_delivery(&server, &hook.id, &id, "delivered");
    assert_eq!(event["attempts"], 1);
}

#[test]
fn closed_port_has_a_specific_error() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = place().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "").start();
    let hook = hook(&server, &format!("http://{address}/path?query"), &["policy.changed"]);
    let id = test(&server, &hook.id);
    let dead = await_delivery(&server, &hook.id, &id, "dead");
    assert_eq!(dead["last_error"], "could not connect");
}
