//! The screenshots in `docs/console`. This is a tool that `scripts/console-pictures` runs.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::seed::Company;
use crate::support::{Browser, field};

/// The name of each screenshot, its path and whether a member is signed in. `{key}` is the ID of a busy key, `{rotating}` of one
/// with two secrets, `{member}` of
/// a member, `{webhook}` of a webhook, `{api}` of an API, `{customer}` of a customer, `{org}` the organization.
pub const PAGES: &[(&str, &str, bool)] = &[
    ("sign-in", "/console/sign-in", false),
    ("welcome", "/console/welcome", true),
    ("overview", "/console/overview", true),
    ("find", "/console/find", true),
    ("keys", "/console/keys?status=all", true),
    ("keys-violating", "/console/keys?violates=any&sort=name", true),
    ("keys-none", "/console/keys?status=active&search=nothing+like+this", true),
    ("key", "/console/keys/{key}", true),
    ("key-create", "/console/keys/new", true),
    ("key-edit", "/console/keys/{key}/edit", true),
    ("key-rotate", "/console/keys/{key}/rotate", true),
    ("key-rotating", "/console/keys/{rotating}", true),
    ("key-end-grace", "/console/keys/{rotating}/end-grace", true),
    ("key-extend-grace", "/console/keys/{rotating}/extend-grace", true),
    ("key-revoke", "/console/keys/{key}/revoke", true),
    ("key-explain", "/console/keys/{key}/explain?ask=yes&address=192.0.2.1&action=read&resource=invoices/2031", true),
    ("key-of-several-apis", "/console/keys/{granted}", true),
    ("key-edit-apis", "/console/keys/{granted}/edit", true),
    ("customers", "/console/customers", true),
    ("customer", "/console/customers/{customer}", true),
    ("customer-create", "/console/customers/new", true),
    ("customer-edit", "/console/customers/{customer}/edit", true),
    ("customer-suspend", "/console/customers/{customer}/suspend", true),
    ("customer-remove", "/console/customers/{customer}/remove", true),
    ("portal-edit", "/console/portal/edit", true),
    ("apis", "/console/apis", true),
    ("api", "/console/apis/{api}", true),
    ("api-default", "/console/apis/0000000000000000", true),
    ("api-create", "/console/apis/new", true),
    ("api-edit", "/console/apis/{api}/edit", true),
    ("api-delete", "/console/apis/{api}/delete", true),
    ("key-of-profile", "/console/keys/{limited}", true),
    ("key-edit-profile", "/console/keys/{limited}/edit", true),
    ("keys-of-profile", "/console/keys?status=all&profile=reporting", true),
    ("profiles", "/console/profiles", true),
    ("profile", "/console/profiles/named/reporting", true),
    ("profile-create", "/console/profiles/new", true),
    ("profile-edit", "/console/profiles/named/reporting/edit", true),
    ("profile-delete", "/console/profiles/named/reporting/delete", true),
    ("networks", "/console/networks", true),
    ("network", "/console/networks/named/office", true),
    ("network-create", "/console/networks/new", true),
    ("network-edit", "/console/networks/named/office/edit", true),
    ("network-delete", "/console/networks/named/office/delete", true),
    ("keys-of-api", "/console/keys?status=all&api=orders", true),
    ("key-token-preview", "/console/keys/{key}/token-preview?ask=yes", true),
    ("usage", "/console/usage?range=30d", true),
    ("denials", "/console/denials", true),
    ("denial", "/console/denials/{denial}", true),
    ("denial-explain", "/console/denials/explain", true),
    ("audit", "/console/audit", true),
    ("members", "/console/members", true),
    ("member", "/console/members/{member}", true),
    ("member-remove", "/console/members/{leaver}/remove", true),
    ("policy", "/console/policy", true),
    ("policy-edit", "/console/policy/change", true),
    ("signing-keys", "/console/signing-keys", true),
    ("signing-key-rotate", "/console/signing-keys/rotate", true),
    ("signing-key-revoke", "/console/signing-keys/{kid}/revoke", true),
    ("signing-keys-after-leak", "/console/signing-keys?show=checklist", true),
    ("webhooks", "/console/webhooks", true),
    ("webhook", "/console/webhooks/{webhook}", true),
    ("delivery", "/console/webhooks/{webhook}/deliveries/{delivery}", true),
    ("gateways", "/console/gateways", true),
    ("gateway", "/console/gateways/nginx", true),
    ("gateway-configuration", "/console/gateways/nginx/configuration", true),
    ("gateway-check", "/console/gateways/nginx/check", true),
    ("organizations", "/console/organizations", true),
    ("organization-create", "/console/organizations/new", true),
    ("organization", "/console/organizations/{org}", true),
    ("organization-suspend", "/console/organizations/{other}/suspend", true),
    ("organization-delete", "/console/organizations/{other}/delete", true),
    ("emergency", "/console/emergency", true),
    ("emergency-secret-find", "/console/emergency/secret", true),
    ("emergency-secret", "/console/emergency/secret/{key}", true),
    ("emergency-member-choose", "/console/emergency/member", true),
    ("emergency-member", "/console/emergency/member/{leaver}", true),
    ("emergency-webhook-choose", "/console/emergency/webhook", true),
    ("emergency-webhook", "/console/emergency/webhook/{webhook}", true),
    ("account", "/console/account", true),
    ("member-add", "/console/members/new", true),
    ("member-remove", "/console/members/{member}/remove", true),
    ("webhook-create", "/console/webhooks/new", true),
    ("not-found", "/console/nothing", true),
];

