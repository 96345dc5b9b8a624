//! `keyturn token`: an access token for an API key.

use crate::cli::{json_object, run};
use crate::support::Server;
use crate::support::server::Ended;

#[test]
fn token_is_printed_alone_and_works() {
    let server = Server::start();
    let ended = run(&server, &["token"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(ended.stdout.lines().count(), 1);
    assert_eq!(server.claims(ended.stdout.trim())["sub"], server.key.id);
}

#[test]
fn scope_and_resource_narrow_the_token() {
    let server = Server::start();
    let arguments = ["token", "--scope", "read:a", "--scope", "write:b", "--resource", &server.public_url];
    let response = json_object(&server, &arguments);
    assert_eq!((&response["scope"], &response["token_type"]), (&"read:a write:b".into(), &"Bearer".into()));
    let claims = server.claims(response["access_token"].as_str().unwrap());
    assert_eq!(claims["scope"], "read:a write:b");
}

#[test]
fn refusals_are_one_line_with_the_code() {
    let server = Server::start();
    let scope = run(&server, &["token", "--scope", "fly:x"]);
    assert!(scope.refused(1).contains("invalid_scope"), "{}", scope.stderr);
    let with = |name: &str, value: &str| {
        let mut command = server.command(&["token", "--server", &server.public_url]);
        command.env(name, value);
        Ended::of(command)
    };
    assert!(with("KEYTURN_API_KEY", "kt_nonsense").refused(1).contains("invalid_client"));
    let token = server.token(&server.key, &[]);
    let ended = with("KEYTURN_TOKEN", &token);
    assert!(ended.refused(2).contains("only an API key can be exchanged") && !ended.stderr.contains(&token));
}
