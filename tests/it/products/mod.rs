//! Use cases of four products, step by step, under the shipped policy for each.

mod aerovy;
mod billabear;
mod bindplane;
mod userplane;

use serde_json::Value;

use crate::support::person::start;
use crate::support::server::Ended;
use crate::support::{Answer, Person, Server};

const DAY: i64 = 86_400;

/// A server with a shipped policy, applied as an operator would, and its owner.
#[track_caller]
pub fn under(policy: &str) -> (Server, Person) {
    let (server, owner) = start();
    let file = format!("{}/config/policies/{policy}.toml", env!("CARGO_MANIFEST_DIR"));
    let apply = |arguments: &[&str]| {
        let mut command = server.command(&[&["policy", "apply", &file], arguments].concat());
        command.env("KEYTURN_SERVER", &server.public_url).env("KEYTURN_API_KEY", &server.key.text);
        Ended::of(command)
    };
    let before = owner.api("GET", "policy").send().expect(200);
    let dry = apply(&["--dry-run"]);
    assert_eq!((dry.code, dry.stderr.as_str()), (0, ""));
    assert!(dry.stdout.ends_with("Dry run: nothing was applied.\n"), "{}", dry.stdout);
    assert_eq!(owner.api("GET", "policy").send().expect(200), before);
    let applied = apply(&["--yes"]);
    assert_eq!((applied.code, applied.stderr.as_str()), (0, ""));
    assert!(applied.stdout.ends_with("Policy applied.\n"), "{}", applied.stdout);
    (server, owner)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Returns the field in a validation error.
#[track_caller]
fn wrong_field(answer: &Answer) -> String {
    let body = answer.expect(422);
    assert_eq!(body["code"], "VALIDATION_FAILED");
    text(&body["errors"][0]["field"])
}

/// Returns the names in a list.
fn names(list: &Value) -> Vec<String> {
    list["items"].as_array().unwrap().iter().map(|key| text(&key["name"])).collect()
}

/// Checks the response of the token endpoint.
#[track_caller]
pub fn assert_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.json()["code"], code, "{}", answer.text());
}
