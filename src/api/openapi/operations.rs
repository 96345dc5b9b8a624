//! Every operation of the management API.

use schemars::SchemaGenerator;
use serde_json::{Value, json};

use crate::api::openapi::operation::{Added, Group, Operation};
use crate::api::openapi::schemas::{PolicySchema, ReplacedPolicy};
use crate::api::webhook_json::{DeliveryJson, Page, WebhookJson};
use crate::api::{
    audit, explain, impact, key_json, key_list, keys, me, member_json, members, organizations, session, signing_keys,
    stale, usage, webhooks,
};

/// All of them, and the schemas that they refer to.
pub(super) fn all(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    let mut operations = Vec::new();
    let mut group = |tag, fill: fn(&mut Group<'_>)| {
        fill(&mut Group { tag, schemas: &mut *schemas, operations: &mut operations });
    };
    group("keys", keys_of_an_organization);
    group("members", members_of_an_organization);
    group("sessions", sessions);
    group("organizations", organizations_themselves);
    group("signing keys", signing_keys_of_an_organization);
    group("usage", usage);
    group("audit", audit_of_an_organization);
    group("webhooks", webhooks_of_an_organization);
    operations
}

/// How many items a page has.
pub(super) fn limit() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 })
}

/// Where a list goes on.
pub(super) fn cursor() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

fn keys_of_an_organization(group: &mut Group<'_>) {
    const LIST: &str = "/organizations/{org}/keys";
    const ONE: &str = "/organizations/{org}/keys/{id}";
    let status = json!({ "enum": ["all", "active", "expired", "disabled", "revoked"], "default": "all" });
    let orders = ["created_at", "name", "expires_at", "last_used_at"];
    let orders: Vec<String> = orders.iter().flat_map(|order| [(*order).to_owned(), format!("-{order}")]).collect();
    group
        .add("GET", LIST, "listKeys", "List keys")
        .needs("read:keyturn/keys")
        .query("status", "only keys in this state now", status)
        .query(
            "search",
            "only keys with this in their name, in any case",
            json!({ "type": "string", "maxLength": 100 }),
        )
        .query("owner", "only keys of this member", json!({ "type": "string", "maxLength": 64 }))
        .query(
            "sort",
            "in which order; with - the last come first",
            json!({ "enum": orders, "default": "-created_at" }),
        )
        .query("limit", "at most so many", limit())
        .query("cursor", "next_cursor of the page before", cursor())
        .answers::<key_list::KeyListJson>(200, "a page of keys");
    group
        .add("POST", LIST, "createKey", "Create a key; its text is in the answer, and nowhere else")
        .needs("write:keyturn/keys")
        .header("Idempotency-Key", ONCE, once())
        .optional_body::<keys::CreateBody>()
        .answers::<key_json::KeyJson>(201, "the key, with its text in `secret`");
    group
        .add("GET", ONE, "getKey", "Show a key")
        .needs("read:keyturn/keys")
        .answers::<key_json::KeyJson>(200, "the key");
    group
        .add("PATCH", ONE, "editKey", "Edit a key; narrowing it takes effect at once, for its tokens too")
        .needs("write:keyturn/keys")
        .if_match()
        .optional_body::<keys::EditBody>()
        .answers::<key_json::KeyJson>(200, "the key");
    group
        .add("DELETE", ONE, "deleteKey", "Revoke a key for good")
        .needs("write:keyturn/keys")
        .if_match()
        .answers::<key_json::KeyJson>(200, "the key");
    group
        .add("POST", "/organizations/{org}/keys/{id}/rotate", "rotateKey", "Give a key a new secret under the same id")
        .needs("write:keyturn/keys")
        .if_match()
        .header("Idempotency-Key", ONCE, once())
        .optional_body::<keys::RotateBody>()
        .answers::<key_json::KeyJson>(200, "the key, with its new text in `secret`");
    group
        .add("POST", "/organizations/{org}/keys/{id}/revoke", "revokeKey", "Revoke a key for good")
        .needs("write:keyturn/keys")
        .if_match()
        .optional_body::<keys::RevokeBody>()
        .answers::<key_json::KeyJson>(200, "the key");
    for (path, id, summary) in [
        ("/organizations/{org}/keys/{id}/disable", "disableKey", "Suspend a key, and end its tokens"),
        ("/organizations/{org}/keys/{id}/enable", "enableKey", "Let a suspended key be used again"),
    ] {
        group
            .add("POST", path, id, summary)
            .needs("write:keyturn/keys")
            .if_match()
            .optional_body::<keys::NoBody>()
            .answers::<key_json::KeyJson>(200, "the key");
    }
}

