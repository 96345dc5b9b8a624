//! The frame of the pages: messages, theme, errors.

use serde_json::json;

use crate::support::console::{filled, text};
use crate::support::person::start;
use crate::support::{Answer, Visitor};

#[track_caller]
fn flash_of(answer: &Answer) -> Option<String> {
    let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
    let cookie = cookies.map(|(_, cookie)| cookie).find(|cookie| cookie.starts_with("keyturn_flash="))?;
    Some(cookie.split([';', '=']).nth(1).unwrap().to_owned())
}

#[test]
fn a_message_is_shown_once_and_only_to_its_session() {
    let (server, owner) = start();
    let mut visitor = Visitor::of(&server, &owner);
    let key = owner.make(&json!({ "name": "one" }));
    let page = format!("/keys/{}", key["id"].as_str().unwrap());
    let disabled = visitor.submit(&format!("{page}/disable"), &format!("{page}/disable"), &[]);
    assert_eq!(visitor.led_to(&disabled), page);
    let value = flash_of(&disabled).expect("a message");
    assert!(!disabled.headers.iter().any(|(_, value)| value.contains("Key disabled")), "the message is encrypted");
    visitor.keep_cookies(&disabled);

    // A dialog that loads a page, and a check of a field, do not use it up.
    let dialog = visitor.request("GET", &page).header("x-keyturn-dialog", "1").send();
    assert!(!text(&dialog.text()).contains("Key disabled.") && flash_of(&dialog).is_none());
    assert!(flash_of(&visitor.get("/check/networks?value=10.0.0.0%2F8")).is_none());

    // Another session cannot show it, and neither can a link or a changed cookie.
    let mut other = Visitor::of(&server, &owner);
    for forged in [value.clone(), format!("{value}A"), "x.y".into(), "Key+revoked".into()] {
        other.jar.insert("keyturn_flash".into(), forged);
        assert!(!other.read(&page).contains("Key disabled."));
    }
    let plain = visitor.clone();
    let shown = visitor.get(&page);
    assert!(text(&shown.text()).contains("Key disabled."), "{}", shown.text());
    assert_eq!(flash_of(&shown).as_deref(), Some(""), "the cookie is deleted");
    visitor.keep_cookies(&shown);
    assert!(!visitor.read(&page).contains("Key disabled."));
    assert_ne!(plain.jar, visitor.jar);
    for path in ["/keys", "/members", "/policy", "/signing-keys", "/webhooks", "/organizations", "/account", "/welcome"]
    {
        for done in ["removed", "changed", "deleted", "rotated", "revoked", "password"] {
            let html = visitor.page(&format!("{path}?done={done}"));
            assert!(!html.contains("role=\"status\""), "{path}?done={done}");
        }
    }
}

#[test]
fn theme_is_chosen_without_script_and_returns_to_the_page() {
    let (server, owner) = start();
    let mut visitor = Visitor::of(&server, &owner);
    let page = visitor.page("/usage?range=7d");
    assert!(page.contains("data-theme=\"system\"") && page.contains("content=\"light dark\""));
    for (referer, next) in [
        (Some(format!("{}/console/usage?range=7d", server.public_url)), "/usage?range=7d"),
        (Some("https://evil.example/console/../x".to_owned()), "/overview"),
        (None, "/overview"),
    ] {
        let body = filled(&page, &visitor.link("/theme"), &[("theme", "dark")]);
        let request = visitor.post("/theme").form_text(body);
        let chosen = match &referer {
            Some(referer) => request.header("Referer", referer).send(),
            None => request.send(),
        };
        assert_eq!(visitor.led_to(&chosen), next, "{referer:?}");
        visitor.keep_cookies(&chosen);
    }
    let page = visitor.page("/usage");
    assert!(page.contains("<html lang=\"en\" data-theme=\"dark\">"), "{page}");
    assert!(page.contains("name=\"color-scheme\" content=\"dark\""));
    let body = filled(&page, &visitor.link("/theme"), &[("theme", "purple")]);
    assert_eq!(visitor.post("/theme").form_text(body).send().status, 400);
    // The sign-in page and errors have it too.
    let mut stranger = Visitor::new(&server);
    stranger.jar.insert("keyturn_theme".into(), "light".into());
    assert!(stranger.page("/sign-in").contains("data-theme=\"light\""));
    stranger.jar.insert("keyturn_theme".into(), "\"><script>".into());
    assert!(stranger.page("/sign-in").contains("data-theme=\"system\""));
}

/// The cookie with the kept form in a response.
fn kept_of(answer: &Answer) -> Option<&str> {
    let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, cookie)| cookie.as_str());
    cookies.filter(|cookie| !cookie.contains("Max-Age=0")).find(|cookie| cookie.starts_with("keyturn_form="))
}

