//! Sessions of the same person in other organizations, which a browser holds beside its current one.
//!
//! The cookie is encrypted and bound to the current session's secret, so only this server can put a session into it, and it
//! is useless without the current session.

use crate::crypto::digest::sha256_hex;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::members::kept::{open_kept, seal_kept};
use crate::members::session::{SessionSecret, SignedIn};
use crate::node::{Node, Unavailable};

/// Maximum number of sessions that a browser holds beside the current one.
const MAX_HELD: usize = 4;
const PURPOSE: &str = "other sessions";

/// A session in another organization.
#[derive(Clone, Debug)]
pub struct HeldSession {
    pub organization: Slug,
    pub ends_at: Timestamp,
    pub secret: SessionSecret,
}

/// The sessions that a browser holds beside its current one. All are of logins with the same email.
#[derive(Clone, Debug, Default)]
pub struct HeldSessions {
    email: String,
    sessions: Vec<HeldSession>,
}

impl HeldSession {
    pub fn new(who: &SignedIn, secret: SessionSecret) -> Self {
        Self { organization: who.member.organization.clone(), ends_at: who.session.ends_at, secret }
    }
}

impl HeldSessions {
    /// Creates the list of a person without other sessions.
    pub fn of(email: &str) -> Self {
        Self { email: email.to_owned(), sessions: Vec::new() }
    }

    /// Opens the cookie of the browser whose current session has this secret. Returns an empty list if the cookie is of
    /// another session, or was changed. Sessions that have ended are left out.
    pub fn open(node: &Node, current: &SessionSecret, cookie: &str, now: Timestamp) -> Self {
        let plain = open_kept(node, PURPOSE, &owner(current), cookie);
        let Some(text) = plain.as_deref().and_then(|plain| std::str::from_utf8(plain).ok()) else {
            return Self::default();
        };
        let mut lines = text.lines();
        let email = lines.next().unwrap_or_default().to_owned();
        let sessions = lines.filter_map(read).filter(|held| now < held.ends_at).take(MAX_HELD).collect();
        Self { email, sessions }
    }

    /// Encrypts the list for the browser whose current session has this secret.
    pub fn seal(&self, node: &Node, current: &SessionSecret) -> Result<String, Unavailable> {
        let mut text = zeroize::Zeroizing::new(self.email.clone());
        for HeldSession { organization, ends_at, secret } in &self.sessions {
            text.push_str(&format!("\n{organization} {} {}", ends_at.as_millis(), secret.reveal()));
        }
        seal_kept(node, PURPOSE, &owner(current), text.as_bytes())
    }

    pub fn email(&self) -> &str {
        &self.email
    }

    pub fn iter(&self) -> impl Iterator<Item = &HeldSession> {
        self.sessions.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Adds a session as the most recent one. Returns the sessions that it displaces: the earlier one of its organization, and
    /// the oldest if there are too many.
    pub fn add(&mut self, held: HeldSession) -> Vec<HeldSession> {
        let mut displaced: Vec<_> = self.take(&held.organization).into_iter().collect();
        self.sessions.insert(0, held);
        displaced.extend(self.sessions.drain(MAX_HELD.min(self.sessions.len())..));
        displaced
    }

    /// Removes and returns the session of an organization.
    pub fn take(&mut self, organization: &Slug) -> Option<HeldSession> {
        let place = self.sessions.iter().position(|held| held.organization == *organization)?;
        Some(self.sessions.remove(place))
    }

    /// Removes and returns the most recent session.
    pub fn take_first(&mut self) -> Option<HeldSession> {
        if self.sessions.is_empty() { None } else { Some(self.sessions.remove(0)) }
    }
}

/// Returns the name of the current session, to which the cookie is bound. It does not reveal the secret.
fn owner(current: &SessionSecret) -> String {
    sha256_hex(format!("holder {}", current.reveal()).as_bytes())
}

fn read(line: &str) -> Option<HeldSession> {
    let mut parts = line.split(' ');
    let held = HeldSession {
        organization: Slug::parse(parts.next()?)?,
        ends_at: Timestamp::from_millis(parts.next()?.parse().ok()?),
        secret: SessionSecret::parse(parts.next()?)?,
    };
    parts.next().is_none().then_some(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(slug: &str) -> HeldSession {
        let organization = Slug::parse(slug).unwrap();
        HeldSession { organization, ends_at: Timestamp::from_seconds(9), secret: SessionSecret::new().unwrap() }
    }

    #[test]
    fn one_session_per_organization_and_a_bounded_number() {
        let mut list = HeldSessions::of("a@b");
        for slug in ["a", "b", "c", "d"] {
            assert!(list.add(held(slug)).is_empty());
        }
        let names = |list: &[HeldSession]| list.iter().map(|held| held.organization.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&list.add(held("b"))), ["b"], "the earlier session of the same organization");
        assert_eq!(names(&list.add(held("e"))), ["a"], "the oldest");
        assert_eq!(names(&list.sessions), ["e", "b", "d", "c"]);
        assert_eq!(list.take(&Slug::parse("d").unwrap()).unwrap().organization.as_str(), "d");
        assert!(list.take(&Slug::parse("d").unwrap()).is_none());
        assert_eq!(list.take_first().unwrap().organization.as_str(), "e");
    }

    #[test]
    fn lines_are_read_strictly() {
        let secret = "A".repeat(43);
        assert!(read(&format!("acme 5 {secret}")).is_some());
        for bad in ["", "acme", "acme 5", "acme x AAAA", &format!("Acme 5 {secret}"), &format!("acme 5 {secret} x")] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
