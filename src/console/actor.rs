//! Display names of actors.

use crate::domain::member::Member;

/// Returns the display name of an audit actor: a member's email or a key's ID.
pub(super) fn display_name(actor: &str, members: &[Member]) -> String {
    match actor.split_once(':') {
        Some(("member", id)) => {
            let member = members.iter().find(|member| member.id.0 == id);
            member.map_or_else(|| "a removed member".into(), |member| member.email.clone())
        }
        Some(("key", id)) => format!("key {id}"),
        Some(("portal", session)) => format!("customer portal, session {session}"),
        _ if actor == "keyturn" => "Keyturn (system)".into(),
        _ => actor.to_owned(),
    }
}
