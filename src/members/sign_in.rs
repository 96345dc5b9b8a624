//! Signing in with login and password. Whether there is such a login is not told, and cannot be timed.

use std::sync::Arc;

use crate::crypto::argon2_gate::Lane;
use crate::crypto::random;
use crate::domain::decision::ClientAddress;
use crate::domain::member::{MAX_PASSWORD, Member, MemberId, Password, Session};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::members::session::{SessionSecret, SignedIn};
use crate::node::{Node, RepeatedEvent, Unavailable};
use crate::store::{AuditEntry, action};

/// Longest name of a browser that is kept, in characters.
const MAX_USER_AGENT: usize = 200;

/// Somebody who wants to sign in.
pub struct SignIn {
    /// Where they say they belong.
    pub organization: Slug,
    /// Their login.
    pub email: String,
    /// Their password.
    pub password: Password,
    /// Where they are.
    pub address: ClientAddress,
    /// What their browser calls itself.
    pub user_agent: String,
    /// When.
    pub now: Timestamp,
}

/// Why somebody did not get in.
#[derive(Debug)]
pub enum SignInError {
    /// No such login, or not its password.
    Refused,
    /// They were changed while they signed in; what was checked may hold no more.
    Changed,
    /// It could not be told.
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for SignInError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// A member whose password was right.
#[derive(Debug)]
pub struct Verified {
    member: Member,
    address: ClientAddress,
    user_agent: String,
    now: Timestamp,
}

impl Verified {
    /// Whose password it was.
    pub const fn member(&self) -> &MemberId {
        &self.member.id
    }
}

/// Checks a login and its password. Writes nothing, so a caller that goes away while it waits costs no hash.
pub async fn check_password(node: &Arc<Node>, wish: SignIn) -> Result<Verified, SignInError> {
    let SignIn { organization, email, password, address, user_agent, now } = wish;
    if password.expose().len() > MAX_PASSWORD {
        return Err(SignInError::Refused);
    }
    let email = email.to_lowercase();
    let turn = node.stranger_turn(Lane::SignIn, address, &format!("{organization} {email}"));

    // 1. A login that does not exist takes as long as any other.
    let Some((member, phc)) = node.store.login(&organization, &email).await? else {
        node.gate.verify(turn, password.expose().as_bytes(), node.dummy_password().await?).await?;
        return Err(SignInError::Refused);
    };

    // 2. The password.
    if !node.gate.verify(turn, password.expose().as_bytes(), &phc).await? {
        // Counted in memory and written soon: the time of a write would tell that the login exists.
        node.events.count(&RepeatedEvent::new(organization, action::SESSION_REFUSE, &member.id.0, address), now);
        return Err(SignInError::Refused);
    }
    Ok(Verified { member, address, user_agent, now })
}

/// Begins a session, always a new one.
pub async fn begin_session(node: &Arc<Node>, verified: Verified) -> Result<(SignedIn, SessionSecret), SignInError> {
    let Verified { member, address, user_agent, now } = verified;

    // 1. The session.
    let secret = SessionSecret::new()?;
    let session = Session {
        id: random::identifier()?,
        member: member.id.clone(),
        created_at: now,
        last_seen_at: now,
        ends_at: now.plus_seconds(node.settings.session_seconds),
        address: address.known().map(|address| address.to_string()),
        user_agent: user_agent.chars().filter(|c| !c.is_control()).take(MAX_USER_AGENT).collect(),
    };
    let signed_in = SignedIn { member, session };

    // 2. The write.
    let by = signed_in.by(address, now);
    let new = serde_json::json!({ "session": signed_in.session.id, "user_agent": signed_in.session.user_agent });
    let entry = AuditEntry::of(&by, action::SESSION_BEGIN, &signed_in.member.id.0, None, Some(new));
    if !node.store.open_session(&signed_in.session, &secret.digest(), &signed_in.member, &entry).await? {
        // Removed, or given another password, while this one was being checked.
        return Err(SignInError::Changed);
    }
    tracing::info!(member = %signed_in.member.id, organization = %signed_in.member.organization, "signed in");
    Ok((signed_in, secret))
}
