//! Responses that must not be distinguishable are equal. `scripts/timing` compares times statistically, because that
//! takes long; here the bytes are compared.

use serde_json::json;

use crate::checks::{unknown_key_text, wrong_secret};
use crate::support::server::Server;

#[test]
fn invalid_keys_get_identical_responses() {
    let server = Server::start();
    let (rotated, revoked) = (server.make(&json!({})), server.make(&json!({})));
    server.change("POST", &format!("{}/rotate", rotated.id), &json!({}));
    server.change("POST", &format!("{}/revoke", revoked.id), &json!({ "reason": "leaked" }));
    let wrong = wrong_secret(&server.key.id);
    let shape = |text: &str| {
        let answer = server.exchange(text, &[]);
        let varying = ["date", "x-request-id"];
        let headers: Vec<_> =
            answer.headers.iter().filter(|(name, _)| !varying.contains(&name.as_str())).cloned().collect();
        let mut headers: Vec<_> = headers.into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        headers.sort();
        (answer.status, headers, answer.body)
    };
    let unknown = shape(&unknown_key_text());
    assert_eq!(unknown.0, 401);
    for text in [wrong, rotated.text, revoked.text] {
        assert_eq!(shape(&text), unknown);
    }
}
