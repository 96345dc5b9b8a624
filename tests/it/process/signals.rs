//! Signals.

use crate::support::{Server, eventually};

#[test]
fn hangup_is_ignored() {
    let server = Server::start();
    server.signal("HUP");
    eventually("the log", || server.stderr().contains("SIGHUP ignored").then_some(()));
    server.token(&server.key, &[]);
    server.stop();
}
