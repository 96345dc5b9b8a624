//! Gateways: configurations with an organization's own values.

use serde_json::json;

use crate::support::console::text;
use crate::support::person::start;
use crate::support::{Person, Place, Server, Visitor};

const NAMES: [&str; 7] = ["nginx", "envoy", "caddy", "traefik", "haproxy", "apache", "tokens"];
/// The number of variants of each gateway's configuration.
const VARIANTS: [usize; 7] = [2, 2, 1, 1, 2, 2, 4];
/// Maximum size of a page.
const MOST: usize = 150_000;

/// Returns the text of every variant of a gateway's configuration. The query begins with `&` or is empty.
fn read_all(visitor: &Visitor, name: &str, query: &str) -> String {
    let variants = VARIANTS[NAMES.iter().position(|known| *known == name).unwrap()];
    (0..variants)
        .map(|number| visitor.read(&format!("/gateways/{name}/configuration?recipe={number}{query}")))
        .collect()
}

#[test]
fn pages_are_filled_and_self_contained() {
    let (server, owner) = start();
    let viewer = Visitor::of(&server, &owner.add(&server, "viewer"));
    let overview = viewer.page("/gateways");
    for name in NAMES {
        assert!(overview.contains(&format!("href=\"/console/gateways/{name}\"")), "{name}");
        let html = viewer.page(&format!("/gateways/{name}/configuration"));
        assert!(html.len() < MOST, "{name}: {}", html.len());
        let said = read_all(&viewer, name, "");
        for example in ["keys.example.com", "api.example.com"] {
            assert!(!said.contains(example), "{name}: {example}");
        }
        assert!(said.contains(&server.public_url), "{name}");
        assert!(
            html.contains("aria-current=\"step\">Configuration") && html.contains("data-copy=\"file-0-0\""),
            "{name}"
        );
    }
    let pages = NAMES
        .iter()
        .flat_map(|name| ["", "/configuration"].map(|step| viewer.page(&format!("/gateways/{name}{step}"))));
    for html in pages.chain([overview, viewer.page("/gateways/nginx/check")]) {
        for link in html.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            let ours = link.starts_with("/console/")
                || link == "/docs"
                || link.starts_with('#')
                || link.starts_with(&server.public_url);
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
        let said = read_all(&visitor, name, "");
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
    let said = read_all(&visitor, "haproxy", "");
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
    let query = "&keyturn=keyturn.internal:81&api=[::1]:82&audience=https%3A%2F%2Forders.example";
    let said = read_all(&visitor, "envoy", query);
    for part in [
        "{ address: \"keyturn.internal\", port_value: 81 }",
        "{ address: \"::1\", port_value: 82 }",
        "- name: keyturn connect_timeout: 1s type: STRICT_DNS",
        "audiences: [ https://orders.example ]",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let own = read_all(&visitor, "envoy", "&audience=https%3A%2F%2Felsewhere.example");
    assert!(!own.contains("elsewhere.example") && own.contains(&format!("audiences: [ {} ]", server.public_url)));
    for number in 0..2 {
        let html = visitor.page(&format!("/gateways/apache/configuration?recipe={number}&audience=x'%5D%23"));
        assert!(!html.contains("x&#39;]#"), "it could end a quotation");
    }
    for wrong in ["x", "a:0", "a;}:1", "%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "a%0Ab:1", "a:99999"] {
        let answer = visitor.get(&format!("/gateways/nginx/configuration?keyturn={wrong}"));
        let html = answer.text();
        assert_eq!(answer.status, 422, "{wrong}");
        assert!(html.contains("id=\"keyturn-error\"") && !html.contains("<script>alert"), "{wrong}");
        assert!(!html.contains("auth_request /_keyturn"), "{wrong}: no configuration is shown");
    }
    for (field, wrong) in
        [("path", "orders"), ("path", "/a;%7D/"), ("scope", "read%3Aa%3B%7D"), ("scope", "read+orders")]
    {
        let answer = visitor.get(&format!("/gateways/nginx/configuration?{field}={wrong}"));
        assert_eq!(answer.status, 422, "{wrong}");
        assert!(answer.text().contains(&format!("id=\"{field}-error\"")), "{wrong}");
        assert_eq!(visitor.get(&format!("/gateways/nginx/download?{field}={wrong}")).status, 400, "{wrong}");
        assert_eq!(visitor.get(&format!("/gateways/nginx/check?{field}={wrong}")).status, 400, "{wrong}");
    }
    let said = read_all(&visitor, "nginx", "&path=/v1/invoices/&scope=write:invoices/*");
    assert!(said.contains("location /v1/invoices/ {") && said.contains("keyturn_require=write:invoices/*"), "{said}");
    let said = visitor.read("/gateways/nginx/check?path=/v1/invoices/&scope=write:invoices/*");
    assert!(
        said.contains("curl -i http://127.0.0.1:8000/v1/invoices/1") && said.contains("write:invoices/*"),
        "{said}"
    );
    let unreadable = visitor.get("/gateways/nginx/configuration?keyturn=%ff&&=");
    assert_eq!(unreadable.status, 200, "what cannot be read is not taken");
}

#[test]
fn files_can_be_downloaded() {
    let (server, owner) = start();
    let viewer = Visitor::of(&server, &owner.add(&server, "viewer"));
    for (place, name) in NAMES.iter().enumerate() {
        for number in 0..VARIANTS[place] {
            let html = viewer.page(&format!("/gateways/{name}/configuration?recipe={number}&api=10.1.2.3:99"));
            let files = html.matches("/download\"").count();
            assert!(files > 0, "{name}");
            for file in 0..files {
                let path = format!("/gateways/{name}/download?recipe={number}&file={file}&api=10.1.2.3:99");
                let answer = viewer.get(&path);
                assert_eq!(answer.status, 200, "{path}");
                assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
                let disposition = answer.header("content-disposition").unwrap().to_owned();
                let title = disposition.split('"').nth(1).unwrap();
                assert!(disposition.starts_with("attachment;") && html.contains(title), "{disposition}");
                let body = answer.text();
                assert!(!body.contains("127.0.0.1:9000") && !body.contains("api.example.com"), "{path}");
                let entities = [("&", "&#38;"), ("<", "&#60;"), (">", "&#62;"), ("\"", "&#34;"), ("'", "&#39;")];
                let escaped = entities.into_iter().fold(body, |text, (plain, entity)| text.replace(plain, entity));
                assert!(html.contains(escaped.trim_end()), "{path}");
            }
            let gone = viewer.get(&format!("/gateways/{name}/download?recipe={number}&file={files}"));
            assert_eq!(gone.status, 404, "{name}");
        }
        for wrong in [VARIANTS[place].to_string(), "-1".into(), "x".into()] {
            for step in ["", "/configuration", "/check", "/download"] {
                let path = format!("/gateways/{name}{step}?recipe={wrong}");
                assert_eq!(viewer.get(&path).status, 404, "{path}");
            }
        }
    }
    assert_eq!(viewer.get("/gateways/nginx/download?keyturn=x%0Ay").status, 400);
    assert!(viewer.led_to(&Visitor::new(&server).get("/gateways/nginx/download")).starts_with("/sign-in"));
}

#[test]
fn pages_show_only_fields_that_matter() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    for (name, recipe, fields, is_checked) in [
        ("nginx", 0, &["keyturn", "api", "path", "scope"][..], true),
        ("haproxy", 1, &["api"], false),
        ("apache", 0, &["keyturn", "api"], false),
        ("tokens", 2, &[], false),
    ] {
        let html = visitor.page(&format!("/gateways/{name}?recipe={recipe}"));
        for field in ["keyturn", "api", "path", "scope", "audience"] {
            let is_expected = fields.contains(&field) || field == "audience";
            assert_eq!(html.contains(&format!("id=\"{field}\"")), is_expected, "{name}: {field}");
        }
        let check = visitor.get(&format!("/gateways/{name}/check?recipe={recipe}"));
        assert_eq!(check.status, if name == "tokens" { 404 } else { 200 }, "{name}");
        let html = check.text();
        assert_eq!(html.contains("id=\"seen\"") && html.contains("id=\"addresses\""), is_checked, "{name}");
        assert_eq!(html.contains("curl -i http://127.0.0.1:8000/orders/1"), name != "tokens", "{name}");
    }
}

#[test]
fn values_stay_in_the_address_of_each_step() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let query = "recipe=1&keyturn=10.0.0.5%3A81&api=10.0.0.6%3A82&path=%2Fv1%2Fa%2F&scope=read%3Aa%2F*";
    for step in ["", "/configuration", "/check"] {
        let html = visitor.page(&format!("/gateways/nginx{step}?{query}")).replace("&#38;", "&");
        for other in ["", "/configuration", "/check"] {
            let is_current = step == other;
            let link = format!("href=\"/console/gateways/nginx{other}?{query}\"");
            assert!(is_current || html.contains(&link), "{link} on {step}: {html}");
        }
    }
    let html = visitor.page(&format!("/gateways/nginx?{query}"));
    assert!(html.contains("value=\"10.0.0.5:81\"") && html.contains("value=\"/v1/a/\""), "{html}");
    let says = visitor.done(&format!("/gateways/nginx/check?{query}"), "/gateways/nginx/check", &[]);
    assert!(says.contains("Watching for requests.") && says.contains("/v1/a/1"), "{says}");
}

