//! Signing keys: list, creation, rotation and revocation.
//!
//! Immediate rotations use SQLite: with PostgreSQL the key becomes active only after every node has seen it.

use serde_json::json;

use crate::support::console::{filled, text};
use crate::support::person::{start, start_in};
use crate::support::{Person, Place, Server, Visitor, database, eventually, field};

const PAGE: &str = "/signing-keys";
const ROTATE: &str = "/signing-keys/rotate";
const BOOTSTRAP: &str = "/signing-keys/bootstrap";

fn states(owner: &Person) -> Vec<String> {
    let listed = owner.api("GET", "signing-keys").send().expect(200);
    field(&listed["items"], "status").into_iter().map(str::to_owned).collect()
}

fn made(server: &Server) -> usize {
    let log = server.api("GET", "audit?action=signing-key.create").send().expect(200);
    log["items"].as_array().unwrap().iter().filter(|row| row["actor"].as_str().unwrap().starts_with("member:")).count()
}

#[test]
fn every_role_sees_keys_and_endpoints() {
    let (server, owner) = start();
    let listed = owner.api("GET", "signing-keys").send().expect(200);
    let kid = listed["items"][0]["kid"].as_str().unwrap();
    for role in ["viewer", "developer", "admin"] {
        let visitor = Visitor::of(&server, &owner.add(&server, role));
        let html = visitor.page(PAGE);
        let said = text(&html);
        for part in [kid, "Current", "active for less than a minute", "ES256", "Next automatic rotation: in 90 days"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        let public_url = &server.public_url;
        for path in [
            format!("/.well-known/jwks/{kid}.pem"),
            "/.well-known/jwks.json".into(),
            "/.well-known/oauth-authorization-server".into(),
        ] {
            assert!(html.contains(&format!("href=\"{public_url}{path}\"")), "{path} in {html}");
            assert_eq!(server.get(&path).send().status, 200, "{path}");
        }
        assert_eq!(html.contains(ROTATE), role == "admin");
    }
}

#[test]
fn scheduled_and_immediate_rotation() {
    let (server, owner) = start_in(Place::on_sqlite());
    let visitor = Visitor::of(&server, &owner);
    let says = visitor.done(ROTATE, ROTATE, &[("when", "ahead")]);
    assert!(says.contains("Signing key rotated."), "{says}");
    assert!(says.contains("active in 14 minutes") || says.contains("active in 15 minutes"), "{says}");
    assert_eq!(states(&owner), ["current", "next"]);
    // While a key is pending, only an immediate rotation is possible.
    let html = visitor.page(ROTATE);
    assert!(text(&html).contains("is already published and becomes active in 1") && !html.contains("value=\"ahead\""));
    let answer = visitor.submit(ROTATE, ROTATE, &[("when", "ahead")]);
    assert_eq!(answer.status, 409);
    assert!(text(&answer.text()).contains("is already published"), "{}", text(&answer.text()));
    let says = visitor.done(ROTATE, ROTATE, &[("when", "now")]);
    assert!(says.contains("was active for less than a minute"), "{says}");
    assert_eq!(states(&owner), ["retired", "current", "next"]);
    assert_eq!(made(&server), 2);
    server.claims(&server.token(&server.key, &[]));
}

#[test]
fn rotation_requires_a_time() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    for when in ["", "soon", "retire", "\"><script>alert(1)</script>"] {
        let answer = visitor.submit(ROTATE, ROTATE, &[("when", when)]);
        assert_eq!(answer.status, 422);
        assert!(answer.text().contains("id=\"when-error\"") && !answer.text().contains("<script>alert"));
    }
    assert_eq!(states(&owner), ["current"]);
}

#[test]
fn only_admins_rotate_from_the_console() {
    let (server, owner) = start();
    for role in ["viewer", "developer"] {
        let visitor = Visitor::of(&server, &owner.add(&server, role));
        assert_eq!(visitor.get(ROTATE).status, 403);
        let html = visitor.page(PAGE);
        let form = filled(&html, "/console/sign-out", &[("when", "now")]);
        for path in [ROTATE, BOOTSTRAP] {
            assert_eq!(visitor.post(path).form_text(&form).send().status, 403, "{role}");
        }
    }
    let visitor = Visitor::of(&server, &owner);
    for form in [vec![("when", "now")], vec![("when", "now"), ("csrf", "x")]] {
        for path in [ROTATE, BOOTSTRAP] {
            assert_eq!(visitor.post(path).form(&form).send().status, 403);
        }
    }
    assert_eq!(states(&owner), ["current"]);
    assert_eq!(Visitor::new(&server).get(PAGE).status, 303, "signed out");
}

