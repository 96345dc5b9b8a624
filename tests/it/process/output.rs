//! Output that cannot be written does not affect requests, changes and signals.

use std::fs::{self, File};
use std::io::{PipeReader, Read, pipe};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Place, Server, eventually};

/// A server whose log goes to a pipe.
fn server_logging_into_pipe() -> (Server, PipeReader) {
    let place = Place::on_sqlite();
    let founded = place.init(&[]);
    let (reader, writer) = pipe().unwrap();
    let mut serve = place.command(&["serve"]);
    serve.stderr(writer);
    (place.serve_with(founded.key, serve), reader)
}

/// A server whose log cannot be written.
fn server_logging_to_full_disk() -> Server {
    let place = Place::on_sqlite();
    let founded = place.init(&[]);
    let mut serve = place.command(&["serve"]);
    serve.stderr(full_disk());
    place.serve_with(founded.key, serve)
}

/// Sends requests that are logged: a denial and a change.
#[track_caller]
fn requests_are_answered(server: &Server) {
    server.exchange("kt_not_a_key", &[]).expect(401);
    let token = server.token(&server.key, &[]);
    let key = server.make_with("read:orders/*");
    server.change("POST", &format!("{}/revoke", key.id), &serde_json::json!({}));
    server.exchange(&key.text, &[]).expect(401);
    assert_eq!(server.get("/verify").bearer(&token).send().status, 200);
    assert_eq!(server.get("/healthz").send().status, 200);
}

fn full_disk() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

#[track_caller]
fn terminates_in_time(mut server: Server) {
    let asked = Instant::now();
    server.terminate();
    assert!(server.wait().success());
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

fn lost_lines(server: &Server) -> u64 {
    let text = server.get("/metrics").send().text();
    let line = text.lines().find_map(|line| line.strip_prefix("keyturn_log_lines_lost_total "));
    line.expect("the counter").parse().unwrap()
}

#[test]
fn closed_log_pipe_does_not_stop_the_server() {
    let (server, mut reader) = server_logging_into_pipe();
    reader.read_exact(&mut [0; 100]).unwrap();
    drop(reader);
    requests_are_answered(&server);
    eventually("the lost lines to be counted", || (lost_lines(&server) > 0).then_some(()));
    terminates_in_time(server);
}

#[test]
fn full_disk_does_not_stop_the_server() {
    let server = server_logging_to_full_disk();
    requests_are_answered(&server);
    eventually("the lost lines to be counted", || (lost_lines(&server) > 0).then_some(()));
    terminates_in_time(server);
}

#[test]
fn blocked_log_pipe_does_not_stop_the_server() {
    let (server, mut reader) = server_logging_into_pipe();
    // Far more than the capacity of a pipe (64 KiB).
    for _ in 0..1_000 {
        server.exchange("kt_not_a_key", &[]).expect(401);
    }
    requests_are_answered(&server);
    assert_eq!(lost_lines(&server), 0, "they wait in the queue");
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    terminates_in_time(server);
    let log = reading.join().unwrap();
    assert!(log.matches("/oauth/token").count() > 1_000, "nothing is lost once somebody reads");
    assert!(log.trim_end().ends_with("stopped"), "the last line is written");
}

#[test]
fn shutdown_does_not_wait_for_a_blocked_pipe() {
    let (server, reader) = server_logging_into_pipe();
    for _ in 0..1_000 {
        server.exchange("kt_not_a_key", &[]).expect(401);
    }
    terminates_in_time(server);
    drop(reader);
}

#[test]
fn closed_stderr_does_not_stop_the_server() {
    let place = Place::on_sqlite();
    let founded = place.init(&[]);
    let serve = format!("exec {} serve 2>&-", env!("CARGO_BIN_EXE_keyturn"));
    let serve = place.program("/bin/sh", &["-c", &serve]);
    let server = place.serve_with(founded.key, serve);
    requests_are_answered(&server);
    terminates_in_time(server);
}

#[test]
fn error_that_cannot_be_written_keeps_its_exit_code() {
    let place = Place::new().set("KEYTURN_TOKEN__TTL_SECONDS", "5");
    assert_eq!(place.command(&["check-config"]).stderr(full_disk()).status().unwrap().code(), Some(2));
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    assert_eq!(place.command(&["serve"]).stderr(writer).status().unwrap().code(), Some(2));
}

#[test]
fn command_whose_output_is_closed_ends_quietly() {
    let place = Place::new();
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let output = place.command(&["openapi"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(1), ""));

    let output = place.command(&["check-config"]).stdout(full_disk()).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("keyturn: failed to write to standard output: "));
}

#[test]
fn credentials_that_cannot_be_shown_are_not_created() {
    let place = Place::on_sqlite();
    assert_eq!(place.command(&["init"]).stdout(full_disk()).status().unwrap().code(), Some(1));
    place.init(&[]);
    assert!(fs::metadata(place.database()).unwrap().len() > 0);
}