/// Asks `/verify` as a gateway does, for a client.
fn ask(server: &Server, credential: Option<&str>, client: Option<&str>, path: &str) -> u16 {
    let mut request = server.request("GET", path);
    if let Some(credential) = credential {
        request = request.bearer(credential);
    }
    if let Some(client) = client {
        request = request.header("X-Forwarded-For", client);
    }
    request.send().status
}

#[test]
fn check_shows_what_keyturn_sees() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let check = "/gateways/nginx/check";
    let key = server.key.text.clone();
    let path = "/verify?keyturn_require=read:orders/*";
    // Before the check is started, nothing is observed.
    assert_eq!(ask(&server, Some(&key), None, path), 200);
    assert!(!visitor.page(check).contains("Requests in the last 10 minutes"));
    let says = visitor.done(check, check, &[]);
    assert!(says.contains("No request yet."), "{says}");
    assert_eq!(ask(&server, Some(&key), Some("203.0.113.7"), path), 200);
    assert_eq!(ask(&server, None, None, path), 401);
    assert_eq!(ask(&server, Some(&key), None, "/o/other/verify"), 401);
    let says = visitor.read(check);
    for part in [
        "Keyturn doesn’t trust it",
        "127.0.0.1 not a trusted proxy 127.0.0.1 Allowed 1",
        "API_KEY_REQUIRED The request had no credential.",
        "trusted_proxies = [\"127.0.0.1\"]",
    ] {
        assert!(says.contains(part), "{part} in {says}");
    }
    // With the setting as shown, the check says that it works.
    let founded = server.key.clone();
    let server = server.stop().set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.1").serve(founded);
    let visitor = Visitor::sign_in(&server, &owner.email, &owner.password);
    visitor.done(check, check, &[]);
    assert_eq!(ask(&server, Some(&key), None, path), 403);
    let says = visitor.read(check);
    assert!(says.contains("127.0.0.1 trusted proxy Unknown: the trusted proxy sent no forwarding header"), "{says}");
    assert!(says.contains("No request was allowed yet"), "{says}");
    assert_eq!(ask(&server, Some(&key), Some("203.0.113.7"), path), 200);
    let says = visitor.read(check);
    assert!(says.contains("The gateway works.") && says.contains("Keyturn saw the client 203.0.113.7"), "{says}");
}

