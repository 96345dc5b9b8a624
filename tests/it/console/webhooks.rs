//! Webhooks: creation, changes, test events and deliveries.

use serde_json::Value;

use crate::support::console::{filled, text};
use crate::support::person::{start, start_in};
use crate::support::{Answer, Person, Server, Visitor, eventually_within};
use crate::webhooks::{NOWHERE, Receiver, Reply, await_all, deliveries, place, place_with_responses, test};

const SCRIPT: &str = "\"><script>alert(1)</script>";

/// Adds a webhook through the form. Returns its ID and its secret.
fn add(visitor: &Visitor, url: &str, events: &[&str]) -> (String, String) {
    let mut fields = vec![("url", url), ("description", "for the tests")];
    fields.extend(events.iter().map(|event| ("events", *event)));
    let answer = visitor.submit("/webhooks/new", "/webhooks", &fields);
    assert_eq!(answer.status, 200, "{}", text(&answer.text()));
    shown(&answer)
}

/// Returns the webhook's ID and the secret on a page that shows it.
fn shown(answer: &Answer) -> (String, String) {
    let html = answer.text();
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let between = |from: &str, to: &str| html.split(from).nth(1).unwrap().split(to).next().unwrap().to_owned();
    assert!(html.contains("data-acknowledge") && html.contains("data-copy=\"secret\""), "{html}");
    let form = between("data-acknowledge", "</form>");
    assert!(form.contains(" required") && form.contains("I saved this secret"), "{form}");
    (between("action=\"/console/webhooks/", "\""), between("<code id=\"secret\">", "<"))
}

fn actions(server: &Server) -> Vec<String> {
    let log = server.api("GET", "audit?limit=100").send().expect(200);
    let rows = log["items"].as_array().unwrap().iter().map(|row| row["action"].as_str().unwrap().to_owned());
    rows.filter(|action| action.starts_with("webhook.")).collect()
}

fn webhook(owner: &Person, id: &str) -> Value {
    owner.api("GET", &format!("webhooks/{id}")).send().expect(200)
}

#[test]
fn added_webhook_receives_a_signed_test() {
    let (server, owner) = start_in(place());
    let (visitor, receiver) = (Visitor::of(&server, &owner), Receiver::start());
    assert!(visitor.read("/webhooks").contains("No webhooks"));
    let (id, secret) = add(&visitor, &receiver.url(), &["key.*", "policy.changed"]);
    assert!(secret.starts_with("whsec_"));
    assert_eq!(webhook(&owner, &id)["events"], serde_json::json!(["key.*", "policy.changed"]));
    let (list, page) = (visitor.page("/webhooks"), format!("/webhooks/{id}"));
    for html in [&list, &visitor.page(&page), &visitor.page(&format!("{page}/edit"))] {
        assert!(!html.contains(&secret) && html.contains("for the tests"), "{html}");
    }
    let says = visitor.done(&page, &format!("{page}/test"), &[]);
    assert!(says.contains("Test event queued.") && says.contains("Delivery of webhook.test"), "{says}");
    receiver.await_count(1)[0].verified(&secret);
    await_all(&server, &id, "delivered");
    let says = visitor.read(&format!("{page}?state=delivered"));
    assert!(says.contains("webhook.test") && says.contains("Delivered") && says.contains("204"), "{says}");
    assert!(visitor.read(&format!("{page}?state=dead")).contains("No deliveries match this filter."));
    assert_eq!(actions(&server), ["webhook.test", "webhook.create"]);
    assert!(!server.stderr().contains(&secret));
}

