//! The policy of an organization: read, tried, replaced; and what it then does.

use serde_json::{Value, json};

use crate::support::check::{problem, wrong_field};
use crate::support::person::start;
use crate::support::server::{Ended, scope_list};
use crate::support::{Answer, Person, Server, field};

fn put(by: &Person, body: &Value) -> Answer {
    by.api("PUT", "policy").json(body).send()
}

fn show(by: &Person) -> Value {
    by.api("GET", "policy").send().expect(200)
}

/// The policy in force, with one setting changed.
fn with(by: &Person, changes: &Value) -> Value {
    let mut policy = show(by);
    for (name, value) in changes.as_object().unwrap() {
        policy[name] = value.clone();
    }
    policy
}

#[test]
fn policy_is_replaced_as_a_whole_by_version() {
    let (_server, owner) = start();
    let answer = owner.api("GET", "policy").send();
    let (before, tag) = (answer.expect(200), answer.header("etag").unwrap().to_owned());
    assert_eq!((tag.as_str(), answer.header("cache-control")), ("\"1\"", Some("no-store")));
    assert_eq!((before["create_role"].as_str(), before["key_prefix"].as_str()), (Some("developer"), Some("kt")));
    let next = with(&owner, &json!({ "max_keys": 7, "audiences": ["https://api.example"] }));
    let put_if = |tag: &str, body: &Value| owner.api("PUT", "policy").header("If-Match", tag).json(body).send();
    let answer = put_if(&tag, &next);
    assert_eq!((answer.expect(200), answer.header("etag")), (next.clone(), Some("\"2\"")));
    for stale in ["\"1\"", "\"3\"", "\"x\"", "2", ""] {
        problem(&put_if(stale, &before), 412, "PRECONDITION_FAILED");
    }
    assert_eq!(show(&owner), next);
    assert_eq!(put(&owner, &next).header("etag"), Some("\"2\""), "the same is no change");
    // Absent settings have their defaults.
    assert_eq!(put(&owner, &json!({})).expect(200), before);
}

#[test]
fn one_of_two_concurrent_policies_fails() {
    let (_server, owner) = start();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let put =
            |n: u32| owner.api("PUT", "policy").header("If-Match", "\"1\"").json(&json!({ "max_keys": n })).send();
        let threads: Vec<_> = (10..16).map(|n| scope.spawn(move || put(n).status)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 412].contains(status)), "{statuses:?}");
}

#[test]
fn a_dry_run_tells_what_it_would_mean_and_changes_nothing() {
    let (server, owner) = start();
    let nameless = server.make(&json!({ "name": "" }));
    server.make(&json!({ "expires_in_seconds": 3600 }));
    let try_out = |body: &Value| owner.api("PUT", "policy?dry_run=true").json(body).send();
    let before = show(&owner);
    let none = try_out(&before).expect(200);
    assert_eq!((&none["effects"], &none["policy"]), (&json!([]), &before));

    let wish = with(&owner, &json!({ "name_required": true, "expiry_required": true, "max_keys": 1 }));
    let told = try_out(&wish).expect(200);
    assert_eq!(told["policy"], wish);
    let effect = |setting: &str| {
        let effects = told["effects"].as_array().unwrap();
        effects.iter().find(|effect| effect["setting"] == setting).unwrap_or_else(|| panic!("{told}")).clone()
    };
    assert_eq!(effect("name_required")["examples"], json!([nameless.id]));
    assert_eq!(effect("name_required")["also"], json!(["expiry_required"]), "the nameless key has no expiry either");
    assert_eq!((&effect("expiry_required")["count"], &effect("expiry_required")["also"]), (&json!(2), &json!([])));
    assert_eq!(effect("max_keys")["count"], 2, "three keys where one is allowed");
    let answer = owner.api("GET", "policy").send();
    assert_eq!((answer.expect(200), answer.header("etag")), (before.clone(), Some("\"1\"")));
    owner.make(&json!({ "name": "" }));

    for (query, field) in [
        ("dry_run=maybe", "dry_run"),
        ("dry_run=", "dry_run"),
        ("dry_run", "dry_run"),
        ("dry_run=false&dry_run", "dry_run"),
        ("dry_run=true&dry_run=true", "dry_run"),
        ("dryrun=true", "query"),
    ] {
        let answer = owner.api("PUT", &format!("policy?{query}")).json(&wish).send();
        wrong_field(&answer, field);
    }
    wrong_field(&try_out(&json!({ "max_lifetime_days": 0 })), "max_lifetime_days");
    assert_eq!(show(&owner), before);
    put(&owner, &wish).expect(200);
    // The prediction comes true: existing keys keep working, and no more can be created.
    server.exchange(&nameless.text, &[]).expect(200);
    problem(
        &owner.api("POST", "keys").json(&json!({ "name": "n", "expires_in_seconds": 60 })).send(),
        409,
        "KEY_LIMIT_REACHED",
    );
    put(&owner, &with(&owner, &json!({ "max_keys": null }))).expect(200);
    wrong_field(&owner.api("POST", "keys").json(&json!({ "name": "n" })).send(), "expires_at");
    wrong_field(&owner.api("POST", "keys").json(&json!({ "name": " ", "expires_in_seconds": 60 })).send(), "name");
}

