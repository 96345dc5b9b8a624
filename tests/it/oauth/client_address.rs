//! Allowed networks and the client's address.

use serde_json::json;

use crate::support::check::oauth_error;
use crate::support::{Place, Server};

const NOT_ALLOWED: &str = "API_KEY_IP_NOT_ALLOWED";

#[test]
fn denied_network_names_the_address() {
    let server = Server::start();
    let key = server.make(&json!({ "allowed_cidrs": ["192.0.2.0/24", "::1"] }));
    let description = oauth_error(&server.exchange(&key.text, &[]), 403, "unauthorized_client", NOT_ALLOWED);
    assert!(description.contains("127.0.0.1"), "{description}");
    for networks in [json!(["127.0.0.1"]), json!(["127.0.0.0/8"]), json!(["*"]), json!([]), json!(["0.0.0.0/0"])] {
        server.change("PATCH", &key.id, &json!({ "allowed_cidrs": networks }));
        server.exchange(&key.text, &[]).expect(200);
    }
    server.change("PATCH", &key.id, &json!({ "allowed_cidrs": ["::/0"] }));
    oauth_error(&server.exchange(&key.text, &[]), 403, "unauthorized_client", NOT_ALLOWED);
}

#[test]
fn headers_of_untrusted_clients_are_ignored() {
    let server = Server::start();
    let key = server.make(&json!({ "allowed_cidrs": ["192.0.2.9"] }));
    for name in ["X-Forwarded-For", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP"] {
        let request =
            server.token_request().form(&[("grant_type", "client_credentials"), ("client_secret", &key.text)]);
        let answer = request.header(name, "192.0.2.9").header("Forwarded", "for=192.0.2.9").send();
        let description = oauth_error(&answer, 403, "unauthorized_client", NOT_ALLOWED);
        assert!(description.contains("127.0.0.1"), "{description}");
    }
}

#[test]
fn client_is_the_nearest_untrusted_hop() {
    let server = Place::new().set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8").start_behind_proxy();
    let key = server.make(&json!({ "allowed_cidrs": ["192.0.2.9", "2001:db8::/32"] }));
    let from = |headers: &[(&str, &str)]| {
        let form = [("grant_type", "client_credentials"), ("client_secret", key.text.as_str())];
        let request = server.token_request().form(&form);
        headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send()
    };
    for headers in [
        &[("X-Forwarded-For", "192.0.2.9")][..],
        &[("X-Forwarded-For", "::ffff:192.0.2.9")],
        &[("X-Forwarded-For", "198.51.100.1, 192.0.2.9, 10.1.2.3")],
        &[("X-Forwarded-For", "198.51.100.1"), ("X-Forwarded-For", "192.0.2.9")],
        &[("X-Forwarded-For", "2001:db8::1")],
        &[("Forwarded", "for=\"[2001:db8::1]:4711\"")],
        &[("Forwarded", "for=192.0.2.9"), ("X-Forwarded-For", "192.0.2.9")],
    ] {
        from(headers).expect(200);
    }
    for (headers, seen) in [
        (&[("X-Forwarded-For", "192.0.2.9, 198.51.100.1")][..], "198.51.100.1"),
        (&[("X-Forwarded-For", "198.51.100.1, 10.1.2.3")], "198.51.100.1"),
        (&[("X-Forwarded-For", "::ffff:198.51.100.1")], "198.51.100.1"),
        (&[("X-Forwarded-For", "2001:db9::1")], "2001:db9::1"),
        (&[("X-Forwarded-For", "10.1.2.3")], "10.1.2.3"),
    ] {
        let description = oauth_error(&from(headers), 403, "unauthorized_client", NOT_ALLOWED);
        assert!(description.contains(seen), "{description}");
    }
}

#[test]
fn missing_client_address_is_denied() {
    let server = Place::new().set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.0/8").start_behind_proxy();
    let form = [("grant_type", "client_credentials"), ("client_secret", server.key.text.as_str())];
    let request = || server.token_request().form(&form);
    for value in ["192.0.2.9", "192.0.2.9,", "192.0.2.9, ,"] {
        request().header("X-Forwarded-For", value).send().expect(200);
    }
    for request in [
        request(),
        request().header("X-Forwarded-For", ""),
        request().header("X-Forwarded-For", "unknown"),
        request().header("X-Forwarded-For", ", ,"),
        request().header("X-Forwarded-For", "192.0.2.9, \u{e9}"),
        request().header("X-Forwarded-For", "010.0.0.1"),
        request().header("Forwarded", "for=_hidden"),
        request().header("Forwarded", "for=192.0.2.9").header("X-Forwarded-For", "192.0.2.8"),
    ] {
        oauth_error(&request.send(), 403, "unauthorized_client", NOT_ALLOWED);
    }
}