#[test]
fn invalid_webhooks_keep_the_typed_values() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let (id, _) = add(&visitor, NOWHERE, &["*"]);
    let long = "x".repeat(1001);
    for page in ["new".to_owned(), format!("{id}/edit")] {
        let action = if page == "new" { "/webhooks".to_owned() } else { format!("/webhooks/{id}") };
        for (field, fields) in [
            ("url", vec![("url", ""), ("events", "*"), ("description", "kept")]),
            ("url", vec![("url", "http://hooks.example/"), ("events", "*"), ("description", "kept")]),
            ("url", vec![("url", "https://10.0.0.1/"), ("events", "*"), ("description", "kept")]),
            ("url", vec![("url", SCRIPT), ("events", "*"), ("description", "kept")]),
            ("description", vec![("url", "https://kept.example/"), ("events", "*"), ("description", "a\u{1}b")]),
            ("description", vec![("url", "https://kept.example/"), ("events", "*"), ("description", &long)]),
            ("events", vec![("url", "https://kept.example/"), ("events", "")]),
            ("events", vec![("url", "https://kept.example/"), ("events", "key.*"), ("events", "key.flown")]),
            ("events", vec![("url", "https://kept.example/"), ("events", SCRIPT)]),
        ] {
            let answer = visitor.submit(&format!("/webhooks/{page}"), &action, &fields);
            let html = answer.text();
            assert_eq!(answer.status, 422, "{field}: {}", text(&html));
            assert!(html.contains(&format!("id=\"{field}-error\"")), "{field}: {}", text(&html));
            assert!(html.contains("kept") && !html.contains("<script>alert"), "{field}: {html}");
        }
    }
    assert_eq!(actions(&server), ["webhook.create"]);
}

#[test]
fn edits_check_the_version() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let (id, _) = add(&visitor, NOWHERE, &["*"]);
    let (page, form) = (format!("/webhooks/{id}"), format!("/webhooks/{id}/edit"));
    let stale = visitor.page(&form);
    let fields = [
        ("url", "https://localhost/other"),
        ("description", SCRIPT),
        ("events", "key.revoked"),
        ("events", "member.*"),
    ];
    let says = visitor.done(&form, &page, &fields);
    assert!(says.contains("Webhook updated.") && says.contains(SCRIPT) && says.contains("member.*"), "{says}");
    let now = webhook(&owner, &id);
    assert_eq!(
        (&now["url"], &now["events"]),
        (&"https://localhost/other".into(), &serde_json::json!(["key.revoked", "member.*"]))
    );
    let late = filled(&stale, &format!("/console{page}"), &[("description", "late")]);
    assert_eq!(visitor.post(&page).form_text(&late).send().status, 412);
    let unversioned = filled(&stale, &format!("/console{page}"), &[("version", "")]);
    assert_eq!(visitor.post(&page).form_text(unversioned).send().status, 400);
    assert_eq!(webhook(&owner, &id), now);
    for path in ["/webhooks", &page, &form, &format!("{page}/delete")] {
        assert!(!visitor.page(path).contains("<script>alert"), "{path}");
    }
    // The selected events are checked again.
    assert!(visitor.page(&form).contains("value=\"key.revoked\" checked"));
    assert_eq!(actions(&server), ["webhook.edit", "webhook.create"]);
}

