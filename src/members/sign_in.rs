//! Sign-in with login and password. Responses and timing do not reveal whether a login exists.

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

/// Maximum length of a stored user agent in characters.
const MAX_USER_AGENT: usize = 200;

/// A sign-in attempt.
pub struct SignIn {
    pub organization: Slug,
    pub email: String,
    pub password: Password,
    pub address: ClientAddress,
    pub user_agent: String,
    pub now: Timestamp,
}

/// Reason why a sign-in failed.
#[derive(Debug)]
pub enum SignInError {
    /// Unknown login or wrong password.
    Refused,
    /// The member changed during the sign-in, so the check may be outdated.
    Changed,
    Unavailable(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for SignInError {
    fn from(error: E) -> Self {
        Self::Unavailable(error.into())
    }
}

/// A member whose password was verified.
#[derive(Debug)]
pub struct Verified {
    member: Member,
    address: ClientAddress,
    user_agent: String,
    now: Timestamp,
}

impl Verified {
    pub const fn member(&self) -> &MemberId {
        &self.member.id
    }
}

/// Checks a login and its password. Writes nothing, so it can be canceled while it waits for the hash.
pub async fn check_password(node: &Arc<Node>, attempt: SignIn) -> Result<Verified, SignInError> {
    let SignIn { organization, email, password, address, user_agent, now } = attempt;
    if password.expose().len() > MAX_PASSWORD {
        return Err(SignInError::Refused);
    }
    let email = email.to_lowercase();
    let queue = node.unauthenticated_queue(Lane::SignIn, address, &format!("{organization} {email}"));

    // 1. An unknown login takes as long as a known one.
    let Some((member, phc)) = node.store.login(&organization, &email).await? else {
        node.gate.verify(queue, password.expose().as_bytes(), node.dummy_password().await?).await?;
        return Err(SignInError::Refused);
    };

    // 2. The password.
    if !node.gate.verify(queue, password.expose().as_bytes(), &phc).await? {
        // Counted in memory and written later, because the time of a write would reveal that the login exists.
        node.events.count(&RepeatedEvent::new(organization, action::SESSION_REFUSE, &member.id.0, address), now);
        return Err(SignInError::Refused);
    }
    Ok(Verified { member, address, user_agent, now })
}

/// Creates a session with a new secret.
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
        // Removed, or changed their password, during the sign-in.
        return Err(SignInError::Changed);
    }
    tracing::info!(member = %signed_in.member.id, organization = %signed_in.member.organization, "signed in");
    Ok((signed_in, secret))
}
