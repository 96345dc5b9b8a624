//! The command line: exit codes, one line for what is wrong, and nothing changed when it is.

mod client;
mod configuration;
mod init;
mod keys;
mod master_key;
mod members;
mod migrate;
mod policy;
mod recovery;
mod resources;
mod serve;
mod token;

use serde_json::Value;

use crate::support::Server;
use crate::support::server::Ended;

/// Runs a command against a server with its first key.
pub fn run(server: &Server, arguments: &[&str]) -> Ended {
    let mut command = server.command(arguments);
    command.env("KEYTURN_SERVER", &server.public_url).env("KEYTURN_API_KEY", &server.key.text);
    Ended::of(command)
}

/// The objects that a command prints with `--json`, one per line.
#[track_caller]
pub fn json_lines(server: &Server, arguments: &[&str]) -> Vec<Value> {
    let ended = run(server, &[arguments, &["--json"]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}");
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The only object that a command prints with `--json`.
#[track_caller]
pub fn json_object(server: &Server, arguments: &[&str]) -> Value {
    let mut lines = json_lines(server, arguments);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}