#[test]
fn disable_enable_rotate_and_delete() {
    let (server, owner) = start_in(place());
    let (visitor, receiver) = (Visitor::of(&server, &owner), Receiver::start());
    let (id, old) = add(&visitor, &receiver.url(), &["member.*"]);
    let page = format!("/webhooks/{id}");
    let says = visitor.done(&page, &format!("{page}/state"), &[]);
    assert!(says.contains("Webhook disabled.") && !says.contains("Send test event"), "{says}");
    assert_eq!(webhook(&owner, &id)["state"], "disabled");
    let html = visitor.page(&page);
    let form = filled(&html, &format!("/console{page}/state"), &[]);
    assert_eq!(visitor.post(&format!("{page}/test")).form_text(&form).send().status, 409, "it is disabled");
    assert_eq!(visitor.submit(&page, &format!("{page}/state"), &[("state", "asleep")]).status, 400);
    assert!(visitor.done(&page, &format!("{page}/state"), &[]).contains("Webhook enabled."));

    let rotate = format!("{page}/rotate-secret");
    assert!(visitor.read(&rotate).contains("For 24 hours, events are signed with both secrets"));
    let answer = visitor.submit(&rotate, &rotate, &[]);
    assert_eq!(answer.status, 200);
    let (_, new) = shown(&answer);
    assert_ne!(old, new);
    test(&server, &id);
    let received = &receiver.await_count(1)[0];
    assert!(received.is_signed_with(&old) && received.is_signed_with(&new));
    assert!(visitor.read(&page).contains("Rotated. The previous secret stays valid until"));

    let delete = format!("{page}/delete");
    assert!(visitor.read(&delete).contains("You can’t undo this."));
    assert_eq!(webhook(&owner, &id)["id"], id, "looking at the question deletes nothing");
    assert!(visitor.done(&delete, &delete, &[]).contains("Webhook deleted"));
    for path in [page, rotate, delete, format!("/webhooks/{id}/edit")] {
        assert_eq!(visitor.get(&path).status, 404, "{path}");
    }
    let mut done = actions(&server);
    done.reverse();
    let expected =
        ["create", "edit", "edit", "rotate-secret", "test", "delete"].map(|action| format!("webhook.{action}"));
    assert_eq!(done, expected);
}

#[test]
fn failed_deliveries_are_counted_and_retried() {
    let (server, owner) = start_in(place());
    let visitor = Visitor::of(&server, &owner);
    let receiver =
        Receiver::answering(|_, before| if before < 3 { Reply::Status(500, "") } else { Reply::Status(204, "") });
    let (id, _) = add(&visitor, &receiver.url(), &["policy.changed"]);
    let page = format!("/webhooks/{id}");
    let delivery = test(&server, &id);
    await_all(&server, &id, "dead");
    let list = visitor.page("/webhooks");
    assert!(list.contains(&format!("href=\"/console/webhooks/{id}?state=dead\"")), "{}", text(&list));
    let says = visitor.read(&format!("{page}?state=dead"));
    assert!(says.contains("Failed") && says.contains("HTTP 500") && says.contains(&delivery), "{says}");
    let says = visitor.done(&format!("{page}?state=dead"), &format!("{page}/deliveries/{delivery}/retry"), &[]);
    assert!(says.contains("Retrying delivery."), "{says}");
    await_all(&server, &id, "delivered");
    let html = visitor.page(&page);
    let form = filled(&html, &format!("/console{page}/test"), &[]);
    let again = visitor.post(&format!("{page}/deliveries/{delivery}/retry")).form_text(&form).send();
    assert_eq!(again.status, 409, "it is delivered");
    for wrong in ["msg_x", "x", "%00"] {
        assert_eq!(visitor.post(&format!("{page}/deliveries/{wrong}/retry")).form_text(&form).send().status, 404);
    }
}

#[test]
fn deliveries_are_paged() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let (id, _) = add(&visitor, NOWHERE, &["policy.changed"]);
    for _ in 0..53 {
        test(&server, &id);
    }
    let (mut path, mut seen, mut pages) = (format!("/webhooks/{id}?state=all"), Vec::new(), 0);
    loop {
        let html = visitor.page(&path);
        let links = html.split("/deliveries/").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        seen.extend(links.filter(|id| !id.ends_with("/retry")));
        pages += 1;
        let Some((before, _)) = html.split_once("\">Older deliveries") else { break };
        let next = before.rsplit("href=\"/console").next().unwrap();
        path = next.replace("&#38;", "&").replace("&amp;", "&");
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((pages, count, seen.len()), (2, 53, 53));
    for odd in ["state=odd", "cursor=odd", "cursor=%00", "state=%ff", "cursor=", "x=1"] {
        assert!(visitor.read(&format!("/webhooks/{id}?{odd}")).contains("webhook.test"), "{odd}");
    }
}

