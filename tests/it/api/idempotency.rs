//! `Idempotency-Key`: a request that is sent again is not carried out again.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{Shutdown, TcpStream};

use serde_json::{Value, json};

use crate::support::check::{problem, wrong_field};
use crate::support::person::{start, start_in};
use crate::support::server::scope_list;
use crate::support::{Answer, Key, Place, Request, Server, database, eventually};

fn create(server: &Server, credential: &str, once: &str, body: &Value) -> Answer {
    server.api_as(credential, "POST", "keys").header("Idempotency-Key", once).json(body).send()
}

fn rotate(server: &Server, id: &str, once: &str, body: &Value) -> Answer {
    server.api("POST", &format!("keys/{id}/rotate")).header("Idempotency-Key", once).json(body).send()
}

/// How many keys there are of that name.
fn named(server: &Server, name: &str) -> usize {
    let list = server.api("GET", &format!("keys?search={name}")).send().expect(200);
    list["items"].as_array().unwrap().len()
}

#[test]
fn repeated_request_returns_the_same_secret() {
    let server = Server::start();
    let body = json!({ "name": "once", "scopes": scope_list("read:a") });
    let (first, again) =
        (create(&server, &server.key.text, "k-1", &body), create(&server, &server.key.text, "k-1", &body));
    assert_eq!((first.expect(201), first.header("location")), (again.expect(201), again.header("location")));
    assert_eq!(named(&server, "once"), 1);
    server.exchange(first.json()["secret"].as_str().unwrap(), &[]).expect(200);
    // Without it, or with another, it is another request.
    server.api("POST", "keys").json(&body).send().expect(201);
    assert_ne!(create(&server, &server.key.text, "k-2", &body).expect(201)["id"], first.json()["id"]);
    assert_ne!(create(&server, &server.key.text, "K-1", &body).expect(201)["id"], first.json()["id"]);
    assert_eq!(named(&server, "once"), 4);
    // By a token of the key the caller is the same.
    let token = server.token(&server.key, &[]);
    assert_eq!(create(&server, &token, "k-1", &body).expect(201), first.json());
    // An edit does not make it another key.
    let id = first.json()["id"].as_str().unwrap().to_owned();
    server.change("PATCH", &id, &json!({ "name": "edited" }));
    assert_eq!(create(&server, &server.key.text, "k-1", &body).expect(201)["secret"], first.json()["secret"]);
}

#[test]
fn another_request_under_the_same_key_is_refused() {
    let server = Server::start();
    let first = create(&server, &server.key.text, "k", &json!({ "name": "once" })).expect(201);
    for body in [json!({ "name": "other" }), json!({}), json!({ "name": "once", "description": "x" })] {
        let message = wrong_field(&create(&server, &server.key.text, "k", &body), "Idempotency-Key");
        assert!(message.contains("different request"), "{message}");
    }
    let id = first["id"].as_str().unwrap();
    wrong_field(&rotate(&server, id, "k", &json!({ "name": "once" })), "Idempotency-Key");
    rotate(&server, id, "r", &json!({})).expect(200);
    wrong_field(&rotate(&server, &server.make(&json!({})).id, "r", &json!({})), "Idempotency-Key");
    assert_eq!(named(&server, "other"), 0);
}

#[test]
fn repeated_creation_fails_after_a_rotation() {
    let server = Server::start();
    let body = json!({ "name": "once" });
    let made = create(&server, &server.key.text, "c", &body).expect(201);
    let id = made["id"].as_str().unwrap();
    let (first, again) = (rotate(&server, id, "r", &json!({})), rotate(&server, id, "r", &json!({})));
    assert_eq!(first.expect(200), again.expect(200));
    assert_eq!(first.json()["version"], 2);
    server.exchange(first.json()["secret"].as_str().unwrap(), &[]).expect(200);
    problem(&create(&server, &server.key.text, "c", &body), 409, "CONFLICT");
    // With the version that was current before the first, too.
    let with_version = || {
        let call =
            server.api("POST", &format!("keys/{id}/rotate")).header("Idempotency-Key", "v").header("If-Match", "\"2\"");
        call.json(&json!({})).send()
    };
    assert_eq!(with_version().expect(200), with_version().expect(200));
    problem(&rotate(&server, id, "r", &json!({})), 409, "CONFLICT");
}

