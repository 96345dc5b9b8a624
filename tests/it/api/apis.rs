//! APIs: what tokens are for, and what keys are granted for each.

use serde_json::{Value, json};

use crate::support::check::{oauth_error, problem, wrong_field};
use crate::support::jwt;
use crate::support::server::{Key, Place, Server, scope_list};
use crate::support::{Answer, eventually, field};

const PHOTOS: &str = "https://photos.example.com";

fn create(server: &Server, more: &Value) -> Answer {
    let mut body = json!({
        "name": "photos", "audience": PHOTOS,
        "scopes": [{ "scope": "photos.read", "description": "See photos" }, { "scope": "photos.write" }],
    });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    server.api("POST", "apis").json(&body).send()
}

/// A server with the API `photos`, and a key that is granted a scope of it besides `read` for the default API.
fn start() -> (Server, Key) {
    let server = Server::start();
    create(&server, &json!({})).expect(201);
    let key = server.make(&json!({ "apis": [{ "api": "photos", "scopes": ["photos.read"] }] }));
    (server, key)
}

fn is_active(server: &Server, token: &str) -> bool {
    let inspected =
        server.request("POST", "/oauth/introspect").bearer(&server.key.text).form(&[("token", token)]).send();
    let is_active = inspected.expect(200)["active"].as_bool().unwrap();
    let verified = server.get("/verify").bearer(token).send().status;
    assert_eq!(verified, if is_active { 200 } else { 401 }, "both decide alike");
    is_active
}

fn edit_key(server: &Server, key: &Key, body: &Value) -> Answer {
    server.api("PATCH", &format!("keys/{}", key.id)).json(body).send()
}

#[test]
fn api_is_created_shown_edited_and_deleted() {
    let server = Server::start();
    let made = create(&server, &json!({ "description": "Pictures", "token_ttl_seconds": 120, "token_typ": "JWT" }));
    let body = made.expect(201);
    assert_eq!(made.header("location").map(|at| at.ends_with("/organizations/default/apis/photos")), Some(true));
    assert_eq!((body["scope_style"].as_str(), body["keys"].as_u64()), (Some("plain"), Some(0)));
    assert_eq!(body["scopes"][0], json!({ "scope": "photos.read", "description": "See photos" }));
    let listed = server.api("GET", "apis").send().expect(200);
    assert_eq!(field(&listed["items"], "name"), ["default", "photos"]);
    let default = &listed["items"][0];
    assert_eq!((default["is_default"].as_bool(), default["scope_style"].as_str()), (Some(true), Some("filters")));
    assert_eq!(default["keys"], 1, "the first key");
    assert_eq!(default["aliases"].as_array().unwrap().len(), 1, "the public URL, which is also the issuer");

    let shown = server.api("GET", "apis/photos").send();
    assert_eq!((shown.expect(200), shown.header("etag")), (body, Some("\"1\"")));
    let patch = |tag: &str, body: &Value| server.api("PATCH", "apis/photos").header("If-Match", tag).json(body).send();
    let edited = patch("\"1\"", &json!({ "name": "pictures", "token_typ": null, "scopes": [] }));
    let body = edited.expect(200);
    assert_eq!(
        (edited.header("etag"), &body["name"], &body["token_typ"]),
        (Some("\"2\""), &json!("pictures"), &Value::Null)
    );
    assert_eq!(body["scopes"], json!([]));
    let stale = server.api("PATCH", "apis/pictures").header("If-Match", "\"1\"").json(&json!({})).send();
    problem(&stale, 412, "PRECONDITION_FAILED");
    problem(&patch("\"2\"", &json!({})), 404, "NOT_FOUND");
    assert_eq!(server.api("DELETE", "apis/pictures").send().status, 204);
    problem(&server.api("DELETE", "apis/pictures").send(), 404, "NOT_FOUND");
    problem(&server.api("DELETE", "apis/default").send(), 409, "CONFLICT");
    let log = server.api("GET", "audit?action=api.delete").send().expect(200);
    assert_eq!(log["items"][0]["old"]["audience"], PHOTOS);
}

