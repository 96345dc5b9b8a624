//! Stories of administrators from their beginning to their end, with and without JavaScript.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::walk::{in_both, in_both_of, is_password, take};
use super::{go, sign_in};
use crate::support::person::start;
use crate::support::{Browser, Request, Server, eventually, eventually_within};
use crate::webhooks::{Receiver, Reply, place_with_responses};

/// Story 8: keys live for at most 90 days. The policy is applied, existing keys are brought into line, and it holds from then on.
#[test]
fn keys_are_limited_to_90_days() {
    in_both(|server, owner, browser| {
        let old: Vec<String> = ["orders", "invoices"]
            .map(|name| owner.make(&json!({ "name": name }))["id"].as_str().unwrap().to_owned())
            .into();
        go(browser, server, "/policy/change");
        browser.fill("Maximum lifetime", "90 days");
        browser.check("Require an expiry");
        browser.click("Review changes");
        browser.see("Effect on existing keys");
        browser.click("Apply policy");
        browser.see("Policy updated.");

        browser.click("Keys that violate the policy");
        browser.see("3 keys");
        browser.check("Select orders");
        browser.check("Select invoices");
        browser.choose("Change selected keys", "Set expiry");
        let button = browser.page().names("button").into_iter().find(|name| name.starts_with("Change ")).unwrap();
        browser.click(&button);
        browser.see("Set the expiry of 2 keys?");
        browser.choose("Expiry", "In 30 days");
        browser.click("Set the expiry of 2 keys");
        browser.see("2 keys given a new expiry.");
        browser.click("Back to the list");
        browser.see("1 key");
        browser.do_not_see("invoices");

        // Rotation keeps what the policy says, also of a key that broke it.
        let key = owner.api("GET", &format!("keys/{}", old[0])).send().expect(200);
        assert!(key["expires_at"].is_string(), "{key}");
        let never = owner.api("POST", "keys").json(&json!({ "name": "never", "expires_at": null })).send();
        assert_eq!(never.status, 422);
        go(browser, server, &format!("/keys/{}/rotate", server.key.id));
        browser.click("Rotate key");
        browser.see("Save your secret");
        let rotated = owner.api("GET", &format!("keys/{}", server.key.id)).send().expect(200);
        assert!(rotated["expires_at"].is_string(), "{rotated}");
        go(browser, server, "/keys?owner=any&violates=any");
        browser.see("No keys match these filters.");
    });
}

/// Story 10: a webhook is added, its endpoint fails, and the delivery says why and is retried until it works.
#[test]
fn failing_webhook_is_understood_and_retried() {
    let place = || place_with_responses().set("KEYTURN_WEBHOOKS__RETRY_SECONDS", "3600,3600");
    in_both_of(place, |_, owner, browser| {
        let receiver = Receiver::answering(|_, before| match before {
            0 => {
                Reply::Raw(b"HTTP/1.1 500 X\r\nX-Trace: a1\r\nContent-Length: 22\r\n\r\nboom: database is down".into())
            }
            _ => Reply::Status(204, ""),
        });
        browser.click("Webhooks");
        browser.click("Add webhook");
        browser.fill("URL", &receiver.url());
        browser.see("A key has a new secret.");
        browser.check("All API keys events");
        browser.check("policy.changed");
        browser.click("Add webhook");
        take(browser, "Copy the secret now.", |word| word.starts_with("whsec_") && word.len() > 20);
        browser.see("key.*");
        browser.see("policy.changed");

        owner.make(&json!({ "name": "causes an event" }));
        receiver.await_count(1);
        reload_until(browser, "HTTP 500");
        let event = browser.page().names("link").into_iter().find(|name| name.starts_with("key.created")).unwrap();
        browser.click(&event);
        browser.see("Delivery of key.created");
        browser.see("boom: database is down");
        browser.see("x-trace");
        browser.see("causes an event");
        browser.see("in 1 hour");
        browser.click("Retry now");
        browser.see("Retrying delivery.");
        receiver.await_count(2);
        reload_until(browser, "HTTP 204");
        browser.see("Delivered");
        browser.do_not_see("Retry now");
    });
}