/// Returns the path of the page that revokes the signing key with this state.
fn revoke_path(owner: &Person, status: &str) -> (String, String) {
    let listed = owner.api("GET", "signing-keys").send().expect(200);
    let key = listed["items"].as_array().unwrap().iter().find(|key| key["status"] == status).unwrap();
    let kid = key["kid"].as_str().unwrap().to_owned();
    (format!("/signing-keys/{kid}/revoke"), kid)
}

#[test]
fn revoking_the_current_key_shows_the_price_and_needs_its_id() {
    let (server, owner) = start_in(Place::on_sqlite());
    let visitor = Visitor::of(&server, &owner);
    let (path, kid) = revoke_path(&owner, "current");
    assert!(visitor.read(&path).contains("No tokens issued in the last 10 minutes"), "{}", visitor.read(&path));
    let tokens = [(); 3].map(|()| server.token(&server.key, &[]));
    // Counts are by hour, so the estimate depends on the minute.
    let estimates = ["About 1 token", "About 2 tokens", "About 3 tokens"];
    let said = eventually("the tokens are counted", || {
        let said = visitor.read(&path);
        let is_counted =
            |estimate: &&str| said.contains(&format!("{estimate} issued in the last 10 minutes will stop"));
        estimates.iter().any(is_counted).then_some(said)
    });
    assert!(said.contains("Rotate and revoke the current signing key?"), "{said}");
    assert!(visitor.page(ROTATE).contains(&format!("href=\"/console{path}\"")));

    for typed in ["", "x", &kid[..7], &kid, "\"><script>alert(1)</script>"] {
        let answer = visitor.submit(&path, &path, &[("confirm", typed)]);
        assert_eq!(answer.status, 422, "{typed}");
        assert!(answer.text().contains("id=\"confirm-error\"") && !answer.text().contains("<script>alert"), "{typed}");
    }
    assert_eq!(states(&owner), ["current"]);
    assert_eq!(server.get("/verify").bearer(&tokens[0]).send().status, 200);

    let said = visitor.done(&path, &path, &[("confirm", &format!(" {} ", &kid[..8]))]);
    assert!(said.contains("Signing key revoked.") && said.contains("make them fetch the JWKS again"), "{said}");
    for token in &tokens {
        assert_eq!(server.get("/verify").bearer(token).send().status, 401);
    }
    assert_eq!(states(&owner), ["current"]);
    assert_eq!(visitor.get(&path).status, 404, "the key is gone");
    server.claims(&server.token(&server.key, &[]));
    assert!(!visitor.read(PAGE).contains("make them fetch the JWKS again"));
}

#[test]
fn waiting_and_retired_keys_are_revoked_alone() {
    let (server, owner) = start_in(Place::on_sqlite());
    let visitor = Visitor::of(&server, &owner);
    let old = server.token(&server.key, &[]);
    visitor.done(ROTATE, ROTATE, &[("when", "now")]);
    let new = server.token(&server.key, &[]);
    visitor.done(ROTATE, ROTATE, &[("when", "ahead")]);
    assert_eq!(states(&owner), ["retired", "current", "next"]);
    let (current, _) = revoke_path(&owner, "current");
    let said = visitor.read(&current);
    assert!(said.contains("The retired key that is still published is revoked too."), "{said}");
    assert!(said.contains("is kept. If it may have leaked too"), "{said}");

    for (status, expected) in
        [("next", "has not signed any tokens yet"), ("retired", "signed with this key will stop working immediately")]
    {
        let (path, kid) = revoke_path(&owner, status);
        let said = visitor.read(&path);
        assert!(said.contains(expected) && said.contains("Revoke this signing key?"), "{said}");
        visitor.done(&path, &path, &[("confirm", &kid[..8])]);
    }
    assert_eq!(states(&owner), ["current"]);
    assert_eq!(server.get("/verify").bearer(&old).send().status, 401);
    assert_eq!(server.get("/verify").bearer(&new).send().status, 200);
}