#[test]
fn invalid_settings_are_named_by_field() {
    let (server, _) = start();
    let issuer = server.get("/.well-known/openid-configuration").send().expect(200)["issuer"].clone();
    for (more, wrong) in [
        (json!({ "name": "Photos" }), "name"),
        (json!({ "name": "photos", "audience": "https://b.example" }), "name"),
        (json!({ "name": "b", "audience": "has space" }), "audience"),
        (json!({ "name": "b", "audience": "HTTPS://photos.example.com:443/" }), "audience"),
        (json!({ "name": "b", "audience": issuer }), "audience"),
        (json!({ "name": "b", "audience": "b", "scopes": [{ "scope": "a b" }] }), "scopes[0]"),
        (json!({ "name": "b", "audience": "b", "scopes": [{ "scope": "a" }, { "scope": "a" }] }), "scopes[1]"),
        (
            json!({ "name": "b", "audience": "b", "scope_style": "filters", "scopes": [{ "scope": "read:keyturn/keys" }] }),
            "scopes[0]",
        ),
        (json!({ "name": "b", "audience": "b", "scope_style": "globs" }), "scope_style"),
        (json!({ "name": "b", "audience": "b", "token_typ": "jwt" }), "token_typ"),
        (json!({ "name": "b", "audience": "b", "token_ttl_seconds": 59 }), "token_ttl_seconds"),
    ] {
        wrong_field(&create(&server, &more), wrong);
    }
    wrong_field(&server.api("PATCH", "apis/default").json(&json!({ "name": "main" })).send(), "name");
    wrong_field(&server.api("PUT", "policy").json(&json!({ "audiences": [PHOTOS] })).send(), "audiences");
    for (apis, wrong) in [
        (json!([{ "api": "nothing", "scopes": [] }]), "apis[0].api"),
        (json!([{ "api": "photos", "scopes": [] }, { "api": "photos", "scopes": [] }]), "apis[1].api"),
        (json!([{ "api": "default", "scopes": [] }]), "apis[0].api"),
        (json!([{ "api": "photos", "scopes": ["photos.read", "photos.fly"] }]), "apis[0].scopes[1]"),
    ] {
        let body = json!({ "name": "k", "scopes": [], "apis": apis });
        wrong_field(&server.api("POST", "keys").json(&body).send(), wrong);
    }
}

#[test]
fn token_is_for_one_api_in_the_spelling_of_its_scopes() {
    let (server, key) = start();
    let plain = server.exchange(&key.text, &[("resource", PHOTOS)]).expect(200);
    assert_eq!(plain["scope"], "photos.read");
    let claims = server.claims(plain["access_token"].as_str().unwrap());
    assert_eq!((claims["aud"].as_str(), claims["scope"].as_str()), (Some(PHOTOS), Some("photos.read")));
    assert_eq!(server.exchange(&key.text, &[]).expect(200)["scope"], "read:*", "the default API");
    let chosen = server.exchange(&key.text, &[("scope", "photos.read")]).expect(200);
    assert_eq!(server.claims(chosen["access_token"].as_str().unwrap())["aud"], PHOTOS, "the only one with the scope");

    let denied = |more: &[(&str, &str)]| server.exchange(&key.text, more);
    oauth_error(
        &denied(&[("resource", PHOTOS), ("scope", "photos.write")]),
        400,
        "invalid_scope",
        "INSUFFICIENT_SCOPE",
    );
    oauth_error(&denied(&[("resource", PHOTOS), ("scope", "read")]), 400, "invalid_scope", "INSUFFICIENT_SCOPE");
    oauth_error(&denied(&[("resource", "https://b.example")]), 400, "invalid_target", "VALIDATION_FAILED");
    let default = server.api("GET", "apis/default").send().expect(200)["audience"].as_str().unwrap().to_owned();
    let mixed = denied(&[("resource", PHOTOS), ("resource", &default)]);
    oauth_error(&mixed, 400, "invalid_target", "VALIDATION_FAILED");
    let other = server.make_with("read");
    let not_granted = server.exchange(&other.text, &[("audience", PHOTOS)]);
    oauth_error(&not_granted, 400, "invalid_target", "VALIDATION_FAILED");
}