#[test]
fn create_role_is_the_least_role_that_makes_keys() {
    let (server, owner) = start();
    let roles = ["viewer", "developer", "admin", "owner"];
    let people: Vec<Person> = roles.iter().map(|role| owner.add(&server, role)).collect();
    for (least, create_role) in [(1, "developer"), (2, "admin"), (3, "owner")] {
        put(&owner, &with(&owner, &json!({ "create_role": create_role }))).expect(200);
        for (rank, person) in people.iter().enumerate() {
            let answer = person.api("POST", "keys").json(&json!({})).send();
            if rank >= least {
                answer.expect(201);
            } else {
                problem(&answer, 403, "ROLE_REQUIRED");
            }
        }
    }
    // Their own keys they manage all the same.
    put(&owner, &json!({})).expect(200);
    let key = people[1].make(&json!({}));
    put(&owner, &with(&owner, &json!({ "create_role": "owner" }))).expect(200);
    people[1].api("POST", &format!("keys/{}/rotate", key["id"].as_str().unwrap())).json(&json!({})).send().expect(200);
}

#[test]
fn a_policy_in_force_decides_on_the_next_request() {
    let (server, owner) = start();
    let developer = owner.add(&server, "developer");
    put(
        &owner,
        &json!({
            "max_keys_per_user": 2, "key_prefix": "acme", "actions": ["read", "fly"], "max_grace_seconds": 0,
            "audiences": ["https://api.example"], "token_ttl_seconds": 120,
        }),
    )
    .expect(200);
    let made = developer.make(&json!({ "scopes": scope_list("read:a fly:b") }));
    let text = made["secret"].as_str().unwrap();
    assert!(text.starts_with("acme_"));
    assert_eq!(server.exchange(text, &[("audience", "https://api.example")]).expect(200)["expires_in"], 120);
    wrong_field(
        &developer.api("POST", "keys").json(&json!({ "scopes": scope_list("write:a") })).send(),
        "scopes[0].action",
    );
    let rotate = |body: Value| {
        developer.api("POST", &format!("keys/{}/rotate", made["id"].as_str().unwrap())).json(&body).send()
    };
    wrong_field(&rotate(json!({ "grace_seconds": 1 })), "grace_seconds");
    developer.make(&json!({}));
    problem(&developer.api("POST", "keys").json(&json!({})).send(), 409, "KEY_LIMIT_REACHED");
    rotate(json!({})).expect(200);
    owner.make(&json!({ "owner": null }));
}