const ONCE: &str = "names this request, so that it is carried out once however often it is sent within a day";

fn once() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" })
}

fn members_of_an_organization(group: &mut Group<'_>) {
    const LIST: &str = "/organizations/{org}/members";
    const ONE: &str = "/organizations/{org}/members/{id}";
    group
        .add("GET", LIST, "listMembers", "List members")
        .needs("read:keyturn/members")
        .answers::<members::MemberListJson>(200, "all members");
    group
        .add("POST", LIST, "addMember", "Add a member; the password to begin with is in the answer, and nowhere else")
        .needs("admin:keyturn/members")
        .body::<members::AddBody>()
        .answers::<member_json::MemberJson>(201, "the member, with a password");
    group
        .add("GET", ONE, "getMember", "Show a member")
        .needs("read:keyturn/members")
        .answers::<member_json::MemberJson>(200, "the member");
    group
        .add("PATCH", ONE, "changeMember", "Change a member's login or role, or reset their password")
        .needs("admin:keyturn/members")
        .if_match()
        .optional_body::<members::ChangeBody>()
        .answers::<member_json::MemberJson>(200, "the member; with a password, where it was reset");
    group
        .add("DELETE", ONE, "removeMember", "Remove a member; the keys they own are revoked at once")
        .needs("admin:keyturn/members")
        .if_match()
        .answers::<members::RemovedJson>(200, "what ended with the membership");
    group
        .add("GET", "/organizations/{org}/members/{id}/sessions", "listSessions", "List the sessions of a member")
        .needs("admin:keyturn/members for others than oneself")
        .answers::<members::SessionListJson>(200, "the sessions that hold");
    group
        .add(
            "DELETE",
            "/organizations/{org}/members/{id}/sessions/{session}",
            "endSession",
            "End a session of a member",
        )
        .needs("admin:keyturn/members for others than oneself")
        .answers_nothing(204, "it has ended");
}

fn sessions(group: &mut Group<'_>) {
    group.add("GET", "/me", "whoAmI", "Who this credential is").answers::<me::MeJson>(200, "who it is");
    group
        .add("POST", "/session", "signIn", "Sign in; the session is in a cookie")
        .open()
        .body::<session::SignInBody>()
        .answers::<session::SignedInJson>(201, "the session");
    group
        .add("GET", "/session", "getSession", "The session that asks")
        .answers::<session::SignedInJson>(200, "the session");
    group.add("DELETE", "/session", "signOut", "Sign out").answers_nothing(204, "the session has ended");
    group
        .add("POST", "/me/password", "changePassword", "Change one's own password; other sessions end")
        .body::<session::PasswordBody>()
        .answers_nothing(204, "it is changed");
}