#[test]
fn scopes_of_other_systems_are_kept_as_they_are() {
    let server = Server::start();
    let scopes = ["read:*/*", "%2F/*", "https://api.example/photos", "orders:read", "a,b", "Photos.Read"];
    let listed: Vec<Value> = scopes.iter().map(|scope| json!({ "scope": scope })).collect();
    create(&server, &json!({ "scopes": listed })).expect(201);
    let made = server.make(&json!({ "apis": [{ "api": "photos", "scopes": scopes }] }));
    let shown = server.api("GET", &format!("keys/{}", made.id)).send().expect(200);
    assert_eq!(shown["apis"][1], json!({ "api": "photos", "scopes": scopes }));
    assert_eq!(server.exchange(&made.text, &[("resource", PHOTOS)]).expect(200)["scope"], scopes.join(" "));
    let one = server.token(&made, &[("resource", PHOTOS), ("scope", "%2F/*")]);
    let query = "keyturn_require=%252F/*&keyturn_audience=https://photos.example.com";
    assert_eq!(server.get(&format!("/verify?{query}")).bearer(&one).send().status, 200);
    let other = server.get("/verify?keyturn_require=orders:read").bearer(&one).send();
    assert_eq!((other.status, other.json()["code"].as_str()), (403, Some("INSUFFICIENT_SCOPE")));
}

#[test]
fn several_apis_in_one_token_share_only_what_both_grant() {
    let (server, _) = start();
    create(&server, &json!({ "name": "albums", "audience": "https://albums.example.com", "token_ttl_seconds": 60 }))
        .expect(201);
    let key = server.make(&json!({ "apis": [
        { "api": "photos", "scopes": ["photos.read"] },
        { "api": "albums", "scopes": ["photos.read", "photos.write"] },
    ] }));
    let both = [("resource", PHOTOS), ("resource", "https://albums.example.com")];
    let answer = server.exchange(&key.text, &both).expect(200);
    assert_eq!((answer["scope"].as_str(), answer["expires_in"].as_u64()), (Some("photos.read"), Some(60)));
    let denied = server.exchange(&key.text, &[&both[..], &[("scope", "photos.write")]].concat());
    oauth_error(&denied, 400, "invalid_scope", "INSUFFICIENT_SCOPE");
    let token = answer["access_token"].as_str().unwrap();
    assert!(is_active(&server, token));
    assert_eq!(server.api("DELETE", "apis/albums").send().status, 204);
    assert!(!is_active(&server, token), "one of its APIs is gone");
}

#[test]
fn lifetime_and_type_of_tokens_are_those_of_the_api() {
    let server = Server::start();
    create(&server, &json!({ "token_ttl_seconds": 90, "token_typ": "JWT" })).expect(201);
    let key = server.make(&json!({ "apis": [{ "api": "photos", "scopes": ["photos.read"] }] }));
    let answer = server.exchange(&key.text, &[("resource", PHOTOS)]).expect(200);
    let token = answer["access_token"].as_str().unwrap();
    assert_eq!((answer["expires_in"].as_u64(), jwt::part(token, 0)["typ"].as_str()), (Some(90), Some("JWT")));
    assert!(is_active(&server, token));
    let of_default = server.token(&key, &[]);
    assert_eq!(jwt::part(&of_default, 0)["typ"], "at+jwt");
}

