//! Metadata of keys, and the custom claims and headers that come from it.

use serde_json::{Value, json};

use crate::cli::{json_lines, json_object};
use crate::nodes::Two;
use crate::support::Answer;
use crate::support::check::{oauth_error, problem, wrong_field};
use crate::support::field;
use crate::support::server::{Key, Server, scope_list};

fn edit(server: &Server, key: &Key, body: &Value) -> Answer {
    server.api("PATCH", &format!("keys/{}", key.id)).json(body).send()
}

fn set(server: &Server, method: &str, path: &str, body: &Value) -> Value {
    server.api(method, path).json(body).send().expect(200)
}

fn listed(server: &Server, query: &str) -> Vec<String> {
    let list = server.api("GET", &format!("keys?{query}")).send().expect(200);
    field(&list["items"], "name").into_iter().map(str::to_owned).collect()
}

fn introspect(server: &Server, credential: &str) -> Value {
    server
        .request("POST", "/oauth/introspect")
        .bearer(&server.key.text)
        .form(&[("token", credential)])
        .send()
        .expect(200)
}

#[test]
fn metadata_is_stored_edited_found_and_audited() {
    let server = Server::start();
    let long = "x".repeat(3000);
    let one = server.make(&json!({ "name": "one", "metadata": { "plan": "pro", "team": "a b", "note": long } }));
    let two = server.make(&json!({ "name": "two", "metadata": { "plan": "pro" } }));
    server.make(&json!({ "name": "three" }));
    let shown = server.api("GET", &format!("keys/{}", one.id)).send().expect(200);
    assert_eq!(shown["metadata"], json!({ "plan": "pro", "team": "a b", "note": long }));

    assert_eq!(listed(&server, "metadata[plan]=pro"), ["two", "one"]);
    assert_eq!(listed(&server, "metadata%5Bplan%5D=pro&metadata[team]=a+b&status=active"), ["one"]);
    assert_eq!(listed(&server, &format!("metadata[note]={long}")), ["one"]);
    assert_eq!(listed(&server, "metadata[plan]=pr"), [""; 0]);
    assert_eq!(listed(&server, "metadata[plan]=pro&sort=name&search=O"), ["one", "two"]);
    problem(&server.api("GET", "keys?metadata=pro").send(), 422, "VALIDATION_FAILED");
    problem(&server.api("GET", "keys?metadata[plan]=").send(), 422, "VALIDATION_FAILED");
    for name in ["", "a][b", "a%20b"] {
        wrong_field(&server.api("GET", &format!("keys?metadata[{name}]=a")).send(), "metadata");
    }
    wrong_field(&server.api("GET", "keys?metadata[plan]=a&metadata[plan]=b").send(), "metadata");
    problem(&server.api("GET", "members?metadata[plan]=a").send(), 422, "VALIDATION_FAILED");

    // All pairs are replaced; tokens stay valid, because the key may do the same as before.
    let token = server.token(&two, &[]);
    assert_eq!(
        edit(&server, &two, &json!({ "metadata": { "plan": "free" } })).expect(200)["metadata"],
        json!({ "plan": "free" })
    );
    assert_eq!(introspect(&server, &token)["active"], true);
    assert_eq!(
        (listed(&server, "metadata[plan]=pro"), listed(&server, "metadata[plan]=free")),
        (vec!["one".to_owned()], vec!["two".to_owned()])
    );
    edit(&server, &two, &json!({ "name": "deux" })).expect(200);
    assert_eq!(listed(&server, "metadata[plan]=free"), ["deux"], "absent: unchanged");
    edit(&server, &two, &json!({ "metadata": {} })).expect(200);
    assert_eq!(listed(&server, "metadata[plan]=free"), [""; 0]);
    let log = server.api("GET", &format!("audit?subject={}&action=key.edit", two.id)).send().expect(200);
    assert_eq!(
        (&log["items"][0]["old"]["metadata"], &log["items"][0]["new"]["metadata"]),
        (&json!({ "plan": "free" }), &json!({}))
    );

    for wrong in [
        json!({ "metadata": { "a b": "c" } }),
        json!({ "metadata": { "a": "b\nc" } }),
        json!({ "metadata": { "a": "x".repeat(4096) } }),
        json!({ "metadata": null }),
    ] {
        assert_eq!(edit(&server, &two, &wrong).status, 422, "{wrong}");
    }
    wrong_field(&server.api("POST", "keys").json(&json!({ "metadata": { "": "x" } })).send(), "metadata");
}

