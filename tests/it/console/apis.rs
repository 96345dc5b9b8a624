//! APIs in the console: their pages, the grants in the forms of keys, and the filters by API.

use serde_json::{Value, json};

use super::visiting;
use crate::support::console::{filled, text};
use crate::support::{Answer, Person, Server, Visitor, eventually};

const ORDERS: &str = "https://orders.example.com";
const BILLING: &str = "https://billing.example.com";
const SCRIPT: &str = "\"><script>alert(1)</script>";
const DEFAULT: &str = "0000000000000000";

/// Creates the API `orders` with two scopes through the form. Returns its ID.
#[track_caller]
fn create_orders(visitor: &Visitor) -> String {
    create(
        visitor,
        &[("name", "orders"), ("audience", ORDERS), ("scopes", "orders.read See orders\r\norders.write Change orders")],
    )
}

#[track_caller]
fn create(visitor: &Visitor, fields: &[(&str, &str)]) -> String {
    let answer = visitor.submit("/apis/new", "/apis", fields);
    let led = visitor.led_to(&answer);
    led.strip_prefix("/apis/").unwrap().to_owned()
}

/// Creates a key through the form. Returns the response.
fn create_key(visitor: &Visitor, fields: &[(&str, &str)]) -> Answer {
    let mut all = vec![("name", "shop"), ("networks", "listed"), ("allowed_cidrs", "127.0.0.0/8")];
    all.extend_from_slice(fields);
    visitor.submit("/keys/new", "/keys/new", &all)
}

/// Returns the secret on a page.
#[track_caller]
fn secret(answer: &Answer) -> String {
    let html = answer.text();
    let secret = html.split("<code id=\"secret\">").nth(1).unwrap_or_else(|| panic!("{}", text(&html)));
    secret.split('<').next().unwrap().to_owned()
}

#[track_caller]
fn id_of(secret: &str) -> String {
    secret.split('_').nth(1).unwrap().to_owned()
}

fn api(owner: &Person, name: &str) -> Value {
    owner.api("GET", &format!("apis/{name}")).send().expect(200)
}

fn token(server: &Server, secret: &str, audience: &str) -> Answer {
    server.exchange(secret, &[("resource", audience)])
}

#[track_caller]
fn verified(server: &Server, token: &str) -> u16 {
    server.get("/verify").bearer(token).send().status
}

#[test]
fn api_is_created_shown_edited_and_deleted() {
    let (_server, owner, visitor) = visiting();
    let says = visitor.read("/apis");
    assert!(says.contains("default Default") && says.contains("create an API for each"), "{says}");
    let fields = [
        ("name", "orders"),
        ("audience", ORDERS),
        ("scopes", "orders.read  See orders\r\n\r\n orders.write\r\n"),
        ("token_ttl_seconds", "5 minutes"),
        ("token_typ", "JWT"),
        ("description", "Orders of the shop"),
    ];
    let id = create(&visitor, &fields);
    let made = api(&owner, "orders");
    assert_eq!((made["scope_style"].as_str(), made["token_ttl_seconds"].as_u64()), (Some("plain"), Some(300)));
    assert_eq!((made["token_typ"].as_str(), made["description"].as_str()), (Some("JWT"), Some("Orders of the shop")));
    assert_eq!(
        made["scopes"],
        json!([{ "scope": "orders.read", "description": "See orders" }, { "scope": "orders.write", "description": "" }])
    );
    let says = visitor.read(&format!("/apis/{id}"));
    for part in ["Orders of the shop", ORDERS, "5 minutes", "See orders", "'resource=https://orders.example.com'"] {
        assert!(says.contains(part), "{part}: {says}");
    }
    let says = visitor.read("/apis");
    assert!(says.contains(&format!("orders Orders of the shop {ORDERS} Plain 2 5 minutes 0")), "{says}");

    // No access is removed, so the change applies without a review.
    let edit = format!("/apis/{id}/edit");
    let says = visitor.done(&edit, &format!("/apis/{id}"), &[("name", "shop"), ("token_ttl_seconds", "")]);
    assert!(says.contains("API updated.") && says.contains("10 minutes (organization)"), "{says}");
    let unchanged = api(&owner, "shop");
    assert_eq!(unchanged["scopes"], made["scopes"], "the form holds what it showed");
    let delete = format!("/apis/{id}/delete");
    assert!(visitor.read(&delete).contains("No key is granted this API."));
    assert!(visitor.done(&delete, &delete, &[]).contains("API deleted. Its tokens no longer work."));
    assert_eq!(visitor.get(&format!("/apis/{id}")).status, 404);
    let log = visitor.read("/audit");
    for part in ["created API orders", "updated API shop", "deleted API shop"] {
        assert!(log.contains(part), "{part}: {log}");
    }
}