#[test]
fn what_an_api_or_a_key_loses_its_tokens_lose_at_once() {
    let (server, key) = start();
    let mint = || server.token(&key, &[("resource", PHOTOS)]);
    let patch_api = |body: &Value| server.api("PATCH", "apis/photos").json(body).send().expect(200);

    // A scope of the API.
    let (token, of_default) = (mint(), server.token(&key, &[]));
    assert!(is_active(&server, &token));
    patch_api(&json!({ "scopes": [{ "scope": "photos.write" }] }));
    assert!(!is_active(&server, &token) && is_active(&server, &of_default));
    assert_eq!(server.exchange(&key.text, &[("resource", PHOTOS)]).expect(200)["scope"], "");
    patch_api(&json!({ "scopes": [{ "scope": "photos.read" }, { "scope": "photos.write" }] }));

    // The audience of the API.
    let token = mint();
    patch_api(&json!({ "audience": "https://pictures.example.com" }));
    assert!(!is_active(&server, &token));
    patch_api(&json!({ "audience": PHOTOS }));

    // A scope of the key, and then the API of the key.
    edit_key(&server, &key, &json!({ "apis": [{ "api": "default", "scopes": ["read"] }, { "api": "photos", "scopes": ["photos.read", "photos.write"] }] })).expect(200);
    let token = mint();
    edit_key(
        &server,
        &key,
        &json!({ "apis": [{ "api": "default", "scopes": ["read"] }, { "api": "photos", "scopes": ["photos.write"] }] }),
    )
    .expect(200);
    assert!(!is_active(&server, &token));
    let (token, of_default) = (mint(), server.token(&key, &[]));
    edit_key(&server, &key, &json!({ "apis": [{ "api": "default", "scopes": ["read"] }] })).expect(200);
    assert!(!is_active(&server, &token) && !is_active(&server, &of_default), "a restricted key has new tokens");
    oauth_error(&server.exchange(&key.text, &[("resource", PHOTOS)]), 400, "invalid_target", "VALIDATION_FAILED");
}

#[test]
fn deleted_api_ends_its_tokens_and_its_successor_inherits_nothing() {
    let (server, key) = start();
    let token = server.token(&key, &[("resource", PHOTOS)]);
    assert_eq!(server.api("DELETE", "apis/photos").send().status, 204);
    assert!(!is_active(&server, &token));
    let shown = server.api("GET", &format!("keys/{}", key.id)).send().expect(200);
    assert_eq!(field(&shown["apis"], "api"), ["default"]);

    create(&server, &json!({})).expect(201);
    assert!(!is_active(&server, &token), "another API with the same name and audience");
    oauth_error(&server.exchange(&key.text, &[("resource", PHOTOS)]), 400, "invalid_target", "VALIDATION_FAILED");
}

#[test]
fn key_without_the_default_api_cannot_manage() {
    let (server, _) = start();
    let body = json!({ "name": "k", "apis": [{ "api": "photos", "scopes": ["photos.read"] }] });
    let made = server.api("POST", "keys").json(&body).send().expect(201);
    assert_eq!((field(&made["apis"], "api"), &made["scopes"]), (vec!["photos"], &json!([])));
    let key = Key { id: made["id"].as_str().unwrap().into(), text: made["secret"].as_str().unwrap().into() };
    let only = server.exchange(&key.text, &[]).expect(200);
    assert_eq!(server.claims(only["access_token"].as_str().unwrap())["aud"], PHOTOS, "the only API");
    problem(&server.api_as(&key.text, "GET", "keys").send(), 403, "INSUFFICIENT_SCOPE");
    let by_token = server.api_as(only["access_token"].as_str().unwrap(), "GET", "keys").send();
    problem(&by_token, 401, "API_KEY_INVALID");
    // A scope of another API that reads like one of the management API.
    create(&server, &json!({ "name": "trap", "audience": "trap", "scopes": [{ "scope": "*:keyturn/*" }] })).expect(201);
    let trap = server.make(&json!({ "scopes": [], "apis": [{ "api": "trap", "scopes": ["*:keyturn/*"] }] }));
    problem(&server.api_as(&trap.text, "GET", "keys").send(), 403, "INSUFFICIENT_SCOPE");
    problem(
        &server.api_as(&server.token(&trap, &[("audience", "trap")]), "GET", "keys").send(),
        401,
        "API_KEY_INVALID",
    );
}