#[test]
fn policy_and_api_set_claims() {
    let server = Server::start();
    let policy = json!({ "token_claims": {
        "plan": "metadata.plan", "tier": "customer.metadata.tier", "user": "customer.external_id", "owner_id": "owner",
        "env": "production", "level": 3, "beta": true, "literal": "=owner", "https://example.com/missing": "metadata.absent",
    } });
    let stored = set(&server, "PUT", "policy", &policy);
    assert_eq!(stored["token_claims"], policy["token_claims"]);
    let customer = json!({ "external_id": "user_1", "metadata": { "tier": "gold" } });
    let customer = server.api("POST", "customers").json(&customer).send().expect(201)["id"].clone();
    let key = server.make(&json!({
        "customer": customer, "scopes": scope_list("read:*"), "metadata": { "plan": "pro \u{e9}\"" },
    }));
    let token = server.token(&key, &[]);
    let claims = server.claims(&token);
    let expected = [
        ("plan", json!("pro \u{e9}\"")),
        ("tier", json!("gold")),
        ("user", json!("user_1")),
        ("env", json!("production")),
        ("level", json!(3)),
        ("beta", json!(true)),
        ("literal", json!("owner")),
    ];
    for (name, value) in &expected {
        assert_eq!(claims[*name], *value, "{name}");
    }
    assert_eq!((claims.get("owner_id"), claims.get("https://example.com/missing")), (None, None), "no value");
    assert_eq!(
        (claims["sub"].as_str(), server.get("/verify").bearer(&token).send().status),
        (Some(key.id.as_str()), 200)
    );
    // Introspection of the token, and of the secret.
    for credential in [&token, &key.text] {
        let active = introspect(&server, credential);
        assert_eq!(active["active"], true);
        for (name, value) in &expected {
            assert_eq!(active[*name], *value, "{name}");
        }
    }
    let preview = server.api("POST", &format!("keys/{}/token-preview", key.id)).json(&json!({})).send().expect(200);
    assert_eq!(preview["payload"]["plan"], expected[0].1);

    // A change counts for the next token. A long value is left out.
    edit(&server, &key, &json!({ "metadata": { "plan": "x".repeat(513) } })).expect(200);
    let next = server.claims(&server.token(&key, &[]));
    assert_eq!((next.get("plan"), &next["tier"]), (None, &json!("gold")));
    assert_eq!(introspect(&server, &token)["plan"], expected[0].1, "a token keeps its claims");

    // An API adds and replaces claims. One token cannot carry different ones.
    let photos = json!({
        "name": "photos", "audience": "https://photos.example.com", "scope_style": "filters",
        "token_claims": { "env": "photos", "album": "metadata.album" },
    });
    let photos = server.api("POST", "apis").json(&photos).send().expect(201);
    assert_eq!(photos["token_claims"], json!({ "env": "photos", "album": "metadata.album" }));
    let both = json!([{ "api": "default", "scopes": ["read:*"] }, { "api": "photos", "scopes": ["read:*"] }]);
    let made = json!({ "name": "both", "apis": both, "metadata": { "album": "a1" } });
    let made = server.api("POST", "keys").json(&made).send().expect(201);
    let text = made["secret"].as_str().unwrap();
    let key = Key { id: made["id"].as_str().unwrap().to_owned(), text: text.to_owned() };
    let claims = server.claims(&server.token(&key, &[("resource", "https://photos.example.com")]));
    assert_eq!((&claims["env"], &claims["album"], &claims["level"]), (&json!("photos"), &json!("a1"), &json!(3)));
    let audiences: Vec<Value> = ["apis/default", "apis/photos"]
        .map(|api| server.api("GET", api).send().expect(200)["audience"].clone())
        .to_vec();
    let resources: Vec<(&str, &str)> =
        audiences.iter().map(|audience| ("resource", audience.as_str().unwrap())).collect();
    oauth_error(&server.exchange(&key.text, &resources), 400, "invalid_target", "VALIDATION_FAILED");
    set(&server, "PATCH", "apis/photos", &json!({ "token_claims": {} }));
    assert_eq!(server.exchange(&key.text, &resources).status, 200);
}