#[test]
fn only_admins_see_their_webhooks() {
    let place = place();
    let acme = place.init(&["--organization", "acme"]);
    let (server, owner) = start_in(place);
    let visitor = Visitor::of(&server, &owner);
    let (id, _) = add(&visitor, NOWHERE, &["*"]);
    let delivery = test(&server, &id);
    let foreign = Visitor::sign_in_to(&server, "acme", &acme.email, &acme.password);
    let developer = Visitor::of(&server, &owner.add(&server, "developer"));
    let (page, before) = (format!("/webhooks/{id}"), webhook(&owner, &id));
    for (somebody, status) in [(&foreign, 404), (&developer, 403)] {
        let html = somebody.page("/account");
        let form = filled(
            &html,
            "/console/sign-out",
            &[("version", "1"), ("state", "disabled"), ("url", NOWHERE), ("events", "*")],
        );
        let shown = format!("/deliveries/{delivery}");
        for rest in ["", "/edit", "/rotate-secret", "/delete", &shown] {
            assert_eq!(somebody.get(&format!("{page}{rest}")).status, status, "{rest}");
        }
        let retry = format!("/deliveries/{delivery}/retry");
        for rest in ["", "/state", "/test", "/rotate-secret", "/delete", &retry] {
            assert_eq!(somebody.post(&format!("{page}{rest}")).form_text(&form).send().status, status, "{rest}");
        }
    }
    assert_eq!(developer.get("/webhooks").status, 403);
    assert!(!developer.page("/account").contains("/console/webhooks"), "it is not offered");
    assert!(foreign.read("/webhooks").contains("No webhooks"));
    for rest in [
        "/webhooks",
        &page,
        &format!("{page}/state"),
        &format!("{page}/test"),
        &format!("{page}/delete"),
        &format!("{page}/rotate-secret"),
    ] {
        for csrf in [vec![], vec![("csrf", "x")]] {
            let form =
                [vec![("version", "1"), ("state", "disabled"), ("url", NOWHERE), ("events", "*")], csrf].concat();
            assert_eq!(visitor.post(rest).form(&form).send().status, 403, "{rest}");
        }
    }
    assert_eq!(webhook(&owner, &id), before);
    for id in ["x", "%00", &"a".repeat(22), "..%2f..%2fkeys"] {
        assert_eq!(visitor.get(&format!("/webhooks/{id}")).status, 404, "{id}");
    }
}

#[test]
fn verification_page_names_the_headers() {
    let (server, owner) = start();
    let says = Visitor::of(&server, &owner).read("/webhooks/verifying");
    for part in
        ["webhook-id", "webhook-timestamp", "webhook-signature", "hmac.compare_digest", "timingSafeEqual", "whsec_"]
    {
        assert!(says.contains(part), "{part} in {says}");
    }
}

#[test]
fn disabled_webhooks_show_the_reason() {
    let (server, owner) = start_in(place());
    let visitor = Visitor::of(&server, &owner);
    let receiver = Receiver::answering(|_, _| Reply::Status(410, ""));
    let (id, _) = add(&visitor, &receiver.url(), &["*"]);
    test(&server, &id);
    eventually_within(40, "it to be disabled", || (webhook(&owner, &id)["state"] == "disabled").then_some(()));
    for path in ["/webhooks".to_owned(), format!("/webhooks/{id}")] {
        assert!(visitor.read(&path).contains("the endpoint returned 410 Gone"), "{path}");
    }
}