#[test]
fn callers_grant_only_apis_and_scopes_of_their_own() {
    let (server, _) = start();
    create(&server, &json!({ "name": "albums", "audience": "albums" })).expect(201);
    let apis = json!([{ "api": "photos", "scopes": ["photos.read"] }]);
    let manager = server.make(&json!({ "scopes": scope_list("write:keyturn/keys read:keyturn/keys"), "apis": apis }));
    let grant = |credential: &str, apis: Value| {
        server.api_as(credential, "POST", "keys").json(&json!({ "name": "k", "scopes": [], "apis": apis })).send()
    };
    grant(&manager.text, apis.clone()).expect(201);
    let denied = |answer: Answer| drop(problem(&answer, 403, "INSUFFICIENT_SCOPE"));
    denied(grant(&manager.text, json!([{ "api": "photos", "scopes": ["photos.write"] }])));
    denied(grant(&manager.text, json!([{ "api": "albums", "scopes": [] }])));
    let administrator = server.make(&json!({ "scopes": scope_list("write:keyturn/keys admin:keyturn/apis") }));
    grant(&administrator.text, json!([{ "api": "albums", "scopes": ["photos.write"] }])).expect(201);
    // A token is for the management API only, so it carries no authority over another.
    denied(grant(&server.token(&manager, &[]), apis));
}

#[test]
fn secret_is_verified_for_the_audience_that_the_gateway_requires() {
    let (server, key) = start();
    let verify = |query: &str| server.get(&format!("/verify?{query}")).api_key(&key.text).send();
    let photos = verify(&format!("keyturn_audience={PHOTOS}&keyturn_require=photos.read"));
    assert_eq!((photos.status, photos.header("x-keyturn-scope")), (200, Some("photos.read")));
    assert_eq!(verify("keyturn_require=photos.read").status, 403, "the default API is implied");
    assert_eq!(verify("keyturn_require=read:orders/1").header("x-keyturn-scope"), Some("read:*"));
    assert_eq!(verify(&format!("keyturn_audience={PHOTOS}&keyturn_require=read:orders/1")).status, 403);
    assert_eq!(verify("keyturn_audience=https://b.example").status, 401);
}

#[test]
fn algorithm_of_an_api_changes_with_an_overlap() {
    let server = Place::on_sqlite().set("KEYTURN_SIGNING__PUBLISH_AHEAD_SECONDS", 3).start();
    create(&server, &json!({ "algorithm": "RS256", "token_typ": "JWT" })).expect(201);
    let key = server.make(&json!({ "scopes": ["read"], "apis": [{ "api": "photos", "scopes": ["photos.read"] }] }));
    let token = |resource: &str| server.token(&key, &[("resource", resource)]);
    let header = |token: &str| jwt::part(token, 0);
    let jwks = || server.get("/.well-known/jwks.json").send().expect(200);
    let (default, photos) = (token(&server.public_url), token(PHOTOS));
    assert_eq!((&header(&default)["alg"], &header(&photos)["alg"]), (&json!("ES256"), &json!("RS256")));
    assert_eq!(header(&photos)["typ"], "JWT");
    jwt::verify(&default, &jwks());
    jwt::verify(&photos, &jwks());
    let metadata = server.get("/.well-known/oauth-authorization-server").send().expect(200);
    assert_eq!(metadata["id_token_signing_alg_values_supported"], json!(["ES256", "RS256"]));

    // 1. The new key is published, and does not sign yet.
    let patch = |name: &str, body: &Value| server.api("PATCH", &format!("apis/{name}")).json(body).send();
    let changed = patch("default", &json!({ "algorithm": "EdDSA" })).expect(200);
    assert_eq!((&changed["algorithm"], &changed["next_algorithm"]["algorithm"]), (&json!("ES256"), &json!("EdDSA")));
    assert_eq!(header(&token(&server.public_url))["alg"], "ES256");
    assert_eq!(field(&jwks()["keys"], "alg").len(), 3);
    let states = server.api("GET", "signing-keys").send().expect(200);
    assert_eq!(field(&states["items"], "status").iter().filter(|state| **state == "next").count(), 1);

    // 2. It signs, and earlier tokens stay valid, for Keyturn and for who checks the signature alone.
    std::thread::sleep(std::time::Duration::from_secs(4));
    let after = token(&server.public_url);
    assert_eq!((&header(&after)["alg"], &header(&token(PHOTOS))["alg"]), (&json!("EdDSA"), &json!("RS256")));
    for token in [&default, &photos, &after] {
        jwt::verify(token, &jwks());
        assert!(is_active(&server, token));
    }
    let shown = server.api("GET", "apis/default").send().expect(200);
    assert_eq!((&shown["algorithm"], &shown["next_algorithm"]), (&json!("EdDSA"), &Value::Null));
    let again = patch("default", &json!({ "algorithm": "RS256" }));
    problem(&again, 409, "CONFLICT");
    assert!(again.json()["detail"].as_str().unwrap().contains("earlier tokens may be valid until"));

    // 3. One whose key is known changes at once; an unknown algorithm is refused.
    let changed = patch("photos", &json!({ "algorithm": "EdDSA" })).expect(200);
    assert_eq!((&changed["algorithm"], &changed["next_algorithm"]), (&json!("EdDSA"), &Value::Null));
    assert!(is_active(&server, &photos));
    assert!(wrong_field(&patch("photos", &json!({ "algorithm": "HS256" })), "algorithm").contains("ES256"));
    assert!(wrong_field(&patch("photos", &json!({ "algorithm": null })), "algorithm").contains("null"));
}