#[test]
fn verify_sends_the_headers_of_the_policy() {
    let server = Server::start();
    let policy =
        json!({ "verify_headers": { "X-Plan": "metadata.plan", "X-User": "customer.external_id", "X-Level": 3 } });
    set(&server, "PUT", "policy", &policy);
    let key = server.make(&json!({ "metadata": { "plan": "pro\u{e9} 100%" } }));
    let token = server.token(&key, &[]);
    for credential in [&token, &key.text] {
        let answer = server.get("/verify").bearer(credential).header("X-Plan", "admin").header("X-User", "root").send();
        assert_eq!(answer.status, 200);
        let header = |name: &str| answer.header(name).map(str::to_owned);
        assert_eq!(header("x-plan").as_deref(), Some("pro%C3%A9 100%25"));
        assert_eq!(header("x-level").as_deref(), Some("3"));
        assert_eq!(header("x-user").as_deref(), Some(""), "always sent, so that a client's header does not pass");
    }
    let refused = server.get("/verify").bearer("kt_x").header("X-Plan", "admin").send();
    assert_eq!((refused.status, refused.header("x-plan")), (401, None));
    set(&server, "PUT", "policy", &json!({}));
    assert_eq!(server.get("/verify").bearer(&token).send().header("x-plan"), None);
}

#[test]
fn reserved_and_invalid_names_are_refused() {
    let server = Server::start();
    let put = |body: &Value| server.api("PUT", "policy").json(body).send();
    for name in ["sub", "aud", "scope", "gen", "cnf", "client_id", "customer", "scp", "active", "a b", "", "caf\u{e9}"]
    {
        wrong_field(&put(&json!({ "token_claims": { name: "owner" } })), "token_claims");
    }
    for name in ["X-Keyturn-Scope", "x-forwarded-for", "Set-Cookie", "Authorization", "X-A\r\nB", "X-Request-Id"] {
        wrong_field(&put(&json!({ "verify_headers": { name: "owner" } })), "verify_headers");
    }
    for source in
        [json!("metadata."), json!("customer.name"), json!("a\u{7}"), json!(null), json!(1.5), json!(["a"]), json!({})]
    {
        let refused = put(&json!({ "token_claims": { "plan": source } }));
        assert_eq!(refused.status, 422, "{source}: {}", refused.text());
    }
    let many: serde_json::Map<String, Value> = (0..17).map(|n| (format!("c{n}"), json!("owner"))).collect();
    wrong_field(&put(&json!({ "token_claims": many })), "token_claims");
    let api = json!({ "name": "photos", "audience": "https://p.example", "token_claims": { "iss": "owner" } });
    wrong_field(&server.api("POST", "apis").json(&api).send(), "token_claims");
    wrong_field(
        &server.api("PATCH", "apis/default").json(&json!({ "token_claims": { "exp": 9 } })).send(),
        "token_claims",
    );
}

#[test]
fn commands_set_and_find_metadata_and_claims() {
    let server = Server::start();
    let made =
        json_object(&server, &["keys", "create", "--name", "one", "--metadata", "plan=pro", "--metadata", "a=b=c"]);
    assert_eq!(made["metadata"], json!({ "plan": "pro", "a": "b=c" }));
    let id = made["id"].as_str().unwrap();
    let found = json_lines(&server, &["keys", "list", "--metadata", "plan=pro", "--metadata", "a=b=c"]);
    assert_eq!(field(&Value::from(found), "id"), [id]);
    let edited = json_object(&server, &["keys", "update", id, "--no-metadata"]);
    assert_eq!(edited["metadata"], json!({}));
    let api = json_object(&server, &["apis", "update", "default", "--claim", "plan=metadata.plan"]);
    assert_eq!(api["token_claims"], json!({ "plan": "metadata.plan" }));
    let api = json_object(&server, &["apis", "update", "default", "--no-claims"]);
    assert_eq!(api["token_claims"], json!({}));
}

#[test]
fn claims_are_current_on_every_node() {
    let two = Two::embedded();
    let (a, _) = two.turn(0);
    set(a, "PUT", "policy", &json!({ "token_claims": { "plan": "metadata.plan" } }));
    let key = a.make(&json!({ "metadata": { "plan": "0" } }));
    for n in 1..=10 {
        let (here, there) = two.turn(n);
        edit(here, &key, &json!({ "metadata": { "plan": n.to_string() } })).expect(200);
        assert_eq!(there.claims(&there.token(&key, &[]))["plan"], n.to_string());
    }
}