#[test]
fn invalid_values_are_beside_their_field_and_kept() {
    let (_server, _owner, visitor) = visiting();
    let id = create_orders(&visitor);
    let long = format!("ok {}", "x".repeat(501));
    for (field, value, says) in [
        ("name", "No Spaces", "Enter 1 to 40 lowercase letters"),
        ("name", "default", "already has an API named default"),
        ("audience", "", "Enter an audience"),
        ("audience", "has space", "printable ASCII"),
        ("scopes", "fine\nwith\"quote", "Scope 2:"),
        ("scopes", "a\nb\na", "Scope 3: A is listed twice."),
        ("scopes", &long, "Scope 1: The description must be 500 characters or fewer."),
        ("token_ttl_seconds", "90", "Add a unit"),
        ("token_ttl_seconds", "2 hours", "Enter 1 minute to 1 hour"),
        ("token_typ", SCRIPT, "Choose a token type."),
        ("description", "a\u{1}b", " character"),
    ] {
        for (page, action) in
            [("/apis/new".to_owned(), "/apis".to_owned()), (format!("/apis/{id}/edit"), format!("/apis/{id}"))]
        {
            let valid = [("name", "kept"), ("audience", "https://kept.example"), ("scopes", "kept.scope Kept")];
            let mut fields: Vec<(&str, &str)> = valid.into_iter().filter(|(name, _)| *name != field).collect();
            fields.push((field, value));
            let answer = visitor.submit(&page, &action, &fields);
            let html = answer.text();
            assert_eq!(answer.status, 422, "{page} {field}: {}", text(&html));
            assert!(html.contains(&format!("id=\"{field}-error\"")), "{page} {field}: {}", text(&html));
            let shown = text(&html);
            let says = if says.contains("A is listed") { "is listed twice" } else { says };
            assert!(shown.contains(says) && html.contains("kept"), "{page} {field}: {shown}");
            assert!(!html.contains("<script>alert"), "{html}");
        }
    }
    let taken =
        visitor.submit("/apis/new", "/apis", &[("name", "other"), ("audience", "HTTPS://orders.example.com:443/")]);
    assert!(
        taken.status == 422 && text(&taken.text()).contains("audience of the API orders"),
        "{}",
        text(&taken.text())
    );
}

#[test]
fn removing_a_scope_is_reviewed_with_the_keys_that_lose_it() {
    let (server, owner, visitor) = visiting();
    let id = create_orders(&visitor);
    let grant = |scopes: &[&str]| owner.make(&json!({ "apis": [{ "api": "orders", "scopes": scopes }] }));
    let made = grant(&["orders.read", "orders.write"]);
    grant(&["orders.write"]);
    grant(&["orders.read"]);
    let secret = made["secret"].as_str().unwrap();
    let live = token(&server, secret, ORDERS).expect(200)["access_token"].as_str().unwrap().to_owned();
    let (page, form) = (format!("/apis/{id}"), format!("/apis/{id}/edit"));
    let fields = [("scopes", "orders.read See orders\norders.refund Pay back"), ("description", "kept")];
    let review = visitor.submit(&form, &page, &fields);
    let says = text(&review.text());
    assert_eq!(review.status, 200, "{says}");
    assert!(says.contains("Restrict “orders”?") && says.contains("2 keys lose a scope"), "{says}");
    assert!(says.contains("orders.write 2") && !says.contains("Audience"), "{says}");
    assert_eq!((verified(&server, &live), api(&owner, "orders")["version"].as_u64()), (200, Some(1)), "not yet");
    let html = review.text();
    assert!(html.contains("<button disabled hidden></button>"), "Enter applies nothing");

    // Back, with what was typed.
    let back = visitor.post(&page).form_text(filled(&html, &visitor.link(&page), &[("back", "yes")])).send();
    assert!(back.text().contains("orders.refund Pay back") && back.text().contains("kept"), "{}", back.text());

    // Applied, at once for live tokens. A stale form is denied.
    let confirmed = filled(&html, &visitor.link(&page), &[]);
    let says = visitor.next(&visitor.post(&page).form_text(&confirmed).send());
    assert!(says.contains("Tokens that depended on the removed access no longer work."), "{says}");
    assert_eq!(verified(&server, &live), 401);
    assert_eq!(visitor.post(&page).form_text(&confirmed).send().status, 412);
    // Scopes that no key holds are removed without a review.
    let says = visitor.done(&form, &page, &[("scopes", "orders.read")]);
    assert!(says.contains("API updated."), "{says}");
}

