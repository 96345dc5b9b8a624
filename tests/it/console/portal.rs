//! The settings of the customer portal, and the sessions on a customer's page.

use serde_json::json;

use super::visiting;
use crate::customers::new_customer;
use crate::portal;
use crate::support::console::text;
use crate::support::{Visitor, field};

#[test]
fn settings_are_edited() {
    let (server, _, visitor) = visiting();
    assert!(visitor.read("/customers").contains("Portal settings"));
    let fields = [
        ("name", "Acme Cloud"),
        ("color", "#0a66c2"),
        ("return_url", "https://app.acme.example/account"),
        ("frame_origins", "https://app.acme.example\r\nhttps://www.acme.example"),
    ];
    assert!(visitor.done("/portal/edit", "/portal/edit", &fields).contains("Portal settings saved."));
    let shown = server.api("GET", "portal").send().expect(200);
    assert_eq!((&shown["name"], &shown["color"]), (&json!("Acme Cloud"), &json!("#0a66c2")));
    assert_eq!(shown["frame_origins"], json!(["https://app.acme.example", "https://www.acme.example"]));
    // The form has what is stored.
    let late = visitor.clone();
    let form = crate::support::console::filled(&late.page("/portal/edit"), &late.link("/portal/edit"), &[]);
    visitor.done("/portal/edit", "/portal/edit", &[("text", "Hello")]);
    let after = server.api("GET", "portal").send().expect(200);
    assert_eq!((&after["text"], &after["frame_origins"]), (&json!("Hello"), &shown["frame_origins"]));
    assert_eq!(late.post("/portal/edit").form_text(form).send().status, 412, "somebody else was faster");
    for (name, value, said) in [
        ("color", "blue", "six hexadecimal digits"),
        ("frame_origins", "https://app.acme.example/x", "did you mean https://app.acme.example?"),
        ("return_url", "http://app.acme.example", "must be an https url"),
    ] {
        let answer = visitor.submit("/portal/edit", "/portal/edit", &[(name, value)]);
        let page = text(&answer.text());
        assert!(answer.status == 422 && page.to_lowercase().contains(said), "{name}: {page}");
    }
}

#[test]
fn only_admins_have_the_settings() {
    let (server, owner, _) = visiting();
    for role in ["viewer", "developer"] {
        let visitor = Visitor::of(&server, &owner.add(&server, role));
        assert!(!visitor.read("/customers").contains("Portal settings"), "{role}");
        assert_eq!(visitor.get("/portal/edit").status, 403, "{role}");
    }
}

#[test]
fn sessions_are_shown_and_ended_on_the_page_of_the_customer() {
    let (server, owner, visitor) = visiting();
    let customer = new_customer(&server);
    let session = portal::new_session(&server, &customer);
    let page = format!("/customers/{customer}");
    assert!(visitor.read(&page).contains("Portal sessions"));
    let viewer = Visitor::of(&server, &owner.add(&server, "viewer"));
    assert!(viewer.read(&page).contains("Portal sessions") && !viewer.read(&page).contains("End session"));
    let end = format!("{page}/portal-sessions/{session}/end");
    assert!(visitor.done(&page, &end, &[]).contains("Portal session ended."));
    assert!(!visitor.read(&page).contains("End session"));
    let log = server.api("GET", &format!("audit?customer={customer}")).send().expect(200);
    assert_eq!(field(&log["items"], "action")[0], "portal-session.end");
    let said = visitor.read("/audit");
    assert!(said.contains("ended portal session") && said.contains("created portal session"), "{said}");
}
