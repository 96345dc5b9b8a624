//! Signing in with login and password. Whether there is such a login is not told, and cannot be timed.

use std::sync::Arc;

use crate::crypto::random;
use crate::domain::authority::By;
use crate::domain::decision::ClientAddress;
use crate::domain::member::{MAX_PASSWORD, Password, Session};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::members::session::{SessionSecret, SignedIn};
use crate::node::{Node, Unavailable};
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

/// Begins a session, always a new one.
pub async fn sign_in(node: &Arc<Node>, wish: SignIn) -> Result<(SignedIn, SessionSecret), SignInError> {
    let SignIn { organization, email, password, address, user_agent, now } = wish;
    if password.expose().len() > MAX_PASSWORD {
        return Err(SignInError::Refused);
    }

    // 1. The password, hashed for a login that there is not as well.
    let Some((member, phc)) = node.store.login(&organization, &email.to_lowercase()).await? else {
        node.gate.verify(password.expose().as_bytes(), node.dummy_password().await?).await?;
        return Err(SignInError::Refused);
    };
    if !node.gate.verify(password.expose().as_bytes(), &phc).await? {
        let by = By { address: address.known(), ..By::keyturn(now) };
        let entry = AuditEntry::of(&by, action::SESSION_REFUSE, &member.id.0, None, None);
        // Not waited for: the time it takes would tell that there is such a login.
        let store = node.store.clone();
        node.run_beside(async move {
            if let Err(error) = store.note_refused_sign_in(&organization, &entry).await {
                tracing::error!(%error, "a sign-in that was refused could not be noted");
            }
        });
        return Err(SignInError::Refused);
    }

    // 2. The session.
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

    // 3. The write.
    let by = signed_in.by(address, now);
    let new = serde_json::json!({ "session": signed_in.session.id, "user_agent": signed_in.session.user_agent });
    let entry = AuditEntry::of(&by, action::SESSION_BEGIN, &signed_in.member.id.0, None, Some(new));
    if !node.store.open_session(&signed_in.session, &secret.digest(), &signed_in.member, &entry).await? {
        // Removed, or given another password, while this one was being checked.
        return Err(SignInError::Changed);
    }
    tracing::info!(member = %signed_in.member.id, %organization, "signed in");
    Ok((signed_in, secret))
}
