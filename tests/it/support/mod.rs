//! What the tests share: the real program in a folder of its own, and a client that sends exactly the bytes
//! it is told to.

pub mod check;
pub mod client;
pub mod console;
pub mod database;
pub mod jwt;
pub mod person;
pub mod postgres;
pub mod redis;
pub mod server;
pub mod tls;

use std::time::{Duration, Instant};

pub use client::{Answer, Request};
pub use console::Visitor;
pub use person::Person;
pub use server::{Key, Place, Server};

/// Looks again and again until something is there. Fails when it has not come in good time.
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    eventually_within(20, what, look)
}

/// Like [`eventually`], for what is known to take longer.
pub fn eventually_within<T>(seconds: u64, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "in vain waited for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Seconds since the epoch.
pub fn now() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// The members of a list, by one of their fields.
pub fn field<'a>(list: &'a serde_json::Value, name: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[name].as_str().unwrap()).collect()
}