/// Story 12: a second organization. The link on the hand-over page leads its owner to their organization.
#[test]
fn second_organization_is_handed_over() {
    in_both(|_, _, browser| {
        browser.click("Organizations");
        browser.click("Create organization");
        browser.fill("Slug", "fleet");
        browser.fill("Owner’s email", "f@fleet.example");
        browser.within("Create organization").click("Create organization");
        browser.see("shown only once");
        let text = browser.text();
        let link = text.split_whitespace().find(|word| word.ends_with("/console/sign-in?organization=fleet"));
        let link = link.unwrap_or_else(|| panic!("no link: {text}")).to_owned();
        let password = take(browser, "shown only once", is_password);
        browser.click("Sign out");
        browser.see("Sign in");
        browser.open(&link);
        browser.fill("Email", "f@fleet.example");
        browser.fill("Password", &password);
        browser.click("Sign in");
        browser.see("Sign out");
        browser.see("fleet");
    });
}

/// A broader choice disables the events that it covers, and they come back when it is cleared.
#[test]
fn broader_events_disable_what_they_cover() {
    let (server, owner) = start();
    let browser = Browser::new();
    sign_in(&browser, &server, &owner);
    go(&browser, &server, "/webhooks/new");
    let disabled = |id: &str| browser.run("return document.getElementById(arguments[0]).disabled", &[json!(id)]);
    browser.check("key.created");
    assert_eq!(disabled("event-key.created"), false);
    browser.check("All API keys events");
    assert_eq!([disabled("event-key.created"), disabled("event-policy.changed")], [true, false]);
    browser.check("All events");
    assert_eq!([disabled("event-key.*"), disabled("event-policy.changed")], [true, true]);
    browser.uncheck("All events");
    assert_eq!(
        [disabled("event-key.*"), disabled("event-key.created"), disabled("event-policy.changed")],
        [false, true, false]
    );
    browser.fill("URL", "https://hooks.example.org/x");
    browser.click("Add webhook");
    browser.see("Copy the secret now.");
    let made = owner.api("GET", "webhooks").send().expect(200);
    assert_eq!(made["items"][0]["events"], json!(["key.*"]));
    browser.finish();
}

/// After an error, the hints of correct rows stay, and all wrong networks are reported at once.
#[test]
fn hints_of_correct_rows_stay_after_an_error() {
    let (server, owner) = start();
    let browser = Browser::new();
    sign_in(&browser, &server, &owner);
    go(&browser, &server, "/keys/new");
    browser.fill("Name", "rows");
    browser.choose("Action for scope 1", "read");
    browser.fill("Resource pattern for scope 1", "projects/*");
    browser.see("Matches everything under projects/.");
    browser.fill("Allowed networks", "10.0.0.1/8\n192.0.2.0/24\nx");
    browser.see("Line 3:");
    browser.click("Create API key");
    browser.see("Fix th");
    browser.see("Line 1: 10.0.0.1/8 has host bits set.");
    browser.see("Line 3: the entry is not a valid");
    browser.see("Matches everything under projects/.");
    browser.finish();
}

/// nginx with the configuration that the console shows, and an API behind it.
struct Gateway {
    nginx: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.nginx.kill();
        let _ = self.nginx.wait();
    }
}

impl Gateway {
    /// Starts nginx. Only its own address and its folders are replaced in the configuration.
    #[track_caller]
    fn start(configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path temp;\n"))
            .concat();
        let listen = "listen 127.0.0.1:8000;";
        assert!(configuration.contains(listen), "{configuration}");
        let text = configuration.replace(listen, &format!("listen {address};"));
        let text = text.replacen("http {", &format!("http {{\n{temporary}"), 1);
        let file = folder.path().join("nginx.conf");
        fs::write(&file, text).unwrap();
        let nginx = Command::new("nginx")
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&file)
            .arg("-e")
            .arg(folder.path().join("errors"))
            .args(["-g", "daemon off; master_process off; pid pid;"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is missing: run scripts/tools");
        let gateway = Self { nginx, address, _folder: folder };
        eventually("nginx", || std::net::TcpStream::connect(address).is_ok().then_some(()));
        gateway
    }

    fn ask(&self, credential: &str) -> u16 {
        Request::new(self.address, "GET", "/v1/orders/1").bearer(credential).send().status
    }
}

/// Responds to every request with 200, until the test's process ends.
fn start_api() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\norders")
            });
        }
    });
    address
}

