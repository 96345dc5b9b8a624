//! Shared by all tests: the real program in a folder of its own, and a client that sends exact bytes.

pub mod browser;
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

pub use browser::Browser;
pub use client::{Answer, Request};
pub use console::Visitor;
pub use person::Person;
pub use server::{Key, Place, Server};

/// Repeats a check until it returns a value. Fails after a time limit.
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    eventually_within(20, what, look)
}

/// Like [`eventually`], with another time limit.
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

/// Returns a field of each item in a list.
pub fn field<'a>(list: &'a serde_json::Value, name: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[name].as_str().unwrap()).collect()
}
