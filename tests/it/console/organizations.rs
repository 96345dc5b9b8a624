//! Organizations.

use crate::support::console::{filled, text};
use crate::support::person::start;
use crate::support::{Place, Visitor};

#[test]
fn only_owners_of_default_see_organizations() {
    let place = Place::new();
    let acme = place.init(&["--organization", "acme"]);
    let founded = place.init(&[]);
    let server = place.serve(founded.key);
    let owner = crate::support::Person::sign_in(&server, "default", &founded.email, &founded.password);
    let token = |visitor: &Visitor| {
        filled(&visitor.page("/account"), "/console/sign-out", &[("slug", "x"), ("owner_email", "a@b")])
    };
    let mut others: Vec<Visitor> =
        ["viewer", "developer", "admin"].map(|role| Visitor::of(&server, &owner.add(&server, role))).into();
    others.push(Visitor::sign_in_to(&server, "acme", &acme.email, &acme.password));
    for other in &others {
        assert!(!other.page("/account").contains("/console/organizations"));
        for path in ["/organizations", "/organizations/new"] {
            assert_eq!(other.get(path).status, 404, "{path}");
        }
        for path in ["/organizations/new", "/organizations/acme/bootstrap"] {
            assert_eq!(other.post(path).form_text(token(other)).send().status, 404, "{path}");
        }
    }
    let visitor = Visitor::of(&server, &owner);
    let says = visitor.read("/organizations");
    for part in ["acme", &format!("{}/o/acme", server.public_url), &format!("default {} Active Yes", server.public_url)]
    {
        assert!(says.contains(part), "{part} in {says}");
    }
    assert!(visitor.page("/account").contains("/console/organizations"));
    assert_eq!(visitor.page("/organizations").matches("/bootstrap\"").count(), 0, "both have a signing key");
}

#[test]
fn create_and_bootstrap() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    assert!(visitor.read("/organizations").contains("One organization is enough for most companies."));
    let fields = [("slug", "acme"), ("owner_email", "Eve@Example.org")];
    let answer = visitor.submit("/organizations/new", "/organizations/new", &fields);
    let html = answer.text();
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{}", text(&html));
    assert!(html.contains("data-acknowledge") && html.contains("I saved this password"), "{html}");
    let password = html.split("<code id=\"password\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let says = visitor.read("/organizations?done=made");
    assert!(says.contains("Organization created.") && says.contains("None") && !says.contains(&password), "{says}");

    let eve = Visitor::sign_in_to(&server, "acme", "eve@example.org", &password);
    assert!(eve.read("/welcome").contains("Create a signing key To do"));
    let bootstrap = "/organizations/acme/bootstrap";
    let form = filled(&visitor.page("/organizations"), &visitor.link(bootstrap), &[]);
    let says = visitor.done("/organizations", bootstrap, &[]);
    assert!(says.contains("Signing key created.") && !says.contains("None"), "{says}");
    let again = visitor.post(bootstrap).form_text(&form).send();
    assert_eq!(again.status, 409, "{}", again.text());
    assert!(eve.read("/welcome").contains("Create a signing key Done"));
    let log = eve.read("/audit");
    assert!(log.contains("created organization") && log.contains("created signing key"), "{log}");
    assert_eq!(server.get("/o/acme/.well-known/jwks.json").send().expect(200)["keys"].as_array().unwrap().len(), 1);
}

#[test]
fn invalid_organizations_keep_the_typed_values() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let script = "\"><script>alert(1)</script>";
    for (slug, email, field) in [
        ("", "a@b", "slug"),
        ("Has Spaces", "a@b", "slug"),
        (&"x".repeat(41), "a@b", "slug"),
        (script, "a@b", "slug"),
        ("default", "a@b", "slug"),
        ("acme", "", "owner_email"),
        ("acme", "no login", "owner_email"),
        ("acme", script, "owner_email"),
    ] {
        let answer =
            visitor.submit("/organizations/new", "/organizations/new", &[("slug", slug), ("owner_email", email)]);
        let html = answer.text();
        assert_eq!(answer.status, 422, "{slug} {email}: {}", text(&html));
        assert!(html.contains(&format!("id=\"{field}-error\"")) && !html.contains("<script>alert"), "{html}");
        let typed = filled(&html, "/console/organizations/new", &[]);
        assert!(url::form_urlencoded::parse(typed.as_bytes()).any(|(name, value)| name == "slug" && value == slug));
    }
    for path in ["/organizations/new", "/organizations/default/bootstrap"] {
        assert_eq!(visitor.post(path).form(&[("slug", "acme"), ("owner_email", "a@b")]).send().status, 403, "{path}");
    }
    let form = filled(&visitor.page("/organizations"), "/console/sign-out", &[]);
    for slug in ["nowhere", "Bad%20One", "..", "%00"] {
        let answer = visitor.post(&format!("/organizations/{slug}/bootstrap")).form_text(&form).send();
        assert_eq!(answer.status, 404, "{slug}");
    }
    let list = server.get("/api/v1/organizations").bearer(&server.key.text).send().expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    assert!(visitor.read("/organizations?page=99999").contains("default"));
}
