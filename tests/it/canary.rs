//! No key text, secret, token, password or master key is found where it does not belong, at any log level.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::support::server::{Place, Server};

/// What must not be found, in every form that it may take.
struct Canaries(Vec<(&'static str, Vec<u8>)>);

impl Canaries {
    fn secret(&mut self, what: &'static str, text: &str) {
        self.0.push((what, text.as_bytes().to_vec()));
        self.0.push((what, STANDARD.encode(text).trim_end_matches('=').as_bytes()[..text.len() - 4].to_vec()));
    }

    fn key(&mut self, text: &str) {
        self.secret("a key text", text);
        let secret = text.rsplit('_').next().unwrap();
        self.0.push(("a bare secret", secret.as_bytes()[..43].to_vec()));
    }

    #[track_caller]
    fn look_in(&self, place: &str, bytes: &[u8]) {
        for (what, canary) in &self.0 {
            let found = bytes.windows(canary.len()).position(|window| window == canary);
            let near = found.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(80)..at]).into_owned());
            assert!(found.is_none(), "{what} is found in {place}, after {near:?}");
        }
    }
}

#[test]
fn no_secret_is_found_where_it_does_not_belong() {
    let master = *b"canary master key of 32 bytes...";
    let place = Place::new()
        .unset("KEYTURN_SECRETS__MASTER_KEY_FILE")
        .set("KEYTURN_SECRETS__MASTER_KEY", STANDARD.encode(master))
        .set("KEYTURN_LOG__LEVEL", "trace");
    let founded = place.init(&[]);
    let mut canaries = Canaries(vec![
        ("the master key", master.to_vec()),
        ("the master key", STANDARD.encode(master).into_bytes()),
        ("the master key", URL_SAFE_NO_PAD.encode(master).into_bytes()),
    ]);
    canaries.secret("the password", &founded.password);
    canaries.key(&founded.key.text);
    let server = place.serve(founded.key);

    let key = server.make(&json!({ "scopes": [{ "action": "*", "resource": "*" }] }));
    canaries.key(&key.text);
    let token = server.token(&key, &[]);
    canaries.0.push(("an access token", token.as_bytes().to_vec()));
    canaries.0.push(("a token's signature", token.rsplit('.').next().unwrap().as_bytes().to_vec()));
    let mut bodies = misplace(&server, &key.text, &token);
    bodies.extend(misplace(&server, key.secret(), &token));

    let rotated =
        server.api("POST", &format!("keys/{}/rotate", key.id)).json(&json!({ "grace_seconds": 60 })).send().expect(200);
    canaries.key(rotated["secret"].as_str().unwrap());
    server.change("POST", &format!("{}/revoke", key.id), &json!({ "reason": "leaked" }));
    bodies.extend(misplace(&server, &key.text, &token));
    for path in ["/metrics", "/healthz", "/readyz", "/api/v1/organizations/default/keys"] {
        bodies.push((path.to_owned(), server.get(path).bearer(&server.key.text).send().body));
    }

    for (place, body) in &bodies {
        canaries.look_in(place, body);
    }
    let place = server.stop();
    for file in ["stdout.log", "stderr.log"] {
        canaries.look_in(file, &std::fs::read(place.path(file)).unwrap());
    }
    let log = std::fs::read_to_string(place.path("stderr.log")).unwrap();
    assert!(log.contains("TRACE") && log.lines().count() > 100, "everything was logged");
    let mut files = 0;
    for entry in std::fs::read_dir(place.path("data")).unwrap() {
        let path = entry.unwrap().path();
        canaries.look_in(&path.display().to_string(), &std::fs::read(&path).unwrap());
        files += 1;
    }
    assert!(files >= 1, "the database was looked into");
}