#[test]
fn check_is_bounded_and_of_one_organization() {
    let place = Place::new().set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.1");
    let acme = place.init(&["--organization", "acme"]);
    let (server, owner) = crate::support::person::start_in(place);
    let (visitor, check) = (Visitor::of(&server, &owner), "/gateways/nginx/check");
    visitor.done(check, check, &[]);
    for n in 0..100 {
        ask(&server, Some("nonsense"), Some(&format!("198.51.100.{n}")), "/verify?keyturn_require=read:a");
    }
    let html = visitor.page(check);
    assert_eq!(html.matches("API_KEY_INVALID</span>").count(), 1, "requests of a peer are folded");
    assert!(html.contains(">100<") && html.contains("198.51.100.99"), "{html}");
    let theirs = Visitor::sign_in_to(&server, "acme", &acme.email, &acme.password);
    theirs.done(check, check, &[]);
    let says = theirs.read(check);
    assert!(says.contains("No request yet.") && !says.contains("198.51.100"), "{says}");
    assert!(!says.contains("trusted_proxies = ["), "members of other organizations do not run the server");
    assert_eq!(visitor.post(check).form(&[("csrf", "x")]).send().status, 403);
}

#[test]
fn client_address_is_explained() {
    let (server, owner) = start();
    let read = |visitor: &Visitor, header: &str| {
        text(&visitor.request("GET", "/gateways/nginx/check").header("X-Forwarded-For", header).send().text())
    };
    let said = read(&Visitor::of(&server, &owner), "203.0.113.7");
    for part in [
        "No proxy is trusted now.",
        "203.0.113.7 (ignored)",
        "127.0.0.1 (not a trusted proxy)",
        "Client address 127.0.0.1",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let key = server.key.clone();
    let server = server.stop().set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8").serve(key);
    let visitor = Visitor::sign_in(&server, &owner.email, &owner.password);
    let said = read(&visitor, "203.0.113.7");
    for part in ["Trusted now: 127.0.0.1/32, 10.0.0.0/8.", "127.0.0.1 (a trusted proxy)", "Client address 203.0.113.7"]
    {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(read(&visitor, "<script>").contains("Unknown: the trusted proxy sent an unreadable forwarding header"));
    // Other tenants do not learn the server's network.
    let body = json!({ "slug": "acme", "owner_email": "o@acme.example" });
    let made = Person::sign_in(&server, "default", &owner.email, &owner.password)
        .call("POST", "/api/v1/organizations")
        .json(&body)
        .send()
        .expect(201);
    let password = made["owner"]["password"].as_str().unwrap();
    let stranger = Visitor::sign_in_to(&server, "acme", "o@acme.example", password);
    let said = read(&stranger, "203.0.113.7");
    assert!(!said.contains("10.0.0.0/8") && said.contains("The operator of this server sets it."), "{said}");
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
