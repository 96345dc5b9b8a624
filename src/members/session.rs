//! Sessions of members.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::crypto::digest::sha256;
use crate::crypto::random;
use crate::domain::authority::{Authority, ChangeContext, OtherApis};
use crate::domain::decision::ClientAddress;
use crate::domain::member::{Member, Session};
use crate::domain::networks::Networks;
use crate::domain::timestamp::Timestamp;
use crate::members::error::MemberError;
use crate::node::{Node, Unavailable};
use crate::store::{AuditEntry, action};

/// Precision of a session's last use, in seconds, or as a fraction of a short idle timeout.
const SEEN_EVERY: i64 = 60;
const SEEN_PARTS: i64 = 10;
/// Bytes of a CSRF token.
const TOKEN: usize = 32;

/// The secret of a session in the browser's cookie: 256 random bits as 43 characters. Only its hash is stored.
#[derive(Clone)]
pub struct SessionSecret(Zeroizing<String>);

impl std::fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionSecret(..)")
    }
}

impl SessionSecret {
    pub fn new() -> Result<Self, Unavailable> {
        Ok(Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(random::bytes::<32>()?))))
    }

    /// Parses a cookie value.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (text.len() == 43 && text.bytes().all(plain)).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// Returns the text for the cookie.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Hash under which the session is stored.
    pub(super) fn digest(&self) -> [u8; 32] {
        sha256(self.0.as_bytes())
    }

    /// Returns the token that a form must contain (CSRF protection). It is derived from the session's secret and does
    /// not reveal it.
    pub fn csrf_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(sha256(format!("csrf token of {}", &*self.0).as_bytes()))
    }
}

/// Masks a CSRF token for a page: it differs in each response, so the size of a compressed page says nothing about it (BREACH).
pub fn mask_csrf_token(token: &str) -> Result<String, Unavailable> {
    let pad = random::bytes::<TOKEN>()?;
    let token = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    let mixed = token.iter().zip(pad).map(|(byte, pad)| byte ^ pad);
    Ok(URL_SAFE_NO_PAD.encode(pad.into_iter().chain(mixed).collect::<Vec<u8>>()))
}

/// Whether a form's masked token is the one of the session.
pub fn is_csrf_token(masked: &str, token: &str) -> bool {
    let Ok(bytes) = URL_SAFE_NO_PAD.decode(masked) else { return false };
    let Some((pad, mixed)) = bytes.split_at_checked(TOKEN).filter(|(_, mixed)| mixed.len() == TOKEN) else {
        return false;
    };
    let sent: Vec<u8> = pad.iter().zip(mixed).map(|(pad, byte)| pad ^ byte).collect();
    // The token is a hash that nobody can choose, so the time of a comparison says nothing useful.
    URL_SAFE_NO_PAD.encode(sent) == token
}

/// A member with an authenticated session.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub member: Member,
    pub session: Session,
}

impl SignedIn {
    /// Returns the context of a change by this member.
    pub fn by(&self, address: ClientAddress, now: Timestamp) -> ChangeContext {
        let role = self.member.role;
        ChangeContext {
            actor: format!("member:{}", self.member.id),
            member: Some((self.member.id.clone(), role)),
            customer: None,
            expected_version: Some(self.member.version.into()),
            authority: Authority {
                scopes: role.grantable(),
                other_apis: OtherApis::All,
                networks: Networks::all(),
                not_after: None,
            },
            address: address.known(),
            now,
        }
    }
}

/// Returns the member of a session if it is valid.
pub async fn resume(node: &Node, secret: &SessionSecret, now: Timestamp) -> Result<Option<SignedIn>, Unavailable> {
    let found = node.store.read_current(node.store.session(&secret.digest())).await?;
    let Some((session, member)) = found else { return Ok(None) };
    if !session.is_live(node.settings.session_idle_seconds, now) {
        return Ok(None);
    }
    let seen_every = SEEN_EVERY.min(node.settings.session_idle_seconds / SEEN_PARTS);
    if session.last_seen_at.plus_seconds(seen_every) <= now {
        node.store.touch_session(&session.id, now).await?;
    }
    Ok(Some(SignedIn { member, session }))
}

/// Returns the valid sessions of a member.
pub async fn of_member(node: &Node, member: &Member, now: Timestamp) -> Result<Vec<Session>, MemberError> {
    let mut sessions = node.store.sessions(&member.id).await?;
    sessions.retain(|session| session.is_live(node.settings.session_idle_seconds, now));
    Ok(sessions)
}

/// Ends a session: one of the caller's own, or of a member whose role the caller can remove.
pub async fn end(node: &Node, by: &ChangeContext, member: &Member, id: &str) -> Result<(), MemberError> {
    if by.member.as_ref().is_none_or(|(own, _)| *own != member.id) {
        by.may_change_role(member.role).map_err(MemberError::GrantExceeded)?;
    }
    let entry = AuditEntry::of(by, action::SESSION_END, &member.id.0, None, Some(serde_json::json!({ "session": id })));
    if node.store.end_session(member, id, &entry).await? { Ok(()) } else { Err(MemberError::NotFound) }
}

/// Ends all sessions of the caller, or of a member whose role the caller can remove, in every browser.
pub async fn end_all(node: &Node, by: &ChangeContext, member: &Member) -> Result<(), MemberError> {
    if by.member.as_ref().is_none_or(|(own, _)| *own != member.id) {
        by.may_change_role(member.role).map_err(MemberError::GrantExceeded)?;
    }
    let entry =
        AuditEntry::of(by, action::SESSION_END, &member.id.0, None, Some(serde_json::json!({ "session": "all" })));
    node.store.end_sessions(member, &entry).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_tokens_differ_and_match_only_their_session() {
        let [mine, other] = [(); 2].map(|()| SessionSecret::new().unwrap().csrf_token());
        let masked: Vec<String> = (0..3).map(|_| mask_csrf_token(&mine).unwrap()).collect();
        assert!(masked.iter().all(|text| is_csrf_token(text, &mine) && !is_csrf_token(text, &other)));
        assert!(masked[0] != masked[1] && masked[1] != masked[2]);
        let (longer, shorter) = (format!("{}AAAA", masked[0]), masked[0].chars().skip(4).collect::<String>());
        for bad in ["", "x", mine.as_str(), longer.as_str(), shorter.as_str()] {
            assert!(!is_csrf_token(bad, &mine), "{bad}");
        }
    }
}
