//! Signing keys are rotated under load, and validators that cache the JWKS reject no token.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::support::jwt::try_verify;
use crate::support::server::Place;

#[test]
fn no_token_is_rejected_during_rotations() {
    // Shorter than in production: a validator caches the JWKS for 1 s, and the next key is published 2 s ahead.
    let server = Place::new().start();
    let (cache, ahead) = (Duration::from_secs(1), 2);
    let stop = AtomicBool::new(false);
    let checked = std::thread::scope(|scope| {
        let validators: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let (mut checked, mut jwks, mut fetched) = (0u32, json!({}), None::<std::time::Instant>);
                    while !stop.load(Ordering::Relaxed) {
                        if fetched.is_none_or(|at| at.elapsed() >= cache) {
                            jwks = server.get("/.well-known/jwks.json").send().expect(200);
                            fetched = Some(std::time::Instant::now());
                        }
                        let token = server.token(&server.key, &[]);
                        try_verify(&token, &jwks).expect("a validator with a cached JWKS accepts a new token");
                        assert_eq!(server.get("/verify").bearer(&token).send().status, 200);
                        checked += 1;
                    }
                    checked
                })
            })
            .collect();
        let first = server.token(&server.key, &[]);
        let mut kids = Vec::new();
        for _ in 0..3 {
            let made = server
                .api("POST", "signing-keys/rotate")
                .json(&json!({ "publish_ahead_seconds": ahead }))
                .send()
                .expect(201);
            assert_eq!(made["status"], "next");
            kids.push(made["kid"].clone());
            let again = server.api("POST", "signing-keys/rotate").json(&json!({})).send();
            assert_eq!(again.status, 409, "one at a time");
            std::thread::sleep(Duration::from_millis(ahead * 1000 + 300));
        }
        assert_eq!(server.me(&first).status, 200, "a token of the first key is good for its life");
        try_verify(&first, &server.get("/.well-known/jwks.json").send().expect(200))
            .expect("its key is still published");
        stop.store(true, Ordering::Relaxed);
        let current = server.api("GET", "signing-keys").send().expect(200);
        let current =
            current["items"].as_array().unwrap().iter().find(|key| key["status"] == "current").unwrap().clone();
        assert_eq!(Some(&current["kid"]), kids.last());
        validators.into_iter().map(|validator| validator.join().unwrap()).sum::<u32>()
    });
    assert!(checked > 100, "{checked} tokens were checked");
}
