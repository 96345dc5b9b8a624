//! Webhook destinations: only public addresses, unless an operator allows others.

use serde_json::json;

use crate::support::check::{problem, wrong_field};
use crate::support::tls::Authority;
use crate::support::{Place, Server};
use crate::webhooks::{Receiver, await_delivery, hook, test};

#[test]
fn non_public_address_is_rejected() {
    let server = Server::start();
    let made = hook(&server, "https://hooks.example/", &["policy.changed"]);
    for url in [
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://10.0.0.1:8443/",
        "https://169.254.169.254/latest/meta-data/",
        "https://192.168.1.1/",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://[::]/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::127.0.0.1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[ff02::1]/",
    ] {
        let body = json!({ "url": url });
        for answer in [
            server.api("POST", "webhooks").json(&body).send(),
            server.api("PATCH", &format!("webhooks/{}", made.id)).json(&body).send(),
        ] {
            assert!(wrong_field(&answer, "url").contains("not public"), "{url}");
        }
    }
    let answer = server.api("POST", "webhooks").json(&json!({ "url": "http://hooks.example/" })).send();
    assert!(wrong_field(&answer, "url").contains("only https"));
}

#[test]
fn name_with_a_non_public_address_is_not_connected_to() {
    let receiver = Receiver::start();
    let server = Place::new().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "").start();
    let url = format!("https://localhost:{}/path?query", receiver.address.port());
    let hook = hook(&server, &url, &["policy.changed"]);
    let id = test(&server, &hook.id);
    let dead = await_delivery(&server, &hook.id, &id, "dead");
    assert_eq!(dead["last_error"], "the host name has no address that webhooks may connect to");
    assert!(dead["last_status"].is_null());
    assert_eq!(receiver.received().len(), 0);
    assert!(!server.stderr().contains("query"), "{}", server.stderr());
}

#[test]
fn existing_webhook_must_be_an_allowed_destination() {
    let receiver = Receiver::start();
    let place = Place::on_sqlite().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "");
    let server = place.set("KEYTURN_WEBHOOKS__PRIVATE_ADDRESSES", true).start();
    let over_http = hook(&server, &receiver.url(), &["policy.changed"]);
    let private = hook(&server, "https://127.0.0.1:1/", &["policy.changed"]);
    let key = server.key.clone();
    let server = server.stop().unset("KEYTURN_WEBHOOKS__PRIVATE_ADDRESSES").serve(key);
    for (hook, error) in
        [(over_http, "only https is allowed"), (private, "an address that is not public is not allowed")]
    {
        let id = test(&server, &hook.id);
        assert_eq!(await_delivery(&server, &hook.id, &id, "dead")["last_error"], error);
    }
    assert_eq!(receiver.received().len(), 0);
}

#[test]
fn receiver_certificate_is_verified() {
    let authority = Authority::new();
    let receiver = Receiver::over_tls(&authority);
    for (trusted, state) in [(true, "delivered"), (false, "dead")] {
        let place = crate::webhooks::place().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "");
        let place = if trusted { place.set("SSL_CERT_FILE", authority.path("ca.pem").display()) } else { place };
        let server = place.start();
        for host in ["127.0.0.1", "localhost"] {
            let url = format!("https://{host}:{}/hook", receiver.address.port());
            let hook = hook(&server, &url, &["policy.changed"]);
            let id = test(&server, &hook.id);
            let delivery = await_delivery(&server, &hook.id, &id, state);
            assert_eq!(delivery["last_error"], if trusted { json!(null) } else { json!("could not connect") });
        }
        assert_eq!(receiver.received().len(), 2);
    }
    // A name that is not in the certificate.
    let place = crate::webhooks::place().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "");
    let server = place.set("SSL_CERT_FILE", authority.path("ca.pem").display()).start();
    let url = format!("https://127.0.0.2:{}/hook", receiver.address.port());
    let hook = hook(&server, &url, &["policy.changed"]);
    let id = test(&server, &hook.id);
    let delivery = await_delivery(&server, &hook.id, &id, "dead");
    assert_eq!(delivery["last_error"], "could not connect", "names in certificates are not shown");
    assert_eq!(receiver.received().len(), 2);
}

#[test]
fn allowed_networks_require_tls() {
    let authority = Authority::new();
    let (receiver, plain) = (Receiver::over_tls(&authority), Receiver::start());
    let place =
        Place::new().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "").set("KEYTURN_WEBHOOKS__ALLOWED_NETWORKS", "127.0.0.1");
    let server = place.set("SSL_CERT_FILE", authority.path("ca.pem").display()).start();
    for host in ["127.0.0.1", "localhost"] {
        let hook = hook(&server, &format!("https://{host}:{}/hook", receiver.address.port()), &["policy.changed"]);
        let id = test(&server, &hook.id);
        await_delivery(&server, &hook.id, &id, "delivered");
    }
    assert_eq!(receiver.received().len(), 2);
    for (url, said) in [
        (plain.url(), "only https"),
        (format!("https://127.0.0.2:{}/", receiver.address.port()), "not public"),
        ("https://10.0.0.1/".to_owned(), "not public"),
    ] {
        let answer = server.api("POST", "webhooks").json(&json!({ "url": url })).send();
        assert!(wrong_field(&answer, "url").contains(said), "{url}");
    }
}

#[test]
fn no_proxy_of_the_environment_is_used() {
    let (proxy, receiver) = (Receiver::start(), Receiver::start());
    let via = format!("http://{}", proxy.address);
    let place = crate::webhooks::place().set("HTTP_PROXY", &via).set("http_proxy", &via).set("ALL_PROXY", &via);
    let server = place.start();
    let hook = hook(&server, &receiver.url(), &["policy.changed"]);
    test(&server, &hook.id);
    receiver.await_count(1);
    assert_eq!(proxy.received().len(), 0);
}

#[test]
fn invalid_urls_have_specific_errors() {
    let server = Server::start();
    let long = format!("https://hooks.example/{}", "a".repeat(2048));
    for (url, said) in [
        (json!(""), "not a URL"),
        (json!("hooks.example"), "not a URL"),
        (json!("https://"), "not a URL"),
        (json!("https://hooks.example/\u{0}"), "not a URL"),
        (json!("https://hooks.example/\r\nX: y"), "not a URL"),
        (json!(" https://hooks.example/"), "not a URL"),
        (json!("https://bücher.example/"), "not a URL"),
        (json!(long), "2048"),
        (json!("ftp://hooks.example/"), "only https"),
        (json!("javascript:alert(1)"), "only https"),
        (json!("https://user:password@hooks.example/"), "user or a password"),
        (json!("https://token@hooks.example/"), "user or a password"),
        (json!("https://hooks.example/#part"), "fragment"),
        (json!(5), "string"),
        (json!(["https://hooks.example/"]), "string"),
    ] {
        let answer = server.api("POST", "webhooks").json(&json!({ "url": url })).send();
        let message = wrong_field(&answer, "url");
        assert!(message.contains(said) && !answer.text().contains("password@"), "{url}: {message}");
    }
    let listed = server.api("GET", "webhooks").send().expect(200);
    assert_eq!(listed, json!({ "items": [], "next_cursor": null }));
    problem(&server.api("GET", "webhooks/x").send(), 404, "NOT_FOUND");
}