#[test]
fn only_admins_revoke_signing_keys_of_their_organization() {
    let (server, owner) = start();
    let (path, kid) = revoke_path(&owner, "current");
    for role in ["viewer", "developer"] {
        let visitor = Visitor::of(&server, &owner.add(&server, role));
        assert_eq!(visitor.get(&path).status, 403);
        let html = visitor.page(PAGE);
        assert!(!html.contains("/revoke\""), "{role}");
        let form = filled(&html, "/console/sign-out", &[("confirm", &kid[..8])]);
        assert_eq!(visitor.post(&path).form_text(&form).send().status, 403, "{role}");
    }
    let body = json!({ "slug": "acme", "owner_email": "o@acme.example" });
    let made = owner.call("POST", "/api/v1/organizations").json(&body).send().expect(201);
    let theirs = Person::sign_in(&server, "acme", "o@acme.example", made["owner"]["password"].as_str().unwrap());
    let stranger = Visitor::of(&server, &theirs);
    assert_eq!(stranger.get(&path).status, 404);
    let form = filled(&stranger.page(PAGE), "/console/sign-out", &[("confirm", &kid[..8])]);
    assert_eq!(stranger.post(&path).form_text(&form).send().status, 404);
    let visitor = Visitor::of(&server, &owner);
    for unknown in ["/signing-keys/nothing/revoke", "/signing-keys/%3Cscript%3E/revoke"] {
        assert_eq!(visitor.get(unknown).status, 404);
    }
    assert_eq!(visitor.post(&path).form(&[("confirm", &kid[..8])]).send().status, 403, "without the CSRF token");
    assert_eq!(states(&owner), ["current"]);
}

#[test]
fn bootstrap_creates_one_key() {
    let place = Place::on_sqlite();
    let acme = place.init(&["--organization", "acme"]);
    let founded = place.init(&[]);
    database::execute(&place.database(), "DELETE FROM signing_keys WHERE organization = 'acme'");
    let server = place.serve(founded.key);
    let theirs = Person::sign_in(&server, "acme", &acme.email, &acme.password);
    let (visitor, viewer) = (Visitor::of(&server, &theirs), Visitor::of(&server, &theirs.add(&server, "viewer")));
    let html = visitor.page(PAGE);
    assert!(text(&html).contains("No signing key") && html.contains(BOOTSTRAP) && !html.contains(ROTATE));
    assert!(!viewer.page(PAGE).contains(BOOTSTRAP));
    assert_eq!(visitor.get(ROTATE).status, 409, "there is nothing to rotate");
    let form = filled(&html, "/console/signing-keys/bootstrap", &[]);
    let first = visitor.post(BOOTSTRAP).form_text(&form).send();
    assert!(visitor.next(&first).contains("Signing key created."));
    assert_eq!(states(&theirs), ["current"]);
    let again = visitor.post(BOOTSTRAP).form_text(&form).send();
    assert!(visitor.next(&again).contains("A signing key already exists."));
    assert_eq!(states(&theirs), ["current"]);
    // The key belongs to this organization only.
    let html = visitor.page(PAGE);
    assert!(html.contains("/o/acme/.well-known/jwks.json"), "{html}");
    assert!(html.contains("/.well-known/oauth-authorization-server/o/acme\""), "{html}");
    let kid = server.api("GET", "signing-keys").send().expect(200)["items"][0]["kid"].as_str().unwrap().to_owned();
    assert!(!html.contains(&kid));
}

#[test]
fn keys_of_several_algorithms_are_listed_and_rotated_by_choice() {
    let (server, owner) = start_in(Place::on_sqlite().set("KEYTURN_SIGNING__ROTATE_EVERY_DAYS", 0));
    let visitor = Visitor::of(&server, &owner);
    assert!(visitor.read(PAGE).contains("Automatic rotation is off"));
    assert!(!visitor.page(ROTATE).contains("name=\"algorithm\""), "one algorithm is no choice");
    let api = serde_json::json!({ "name": "aws", "audience": "https://aws.example", "algorithm": "RS256" });
    server.api("POST", "apis").json(&api).send().expect(201);
    let form = visitor.read(ROTATE);
    assert!(
        form.contains("If the ES256 private key leaked") && form.contains("If the RS256 private key leaked"),
        "{form}"
    );
    visitor.done(ROTATE, ROTATE, &[("algorithm", "RS256"), ("when", "now")]);
    let listed = server.api("GET", "signing-keys").send().expect(200);
    let mut states: Vec<_> = crate::support::field(&listed["items"], "algorithm")
        .into_iter()
        .zip(crate::support::field(&listed["items"], "status"))
        .collect();
    states.sort_unstable();
    assert_eq!(states, [("ES256", "current"), ("RS256", "current"), ("RS256", "retired")]);
}
