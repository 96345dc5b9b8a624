//! Endpoints for operators, logs, connections and shutdown.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::Value;

use crate::support::{Answer, Place, Request, Server, eventually};

#[test]
fn health_and_readiness() {
    let server = Server::start();
    for (path, status) in [("/healthz", "alive"), ("/readyz", "ready")] {
        let answer = server.get(path).send();
        assert_eq!(answer.expect(200)["status"], status);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let head = server.request("HEAD", path).send();
        assert_eq!((head.status, head.body.len()), (200, 0));
    }
}

#[test]
fn operations_can_have_a_separate_address() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Place::new().set("KEYTURN_SERVER__OPERATIONS_LISTEN", port).start();
    assert_eq!(server.get("/metrics").send().status, 404);
    assert_eq!(server.get("/healthz").send().status, 200);
    assert_eq!(server.get("/readyz").send().expect(200).as_object().unwrap().len(), 1, "no details");
    for path in ["/metrics", "/healthz", "/readyz"] {
        let mut stream = TcpStream::connect(port).unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let mut stream = TcpStream::connect(port).unwrap();
    stream.write_all(b"GET /verify HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

/// Opens connections that send `head` and then nothing, from one address.
fn hold(server: &Server, count: usize, head: &str) -> Vec<TcpStream> {
    let hold = |_| {
        let mut stream = TcpStream::connect(server.address).unwrap();
        let _ = stream.write_all(head.as_bytes());
        stream
    };
    (0..count).map(hold).collect()
}

#[test]
fn slow_readers_do_not_affect_others() {
    let limit = 32;
    let server = Place::new()
        .set("KEYTURN_SERVER__WRITE_TIMEOUT_SECONDS", 2)
        .set("KEYTURN_SERVER__MAX_CONNECTIONS_PER_ADDRESS", limit)
        .start();
    let pipelined = "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n".repeat(40);
    for head in [pipelined.as_str(), "POST /oauth/token HTTP/1.1\r\nHost: a\r\nX-A: "] {
        let held = hold(&server, 300, head);
        for _ in 0..20 {
            let begun = Instant::now();
            server.token(&server.key.clone(), &[]);
            assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
        }
        if head != pipelined {
            let is_closed = |mut stream: &TcpStream| {
                stream.set_read_timeout(Some(std::time::Duration::from_millis(20))).unwrap();
                match stream.read(&mut [0; 16]) {
                    Ok(read) => read == 0,
                    Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
                }
            };
            let open = held.iter().filter(|stream| !is_closed(stream)).count();
            assert!(open <= limit, "{open} connections are open");
        }
    }
}

#[test]
fn connection_that_does_not_read_is_closed() {
    let server = Place::new().set("KEYTURN_SERVER__WRITE_TIMEOUT_SECONDS", 1).start();
    let pipelined = "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n".repeat(400);
    let mut stream = hold(&server, 1, &pipelined).pop().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(6));
    stream.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    let mut received = Vec::new();
    // The server has closed the connection, so it ends before the read timeout.
    let end = stream.read_to_end(&mut received).map_err(|error| error.kind());
    assert!(matches!(end, Ok(_) | Err(std::io::ErrorKind::ConnectionReset)), "{end:?}");
    assert_eq!(server.get("/healthz").send().status, 200);
}

#[test]
fn metrics_count_decisions_without_raw_paths() {
    let server = Server::start();
    let key = server.make_with("read:*");
    let token = server.token(&key, &[]);
    server.exchange("nothing", &[]).expect(401);
    for (path, status) in [("/verify", 200), ("/verify?keyturn_require=write:a", 403), ("/o/a!/verify", 401)] {
        assert_eq!(server.get(path).bearer(&token).send().status, status, "{path}");
    }
    for (credential, about, status) in [(&key.text, token.as_str(), 200), (&key.text, "x", 200), (&token, "x", 401)] {
        let request = server.request("POST", "/oauth/introspect").bearer(credential);
        assert_eq!(request.form(&[("token", about)]).send().status, status);
    }
    server.get("/somewhere/else").send().expect(404);
    let metrics = server.get("/metrics").send();
    assert_eq!(metrics.status, 200);
    let text = metrics.text();
    for line in [
        "keyturn_exchanges_total{outcome=\"issued\"} 1",
        "keyturn_exchanges_total{outcome=\"api_key_invalid\"} 1",
        "keyturn_verifications_total{outcome=\"allowed\"} 1",
        "keyturn_verifications_total{outcome=\"insufficient_scope\"} 1",
        "keyturn_verifications_total{outcome=\"api_key_invalid\"} 1",
        "keyturn_introspections_total{outcome=\"active\"} 1",
        "keyturn_introspections_total{outcome=\"inactive\"} 1",
        "keyturn_introspections_total{outcome=\"api_key_invalid\"} 1",
        concat!("keyturn_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "keyturn_http_requests_total{route=\"/oauth/token\",status=\"200\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("somewhere"), "{text}");
    // Prometheus's conventions: base units, and label values in lower snake case (a status is a number).
    for sample in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = sample.split_once(['{', ' ']).unwrap();
        assert!(!name.contains("milli") && (name.starts_with("keyturn_") || name.starts_with("process_")), "{sample}");
        for label in ["outcome", "by", "action"] {
            let value =
                rest.split_once(&format!("{label}=\"")).map_or("", |(_, value)| value.split('"').next().unwrap());
            assert!(value.bytes().all(|byte| byte.is_ascii_lowercase() || b"_.-".contains(&byte)), "{sample}");
        }
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn unknown_path_is_a_json_404() {
    let server = Server::start();
    // The address of the server without a path leads to the console.
    for path in ["/", "/console", "/console/"] {
        let home = server.get(path).send();
        assert_eq!((home.status, home.header("location")), (303, Some("/console/overview")), "{path}");
    }
    for path in ["/oauth", "/oauth/nothing", "/api", "/api/v1", "/api/v1/nothing", "/%00", "/a/../b"] {
        let answer = server.get(path).send();
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
        assert_eq!(answer.json()["code"], "NOT_FOUND");
    }
}

#[test]
fn every_response_has_a_logged_request_id() {
    let server = Place::new().set("KEYTURN_LOG__FORMAT", "json").set("KEYTURN_LOG__REQUESTS", "all").start();
    let first = server.get("/healthz").send();
    let first = first.header("x-request-id").expect("an id").to_owned();
    let own = server.exchange("nothing", &[]);
    let own = own.header("x-request-id").expect("an id").to_owned();
    let log = eventually("both log lines", || {
        let log = server.stderr();
        (log.contains(&first) && log.contains(&own)).then_some(log)
    });
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        for member in ["timestamp", "level"] {
            assert!(line[member].is_string(), "{line}");
        }
    }
    let line = log.lines().find(|line| line.contains(&own)).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!((line["route"].as_str(), line["status"].as_u64()), (Some("/oauth/token"), Some(401)), "{line}");
    assert_eq!(line["request_id"], own.as_str());
}

#[test]
fn redirected_text_logs_have_no_escape_codes() {
    let server = Server::start();
    let answer = server.exchange("nothing", &[]);
    let id = answer.header("x-request-id").unwrap().to_owned();
    let log = eventually("the log line", || Some(server.stderr()).filter(|log| log.contains(&id)));
    assert!(log.lines().all(|line| !line.trim().is_empty() && !line.contains('\x1b')), "{log}");
    assert!(log.contains("INFO"), "{log}");
}

#[test]
fn sigterm_finishes_running_requests() {
    let mut server = Server::start();
    let key = server.key.clone();
    let request = server.token_request().form(&[("grant_type", "client_credentials"), ("client_secret", &key.text)]);
    let bytes = request.bytes();
    let (first, last) = bytes.split_at(bytes.len() - 5);
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(first).unwrap();
    // A request on another connection to the same two workers, so that the first is certainly being read.
    eventually("the request to be under way", || (server.get("/healthz").send().status == 200).then_some(()));

    server.terminate();
    eventually("the end of the listening", || TcpStream::connect(server.address).is_err().then_some(()));
    stream.write_all(last).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = Answer::read(&answer).expect("a whole answer");
    assert!(answer.expect(200)["access_token"].is_string());
    assert!(server.wait().success());
    assert!(server.stderr().contains("stopped"), "{}", server.stderr());
}

#[test]
fn idle_connection_does_not_delay_shutdown() {
    let mut server = Server::start();
    let mut idle = TcpStream::connect(server.address).unwrap();
    let bytes = Request::new(server.address, "GET", "/healthz").bytes();
    let bytes = String::from_utf8(bytes).unwrap().replace("Connection: close\r\n", "");
    idle.write_all(bytes.as_bytes()).unwrap();
    let mut some = [0; 64];
    assert!(idle.read(&mut some).unwrap() > 0);
    let begun = Instant::now();
    server.terminate();
    assert!(server.wait().success());
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}

#[test]
fn idle_timeout_is_configurable() {
    // Sends two requests on a connection with a pause in between. Returns whether both get a response.
    let answers_again = |server: &Server, seconds: u64| {
        let bytes = String::from_utf8(Request::new(server.address, "GET", "/healthz").bytes()).unwrap();
        let bytes = bytes.replace("Connection: close\r\n", "");
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        let mut is_answered = |wait: u64| {
            std::thread::sleep(std::time::Duration::from_secs(wait));
            let mut answer = [0; 4096];
            stream.write_all(bytes.as_bytes()).is_ok()
                && matches!(stream.read(&mut answer), Ok(count) if answer[..count].starts_with(b"HTTP/1.1 200"))
        };
        assert!(is_answered(0));
        is_answered(seconds)
    };
    // Load balancers keep connections for a minute; actix-web's own default is five seconds.
    let (default, short) = (Server::start(), Place::new().set("KEYTURN_SERVER__KEEP_ALIVE_SECONDS", 1).start());
    std::thread::scope(|scope| {
        let kept = scope.spawn(|| answers_again(&default, 8));
        let closed = scope.spawn(|| answers_again(&short, 4));
        assert_eq!((kept.join().unwrap(), closed.join().unwrap()), (true, false));
    });
}
