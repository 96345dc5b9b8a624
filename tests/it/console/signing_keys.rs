//! Signing keys: list, creation and rotation.
//!
//! Immediate rotations use SQLite: with PostgreSQL the key becomes active only after every node has seen it.

use serde_json::json;

use crate::support::console::{filled, text};
use crate::support::person::{start, start_in};
use crate::support::{Person, Place, Server, Visitor, field};

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
    for when in ["", "soon", "\"><script>alert(1)</script>"] {
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

#[test]
fn bootstrap_creates_one_key() {
    let (server, owner) = start();
    let body = json!({ "slug": "acme", "owner_email": "o@acme.example" });
    let made = owner.call("POST", "/api/v1/organizations").json(&body).send().expect(201);
    let theirs = Person::sign_in(&server, "acme", "o@acme.example", made["owner"]["password"].as_str().unwrap());
    let (visitor, viewer) = (Visitor::of(&server, &theirs), Visitor::of(&server, &theirs.add(&server, "viewer")));
    let html = visitor.page(PAGE);
    assert!(text(&html).contains("No signing key") && html.contains(BOOTSTRAP) && !html.contains(ROTATE));
    assert!(!viewer.page(PAGE).contains(BOOTSTRAP));
    assert_eq!(visitor.get(ROTATE).status, 409, "there is nothing to rotate");
    let form = filled(&html, "/console/signing-keys/bootstrap", &[]);
    let first = visitor.post(BOOTSTRAP).form_text(&form).send();
    assert!(visitor.read(&visitor.led_to(&first)).contains("Signing key created."));
    assert_eq!(states(&theirs), ["current"]);
    let again = visitor.post(BOOTSTRAP).form_text(&form).send();
    assert!(visitor.read(&visitor.led_to(&again)).contains("A signing key already exists."));
    assert_eq!(states(&theirs), ["current"]);
    // The key belongs to this organization only.
    let html = visitor.page(PAGE);
    assert!(html.contains("/o/acme/.well-known/jwks.json"), "{html}");
    assert!(html.contains("/.well-known/oauth-authorization-server/o/acme\""), "{html}");
    let kid = owner.api("GET", "signing-keys").send().expect(200)["items"][0]["kid"].as_str().unwrap().to_owned();
    assert!(!html.contains(&kid));
}

#[test]
fn algorithm_change_and_manual_rotation_are_explained() {
    let (server, owner) = start_in(Place::on_sqlite().set("KEYTURN_SIGNING__ROTATE_EVERY_DAYS", 0));
    assert!(Visitor::of(&server, &owner).read(PAGE).contains("Automatic rotation is off"));
    let key = server.key.clone();
    let place = server.stop().set("KEYTURN_TOKEN__ALGORITHM", "EdDSA");
    let server = place.serve(key);
    let visitor = Visitor::sign_in(&server, &owner.email, &owner.password);
    let says = visitor.read(ROTATE);
    assert!(says.contains("The current key uses ES256; the server is configured for EdDSA."), "{says}");
    let says = visitor.done(ROTATE, ROTATE, &[]);
    assert!(says.contains("Not in the JWKS: the JWKS holds one key type at a time."), "{says}");
}