#[test]
fn delivery_shows_its_request_and_attempts() {
    let (server, owner) = start_in(place_with_responses().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "4000"));
    let visitor = Visitor::of(&server, &owner);
    let receiver = Receiver::answering(|_, before| match before {
        0 => Reply::Raw(b"HTTP/1.1 500 X\r\nX-Trace: a1\r\nContent-Length: 22\r\n\r\nboom: database is down".into()),
        _ => Reply::Status(204, ""),
    });
    let (id, _) = add(&visitor, &receiver.url(), &["policy.changed"]);
    let delivery = test(&server, &id);
    let page = format!("/webhooks/{id}/deliveries/{delivery}");
    let said = eventually_within(40, "an attempt", || {
        let said = visitor.read(&page);
        said.contains("Attempt 1").then_some(said)
    });
    for part in
        ["boom: database is down", "x-trace a1", "HTTP 500", "22 bytes.", "in 1 hour", "Retry now", "webhook-signature"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
    let html = visitor.page(&page);
    assert!(html.contains("data-copy=\"delivery-id\"") && html.contains("data-copy=\"payload\""), "{html}");
    assert!(visitor.page(&format!("/webhooks/{id}")).contains(&format!("href=\"/console{page}\"")));
    let says = visitor.done(&page, &format!("{page}/retry"), &[]);
    assert!(says.contains("Retrying delivery.") && says.contains("Delivery of webhook.test"), "{says}");
    await_all(&server, &id, "delivered");
    let said = visitor.read(&page);
    assert!(said.contains("Attempt 2 HTTP 204") && !said.contains("Retry now"), "{said}");
    for wrong in [format!("/webhooks/{id}/deliveries/msg_x"), format!("/webhooks/{id}/deliveries/x")] {
        assert_eq!(visitor.get(&wrong).status, 404, "{wrong}");
    }
}

#[test]
fn delivery_page_stays_small() {
    let (server, owner) = start_in(
        place_with_responses().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "3600,3600,3600,3600,3600,3600,3600,3600,3600"),
    );
    let visitor = Visitor::of(&server, &owner);
    let receiver = Receiver::answering(|_, _| {
        let body = "<\"&>".repeat(4_000);
        Reply::Raw(format!("HTTP/1.1 500 X\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
    });
    let (id, _) = add(&visitor, &receiver.url(), &["policy.changed", "key.created"]);
    // The largest payload that somebody can cause.
    let networks: Vec<String> = (0..100).map(|n| format!("2001:db8:{n:x}::/64")).collect();
    server.make(&serde_json::json!({ "description": "\"<>&".repeat(250), "allowed_cidrs": networks }));
    let delivery = await_attempts(&server, &id, 1);
    let page = format!("/webhooks/{id}/deliveries/{delivery}");
    for made in 2..=8 {
        visitor.done(&page, &format!("{page}/retry"), &[]);
        await_attempts(&server, &id, made);
    }
    let html = visitor.page(&page);
    assert!(html.len() < 150_000, "{}", html.len());
    assert!(text(&html).contains("The API returns the response."), "older responses are left out");
}

/// Waits until the only delivery has been attempted a number of times. Returns its ID.
#[track_caller]
fn await_attempts(server: &Server, webhook: &str, made: u64) -> String {
    eventually_within(40, "the attempts", || {
        let found = deliveries(server, webhook).pop()?;
        (found["attempts"] == made).then(|| found["id"].as_str().unwrap().to_owned())
    })
}

#[test]
fn covered_events_mean_nothing_without_javascript() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    for (chosen, meant) in [
        (&["*", "key.*", "key.created"][..], serde_json::json!([])),
        (&["key.created", "key.*", "policy.changed"], serde_json::json!(["key.*", "policy.changed"])),
    ] {
        let (id, _) = add(&visitor, NOWHERE, chosen);
        assert_eq!(webhook(&owner, &id)["events"], meant, "{chosen:?}");
    }
    let html = visitor.page("/webhooks/new");
    assert!(text(&html).contains("A key has a new secret."), "each event is described");
    let delete = visitor.read(&format!("/webhooks/{}/delete", add(&visitor, NOWHERE, &["*"]).0));
    assert!(delete.contains("Events that happen while it is disabled are not sent later."), "{delete}");
}