#[test]
fn a_policy_that_cannot_be_is_named_by_setting() {
    let (_server, owner) = start();
    let before = show(&owner);
    for (name, values) in [
        ("max_keys", vec![json!(-1), json!(1.5), json!("3"), json!(4_294_967_296_u64), json!([]), json!(true)]),
        ("max_keys_per_user", vec![json!(-1), json!("x"), json!({})]),
        ("max_lifetime_days", vec![json!(0), json!(-1), json!(36_526), json!("1")]),
        ("stale_after_days", vec![json!(0), json!(99_999)]),
        ("disable_when_stale", vec![json!(true), json!(1), json!(null)]),
        ("expiration_choices", vec![json!(7), json!("7")]),
        (
            "expiration_choices.days",
            vec![
                json!({ "days": [], "none": false }),
                json!({ "days": [0], "none": true }),
                json!({ "days": [7, 99_999], "none": true }),
                json!({ "days": vec![1; 51], "none": true }),
            ],
        ),
        ("expiration_choices.days[1]", vec![json!({ "days": [7, -1], "none": true })]),
        ("expiration_choices.none", vec![json!({ "days": [7], "none": "yes" })]),
        ("expiry_required", vec![json!("true"), json!(null)]),
        ("name_required", vec![json!(0)]),
        ("scopes_required", vec![json!([])]),
        ("create_role", vec![json!("viewer"), json!("Owner"), json!(null), json!(3), json!("owner\0")]),
        (
            "key_prefix",
            vec![
                json!(""),
                json!("k"),
                json!("K1"),
                json!("a_b"),
                json!("a\0b"),
                json!("x".repeat(17)),
                json!(null),
                json!("<b>"),
                json!("\u{202e}ab"),
            ],
        ),
        ("actions", vec![json!([]), json!(["*"]), json!("read"), json!(null), json!(vec!["read"; 51])]),
        ("actions[1]", vec![json!(["read", "WRITE"]), json!(["read", ""]), json!(["read", "a\0"]), json!(["read", 1])]),
        (
            "audiences",
            vec![
                json!([""]),
                json!(["a b"]),
                json!(["a\0"]),
                json!(["é"]),
                json!(["x".repeat(257)]),
                json!(vec!["a"; 51]),
            ],
        ),
        ("audiences[0]", vec![json!([1]), json!([null])]),
        ("token_ttl_seconds", vec![json!(59), json!(3601), json!(-1), json!("600")]),
        ("max_grace_seconds", vec![json!(-1), json!(4_000_000_000_u64), json!(null)]),
        ("colour", vec![json!("red")]),
    ] {
        let setting = name.split(['.', '[']).next().unwrap();
        for value in values {
            let answer = put(&owner, &json!({ setting: value }));
            assert_eq!(answer.status, 422, "{name} {value}: {}", answer.text());
            let message = wrong_field(&answer, name);
            assert!(!message.contains("not of the right form"), "{name} {value}: {message}");
        }
    }
    for contradiction in [
        json!({ "expiration_choices": { "days": [7], "none": true }, "expiry_required": true }),
        json!({ "expiration_choices": { "days": [70], "none": false }, "max_lifetime_days": 30 }),
    ] {
        problem(&put(&owner, &contradiction), 422, "VALIDATION_FAILED");
    }
    for body in ["[]", "null", "{\"max_keys\":1,\"max_keys\":2}", "{\"max_keys\":1", "max_keys=1"] {
        problem(&owner.api("PUT", "policy").body("application/json", body).send(), 422, "VALIDATION_FAILED");
    }
    problem(&put(&owner, &json!({ "audiences": ["x".repeat(65 * 1024)] })), 413, "VALIDATION_FAILED");
    assert_eq!(show(&owner), before, "nothing was changed");
}

fn cli(server: &Server, arguments: &[&str]) -> Ended {
    let mut command = server.command(&[&["policy"], arguments].concat());
    command.env("KEYTURN_SERVER", &server.public_url).env("KEYTURN_API_KEY", &server.key.text);
    Ended::of(command)
}

#[test]
fn shipped_policies_can_be_applied() {
    let (server, owner) = start();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/config/policies");
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.ends_with(".toml") {
            continue;
        }
        let file = path.to_str().unwrap();
        let before = show(&owner);
        let tried = cli(&server, &["apply", file, "--dry-run"]);
        assert_eq!((tried.code, tried.stderr.as_str()), (0, ""), "{name}");
        assert!(tried.stdout.contains("Dry run: nothing was applied."), "{}", tried.stdout);
        assert_eq!(show(&owner), before);
        let applied = cli(&server, &["apply", file, "--yes"]);
        assert_eq!((applied.code, applied.stderr.as_str()), (0, ""), "{name}");
        let after = show(&owner);
        assert_ne!(after, before, "{name}");
        let shown = cli(&server, &["show"]);
        assert_eq!((shown.code, shown.stderr.as_str()), (0, ""));
        let again = server.path("again.toml");
        std::fs::write(&again, &shown.stdout).unwrap();
        assert_eq!(cli(&server, &["apply", again.to_str().unwrap(), "--yes"]).code, 0, "{}", shown.stdout);
        assert_eq!(show(&owner), after, "what is shown is what was applied");
        seen.push(name);
    }
    seen.sort_unstable();
    assert_eq!(seen, ["aerovy.toml", "billabear.toml", "bindplane.toml", "userplane.toml"]);
}

