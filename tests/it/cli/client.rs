//! How the command line reaches a server.

use std::process::Command;

use crate::support::server::Ended;
use crate::support::{Place, Server};

fn list(server: &Server, arguments: &[&str], adapt: impl FnOnce(&mut Command)) -> Ended {
    let mut command = server.command(&[&["keys", "list", "--server", &server.public_url], arguments].concat());
    command.env("KEYTURN_API_KEY", &server.key.text);
    adapt(&mut command);
    Ended::of(command)
}

#[test]
fn header_says_where_the_caller_is_to_a_server_that_trusts_this_machine() {
    let server = Place::new().set("KEYTURN_SERVER__TRUSTED_PROXIES", "127.0.0.1").start_behind_proxy();
    assert!(list(&server, &[], |_| {}).refused(1).contains("API_KEY_IP_NOT_ALLOWED"));
    let ended = list(&server, &["--header", "X-Forwarded-For: 127.0.0.1"], |_| {});
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    for header in ["X-Forwarded-For", "a b: c", "Authorization: Bearer x"] {
        assert!(list(&server, &["--header", header], |_| {}).refused(2).contains("--header: "), "{header}");
    }
}

#[test]
fn plain_http_needs_no_certificate_authorities() {
    let server = Server::start();
    let without = |command: &mut Command| {
        command.env("SSL_CERT_FILE", "/nonexistent/ca.pem").env("SSL_CERT_DIR", "/nonexistent");
    };
    let ended = list(&server, &[], without);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    let mut health = server.command(&["health"]);
    health.env("KEYTURN_SERVER__LISTEN", server.address.to_string());
    without(&mut health);
    let ended = Ended::of(health);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "alive\n"));
}