#[test]
fn forms_are_kept_for_their_member_without_passwords_and_up_to_a_size() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let html = visitor.page("/keys/new");
    let nobody = Visitor::new(&server);
    let form = |fields: &[(&str, &str)]| filled(&html, &visitor.link("/keys/new"), fields);

    // Without a cookie, with an unknown one, and with another session's: kept each time.
    let mut unknown = nobody.clone();
    unknown.jar.insert("keyturn_session".into(), "A".repeat(43));
    for (browser, leads_to) in [
        (nobody.clone(), "/sign-in?next=%2Fconsole%2Fkeys%2Fnew"),
        (unknown, "/sign-in?next=%2Fconsole%2Fkeys%2Fnew"),
        (Visitor::of(&server, &owner), "/keys/new"),
    ] {
        let answer = browser.post("/keys/new").form_text(form(&[("name", "kept name")])).send();
        assert_eq!(browser.led_to(&answer), leads_to);
        let cookie = kept_of(&answer).expect("a kept form");
        assert!(cookie.contains("HttpOnly") && cookie.contains("Max-Age=900") && !cookie.contains("kept"), "{cookie}");
        let mut next = visitor.clone();
        next.keep_cookies(&answer);
        // A dialog does not use it up; another member's page and another page do not show it.
        assert!(!next.request("GET", "/keys/new").header("x-keyturn-dialog", "1").send().text().contains("kept name"));
        let mut other = Visitor::of(&server, &owner.add(&server, "admin"));
        other.keep_cookies(&answer);
        assert!(!other.page("/keys/new").contains("kept name"));
        assert!(!next.page("/members/new").contains("not submitted"));
        let shown = next.get("/keys/new");
        assert!(shown.text().contains("value=\"kept name\"") && shown.text().contains("was not submitted"));
        assert!(shown.headers.iter().any(|(_, value)| value.starts_with("keyturn_form=; ")), "it is deleted");
    }
    // Too large, of no known member, from another site, or with a password: not kept.
    let large = "x".repeat(3000);
    let answer = nobody.post("/keys/new").form_text(form(&[("description", &large)])).send();
    assert!(answer.status == 303 && kept_of(&answer).is_none());
    let answer = nobody.post("/keys/new").form_text(form(&[("csrf", "x.y")])).send();
    assert!(answer.status == 303 && kept_of(&answer).is_none());
    let body = form(&[("name", "x")]);
    let foreign = nobody.request("POST", "/keys/new").header("Origin", "https://evil.example").form_text(body).send();
    assert!(foreign.status == 403 && kept_of(&foreign).is_none());
    let account = visitor.page("/account");
    let body = filled(&account, &visitor.link("/account/password"), &[("new_password", "a new password")]);
    let answer = nobody.post("/account/password").form_text(body).send();
    assert!(answer.status == 303 && kept_of(&answer).is_none());
    let body = "x".repeat(9000);
    assert_eq!(
        nobody.post("/keys/new").form_text(body).send().status,
        400,
        "larger than what is read without a session"
    );
}

#[test]
fn every_form_with_typed_values_is_kept() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let key = owner.make(&json!({}))["id"].as_str().unwrap().to_owned();
    for page in [
        "/keys/new".to_owned(),
        format!("/keys/{key}/edit"),
        format!("/keys/{key}/rotate"),
        format!("/keys/{key}/revoke"),
        "/members/new".into(),
        format!("/members/{}", owner.id),
        "/policy/change".into(),
        "/organizations/new".into(),
        "/webhooks/new".into(),
        "/signing-keys/rotate".into(),
    ] {
        let html = visitor.page(&page);
        let forms = html.split("<form method=\"post\"").skip(1).map(|rest| rest.split("</form>").next().unwrap());
        let is_typed =
            |form: &&str| form.contains("type=\"text\"") || form.contains("<textarea") || form.contains("<select");
        for form in forms.filter(is_typed) {
            let action = form.split("action=\"").nth(1).unwrap().split('"').next().unwrap();
            let path = action.strip_prefix("/console").unwrap();
            let answer = Visitor::new(&server).post(path).form_text(filled(&html, action, &[])).send();
            assert!(kept_of(&answer).is_some(), "{action} of {page}: {}", answer.status);
            assert!(
                answer
                    .header("location")
                    .unwrap()
                    .contains(&page.replace('/', "%2F").replace('-', "%2D").replace('_', "%5F")),
                "{page}"
            );
        }
    }
}

#[test]
fn tokens_differ_on_each_page() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let token = |html: &str| html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let [one, other] = [(); 2].map(|()| token(&visitor.page("/account")));
    assert_ne!(one, other);
    for token in [&one, &other] {
        let answer = visitor.post("/theme").form_text(format!("csrf={token}&theme=dark")).send();
        assert_eq!(answer.status, 303);
    }
}

#[test]
fn only_responses_without_secrets_are_compressed() {
    let (server, owner) = start();
    let visitor = Visitor::of(&server, &owner);
    let gzip = |request: crate::support::client::Request| request.header("Accept-Encoding", "gzip, br").send();
    let encoding = |answer: &Answer| answer.header("content-encoding").map(str::to_owned);
    let html = visitor.page("/keys");
    let assets: Vec<&str> = html
        .split("/console")
        .filter(|rest| rest.starts_with("/assets/"))
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    for path in ["/keys", "/audit", "/keys/new"].into_iter().chain(assets) {
        let (plain, packed) = (visitor.get(path), gzip(visitor.request("GET", path)));
        assert_eq!((encoding(&plain), encoding(&packed).as_deref()), (None, Some("gzip")), "{path}");
        assert!(packed.header("vary").is_some_and(|vary| vary.to_lowercase().contains("accept-encoding")), "{path}");
        assert!(packed.body.len() < plain.body.len(), "{path}: {} {}", packed.body.len(), plain.body.len());
    }
    // A secret, the list that a session reads, and an export.
    let form = filled(
        &visitor.page("/keys/new"),
        &visitor.link("/keys/new"),
        &[("name", "one"), ("networks", "any"), ("confirmed", "yes")],
    );
    let secret = gzip(visitor.post("/keys/new").form_text(form));
    assert_eq!((secret.status, encoding(&secret)), (200, None));
    assert_eq!(encoding(&gzip(owner.api("GET", "keys"))), None);
    assert_eq!(encoding(&gzip(server.api("GET", "keys"))).as_deref(), Some("gzip"));
    assert_eq!(encoding(&gzip(server.api("GET", "audit?format=ndjson"))), None);
    assert_eq!(encoding(&gzip(server.api("POST", "keys").json(&json!({ "name": "two" })))), None);
    assert_eq!(encoding(&gzip(server.get("/openapi.json"))).as_deref(), Some("gzip"));
}