#[test]
fn command_requires_yes_if_keys_are_affected() {
    let (server, owner) = start();
    let file = server.path("policy.toml");
    let apply = |text: &str, more: &[&str]| {
        std::fs::write(&file, text).unwrap();
        cli(&server, &[&["apply", file.to_str().unwrap()], more].concat())
    };
    let before = show(&owner);
    let refused = apply("expiry_required = true\n", &[]);
    assert_eq!(refused.code, 1, "{}", refused.stdout);
    assert!(
        refused.stdout.contains(&server.key.id) && refused.stderr.contains("--yes"),
        "{} {}",
        refused.stdout,
        refused.stderr
    );
    assert_eq!(show(&owner), before);
    for (text, said) in [
        ("expiry = true\n", "expiry"),
        ("\nmax_keys = 'x'\n", "line 2"),
        ("actions = []\n", "actions"),
        ("max_keys = ", "line 1"),
    ] {
        let wrong = apply(text, &["--yes"]);
        assert!(wrong.refused(2).contains(said), "{}", wrong.stderr);
    }
    assert_eq!(cli(&server, &["apply", "/nowhere.toml"]).code, 2);
    assert_eq!(show(&owner), before);
    assert_eq!(apply("max_keys = 9\n", &[]).code, 0);
    assert_eq!(show(&owner)["max_keys"], 9);
    assert_eq!(field(&server.api("GET", "keys").send().expect(200)["items"], "id"), [server.key.id.as_str()]);
}

#[test]
fn only_grantable_scopes_are_granted_to_keys() {
    let (server, owner) = start();
    let developer = owner.add(&server, "developer");
    let held = server.make_with("*:b/* read:a/x");
    let policy = with(&owner, &json!({ "grantable_scopes": ["read:a/*", "write:a/b"] }));
    let dry_run = owner.api("PUT", "policy?dry_run=true").json(&policy).send().expect(200);
    let effect = dry_run["effects"].as_array().unwrap().iter().find(|effect| effect["setting"] == "grantable_scopes");
    assert!(effect.is_some_and(|effect| effect["count"].as_u64() >= Some(2)), "{dry_run}");
    put(&owner, &policy).expect(200);
    assert_eq!(show(&owner)["grantable_scopes"], json!(["read:a/*", "write:a/b"]));

    // It binds everyone who creates a key: members of any role, and keys.
    let body = |scopes: &str| json!({ "name": "new", "scopes": scope_list(scopes) });
    let create = |by: Option<&Person>, scopes: &str| match by {
        Some(by) => by.api("POST", "keys").json(&body(scopes)).send(),
        None => server.api("POST", "keys").json(&body(scopes)).send(),
    };
    for by in [Some(&owner), Some(&developer), None] {
        create(by, "read:a/x write:a/b").expect(201);
        for scopes in ["read:a/x *:*", "read:a/x write:a/*", "read:a/x read:b", "read:a/x *:keyturn/*"] {
            let message = wrong_field(&create(by, scopes), "scopes[1]");
            assert!(message.contains("cannot be granted; the policy allows read:a/*, write:a/b"), "{message}");
        }
    }

    // An edit keeps or narrows what the key has, and adds only what can be granted.
    let edit = |scopes: &str| {
        server.api("PATCH", &format!("keys/{}", held.id)).json(&json!({ "scopes": scope_list(scopes) })).send()
    };
    wrong_field(&edit("*:b/* read:a/x read:c"), "scopes[2]");
    wrong_field(&edit("*:*"), "scopes[0]");
    edit("*:b/* read:a/*").expect(200);
    edit("read:b/c").expect(200);
    wrong_field(&edit("*:b/*"), "scopes[0]");
    server.exchange(&held.text, &[]).expect(200);
    for wrong in [
        json!({ "grantable_scopes": ["fly:a"] }),
        json!({ "grantable_scopes": ["read:/"] }),
        json!({ "grantable_scopes": "read:a" }),
        json!({ "grantable_scopes": [], "scopes_required": true }),
    ] {
        problem(&put(&owner, &with(&owner, &wrong)), 422, "VALIDATION_FAILED");
    }
}