/// The objects that the pages show.
pub struct Pictured {
    address: String,
    key: String,
    /// A key with two secrets.
    rotating: String,
    member: String,
    /// A member with keys.
    leaver: String,
    webhook: String,
    delivery: String,
    kid: String,
    denial: String,
    /// A key that is granted several APIs.
    granted: String,
    /// A key with a profile.
    limited: String,
    /// An API that keys are granted.
    api: String,
    customer: String,
    organization: String,
}

impl Pictured {
    pub fn of(company: &Company) -> Self {
        let first = |list: &str| {
            let listed = company.owner.api("GET", list).send().expect(200);
            listed["items"][0]["id"].as_str().unwrap().to_owned()
        };
        let members = company.owner.api("GET", "members").send().expect(200);
        let leaver = members["items"].as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned();
        for name in ["invoice-mailer", "nightly-report"] {
            company.owner.make(&serde_json::json!({ "name": name, "owner": leaver }));
        }
        let webhook = first("webhooks");
        Self {
            address: company.server.address.to_string(),
            key: company.keys[1].clone(),
            rotating: company.keys[0].clone(),
            member: first("members"),
            leaver,
            delivery: first(&format!("webhooks/{webhook}/deliveries")),
            webhook,
            denial: first("denials"),
            kid: company.owner.api("GET", "signing-keys").send().expect(200)["items"][0]["kid"]
                .as_str()
                .unwrap()
                .to_owned(),
            granted: company.keys[5].clone(),
            limited: company.keys[2].clone(),
            api: company.api.clone(),
            customer: company.customer.clone(),
            organization: company.owner.organization.clone(),
        }
    }

    /// Returns the URL of a page.
    pub fn url(&self, path: &str) -> String {
        let path = path.replace("{key}", &self.key).replace("{rotating}", &self.rotating);
        let path =
            path.replace("{other}", "globex").replace("{org}", &self.organization).replace("{denial}", &self.denial);
        let path = path.replace("{member}", &self.member).replace("{leaver}", &self.leaver);
        let path =
            path.replace("{webhook}", &self.webhook).replace("{delivery}", &self.delivery).replace("{kid}", &self.kid);
        let path =
            path.replace("{api}", &self.api).replace("{customer}", &self.customer).replace("{granted}", &self.granted);
        let path = path.replace("{limited}", &self.limited);
        format!("http://{}{path}", self.address)
    }
}

/// Maximum height of a screenshot in points, on a screen and on a phone.
const DEPTHS: (f64, f64) = (1800.0, 1300.0);

