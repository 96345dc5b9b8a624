//! Who did something, as people call them.

use crate::domain::member::Member;

/// An actor of the audit log by their login; a key by its id.
pub(super) fn named(actor: &str, members: &[Member]) -> String {
    match actor.split_once(':') {
        Some(("member", id)) => {
            let member = members.iter().find(|member| member.id.0 == id);
            member.map_or_else(|| "a removed member".into(), |member| member.email.clone())
        }
        Some(("key", id)) => format!("key {id}"),
        _ if actor == "keyturn" => "Keyturn itself".into(),
        _ => actor.to_owned(),
    }
}