/// Follows the steps up to the check. Returns the configuration.
#[track_caller]
fn follow_steps(browser: &Browser, server: &Server, api: SocketAddr) -> String {
    go(browser, server, "/gateways");
    browser.click("nginx");
    browser.see("Your values");
    browser.fill("Your API", "nowhere");
    browser.fill("Path to protect", "/v1/orders/");
    browser.fill("Required scope", "read:orders/*");
    browser.click("Show configuration");
    browser.see("Enter host:port");
    browser.fill("Your API", &api.to_string());
    browser.click("Show configuration");
    browser.see("Configuration: Verify every request");
    let shown = browser.run("return document.getElementById('file-0-0').textContent", &[]);
    browser.click("Continue to the check");
    browser.see("What Keyturn sees");
    let button = if browser.offers("Start check") { "Start check" } else { "Watch for longer" };
    browser.click(button);
    browser.see("Watching for requests.");
    shown.as_str().unwrap().to_owned()
}

/// Story 11: the steps for nginx, followed as written, until a request passes and the page says so.
#[test]
fn nginx_is_set_up_until_the_check_passes() {
    for browser in [Browser::without_javascript(), Browser::new()] {
        let (server, owner) = start();
        sign_in(&browser, &server, &owner);
        let (api, key) = (start_api(), server.key.clone());

        // The configuration as shown works, but Keyturn does not trust the gateway yet.
        let gateway = Gateway::start(&follow_steps(&browser, &server, api));
        browser.see("No request yet.");
        assert_eq!(gateway.ask("nonsense"), 401);
        assert_eq!(gateway.ask(&key.text), 200);
        reload_until(&browser, "Keyturn doesn’t trust it");
        browser.see("API_KEY_INVALID");
        let setting = browser.run("return document.getElementById('setting').textContent", &[]);
        let setting = setting.as_str().unwrap().to_owned();
        let proxies =
            setting.split_once('[').unwrap().1.split_once("= [").unwrap().1.trim_end_matches(']').replace('"', "");
        assert_eq!(proxies, "127.0.0.1", "{setting}");
        drop(gateway);

        // With that setting, a key that is restricted to the client's network passes.
        let server = server.stop().set("KEYTURN_SERVER__TRUSTED_PROXIES", &proxies).serve(key);
        let owner = owner.at(&server);
        let key = owner.make(&json!({ "name": "client", "allowed_cidrs": ["127.0.0.0/8"] }));
        let gateway = Gateway::start(&follow_steps(&browser, &server, api));
        assert_eq!(gateway.ask(key["secret"].as_str().unwrap()), 200);
        reload_until(&browser, "The gateway works.");
        browser.see("Keyturn saw the client 127.0.0.1");
        let seen = browser.table("Requests in the last 10 minutes");
        assert_eq!(seen.column("Result")[0], "Allowed", "the latest: {seen:?}");
        let foreign = owner.make(&json!({ "name": "elsewhere", "allowed_cidrs": ["203.0.113.0/24"] }));
        assert_eq!(gateway.ask(foreign["secret"].as_str().unwrap()), 403);
        browser.open(&browser.url());
        browser.see("The key isn’t allowed from this client address.");
        browser.finish();
    }
}

/// Reloads a page until it shows a text.
#[track_caller]
fn reload_until(browser: &Browser, text: &str) {
    eventually_within(20, text, || {
        browser.open(&browser.url());
        browser.text().contains(text).then_some(())
    });
}
