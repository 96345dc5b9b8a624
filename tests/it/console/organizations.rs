//! Organizations.

use serde_json::json;

use crate::support::console::{filled, text};
use crate::support::person::start;
use crate::support::{Person, Place, Visitor, eventually};

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
        assert!(!other.page("/account").contains("/console/organizations\""));
        for path in ["/organizations", "/organizations/new", "/organizations/default"] {
            assert_eq!(other.get(path).status, 404, "{path}");
        }
        for path in ["/organizations/new", "/organizations/acme/bootstrap"] {
            assert_eq!(other.post(path).form_text(token(other)).send().status, 404, "{path}");
        }
    }
    let visitor = Visitor::of(&server, &owner);
    let says = visitor.read("/organizations");
    for part in ["acme Active 1 1 1", "default Active 4 1 1"] {
        assert!(says.contains(part), "{part} in {says}");
    }
    assert!(visitor.page("/account").contains("/console/organizations\""));
    assert!(visitor.page("/organizations").contains("href=\"/console/organizations/acme\""), "names are links");
    let settings = visitor.page("/organizations/acme");
    assert!(settings.contains(&format!("{}/o/acme", server.public_url)) && !settings.contains("/bootstrap\""));
}

#[test]
fn create_with_name_and_signing_key() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    assert!(visitor.read("/organizations").contains("One organization is enough for most companies."));
    let fields = [("name", "Acme Rockets"), ("slug", "acme"), ("owner_email", "Eve@Example.org")];
    let answer = visitor.submit("/organizations/new", "/organizations/new", &fields);
    let html = answer.text();
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{}", text(&html));
    assert!(html.contains("data-acknowledge") && html.contains("I saved this password"), "{html}");
    let password = html.split("<code id=\"password\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let mut next = visitor.clone();
    next.keep_cookies(&answer);
    let says = next.read("/organizations");
    assert!(says.contains("Organization created.") && !says.contains(&password), "{says}");
    assert!(says.contains("Acme Rockets acme Active 1 0 0 Never"), "{says}");

    // The link to sign in names the organization, and the page fills it in.
    let link = format!("{}/console/sign-in?organization=acme", server.public_url);
    assert!(html.contains(&link), "{html}");
    assert!(Visitor::new(&server).page("/sign-in?organization=acme").contains("value=\"acme\""));
    assert!(!Visitor::new(&start().0).page("/sign-in").contains("Organization"), "there is only one");

    // Its owner creates a key at once.
    let eve = Visitor::sign_in_to(&server, "acme", "eve@example.org", &password);
    assert!(eve.read("/welcome").contains("Create a signing key Done"));
    Person::sign_in(&server, "acme", "eve@example.org", &password).make(&json!({ "name": "first" }));
    let log = eve.read("/audit");
    assert!(log.contains("created organization"), "{log}");
    assert_eq!(server.get("/o/acme/.well-known/jwks.json").send().expect(200)["keys"].as_array().unwrap().len(), 1);
}

#[test]
fn settings_rename_and_suspend() {
    let (server, owner) = start();
    let body = json!({ "slug": "acme", "owner_email": "boss@acme.example" });
    let made = owner.call("POST", "/api/v1/organizations").json(&body).send().expect(201);
    let boss = Person::sign_in(&server, "acme", "boss@acme.example", made["owner"]["password"].as_str().unwrap());
    let key = boss.make(&json!({}));
    let (visitor, theirs) = (Visitor::of(&server, &owner), Visitor::of(&server, &boss));
    let page = "/organizations/acme";

    // Owners rename their own organization, and nothing else.
    assert!(theirs.done(page, page, &[("name", "Acme Rockets")]).contains("Name saved."));
    assert!(theirs.read("/overview").contains("Acme Rockets") && visitor.read(page).contains("Acme Rockets"));
    assert!(!theirs.page(page).contains("/suspend"));
    assert_eq!(theirs.get("/organizations/acme/suspend").status, 404);
    assert_eq!(theirs.get("/organizations/default").status, 404);
    assert_eq!(Visitor::of(&server, &boss.add(&server, "admin")).get(page).status, 404);
    let wrong = visitor.submit(page, page, &[("name", "a\u{202e}b")]);
    assert!(wrong.status == 422 && wrong.text().contains("id=\"name-error\""), "{}", text(&wrong.text()));
    assert_eq!(visitor.get("/organizations/nowhere").status, 404);

    // Suspending an organization whose keys are in use needs its slug.
    let (secret, suspend) = (key["secret"].as_str().unwrap(), "/organizations/acme/suspend");
    server.exchange(secret, &[]).expect(200);
    eventually("the use to be counted", || visitor.read(suspend).contains("Type acme").then_some(()));
    let refused = visitor.submit(suspend, suspend, &[("confirm", "Acme")]);
    assert!(refused.status == 422 && text(&refused.text()).contains("Enter acme."), "{}", text(&refused.text()));
    server.exchange(secret, &[]).expect(200);
    let says = visitor.done(suspend, suspend, &[("confirm", "acme")]);
    assert!(says.contains("Organization suspended.") && says.contains("Suspended"), "{says}");
    assert_eq!(server.exchange(secret, &[]).expect(403)["code"], "ORGANIZATION_SUSPENDED");
    assert!(visitor.done(page, "/organizations/acme/resume", &[]).contains("Organization resumed."));
    server.exchange(secret, &[]).expect(200);
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