/// Puts a secret everywhere that a mistaken client might, and gives what came back.
fn misplace(server: &Server, secret: &str, token: &str) -> Vec<(String, Vec<u8>)> {
    let first = &server.key.text;
    let grant = ("grant_type", "client_credentials");
    let json = |name: &str| json!({ name: secret });
    let requests = [
        ("the right place", server.token_request().api_key(secret).form(&[grant, ("scope", "fly:nowhere/..")])),
        ("Basic as both", server.token_request().basic(secret, secret).form(&[grant])),
        ("the client id", server.token_request().form(&[grant, ("client_id", secret), ("client_secret", first)])),
        ("the grant type", server.token_request().api_key(first).form(&[("grant_type", secret)])),
        ("the scope", server.token_request().api_key(first).form(&[grant, ("scope", secret)])),
        (
            "a scope's resource",
            server.token_request().api_key(secret).form(&[grant, ("scope", &format!("read:keyturn/{secret}"))]),
        ),
        ("the audience", server.token_request().api_key(first).form(&[grant, ("resource", secret)])),
        ("a parameter's name", server.token_request().api_key(first).form(&[grant, (secret, "1"), (secret, "2")])),
        (
            "a repeated parameter",
            server.token_request().form(&[grant, ("client_secret", secret), ("client_secret", secret)]),
        ),
        (
            "a broken escape",
            server.token_request().form_text(format!("grant_type=client_credentials&client_secret={secret}%zz")),
        ),
        ("the query", server.request("POST", &format!("/oauth/token?client_secret={secret}")).form(&[grant])),
        ("the path", server.get(&format!("/oauth/token/{secret}")).bearer(secret)),
        ("an API path", server.get(&format!("/api/v1/organizations/{secret}/keys/{secret}")).bearer(first)),
        ("an id", server.get(&format!("/api/v1/organizations/default/keys/{secret}")).bearer(first)),
        ("a list's query", server.get(&format!("/api/v1/organizations/default/keys?{secret}={secret}")).bearer(first)),
        ("a cursor", server.get(&format!("/api/v1/organizations/default/keys?cursor={secret}")).bearer(first)),
        ("a request id", server.get("/healthz").header("X-Request-Id", secret)),
        ("an If-Match", server.api("PATCH", "keys/0000000000000000").header("If-Match", secret).json(&json!({}))),
        ("a content type", server.token_request().api_key(first).body(secret, "x")),
        ("an unknown field", server.api("POST", "keys").json(&json(secret))),
        ("a field of another type", server.api("POST", "keys").json(&json("expires_in_seconds"))),
        ("a list that is none", server.api("POST", "keys").json(&json("scopes"))),
        ("a list of networks", server.api("POST", "keys").json(&json!({ "allowed_cidrs": [secret] }))),
        ("an action", server.api("POST", "keys").json(&json!({ "scopes": [{ "action": secret, "resource": "*" }] }))),
        (
            "a resource",
            server
                .api("POST", "keys")
                .json(&json!({ "scopes": [{ "action": "fly", "resource": format!("{secret}//") }] })),
        ),
        ("a date", server.api("POST", "keys").json(&json("expires_at"))),
        ("an owner", server.api("POST", "keys").json(&json("owner"))),
        ("not JSON", server.api("POST", "keys").body("application/json", format!("{{\"name\": {secret}"))),
        ("both headers", server.get("/api/v1/me").bearer(secret).api_key(secret)),
        ("another scheme", server.get("/api/v1/me").header("Authorization", format!("Digest {secret}"))),
        ("a dead token", server.get("/verify").bearer(&format!("{token}x"))),
        ("a requirement", server.get(&format!("/verify?keyturn_require={secret}")).bearer(token)),
        (
            "a requirement's resource",
            server.get(&format!("/verify?keyturn_require=read:keyturn/{}", &secret[..43])).bearer("x"),
        ),
        ("a parameter of ours", server.get(&format!("/verify?keyturn_{secret}=1")).bearer(token)),
        (
            "a forwarded path",
            server.get("/verify?keyturn_map=http").bearer("x").header("X-Original-URI", format!("/{secret}")),
        ),
        ("introspection", server.request("POST", "/oauth/introspect").api_key(first).form(&[("token", secret)])),
        (
            "introspection of a token",
            server.request("POST", "/oauth/introspect").api_key(first).form(&[("token", token)]),
        ),
        (
            "a hint",
            server
                .request("POST", "/oauth/introspect")
                .api_key(first)
                .form(&[("token", "x"), ("token_type_hint", secret)]),
        ),
        ("revocation by nobody", server.request("POST", "/oauth/revoke").form(&[("token", secret)])),
        ("an issuer", server.get(&format!("/o/{secret}/.well-known/jwks.json"))),
        ("a kid", server.get(&format!("/.well-known/jwks/{secret}.pem"))),
    ];
    requests
        .into_iter()
        .map(|(place, request)| {
            let answer = request.send();
            let headers = answer.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>();
            // An answer that grants a token is where a token belongs.
            let granted = answer.status == 200 && answer.text().contains("access_token");
            let body = if granted { Vec::new() } else { [headers.into_bytes(), answer.body].concat() };
            (format!("the answer to a secret in: {place}"), body)
        })
        .collect()
}
