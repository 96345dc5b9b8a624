//! Gateways: configurations with an organization's own values.

use serde_json::json;

use crate::support::console::text;
use crate::support::person::start;
use crate::support::{Person, Place, Visitor};

const NAMES: [&str; 7] = ["nginx", "envoy", "caddy", "traefik", "haproxy", "apache", "tokens"];
/// Maximum size of a page.
const MOST: usize = 150_000;

#[test]
fn pages_are_filled_and_self_contained() {
    let (server, owner) = start();
    let viewer = Visitor::of(&server, &owner.add(&server, "viewer"));
    let overview = viewer.page("/gateways");
    for name in NAMES {
        assert!(overview.contains(&format!("href=\"/console/gateways/{name}\"")), "{name}");
        let html = viewer.page(&format!("/gateways/{name}"));
        assert!(html.len() < MOST, "{name}: {}", html.len());
        let said = text(&html);
        for example in ["keys.example.com", "api.example.com"] {
            assert!(!said.contains(example), "{name}: {example}");
        }
        assert!(said.contains(&server.public_url), "{name}");
        assert!(html.contains("aria-current=\"page\">") && html.contains("data-copy=\"file-0-0\""), "{name}");
    }
    for html in NAMES.iter().map(|name| viewer.page(&format!("/gateways/{name}"))).chain([overview]) {
        for link in html.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            let ours = link.starts_with("/console/") || link.starts_with('#') || link.starts_with(&server.public_url);
            assert!(ours, "{link}");
        }
        assert!(!html.contains("src=\"http"));
    }
}

#[test]
fn recipes_have_the_organizations_values() {
    let (server, owner) = start();
    let body = json!({ "slug": "acme", "owner_email": "o@acme.example" });
    let made = owner.call("POST", "/api/v1/organizations").json(&body).send().expect(201);
    let theirs = Person::sign_in(&server, "acme", "o@acme.example", made["owner"]["password"].as_str().unwrap());
    theirs.api("POST", "bootstrap").send();
    let visitor = Visitor::of(&server, &theirs);
    let address = server.address;
    for (name, parts) in [
        ("nginx", vec![format!("server {address};"), "/o/acme/verify?keyturn_audience=".into()]),
        ("envoy", vec![format!("{address}/o/acme/.well-known/jwks.json"), format!("port_value: {}", address.port())]),
        ("caddy", vec![format!("forward_auth @checked {address} {{")]),
        ("traefik", vec![format!("address: \"http://{address}/o/acme/verify?keyturn_audience=")]),
        (
            "haproxy",
            vec![format!("-m str {}/o/acme", server.public_url), format!("local keyturn = \"http://{address}\"")],
        ),
        ("apache", vec![format!("http://{address}/oauth/introspect"), format!("== '{}/o/acme'", server.public_url)]),
        ("tokens", vec![format!("issuer: \"{}/o/acme\"", server.public_url), "algorithms=[\"ES256\"]".into()]),
    ] {
        let said = visitor.read(&format!("/gateways/{name}"));
        for part in parts {
            assert!(said.contains(&part), "{name}: {part} in {said}");
        }
    }
}

#[test]
fn recipes_have_the_servers_values() {
    let place = Place::new()
        .set("KEYTURN_SERVER__PUBLIC_URL", "https://id.acme.example")
        .set("KEYTURN_TOKEN__AUDIENCE", "https://orders.acme.example")
        .set("KEYTURN_TOKEN__ALGORITHM", "EdDSA")
        .set("KEYTURN_TOKEN__TYP", "JWT");
    let founded = place.init(&[]);
    let server = place.serve(founded.key);
    let visitor = Visitor::sign_in(&server, &founded.email, &founded.password);
    let said = visitor.read("/gateways/haproxy");
    for part in [
        "jwt_verify(\"EdDSA\"",
        "var(txn.typ) -m str JWT",
        "-m str https://id.acme.example",
        "-m str https://orders.acme.example",
        "Your tokens are signed with EdDSA, which local validation on this page doesn’t support.",
        "http://127.0.0.1:8080",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn invalid_addresses_reach_no_recipe() {
    let (server, owner) = start();
    let mut policy = owner.api("GET", "policy").send().expect(200);
    policy["audiences"] = json!(["https://orders.example", "x']#"]);
    owner.api("PUT", "policy").json(&policy).send().expect(200);
    let visitor = Visitor::of(&server, &owner);
    let said =
        visitor.read("/gateways/envoy?keyturn=keyturn.internal:81&api=[::1]:82&audience=https%3A%2F%2Forders.example");
    for part in [
        "{ address: \"keyturn.internal\", port_value: 81 }",
        "{ address: \"::1\", port_value: 82 }",
        "- name: keyturn connect_timeout: 1s type: STRICT_DNS",
        "audiences: [ https://orders.example ]",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let own = text(&visitor.page("/gateways/envoy?audience=https%3A%2F%2Felsewhere.example"));
    assert!(!own.contains("elsewhere.example") && own.contains(&format!("audiences: [ {} ]", server.public_url)));
    assert!(!visitor.page("/gateways/apache?audience=x'%5D%23").contains("x&#39;]#"), "it could end a quotation");
    for wrong in ["x", "a:0", "a;}:1", "%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "a%0Ab:1", "a:99999"] {
        let answer = visitor.get(&format!("/gateways/nginx?keyturn={wrong}"));
        let html = answer.text();
        assert_eq!(answer.status, 422, "{wrong}");
        assert!(html.contains("id=\"keyturn-error\"") && !html.contains("<script>alert"), "{wrong}");
        assert!(text(&html).contains(&format!("server {};", server.address)), "{wrong}");
    }
    assert_eq!(visitor.get("/gateways/nginx?keyturn=%ff&&=").status, 200, "what cannot be read is not taken");
}

#[test]
fn unknown_gateways_are_not_found() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    for name in ["iis", "NGINX", "..%2fpolicy", "%00", "%3Cscript%3E"] {
        let answer = visitor.get(&format!("/gateways/{name}"));
        assert_eq!(answer.status, 404, "{name}");
        assert!(!answer.text().contains("<script>"), "{name}");
    }
    assert!(visitor.led_to(&Visitor::new(&server).get("/gateways/nginx")).starts_with("/sign-in"));
}
