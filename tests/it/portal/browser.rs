//! The portal in Chromium, as a page and in a frame of another site.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::json;

use super::create;
use crate::support::server::unique;
use crate::support::{Browser, Server};

/// A site of the operator on `localhost`, which is another site than Keyturn's `127.0.0.1`. Its page has the portal in a frame.
struct Host {
    origin: String,
    listener: TcpListener,
}

impl Host {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        Self { origin, listener }
    }

    /// Serves a page with this URL in a frame until the test ends. Returns the URL of the page.
    fn serve(self, framed: &str) -> String {
        let html = format!(
            "<!doctype html><html lang=en><title>Host</title><link rel=icon href=data:,><h1>Our product</h1>\
             <iframe title=\"API keys\" src=\"{framed}\" width=360 height=640 allow=\"clipboard-write\"></iframe></html>"
        );
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n{html}");
        std::thread::spawn(move || {
            for stream in self.listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        format!("{}/", self.origin)
    }
}

/// Creates a customer and a session that can create keys with `read:orders/*` and `write:orders/*`. Returns the session's URL.
fn session_url(server: &Server) -> String {
    let body = json!({ "external_id": unique(), "name": "Acme Rockets" });
    let customer = server.api("POST", "customers").json(&body).send().expect(201);
    let id = customer["id"].as_str().unwrap();
    let session = create(server, id, &json!({ "scopes": ["read:orders/*", "write:orders/*"] }));
    session["url"].as_str().unwrap().to_owned()
}

/// Reads the secret of a page that shows it.
#[track_caller]
fn shown_secret(browser: &Browser) -> String {
    browser.see("Save your secret");
    let text = browser.text();
    text.split_whitespace().find(|word| word.starts_with("kt_") && word.len() > 60).unwrap().to_owned()
}

/// Opens the URL with its button, creates a key, rotates it and revokes it. With JavaScript, each page is checked with axe-core.
#[track_caller]
fn walk(browser: &Browser, server: &Server, has_script: bool) {
    let axe = || {
        assert!(browser.fits(), "the page is wider than the screen");
        if has_script {
            browser.run_axe();
        }
    };
    let take_secret = || {
        let secret = shown_secret(browser);
        assert_eq!(browser.offers("Copy"), has_script);
        axe();
        browser.check("I saved this secret");
        browser.click("Continue");
        browser.see("Last used");
        assert!(!browser.source().contains(&secret), "it is shown once");
        secret
    };
    browser.see("API keys of Acme Rockets");
    axe();
    browser.click("Continue");
    browser.see("No API keys yet.");
    axe();
    browser.click("Create API key");
    browser.fill("Name", "orders-worker");
    browser.click("Create API key");
    browser.see("Choose what the key can do");
    axe();
    browser.check("read:orders/*");
    browser.choose("Expiry", "30 days");
    browser.click("Create API key");
    let first = take_secret();
    server.exchange(&first, &[]).expect(200);
    axe();
    browser.click("Rotate");
    browser.see("Keep the current secret working for");
    axe();
    browser.choose("Keep the current secret working for", "1 hour");
    browser.click("Rotate key");
    let second = take_secret();
    for secret in [&first, &second] {
        server.exchange(secret, &[]).expect(200);
    }
    browser.click("Revoke");
    browser.see("You can’t undo this");
    axe();
    browser.click("Revoke key");
    browser.see("This can’t be undone.");
    axe();
    assert_eq!(server.exchange(&second, &[]).status, 401);
    browser.click("API keys");
    browser.see("orders-worker");
    axe();
}

/// Clicks the first visible element with that text in the document of a frame. The names that a browser gives to elements are those of
/// the page around it.
#[track_caller]
fn press(browser: &Browser, text: &str) {
    const PRESS: &str = "const found = [...document.querySelectorAll('button, a, label')]
        .find(element => element.textContent.trim().startsWith(arguments[0]) && element.offsetParent !== null);
        found?.click(); return found !== undefined";
    browser.wait(&format!("{text:?} in the frame"), || browser.run(PRESS, &[json!(text)]) == true);
}

/// The same walk, shorter, in a frame.
#[track_caller]
fn walk_in_frame(browser: &Browser, server: &Server) {
    browser.see("API keys of Acme Rockets");
    press(browser, "Continue");
    browser.see("No API keys yet.");
    press(browser, "Create API key");
    browser.see("Allowed networks");
    press(browser, "read:orders/*");
    browser.run("document.getElementById('name').value = 'framed'", &[]);
    press(browser, "Create API key");
    let secret = shown_secret(browser);
    server.exchange(&secret, &[]).expect(200);
    press(browser, "I saved this secret");
    press(browser, "Continue");
    browser.see("Last used");
    assert!(!browser.source().contains(&secret), "it is shown once");
    press(browser, "Revoke");
    browser.see("You can’t undo this");
    press(browser, "Revoke key");
    browser.see("This can’t be undone.");
    assert_eq!(server.exchange(&secret, &[]).status, 401);
    assert!(browser.fits(), "the page is wider than the frame");
}

fn brand(server: &Server, origins: &[&str]) {
    let settings = json!({
        "name": "Acme Cloud",
        "color": "#7b2d8b",
        "text": "Keys for the orders API.",
        "return_url": format!("{}/healthz", server.public_url),
        "frame_origins": origins,
    });
    server.api("PUT", "portal").json(&settings).send().expect(200);
}

#[test]
fn page_with_javascript_on_a_dark_screen() {
    let server = Server::start();
    brand(&server, &[]);
    let browser = Browser::new().dark();
    let url = session_url(&server);
    browser.open(&url);
    walk(&browser, &server, true);
    browser.click("End session");
    browser.see("Session ended");
    browser.run_axe();
    assert_eq!(browser.open(&url), 410);
    browser.see("Link expired");
    browser.click("Back to Acme Cloud");
    browser.arrive("/healthz");
}

#[test]
fn page_without_javascript_on_a_phone() {
    let server = Server::start();
    brand(&server, &[]);
    let browser = Browser::without_javascript().phone();
    browser.open(&session_url(&server));
    walk(&browser, &server, false);
}

#[test]
fn frame_of_a_listed_site_with_and_without_javascript() {
    for has_script in [true, false] {
        let server = Server::start();
        let host = Host::new();
        brand(&server, &[&host.origin]);
        let page = host.serve(&session_url(&server));
        let browser = if has_script { Browser::new() } else { Browser::without_javascript() };
        browser.open(&page);
        browser.see("Our product");
        browser.enter_frame();
        walk_in_frame(&browser, &server);
        if !has_script {
            continue;
        }
        // The page around the frame sees nothing of it.
        browser.leave_frame();
        let reach = "try { return document.querySelector('iframe').contentDocument === null } catch { return true }";
        assert_eq!(browser.run(reach, &[]), true);
    }
}

#[test]
fn frame_of_another_site_shows_nothing() {
    let server = Server::start();
    brand(&server, &["https://app.acme.example"]);
    let page = Host::new().serve(&session_url(&server));
    let browser = Browser::new();
    browser.open(&page);
    browser.see("Our product");
    browser.wait("the refusal", || browser.complaints().iter().any(|text| text.contains("frame-ancestors")));
    browser.enter_frame();
    assert!(!browser.source().contains("Acme Rockets"));
}