fn organizations_themselves(group: &mut Group<'_>) {
    group
        .add("GET", "/organizations", "listOrganizations", "List the organizations that you may see")
        .answers::<organizations::OrganizationListJson>(200, "organizations");
    group
        .add("POST", "/organizations", "createOrganization", "Make an organization; only from organization default")
        .needs("admin:keyturn/organizations")
        .body::<organizations::CreateBody>()
        .answers::<organizations::OrganizationJson>(201, "the organization, with its owner's credentials");
    group
        .add("GET", "/organizations/{org}", "getOrganization", "Show an organization")
        .answers::<organizations::OrganizationJson>(200, "the organization");
    group
        .add("POST", "/organizations/{org}/bootstrap", "bootstrapOrganization", "Make the first signing key")
        .needs("admin:keyturn/signing-keys")
        .answers::<signing_keys::SigningKeyJson>(201, "the signing key");
    group
        .add(
            "POST",
            "/organizations/{org}/suspend",
            "suspendOrganization",
            "Suspend an organization: its keys and tokens are denied at once",
        )
        .needs("admin:keyturn/organizations")
        .optional_body::<organizations::EmptyBody>()
        .answers::<organizations::OrganizationJson>(200, "the organization");
    group
        .add(
            "POST",
            "/organizations/{org}/resume",
            "resumeOrganization",
            "End the suspension of an organization: its keys work again",
        )
        .needs("admin:keyturn/organizations")
        .optional_body::<organizations::EmptyBody>()
        .answers::<organizations::OrganizationJson>(200, "the organization");
    group
        .add("GET", "/organizations/{org}/policy", "getPolicy", "The policy in force")
        .needs("read:keyturn/policy")
        .answers::<PolicySchema>(200, "the policy");
    group
        .add(
            "PUT",
            "/organizations/{org}/policy",
            "replacePolicy",
            "Replace the policy; what is left out has its default",
        )
        .needs("admin:keyturn/policy")
        .query(
            "dry_run",
            "true: nothing is changed, and the answer says what the policy would mean to the keys that there are",
            json!({ "type": "boolean", "default": false }),
        )
        .if_match()
        .optional_body::<PolicySchema>()
        .answers::<ReplacedPolicy>(200, "the policy in force; with dry_run, what it would mean");
}

fn signing_keys_of_an_organization(group: &mut Group<'_>) {
    group
        .add("GET", "/organizations/{org}/signing-keys", "listSigningKeys", "List signing keys")
        .needs("read:keyturn/signing-keys")
        .answers::<signing_keys::SigningKeyListJson>(200, "signing keys");
    group
        .add("POST", "/organizations/{org}/signing-keys/rotate", "rotateSigningKey", "Publish the next signing key")
        .needs("admin:keyturn/signing-keys")
        .optional_body::<signing_keys::RotateBody>()
        .answers::<signing_keys::SigningKeyJson>(201, "the next signing key");
    group
        .add(
            "DELETE",
            "/organizations/{org}/signing-keys/{kid}",
            "deleteSigningKey",
            "Delete a signing key: every token that it signed is invalid at once. A key that signs is replaced first",
        )
        .needs("admin:keyturn/signing-keys")
        .answers_nothing(204, "the signing key is deleted");
}

fn audit_of_an_organization(group: &mut Group<'_>) {
    let name = || json!({ "type": "string", "maxLength": 200 });
    let moment = || json!({ "type": "string", "format": "date-time" });
    group
        .add("GET", "/organizations/{org}/audit", "listAudit", "Who did what to which, from where; newest first")
        .needs("read:keyturn/audit")
        .query("action", "only this action, as in key.create", name())
        .query("actor", "only by this one: key:{id}, member:{id} or keyturn", name())
        .query("subject", "only what was done to this one", name())
        .query("since", "only from this moment on", moment())
        .query("until", "only before this moment", moment())
        .query(
            "format",
            "ndjson: the whole log, oldest first, a row on each line",
            json!({ "enum": ["json", "ndjson"] }),
        )
        .query("limit", "at most so many", limit())
        .query("cursor", "next_cursor of the page before", cursor())
        .answers::<audit::PageJson>(200, "a page of rows, or all as NDJSON")
        .or_as(200, "", "application/x-ndjson");
}