#[test]
#[ignore = "a tool: scripts/console-pictures runs it"]
fn are_taken() {
    let folder = PathBuf::from(std::env::var_os("KEYTURN_TEST_PICTURES").expect("run scripts/console-pictures"));
    let company = Company::found();
    let pictured = Pictured::of(&company);
    let url = |path: &str| pictured.url(path);
    for colours in ["light", "dark", "phone"] {
        let browser = match colours {
            "phone" => Browser::new().phone(),
            "dark" => Browser::new().dark(),
            _ => Browser::new(),
        };
        let mut is_in = false;
        for (name, path, signed_in) in PAGES {
            if *signed_in && !is_in {
                browser.open(&url("/console/sign-in?next=/console/keys"));
                browser.fill("Email", &company.owner.email);
                browser.fill("Password", &company.owner.password);
                browser.click("Sign in");
                browser.see("Sign out");
                is_in = true;
            }
            let status = browser.open(&url(path));
            assert_eq!(status, if *name == "not-found" { 404 } else { 200 }, "{path}");
            assert!(browser.fits(), "{path} is wider than the screen ({colours})");
            let depth = if colours == "phone" { DEPTHS.1 } else { DEPTHS.0 };
            browser.screenshot_to(&folder.join(format!("{name}-{colours}.png")), depth);
        }
        // The effect of a policy, which is the response to a form.
        browser.open(&url("/console/policy/change"));
        browser.fill("Maximum lifetime", "30 days");
        browser.check("Require an expiry");
        browser.fill("Mark as stale after", "7 days");
        browser.click("Review changes");
        browser.see("Effect on existing keys");
        assert!(browser.fits(), "the preview of a policy is wider than the screen ({colours})");
        browser.screenshot_to(
            &folder.join(format!("policy-preview-{colours}.png")),
            if colours == "phone" { DEPTHS.1 } else { DEPTHS.0 },
        );
        // Dialogs, and the secret that is shown once.
        let depth = if colours == "phone" { DEPTHS.1 } else { 900.0 };
        let picture = |name: &str| browser.screenshot_to(&folder.join(format!("{name}-{colours}.png")), depth);
        browser.open(&url("/console/keys"));
        browser.click("Create API key");
        browser.fill("Name", "Ledger import");
        browser.choose("Action for scope 1", "read");
        browser.fill("Resource pattern for scope 1", "ledgers/acme/#");
        browser.fill("Allowed networks", "10.20.0.0/16\n203.0.113.7");
        browser.see("2 networks");
        picture("key-create-dialog");
        browser.within("Create API key").click("Create API key");
        browser.see("Copy the secret now.");
        picture("key-secret");
        browser.check("I saved this secret");
        browser.click("Continue");
        browser.see("Client ID");
        browser.open(&url("/console/keys/new"));
        browser.fill("Name", "Everything");
        browser.choose("Action for scope 1", "Any action (*)");
        browser.fill("Resource pattern for scope 1", "*");
        browser.choose("Network access", "Any network");
        browser.click("Create API key");
        browser.see("Review API key");
        picture("key-create-review");
        browser.open(&url("/console/keys/{key}/rotate"));
        browser.choose("Keep the current secret working for", "Immediately (for a leaked secret)");
        browser.click("Rotate key");
        browser.see("immediately?");
        picture("key-rotate-now");
        browser.open(&url("/console/keys/{key}/edit"));
        browser.choose("Network access", "Any network");
        browser.click("Save changes");
        browser.see("Widen access");
        picture("key-edit-review");
        browser.open(&url("/console/apis/{api}/edit"));
        browser.fill("Audience", "https://orders.acme.example/v2");
        browser.fill("Scopes", "orders.read See orders");
        browser.click("Save changes");
        browser.see("Restrict “orders”?");
        picture("api-edit-review");
        browser.open(&url("/console/profiles/named/reporting/edit"));
        browser.click("Remove scope 4");
        browser.see("Edit “reporting”");
        browser.choose("Network access", "Any network");
        browser.click("Save changes");
        browser.see("1 key has this profile.");
        picture("profile-edit-review");
        browser.open(&url("/console/networks/named/office/edit"));
        browser.fill("Addresses", "203.0.113.0/25");
        browser.click("Save changes");
        browser.see("Restrict “office”?");
        picture("network-edit-review");
        browser.finish();
    }
}

#[test]
fn seed_has_every_key_state_and_a_month_of_usage() {
    let company = Company::found();
    let get = |rest: &str| company.owner.api("GET", rest).send().expect(200);
    let keys = get("keys?limit=100");
    let states: BTreeSet<&str> = field(&keys["items"], "status").into_iter().collect();
    assert_eq!(states, BTreeSet::from(["active", "disabled", "expired", "revoked"]), "{keys}");
    let usage = get("usage?interval=day");
    assert!(usage["totals"]["exchanges"].as_u64().unwrap() > 10_000, "{}", usage["totals"]);
    assert!(usage["totals"]["denials"]["scope"].as_u64().unwrap() > 10, "{}", usage["totals"]);
    let of_key = get(&format!("keys/{}/usage?interval=day", company.keys[1]));
    assert!(of_key["totals"]["exchanges"].as_u64().unwrap() > 1_000, "{of_key}");
    assert_eq!(get("members")["items"].as_array().unwrap().len(), 5);
    assert_eq!(get("webhooks")["items"].as_array().unwrap().len(), 2);
}