#[test]
fn pending_change_of_the_algorithm_is_cancelled() {
    let server = Server::start();
    let patch = |algorithm: &str| {
        server.api("PATCH", "apis/default").json(&json!({ "algorithm": algorithm })).send().expect(200)
    };
    assert_eq!(patch("RS256")["next_algorithm"]["algorithm"], "RS256");
    assert_eq!(patch("EdDSA")["next_algorithm"]["algorithm"], "EdDSA");
    let cancelled = patch("ES256");
    assert_eq!((&cancelled["algorithm"], &cancelled["next_algorithm"]), (&json!("ES256"), &Value::Null));
    let log = server.api("GET", "audit?action=api.edit").send().expect(200);
    assert_eq!(log["items"][0]["old"]["next_algorithm"], "EdDSA");
}

#[test]
fn no_token_is_for_apis_with_different_algorithms() {
    let server = Server::start();
    create(&server, &json!({ "algorithm": "RS256" })).expect(201);
    let other =
        json!({ "name": "videos", "audience": "https://videos.example.com", "scopes": [{ "scope": "photos.read" }] });
    server.api("POST", "apis").json(&other).send().expect(201);
    let key = server.make(&json!({
        "apis": [{ "api": "photos", "scopes": ["photos.read"] }, { "api": "videos", "scopes": ["photos.read"] }]
    }));
    let both = server.exchange(&key.text, &[("resource", PHOTOS), ("resource", "https://videos.example.com")]);
    oauth_error(&both, 400, "invalid_target", "VALIDATION_FAILED");
}

#[test]
fn grantable_scopes_restrict_further_grants() {
    let (server, key) = start();
    let edit = |body: &Value| server.api("PATCH", "apis/photos").json(body).send();
    let grant = |key: &Key, scopes: &[&str]| {
        edit_key(&server, key, &json!({ "apis": [{ "api": "photos", "scopes": scopes }] }))
    };
    let shown = edit(&json!({ "grantable_scopes": ["photos.write"] })).expect(200);
    assert_eq!(shown["grantable_scopes"], json!(["photos.write"]));

    // The key keeps what it has, and its tokens work.
    let token = server.token(&key, &[("resource", PHOTOS)]);
    assert!(is_active(&server, &token));
    grant(&key, &["photos.read", "photos.write"]).expect(200);
    let other = server.make(&json!({ "apis": [] }));
    let said = wrong_field(&grant(&other, &["photos.read"]), "apis[0].scopes[0]");
    assert_eq!(said, "photos.read cannot be granted; the API photos allows photos.write and scopes within them");
    grant(&other, &["photos.write"]).expect(200);

    edit(&json!({ "grantable_scopes": [] })).expect(200);
    let third = server.make(&json!({ "apis": [] }));
    let said = wrong_field(&grant(&third, &["photos.write"]), "apis[0].scopes[0]");
    assert_eq!(said, "photos.write cannot be granted; the API photos allows no scopes");
    edit(&json!({ "grantable_scopes": null })).expect(200);
    grant(&third, &["photos.write"]).expect(200);
}