fn webhooks_of_an_organization(group: &mut Group<'_>) {
    const LIST: &str = "/organizations/{org}/webhooks";
    const ONE: &str = "/organizations/{org}/webhooks/{id}";
    const READ: &str = "read:keyturn/webhooks";
    const ADMIN: &str = "admin:keyturn/webhooks";
    group.add("GET", LIST, "listWebhooks", "List webhooks").needs(READ).answers::<Page<WebhookJson>>(200, "webhooks");
    group
        .add("POST", LIST, "createWebhook", "Make a webhook; its secret is in the answer, and nowhere else")
        .needs(ADMIN)
        .body::<webhooks::CreateBody>()
        .answers::<WebhookJson>(201, "the webhook, with its `secret`");
    group.add("GET", ONE, "getWebhook", "Show a webhook").needs(READ).answers::<WebhookJson>(200, "the webhook");
    group
        .add("PATCH", ONE, "editWebhook", "Edit, disable or enable a webhook")
        .needs(ADMIN)
        .if_match()
        .optional_body::<webhooks::EditBody>()
        .answers::<WebhookJson>(200, "the webhook");
    group
        .add("DELETE", ONE, "removeWebhook", "Remove a webhook, and what was on its way to it")
        .needs(ADMIN)
        .if_match()
        .answers_nothing(204, "it is gone");
    group
        .add(
            "POST",
            "/organizations/{org}/webhooks/{id}/rotate-secret",
            "rotateWebhookSecret",
            "Give a webhook a new secret",
        )
        .needs(ADMIN)
        .if_match()
        .optional_body::<keys::NoBody>()
        .answers::<WebhookJson>(200, "the webhook, with its new `secret`; the old one signs as well for a day");
    group
        .add("POST", "/organizations/{org}/webhooks/{id}/test", "testWebhook", "Send a webhook an event to try it out")
        .needs(ADMIN)
        .optional_body::<keys::NoBody>()
        .answers::<DeliveryJson>(202, "the delivery, which is on its way");
    group
        .add("GET", "/organizations/{org}/webhooks/{id}/deliveries", "listDeliveries", "List deliveries, newest first")
        .needs(READ)
        .query("state", "only those in this state", json!({ "enum": ["pending", "delivered", "dead"] }))
        .query("limit", "at most so many", limit())
        .query("cursor", "next_cursor of the page before", cursor())
        .answers::<Page<DeliveryJson>>(200, "a page of deliveries");
    group
        .add(
            "POST",
            "/organizations/{org}/webhooks/{id}/deliveries/{delivery}/retry",
            "retryDelivery",
            "Take up a dead letter again",
        )
        .needs(ADMIN)
        .optional_body::<keys::NoBody>()
        .answers::<DeliveryJson>(202, "the delivery, which is on its way again");
}

fn usage_queries(added: Added<'_>) -> Added<'_> {
    let moment = || json!({ "type": "string", "format": "date-time" });
    added
        .query("interval", "in which pieces", json!({ "enum": ["hour", "day"], "default": "hour" }))
        .query("from", "the first hour or day; by hour 90 days are kept, by day two years", moment())
        .query("to", "the last hour or day", moment())
}

fn usage(group: &mut Group<'_>) {
    const READ: &str = "read:keyturn/usage";
    usage_queries(group.add("GET", "/organizations/{org}/keys/{id}/usage", "getKeyUsage", "How a key was used"))
        .needs(READ)
        .answers::<usage::KeyUsageJson>(200, "counts by hour or day, empty ones too");
    usage_queries(group.add("GET", "/organizations/{org}/usage", "getUsage", "How all keys were used, busiest first"))
        .needs(READ)
        .query("limit", "at most so many keys", limit())
        .query("cursor", "next_cursor of the page before", cursor())
        .answers::<usage::OrganizationUsageJson>(200, "counts by hour or day, and a row for each key");
    group
        .add("GET", "/organizations/{org}/keys/stale", "listStaleKeys", "List active keys that are not used")
        .needs("read:keyturn/keys")
        .query(
            "days",
            "for how long; without it as the policy says, and none if that says nothing",
            json!({ "type": "integer", "minimum": 1, "maximum": 3660 }),
        )
        .query("limit", "at most so many", limit())
        .query("cursor", "next_cursor of the page before", cursor())
        .answers::<stale::StaleJson>(200, "a page of keys");
    group
        .add("POST", "/organizations/{org}/keys/{id}/explain", "explainKey", "Why a key may do something, or may not")
        .needs("read:keyturn/keys")
        .optional_body::<explain::ExplainBody>()
        .answers::<explain::ExplainJson>(200, "each check in order, and the one that failed");
    group
        .add(
            "POST",
            "/organizations/{org}/keys/{id}/impact",
            "getImpact",
            "What of the last 30 days' use a narrowing would have refused",
        )
        .needs(READ)
        .optional_body::<impact::ImpactBody>()
        .answers::<impact::ImpactJson>(200, "uses by address, and by what was asked for");
}