#[test]
fn moving_the_audience_is_reviewed() {
    let (server, owner, visitor) = visiting();
    let id = create_orders(&visitor);
    let made = owner.make(&json!({ "apis": [{ "api": "orders", "scopes": ["orders.read"] }] }));
    let live = token(&server, made["secret"].as_str().unwrap(), ORDERS).expect(200)["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let (page, form) = (format!("/apis/{id}"), format!("/apis/{id}/edit"));
    let review = visitor.submit(&form, &page, &[("audience", BILLING)]);
    let says = text(&review.text());
    assert!(says.contains(&format!("{ORDERS} becomes {BILLING}")) && says.contains("1 key is granted"), "{says}");
    visitor.next(&visitor.post(&page).form_text(filled(&review.text(), &visitor.link(&page), &[])).send());
    assert_eq!(verified(&server, &live), 401);
    token(&server, made["secret"].as_str().unwrap(), BILLING).expect(200);
}

#[test]
fn deleting_a_granted_api_needs_its_name() {
    let (server, owner, visitor) = visiting();
    let id = create_orders(&visitor);
    let made = owner.make(&json!({ "apis": [{ "api": "orders", "scopes": ["orders.read"] }] }));
    let live = token(&server, made["secret"].as_str().unwrap(), ORDERS).expect(200)["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let page = format!("/apis/{id}/delete");
    let says = visitor.read(&page);
    assert!(says.contains("1 key is granted this API") && says.contains("Type orders to delete it."), "{says}");
    for typed in ["", "default", "Orders"] {
        let answer = visitor.submit(&page, &page, &[("confirm", typed)]);
        assert!(answer.status == 422 && answer.text().contains("id=\"confirm-error\""), "{typed}");
    }
    assert_eq!(verified(&server, &live), 200);
    assert!(visitor.done(&page, &page, &[("confirm", "orders")]).contains("API deleted."));
    assert_eq!(verified(&server, &live), 401);
    let shown = visitor.read(&format!("/keys/{}", made["id"].as_str().unwrap()));
    assert!(shown.contains("Scopes read:* Allowed networks"), "a grant for a deleted API means nothing: {shown}");
    // The default API cannot be deleted, and its name cannot be changed.
    assert_eq!(visitor.get(&format!("/apis/{DEFAULT}/delete")).status, 409);
    let page = visitor.page(&format!("/apis/{DEFAULT}"));
    assert!(page.contains("/edit\"") && !page.contains("/delete\""), "{page}");
    assert!(!visitor.page(&format!("/apis/{DEFAULT}/edit")).contains("name=\"name\""));
}

#[test]
fn api_of_a_url_shows_where_its_metadata_must_be() {
    let (server, _owner, visitor) = visiting();
    let says = visitor.read(&format!("/apis/{}", create_orders(&visitor)));
    let own = "/.well-known/oauth-protected-resource/orders";
    assert!(says.contains(&format!("{ORDERS}/.well-known/oauth-protected-resource")), "{says}");
    assert!(
        says.contains(&format!("{}{own}", server.public_url)) && says.contains("/verify?keyturn_api=orders"),
        "{says}"
    );
    assert_eq!(server.get(own).send().expect(200)["resource"], ORDERS);
    let says = visitor.read(&format!("/apis/{}", create(&visitor, &[("name", "queue"), ("audience", "rabbitmq")])));
    assert!(!says.contains("oauth-protected-resource") && !says.contains("keyturn_api"), "{says}");
}

#[test]
fn viewers_and_developers_only_read_apis() {
    let (server, owner, visitor) = visiting();
    let id = create_orders(&visitor);
    for role in ["viewer", "developer", "admin"] {
        let person = owner.add(&server, role);
        let theirs = Visitor::of(&server, &person);
        let may = role == "admin";
        for path in ["/apis".to_owned(), format!("/apis/{id}")] {
            let html = theirs.page(&path);
            assert!(html.contains(ORDERS) && html.contains(">APIs<"), "{role} {path}");
            assert_eq!(html.contains("/apis/new\"") || html.contains("/edit\""), may, "{role} {path}");
        }
        let status = if may { 200 } else { 403 };
        for path in ["/apis/new".to_owned(), format!("/apis/{id}/edit"), format!("/apis/{id}/delete")] {
            let answer = theirs.get(&path);
            assert_eq!(answer.status, status, "{role} {path}");
            if !may {
                let says = text(&answer.text());
                assert!(says.contains("You need the admin role or higher"), "{says}");
            }
        }
        if !may {
            let form = visitor.page("/apis/new");
            let body = filled(&form, &visitor.link("/apis"), &[("name", "x"), ("audience", "x")]);
            // The token is another member's, and the role is checked first.
            assert_eq!(theirs.post("/apis").form_text(body).send().status, 403, "{role}");
        }
    }
    assert_eq!(owner.api("GET", "apis").send().expect(200)["items"].as_array().unwrap().len(), 2);
    // A developer grants the API to a key of their own.
    let theirs = Visitor::of(&server, &owner.add(&server, "developer"));
    let (api, scope) = (id.clone(), format!("{id} orders.read"));
    let secret = secret(&create_key(&theirs, &[("grant", &api), ("grant", &scope)]));
    assert_eq!(token(&server, &secret, ORDERS).expect(200)["scope"], "orders.read");
}

#[test]
fn key_with_two_apis_gets_a_token_for_each() {
    let (server, owner, visitor) = visiting();
    assert!(!visitor.page("/keys/new").contains("Other APIs"), "nothing new with one API");
    let orders = create_orders(&visitor);
    let billing = create(
        &visitor,
        &[("name", "billing"), ("audience", BILLING), ("scope_style", "filters"), ("scopes", "read:invoices/* Read")],
    );
    let (write, text_field) = (format!("{orders} orders.write"), format!("scopes-{billing}"));
    let wrong = create_key(
        &visitor,
        &[
            ("scope-0-action", "read"),
            ("scope-0-resource", "projects/*"),
            ("grant", &orders),
            ("grant", &write),
            ("grant", &billing),
            (&text_field, "read:payments/1"),
        ],
    );
    let html = wrong.text();
    assert_eq!(wrong.status, 422, "{}", text(&html));
    assert!(html.contains(&format!("id=\"api-{billing}-error\"")), "{html}");
    assert!(html.contains(&format!("<a href=\"#api-{billing}\">API billing</a>")), "{html}");
    assert!(
        html.contains("read:payments/1</textarea>")
            && html.contains(&format!(
                "value=\"{write}\" id=\"grant-{orders}-2\" aria-describedby=\"about-{orders}-2\" checked"
            )),
        "{html}"
    );
    let made = create_key(
        &visitor,
        &[
            ("scope-0-action", "read"),
            ("scope-0-resource", "projects/*"),
            ("grant", &orders),
            ("grant", &write),
            ("grant", &billing),
            (&text_field, "read:invoices/2031"),
        ],
    );
    let secret = secret(&made);
    for (resource, scope) in [(ORDERS, "orders.write"), (BILLING, "read:invoices/2031")] {
        let body = token(&server, &secret, resource).expect(200);
        let claims = server.claims(body["access_token"].as_str().unwrap());
        assert_eq!((body["scope"].as_str(), claims["scope"].as_str()), (Some(scope), Some(scope)));
        assert_eq!(claims["aud"], resource);
    }
    assert_eq!(server.exchange(&secret, &[]).expect(200)["scope"], "read:projects/*");
    let id = id_of(&secret);
    let says = visitor.read(&format!("/keys/{id}"));
    for part in ["default read:projects/*", "orders orders.write", "billing read:invoices/2031"] {
        assert!(says.contains(part), "{part}: {says}");
    }

    // Lists, by API.
    owner.make(&json!({ "name": "other" }));
    let says = visitor.read("/keys?api=orders");
    assert!(says.contains("shop") && !says.contains("other ") && says.contains("API: orders"), "{says}");
    assert!(says.contains("billing: read:invoices/2031 +1"), "{says}");
    assert!(visitor.read("/keys?api=orders&scope=orders.write").contains("shop"));
    assert!(visitor.read("/keys?api=orders&scope=orders.read").contains("No keys match"));
    assert!(visitor.read("/keys?api=nothing").contains("other"), "a filter that means nothing is dropped");
    let listed =
        |query: &str| owner.api("GET", &format!("keys?{query}")).send().expect(200)["items"].as_array().unwrap().len();
    assert_eq!((listed("api=orders"), listed("api=billing&scope=read:invoices/2031")), (1, 1));
    assert_eq!((listed("api=orders&scope=orders.read"), listed("api=default&status=active")), (0, 3));
    assert_eq!(owner.api("GET", "keys?api=nothing").send().status, 422);
    let csv = visitor.get("/keys/export?api=orders&owner=any").text();
    let mut lines = csv.lines();
    assert!(lines.next().unwrap().contains(",scopes,apis,allowed_cidrs,"), "{csv}");
    let line = lines.next().unwrap();
    for word in ["default=read:projects/*", "orders=orders.write", "billing=read:invoices/2031"] {
        assert!(line.contains(word), "{word}: {line}");
    }
    assert!(lines.next().is_none(), "{csv}");
}

#[test]
fn review_shows_the_api_of_each_scope() {
    let (server, owner, visitor) = visiting();
    let orders = create_orders(&visitor);
    let made = owner.make(&json!({
        "name": "shop", "scopes": ["read"], "apis": [{ "api": "orders", "scopes": ["orders.read"] }],
        "allowed_cidrs": ["127.0.0.0/8"],
    }));
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let live = token(&server, secret, ORDERS).expect(200)["access_token"].as_str().unwrap().to_owned();
    let page = format!("/keys/{id}/edit");
    let write = format!("{orders} orders.write");
    let form = [("client_secret", secret), ("resource", ORDERS), ("scope", "orders.read")];
    server
        .token_request()
        .form(&[&[("grant_type", "client_credentials")], form.as_slice()].concat())
        .send()
        .expect(200);
    let review = || visitor.submit(&page, &page, &[("grant", &orders), ("grant", &write)]);
    let review = eventually("the request to be counted", || {
        Some(review()).filter(|review| text(&review.text()).contains("At least 1 request."))
    });
    let says = text(&review.text());
    assert!(says.contains("Scopes of orders orders.read orders.write Widened and restricted"), "{says}");
    assert!(!says.contains("Scopes of default") && says.contains("orders.read (orders) 1"), "{says}");
    let next = visitor.next(&visitor.post(&page).form_text(filled(&review.text(), &visitor.link(&page), &[])).send());
    assert!(next.contains("Tokens issued earlier no longer work."), "{next}");
    assert_eq!(verified(&server, &live), 401);
    assert_eq!(token(&server, secret, ORDERS).expect(200)["scope"], "orders.write");

    // Without the box of the API, its scopes are not granted.
    let review = visitor.submit(&page, &page, &[("grant", &write)]);
    let says = text(&review.text());
    assert!(says.contains("Scopes of orders orders.write not granted Restricted"), "{says}");

    // A form from before another API existed leaves that API alone.
    let old = visitor.page(&page);
    let billing = create(&visitor, &[("name", "billing"), ("audience", BILLING), ("scopes", "bill")]);
    let grants = json!([
        { "api": "default", "scopes": ["read"] },
        { "api": "orders", "scopes": ["orders.write"] },
        { "api": "billing", "scopes": ["bill"] },
    ]);
    owner.api("PATCH", &format!("keys/{id}")).json(&json!({ "apis": grants })).send().expect(200);
    let version = owner.api("GET", &format!("keys/{id}")).send().expect(200)["version"].to_string();
    let fields = [("name", "renamed"), ("version", version.as_str())];
    let saved = visitor.post(&page).form_text(filled(&old, &visitor.link(&page), &fields)).send();
    assert!(visitor.next(&saved).contains("renamed"));
    assert_eq!(token(&server, secret, BILLING).expect(200)["scope"], "bill", "{billing}");
}

#[test]
fn denied_requests_lead_to_the_grant() {
    let (server, owner, visitor) = visiting();
    let orders = create_orders(&visitor);
    let made = owner.make(&json!({ "name": "shop", "allowed_cidrs": ["127.0.0.0/8"] }));
    let (id, secret) = (made["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    let question = |query: &str| visitor.read(&format!("/keys/{id}/explain?ask=yes&address=127.0.0.1&{query}"));
    let says = question(&format!("audience={ORDERS}&scope=orders.read"));
    assert!(says.contains("Denied."), "{says}");
    token(&server, secret, ORDERS).expect(400);
    let html = visitor.page("/denials");
    let link = html
        .split("/console/keys/")
        .find(|part| part.contains("Grant this API"))
        .unwrap_or_else(|| panic!("{}", text(&html)));
    let path = format!("/keys/{}", link.split('"').next().unwrap().replace("&#38;", "&"));
    let html = visitor.page(&path);
    assert!(
        html.contains(&format!(
            "value=\"{orders}\" id=\"grant-{orders}\" aria-describedby=\"audience-{orders}\" checked"
        )),
        "{html}"
    );
    let says = text(&visitor.page("/denials"));
    assert!(says.contains("Audience not allowed"), "{says}");
    let page = format!("/keys/{id}/edit");
    let read = format!("{orders} orders.read");
    let review = visitor.submit(&page, &page, &[("grant", &orders), ("grant", &read)]);
    assert!(
        text(&review.text()).contains("Scopes of orders not granted orders.read Widened"),
        "{}",
        text(&review.text())
    );
    visitor.next(&visitor.post(&page).form_text(filled(&review.text(), &visitor.link(&page), &[])).send());
    let says = question(&format!("audience={ORDERS}&scope=orders.read"));
    assert!(says.contains("Allowed. Every check passed."), "{says}");
    assert!(question(&format!("audience={ORDERS}&scope=orders.write")).contains("Denied. Failed: scope."));
    assert!(question("action=read&resource=a").contains("Allowed. Every check passed."), "links of before");
    let log = visitor.read("/audit");
    assert!(log.contains("orders orders.read"), "the API is named: {log}");
}

#[test]
fn pages_of_large_apis_stay_small() {
    let (_server, owner, visitor) = visiting();
    let listed: Vec<Value> = (0..200)
        .map(|n| json!({ "scope": format!("{n:03}{}", "<".repeat(50)), "description": "<".repeat(200) }))
        .collect();
    let of = |name: &str, scopes: &[Value]| json!({ "name": name, "audience": format!("https://{name}.example"), "scopes": scopes });
    owner.api("POST", "apis").json(&of("large", &listed)).send().expect(201);
    for n in 0..60 {
        owner.api("POST", "apis").json(&of(&format!("api-{n}"), &listed[..40])).send().expect(201);
    }
    let id = visitor
        .page("/apis")
        .split("/console/apis/")
        .filter_map(|part| part.split('"').next())
        .find(|id| id.len() == 16 && *id != DEFAULT)
        .unwrap()
        .to_owned();
    for path in ["/apis".to_owned(), format!("/apis/{id}"), "/keys/new".into(), "/keys".into()] {
        let size = visitor.page(&path).len();
        assert!(size < 150_000, "{path}: {size}");
    }
}

#[test]
fn algorithm_of_an_api_is_chosen_and_changed() {
    let (_server, owner, visitor) = visiting();
    let id = create(&visitor, &[("name", "aws"), ("audience", ORDERS), ("scopes", "x"), ("algorithm", "RS256")]);
    assert_eq!(api(&owner, "aws")["algorithm"], "RS256");
    let edit = format!("/apis/{id}/edit");
    let form = visitor.page(&edit);
    assert!(form.contains("<option value=\"RS256\" selected"), "{form}");
    visitor.submit(&edit, &format!("/apis/{id}"), &[("algorithm", "EdDSA")]);
    let shown = api(&owner, "aws");
    assert_eq!((&shown["algorithm"], &shown["next_algorithm"]["algorithm"]), (&json!("RS256"), &json!("EdDSA")));
    let says = visitor.read(&format!("/apis/{id}"));
    assert!(says.contains("Algorithm RS256 EdDSA signs in 1"), "{says}");
    let wrong = visitor.submit(&edit, &format!("/apis/{id}"), &[("algorithm", "none")]);
    assert!(text(&wrong.text()).contains("Choose an algorithm."));
}