#[test]
fn grantable_scopes_are_scopes_of_the_api() {
    let (server, _) = start();
    let edit = |api: &str, body: &Value| server.api("PATCH", &format!("apis/{api}")).json(body).send();
    let said = wrong_field(&edit("photos", &json!({ "grantable_scopes": ["photos.delete"] })), "grantable_scopes[0]");
    assert_eq!(said, "photos.delete is not a scope of the API");
    let said = wrong_field(&edit("default", &json!({ "grantable_scopes": ["read"] })), "grantable_scopes");
    assert_eq!(said, "set grantable_scopes of the policy instead");
    edit("photos", &json!({ "grantable_scopes": ["photos.read", "photos.write"] })).expect(200);
    let shown = edit("photos", &json!({ "scopes": [{ "scope": "photos.read" }] })).expect(200);
    assert_eq!(shown["grantable_scopes"], json!(["photos.read"]), "without the scope that was removed");
    let policy = json!({ "grantable_scopes": ["read:a/*"] });
    server.api("PUT", "policy").json(&policy).send().expect(200);
    let default = server.api("GET", "apis/default").send().expect(200);
    assert_eq!(default["grantable_scopes"], json!(["read:a/*"]), "those of the policy");
}

#[test]
fn impact_of_a_change_is_known_before_it() {
    let (server, key) = start();
    let impact = |body: &Value| server.api("POST", "apis/photos/impact").json(body).send().expect(200);
    let other = server.make(&json!({ "apis": [{ "api": "photos", "scopes": ["photos.write"] }], }));
    for (key, scope, times) in [(&key, "photos.read", 3), (&other, "photos.write", 2)] {
        for _ in 0..times {
            server.exchange(&key.text, &[("resource", PHOTOS), ("scope", scope)]).expect(200);
        }
    }
    let without_write = json!({ "scopes": [{ "scope": "photos.read" }] });
    let shown = eventually("the requests are counted", || {
        let shown = impact(&without_write);
        (shown["failed"]["exchanges"] == 2).then_some(shown)
    });
    assert_eq!((shown["ends_all_tokens"].as_bool(), shown["key_count"].as_u64()), (Some(false), Some(1)));
    assert_eq!(
        (&shown["keys"][0]["id"], &shown["keys"][0]["lost_scopes"]),
        (&json!(other.id), &json!(["photos.write"]))
    );

    let deleted = impact(&json!({ "delete": true }));
    assert_eq!((deleted["ends_all_tokens"].as_bool(), deleted["failed"]["exchanges"].as_u64()), (Some(true), Some(5)));
    let moved = impact(&json!({ "audience": "https://moved.example.com" }));
    assert_eq!((&moved["ends_all_tokens"], &moved["failed"]), (&json!(true), &deleted["failed"]));
    assert_eq!(moved["keys"][0]["lost_scopes"], json!([]), "only the tokens end");
    assert_eq!(impact(&json!({}))["key_count"], 0);

    // Nothing was changed.
    assert_eq!(server.api("GET", "apis/photos").send().expect(200)["version"], 1);
    wrong_field(
        &server.api("POST", "apis/photos/impact").json(&json!({ "scopes": [{ "scope": "a b" }] })).send(),
        "scopes[0]",
    );
    problem(&server.api("POST", "apis/default/impact").json(&json!({ "delete": true })).send(), 409, "CONFLICT");
    problem(&server.api("POST", "apis/nothing/impact").json(&json!({ "delete": true })).send(), 404, "NOT_FOUND");
}