#[test]
fn repeats_at_the_same_time_make_one_key() {
    let server = Server::start();
    let all = |request: &Request| -> Vec<Answer> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| request.send())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    };
    let same = |answers: Vec<Answer>, status: u16| {
        let secrets: BTreeSet<String> =
            answers.iter().map(|answer| answer.expect(status)["secret"].as_str().unwrap().to_owned()).collect();
        assert_eq!(secrets.len(), 1);
        server.exchange(secrets.first().unwrap(), &[]).expect(200);
    };
    for n in 0..3 {
        let name = format!("twin-{n}");
        let create = server.api("POST", "keys").header("Idempotency-Key", &name).json(&json!({ "name": name }));
        same(all(&create), 201);
        assert_eq!(named(&server, &name), 1);
    }
    let key = server.make(&json!({}));
    same(
        all(&server.api("POST", &format!("keys/{}/rotate", key.id)).header("Idempotency-Key", "r").json(&json!({}))),
        200,
    );
    assert_eq!(server.api("GET", &format!("keys/{}", key.id)).send().expect(200)["version"], 2);
}

#[test]
fn somebody_elses_idempotency_key_is_another() {
    let (server, owner) = start();
    let body = json!({ "name": "mine" });
    let other = server.make_with("*:* *:keyturn/*");
    let (one, two) = (owner.add(&server, "developer"), owner.add(&server, "developer"));
    let by = |person: &crate::support::Person| {
        person.api("POST", "keys").header("Idempotency-Key", "k").json(&body).send().expect(201)
    };
    let made = [
        create(&server, &server.key.text, "k", &body).expect(201),
        create(&server, &other.text, "k", &body).expect(201),
        by(&one),
        by(&two),
    ];
    let ids: BTreeSet<&str> = made.iter().map(|key| key["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 4);
    assert_eq!(by(&one), made[2]);
    assert_eq!(by(&one.again(&server)), made[2], "the same person in another browser");
}

#[test]
fn repeated_request_requires_current_rights() {
    let (server, owner) = start();
    let body = json!({ "name": "strong", "scopes": scope_list("*:* *:keyturn/*") });
    create(&server, &server.key.text, "k", &body).expect(201);
    // A token that carries less than its key does not get the secret of a key that its key has made.
    let narrow = server.token(&server.key, &[("scope", "write:keyturn/keys read:a")]);
    problem(&create(&server, &narrow, "k", &body), 403, "INSUFFICIENT_SCOPE");

    let person = owner.add(&server, "admin");
    let call = |body: &Value| person.api("POST", "keys").header("Idempotency-Key", "k").json(body).send();
    let body = json!({ "name": "the organization's", "owner": null, "scopes": scope_list("*:keyturn/keys") });
    call(&body).expect(201);
    for role in ["developer", "viewer"] {
        owner.api("PATCH", &format!("members/{}", person.id)).json(&json!({ "role": role })).send().expect(200);
        problem(&call(&body), 403, "ROLE_REQUIRED");
    }
}

#[test]
fn repeated_request_survives_a_crash() {
    let place = Place::on_sqlite();
    let founded = place.init(&[]);
    let server = place.serve(founded.key.clone());
    let body = json!({ "name": "before the crash", "scopes": scope_list("read:a") });
    let request = |server: &Server| server.api("POST", "keys").header("Idempotency-Key", "crash").json(&body);
    // Nobody hears the answer, and the server is killed as soon as the key is written.
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(&request(&server).bytes()).unwrap();
    let written = || database::column(&server.database(), "SELECT id FROM api_keys WHERE name = 'before the crash'");
    let id = eventually("the key in the database", || written().pop());
    let _ = stream.shutdown(Shutdown::Both);
    let server = server.kill().serve(founded.key);
    let answer = request(&server).send().expect(201);
    assert_eq!(answer["id"], id.as_str());
    server.exchange(answer["secret"].as_str().unwrap(), &[("scope", "read:a")]).expect(200);
    assert_eq!(named(&server, "before"), 1);
    // The same for a rotation.
    let path = format!("keys/{id}/rotate");
    let request = |server: &Server| server.api("POST", &path).header("Idempotency-Key", "again").json(&json!({}));
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(&request(&server).bytes()).unwrap();
    let version =
        || database::column(&server.database(), &format!("SELECT id FROM api_keys WHERE id = '{id}' AND version = 2"));
    eventually("the rotation in the database", || version().pop());
    let key = server.key.clone();
    let server = server.kill().serve(key);
    let rotated = request(&server).send().expect(200);
    assert_eq!(rotated["version"], 2);
    server.exchange(rotated["secret"].as_str().unwrap(), &[]).expect(200);
    server.exchange(answer["secret"].as_str().unwrap(), &[]).expect(401);
}

#[test]
fn a_day_later_the_answer_is_forgotten() {
    let place = Place::on_sqlite();
    let founded = place.init(&[]);
    let server = place.serve(founded.key.clone());
    let body = json!({ "name": "once" });
    let first = create(&server, &server.key.text, "k", &body).expect(201);
    let place = server.stop();
    database::execute(&place.database(), "UPDATE answers SET at = at - 86400000");
    let server = place.serve(founded.key);
    let second = create(&server, &server.key.text, "k", &body).expect(201);
    assert_ne!(first["id"], second["id"]);
    assert_eq!(create(&server, &server.key.text, "k", &body).expect(201), second);
}

#[test]
fn what_is_kept_for_a_repeat_is_sealed() {
    let (server, _) = start_in(Place::on_sqlite());
    let made = create(&server, &server.key.text, "my-deployment-17", &json!({ "name": "once" })).expect(201);
    let text = made["secret"].as_str().unwrap().to_owned();
    let place = server.stop();
    assert_eq!(database::column(&place.database(), "SELECT CAST(COUNT(*) AS TEXT) FROM answers"), ["1"]);
    for entry in std::fs::read_dir(place.path("data")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let secret = text.rsplit('_').next().unwrap();
        for plain in [text.as_bytes(), secret.as_bytes(), b"my-deployment-17"] {
            assert!(!bytes.windows(plain.len()).any(|window| window == plain));
        }
    }
}

#[test]
fn an_idempotency_key_that_cannot_be_meant_is_named() {
    let server = Server::start();
    let key = server.make(&json!({}));
    for (method, rest) in [("POST", "keys".to_owned()), ("POST", format!("keys/{}/rotate", key.id))] {
        for bad in [&b""[..], &[b'x'; 256], "é".as_bytes(), b"\xff", b"a\x80b"] {
            let answer = server.api(method, &rest).header("Idempotency-Key", bad).json(&json!({})).send();
            wrong_field(&answer, "Idempotency-Key");
        }
        let twice = server.api(method, &rest).header("Idempotency-Key", "a").header("Idempotency-Key", "a");
        assert!(wrong_field(&twice.json(&json!({})).send(), "Idempotency-Key").contains("more than once"));
    }
    assert_eq!(server.api("GET", &format!("keys/{}", key.id)).send().expect(200)["version"], 1);
    // A request that is refused leaves its key free for one that is not.
    wrong_field(&create(&server, &server.key.text, "k", &json!({ "name": 1 })), "name");
    wrong_field(&create(&server, &server.key.text, "k", &json!({ "scopes": scope_list("fly:a") })), "scopes[0].action");
    let made = create(&server, &server.key.text, "k", &json!({ "name": "right" })).expect(201);
    let made = Key { id: made["id"].as_str().unwrap().into(), text: made["secret"].as_str().unwrap().into() };
    server.exchange(&made.text, &[]).expect(200);
    for good in ["<script>", "%00'--", " inner space ", &"x".repeat(255)] {
        create(&server, &server.key.text, good, &json!({})).expect(201);
    }
}
