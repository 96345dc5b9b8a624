//! Conformance tests of the store, run on every backend: [`backends`] is the only place that knows them.

mod auditing;
mod crowds;
mod customers;
mod denials;
mod following;
mod lists;
mod lost_commits;
mod people;
mod portal;
mod profiles;
mod schema;
mod tenants;
mod usage;
mod webhooks;

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use keyturn::domain::api_key::{ApiKey, FastVerifier, Lifecycle, PreviousSecret, SecretVerifier, Status};
use keyturn::domain::audit_chain::AuditRow;
use keyturn::domain::choices::Algorithm;
use keyturn::domain::grants::Grants;
use keyturn::domain::key_text::{KeyId, KeyPrefix};
use keyturn::domain::member::{Member, MemberId, Role};
use keyturn::domain::metadata::Metadata;
use keyturn::domain::networks::Networks;
use keyturn::domain::organization::Organization;
use keyturn::domain::policy::{ExpirationChoices, Policy};
use keyturn::domain::scope::ScopeSet;
use keyturn::domain::sealed::Sealed;
use keyturn::domain::slug::Slug;
use keyturn::domain::timestamp::Timestamp;
use keyturn::domain::usage::{Details, KeyUsage, LastUse, UsageOutcome};
use keyturn::store::{
    AuditEntry, KeyChange, KeyFilter, KeyOrder, Limits, NewOrganization, Refused, RevokedToken, Store,
    StoredSigningKey, WriteError, action,
};
use serde_json::json;
use tempfile::TempDir;

use crate::support::postgres::Database;

/// A store under test, and values that must live as long.
struct Backend {
    name: &'static str,
    store: Arc<Store>,
    _place: (Option<TempDir>, Option<Database>),
}

/// Creates an empty store of every kind.
async fn backends() -> Vec<Backend> {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Store::open_sqlite(&folder.path().join("keyturn.db"), 4).await.unwrap();
    let database = Database::create();
    let postgres = Store::open_postgres(&database.url(), 8).await.unwrap();
    vec![
        Backend { name: "SQLite", store: Arc::new(sqlite), _place: (Some(folder), None) },
        Backend { name: "PostgreSQL", store: Arc::new(postgres), _place: (None, Some(database)) },
    ]
}

/// Runs a check on an empty store of every kind.
macro_rules! on_every_backend {
    (in $module:ident: $($name:ident)*) => {$(
        #[test]
        fn $name() {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                for backend in backends().await {
                    eprintln!("on {}", backend.name);
                    $module::$name(backend.store.clone()).await;
                    backend.store.close().await;
                }
            });
        }
    )*};
}

on_every_backend! { in checks:
    empty_store_has_no_records
    organization_is_created_completely
    duplicate_organization_is_rejected
    key_fields_round_trip
    key_states_round_trip
    unknown_key_is_none
    limit_holds_under_concurrent_inserts
    owner_limit_counts_the_owners_keys
    reenabled_key_counts_towards_the_limit
    change_of_another_version_is_rejected
    one_of_concurrent_changes_succeeds
    change_numbers_become_visible_in_order
    audit_entry_is_written_with_its_change
    fast_verifier_is_replaced_for_its_hash
    pending_verifier_is_replaced
    revoked_token_is_kept_until_it_expires
    signing_keys_round_trip_and_are_serialized
    store_has_one_master_key_and_is_resealed
    lists_are_newest_first_and_paginated
    list_is_filtered_by_state_and_owner
    search_is_literal
    usage_counts_add_up
}

on_every_backend! { in following:
    new_key_is_followed
    follower_gets_exactly_the_missed_changes
    pruned_log_is_reported
    organizations_and_signing_keys_are_followed
    node_is_registered_removed_and_unregistered
    deployment_keeps_its_first_name
    recently_changed_keys_are_found
}

on_every_backend! { in lists:
    views_select_what_the_rules_say
    rules_select_what_the_policy_says
    grants_follow_the_key
    pages_by_offset_are_complete
}

on_every_backend! { in tenants:
    organization_has_the_number_of_its_last_change
    new_epoch_invalidates_tokens_and_sessions
    later_change_of_another_task_is_no_lost_change
}

on_every_backend! { in people:
    member_is_added_changed_and_removed
    repeated_events_are_two_entries_per_hour
    organization_keeps_an_owner
    removing_a_member_revokes_their_keys
    key_owner_is_a_current_member
    session_is_found_by_its_secret_until_it_ends
    session_requires_an_unchanged_member
    new_password_ends_other_sessions
    policy_is_replaced_once_per_version
    response_is_stored_with_its_change_once
    lists_are_complete_in_every_order
    actor_must_have_the_expected_version
}

on_every_backend! { in customers:
    customer_fields_round_trip
    customers_are_filtered_and_paginated
    customer_limit_counts_its_keys
    removing_a_customer_ends_its_keys
    actor_of_a_suspended_customer_is_superseded
}

on_every_backend! { in portal:
    portal_session_round_trips_and_is_opened_once
    portal_session_of_a_changed_customer_or_creator_is_not_created
    portal_session_ends_with_its_customer_and_its_creator
    portal_session_makes_only_changes_of_keys_while_it_is_valid
    portal_session_changes_keys_while_its_creator_shares_the_same_access
    portal_settings_are_replaced_once_per_version
    restore_ends_portal_sessions_and_repeats_no_version
}

on_every_backend! { in profiles:
    profile_fields_round_trip
    organization_is_read_as_of_one_moment
    restore_repeats_no_version
    keys_refer_only_to_what_exists
    keys_are_counted_found_and_changed_by_profile
    actor_loses_rights_with_its_profile_and_networks
    keys_with_references_are_written_as_they_were_checked
    keys_move_only_to_a_profile_that_exists
    keys_of_an_api_are_those_that_have_it_in_effect
    keys_are_found_by_their_access_in_effect
}

on_every_backend! { in denials:
    situations_are_folded_and_found_by_their_parts
    strangers_displace_neither_keys_nor_each_others_networks
}

on_every_backend! { in auditing:
    each_log_is_a_chain_with_a_recorded_end
    concurrent_changes_keep_a_valid_chain
    rejected_change_leaves_the_chain_unchanged
    entries_are_listed_newest_first
    entries_are_filtered
    entries_round_trip
}

on_every_backend! { in webhooks:
    webhook_fields_round_trip
    webhook_limit_holds_under_concurrent_inserts
    deleting_a_webhook_deletes_its_deliveries
    event_is_queued_with_its_change
    deliveries_are_listed_newest_first
    delivery_is_claimed_by_one_node
    claim_expires
    longest_waiting_deliveries_are_first
    only_dead_letters_can_be_retried
    undelivered_events_are_counted_by_webhook
    attempts_are_kept_within_bounds
    waiting_delivery_can_be_made_due
    ended_deliveries_are_deleted_after_their_retention
    webhooks_are_resealed_with_the_signing_keys
    due_deliveries_are_counted_up_to_a_limit
    deliveries_scheduled_by_a_clock_ahead_are_rescheduled
}

on_every_backend! { in usage:
    uses_by_hour_and_day_in_any_order
    concurrent_batches_are_all_counted
    busiest_keys_are_first_on_every_page
    ranking_is_never_outdated
    many_rarely_used_keys_are_ranked
    days_of_several_keys_of_one_organization
    outcomes_are_counted_separately
    old_usage_is_deleted
    details_add_up_and_are_bounded
    uses_are_counted_by_api
    previous_secret_use_is_kept_until_the_next_rotation
    notice_is_recorded_once_with_its_audit_entry
    stale_key_is_disabled_once_with_its_notice
    old_notices_are_deleted_except_the_last
    chore_is_claimed_once_per_interval
    stale_keys_are_active_and_idle
    expiring_keys_are_sorted_by_expiry
}

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_123);

fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

fn id(n: u8) -> KeyId {
    KeyId::from_random([n; 16])
}

fn verifier(n: u8) -> SecretVerifier {
    let fast = FastVerifier { pepper: format!("pepper{n}"), digest: [n; 32] };
    SecretVerifier { phc: format!("$argon2id$phc{n}"), fast: Some(fast) }
}

fn key(n: u8) -> ApiKey {
    ApiKey {
        id: id(n),
        organization: slug("acme"),
        prefix: KeyPrefix::default(),
        name: format!("key {n}"),
        description: String::new(),
        metadata: Metadata::default(),
        owner: None,
        customer: None,
        profile: None,
        grants: Grants::of_default(ScopeSet::parse("read:a").unwrap()),
        networks: Networks::all(),
        named_networks: Vec::new(),
        expires_at: None,
        lifecycle: Lifecycle::Active,
        generation: 1,
        secret_version: 1,
        version: 1,
        secret: verifier(n),
        previous: None,
        hint: "kt_...abcd".into(),
        created_at: NOW.plus_seconds(i64::from(n)),
        created_by: "keyturn".into(),
        rotated_at: None,
        last_used_at: None,
        last_used_ip: None,
    }
}

/// A key that uses every field.
fn full_key(n: u8) -> ApiKey {
    ApiKey {
        prefix: KeyPrefix::parse("uspl").unwrap(),
        name: "Grüße \u{1f511} <b>'\"%_\\".into(),
        description: "two\nlines".into(),
        owner: Some(MemberId("member-acme".into())),
        customer: None,
        grants: Grants::of_default(ScopeSet::parse("read:projects/#/builds *:keyturn/* write:a/*").unwrap()),
        networks: Networks::parse(&["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"]).unwrap(),
        expires_at: Some(NOW.plus_seconds(1000)),
        generation: 7,
        secret_version: 3,
        version: 1,
        previous: Some(PreviousSecret::new(verifier(200), "kt_...prev".into(), NOW.plus_seconds(60))),
        rotated_at: Some(NOW),
        ..key(n)
    }
}

fn entry(action: &'static str, subject: impl ToString) -> AuditEntry {
    AuditEntry {
        at: NOW,
        actor: "keyturn".into(),
        address: None,
        action,
        subject: subject.to_string(),
        old: None,
        new: Some(json!({ "n": 1 })),
        expected_version: None,
    }
}

fn signing_key(kid: &str, organization: &str, at: i64) -> StoredSigningKey {
    StoredSigningKey {
        kid: kid.into(),
        organization: slug(organization),
        algorithm: "ES256".into(),
        sealed: Sealed { master_key: "master".into(), bytes: vec![0, 255, 1, 2] },
        created_at: NOW.plus_seconds(at),
        active_from: NOW.plus_seconds(at + 10),
    }
}

fn new_organization(organization: &str, first: u8) -> NewOrganization {
    let policy = Policy {
        max_keys: Some(9),
        expiration_choices: Some(ExpirationChoices { days: vec![7, 30], none: true }),
        audiences: vec!["urn:a".into()],
        ..Policy::default()
    };
    let member = Member {
        id: MemberId(format!("member-{organization}")),
        organization: slug(organization),
        email: "boss@acme.example".into(),
        role: Role::Owner,
        created_at: NOW,
        version: 1,
        last_sign_in_at: None,
    };
    NewOrganization {
        algorithm: Algorithm::Es256,
        organization: Organization { policy, ..Organization::new(slug(organization), NOW) },
        signing_key: Some(signing_key(&format!("kid-{organization}"), organization, 0)),
        owner: (member, "$argon2id$password".into()),
        key: Some(ApiKey { organization: slug(organization), ..key(first) }),
    }
}

async fn create_organization(store: &Store) -> NewOrganization {
    let founding = new_organization("acme", 0);
    store.create_organization(&founding, &entry(action::ORGANIZATION_CREATE, "acme")).await.outcome().unwrap();
    founding
}

/// Returns the outcome of a write by a working store.
trait WriteOutcome<T> {
    fn outcome(self) -> Result<T, Refused>;
}

impl<T> WriteOutcome<T> for Result<T, WriteError> {
    fn outcome(self) -> Result<T, Refused> {
        match self {
            Ok(written) => Ok(written),
            Err(WriteError::Refused(refused)) => Err(refused),
            Err(WriteError::Store(error)) => panic!("{error}"),
        }
    }
}

/// Concurrent callers. More than the connections would only wait for one, and time out after two seconds.
const CALLERS: usize = 8;

/// Runs the calls, [`CALLERS`] at a time, and returns their results.
async fn concurrently<T: Send + 'static>(
    calls: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let running = stream::iter(calls).map(tokio::spawn).buffer_unordered(CALLERS);
    running.map(Result::unwrap).collect().await
}

async fn insert(store: &Store, key: &ApiKey) {
    store.insert_key(key, Limits::default(), &entry(action::KEY_CREATE, key.id), None, None).await.outcome().unwrap();
}

/// Returns the log of an organization, oldest first.
async fn audit(store: &Store, organization: &str) -> Vec<AuditRow> {
    let rows = store.audit_after(organization, None, 1000).await.unwrap();
    rows.into_iter().map(Result::unwrap).collect()
}

async fn audit_actions(store: &Store) -> Vec<String> {
    audit(store, "acme").await.into_iter().map(|row| row.action).collect()
}

fn all() -> KeyFilter {
    KeyFilter { limit: 100, ..KeyFilter::new(slug("acme"), NOW) }
}

async fn ids(store: &Store, filter: &KeyFilter) -> Vec<KeyId> {
    store.keys(filter).await.unwrap().into_iter().map(|key| key.id).collect()
}

/// Returns every organization, without the number of its last change.
async fn stored_organizations(store: &Store) -> Vec<Organization> {
    let organizations = store.organizations().await.unwrap();
    organizations.into_iter().map(|organization| Organization { changed_seq: 0, ..organization }).collect()
}

/// Returns the next version of a key, with another name.
fn next(key: &ApiKey) -> ApiKey {
    ApiKey { version: key.version + 1, name: format!("{}'", key.name), ..key.clone() }
}

mod checks {
    use super::following::changes_after;
    use super::*;

    pub async fn empty_store_has_no_records(store: Arc<Store>) {
        store.ping().await.unwrap();
        assert_eq!(store.organizations().await.unwrap(), []);
        assert_eq!(store.signing_keys().await.unwrap(), []);
        assert_eq!(store.keys(&all()).await.unwrap(), []);
        assert_eq!(store.members(&slug("acme")).await.unwrap(), []);
        assert_eq!(store.revoked_tokens().await.unwrap(), []);
        assert_eq!(changes_after(store.as_ref(), 0, 10).await, []);
        assert_eq!(audit(store.as_ref(), "acme").await, []);
        assert_eq!(store.audit_head("acme").await.unwrap(), None);
        assert_eq!(store.audited_organizations().await.unwrap(), [""; 0]);
        assert_eq!((store.last_seq().await.unwrap(), store.master_key().await.unwrap()), (0, None));
    }

    pub async fn organization_is_created_completely(store: Arc<Store>) {
        let founding = create_organization(store.as_ref()).await;
        assert_eq!(stored_organizations(store.as_ref()).await, [founding.organization]);
        assert_eq!(store.signing_keys().await.unwrap(), [founding.signing_key.unwrap()]);
        assert_eq!(store.key(&founding.key.as_ref().unwrap().id).await.unwrap(), founding.key);
        let member = founding.owner.0;
        assert_eq!(store.members(&slug("acme")).await.unwrap(), std::slice::from_ref(&member));
        let login = store.login(&slug("acme"), &member.email).await.unwrap();
        assert_eq!(login, Some((member.clone(), "$argon2id$password".into())));
        assert_eq!(store.login(&slug("acme"), "other@acme.example").await.unwrap(), None);
        assert_eq!(store.login(&slug("other"), &member.email).await.unwrap(), None);
        assert_eq!(audit_actions(store.as_ref()).await, [action::ORGANIZATION_CREATE]);
    }

    pub async fn duplicate_organization_is_rejected(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let (seq, organizations) = (store.last_seq().await.unwrap(), store.organizations().await.unwrap());
        let mut again = new_organization("acme", 9);
        again.signing_key.as_mut().unwrap().kid = "other".into();
        again.owner.0.id = MemberId("other".into());
        again.owner.0.email = "other@acme.example".into();
        let refused = store.create_organization(&again, &entry(action::ORGANIZATION_CREATE, "acme")).await.outcome();
        assert_eq!(refused, Err(Refused::AlreadyExists));
        assert_eq!(store.organizations().await.unwrap(), organizations);
        assert_eq!(store.signing_keys().await.unwrap().len(), 1);
        assert_eq!(store.members(&slug("acme")).await.unwrap().len(), 1);
        assert_eq!(store.key(&id(9)).await.unwrap(), None);
        assert_eq!(store.last_seq().await.unwrap(), seq);
        assert_eq!(audit_actions(store.as_ref()).await.len(), 1);
        store
            .create_organization(&new_organization("other", 9), &entry(action::ORGANIZATION_CREATE, "other"))
            .await
            .outcome()
            .unwrap();
        assert_eq!(store.organizations().await.unwrap().len(), 2);
    }

    pub async fn key_fields_round_trip(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        for full in [full_key(1), ApiKey { version: 41, ..full_key(2) }] {
            insert(store.as_ref(), &full).await;
            assert_eq!(store.key(&full.id).await.unwrap(), Some(full));
        }
        let imported = ApiKey { secret: SecretVerifier { phc: "$argon2id$x".into(), fast: None }, ..key(3) };
        insert(store.as_ref(), &imported).await;
        assert_eq!(store.key(&imported.id).await.unwrap(), Some(imported.clone()));
        // All mutable fields, changed back and forth.
        let changed =
            ApiKey { id: imported.id, version: 2, owner: None, created_at: imported.created_at, ..full_key(3) };
        let change = entry(action::KEY_EDIT, imported.id);
        store.update_key(&changed, None, &change, None, None).await.outcome().unwrap();
        assert_eq!(store.key(&imported.id).await.unwrap(), Some(changed));
        let back = ApiKey { version: 3, ..imported };
        store.update_key(&back, None, &change, None, None).await.outcome().unwrap();
        assert_eq!(store.key(&back.id).await.unwrap(), Some(back));
    }

    pub async fn key_states_round_trip(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let at = NOW.plus_seconds(5);
        for (n, lifecycle) in [
            Lifecycle::Active,
            Lifecycle::Disabled { at },
            Lifecycle::Revoked { at, reason: None },
            Lifecycle::Revoked { at, reason: Some(String::new()) },
            Lifecycle::Revoked { at, reason: Some("leaked in \"logs\"".into()) },
        ]
        .into_iter()
        .enumerate()
        {
            let key = ApiKey { lifecycle, ..key(n as u8 + 1) };
            insert(store.as_ref(), &key).await;
            assert_eq!(store.key(&key.id).await.unwrap(), Some(key));
        }
    }

    pub async fn unknown_key_is_none(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        assert_eq!(store.key(&id(77)).await.unwrap(), None);
        let change =
            store.update_key(&next(&key(77)), None, &entry(action::KEY_EDIT, id(77)), None, None).await.outcome();
        assert_eq!(change, Err(Refused::VersionConflict));
        let twice =
            store.insert_key(&key(0), Limits::default(), &entry(action::KEY_CREATE, id(0)), None, None).await.outcome();
        assert_eq!(twice, Err(Refused::AlreadyExists));
    }

    pub async fn limit_holds_under_concurrent_inserts(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        // The organization's first key counts; revoked and expired ones do not.
        insert(store.as_ref(), &ApiKey { lifecycle: Lifecycle::Revoked { at: NOW, reason: None }, ..key(201) }).await;
        insert(store.as_ref(), &ApiKey { expires_at: Some(NOW), ..key(202) }).await;
        let limits = Limits { organization: Some(3), owner: None, policy_version: None };
        let inserts =
            (1..=100).map(|n| {
                let store = store.clone();
                async move {
                    store.insert_key(&key(n), limits, &entry(action::KEY_CREATE, id(n)), None, None).await.outcome()
                }
            });
        let mut made = 0;
        for outcome in concurrently(inserts).await {
            match outcome {
                Ok(_) => made += 1,
                Err(refused) => assert_eq!(refused, Refused::LimitReached),
            }
        }
        assert_eq!(made, 2);
        assert_eq!(store.keys(&KeyFilter { status: Some(Status::Active), ..all() }).await.unwrap().len(), 3);
        assert_eq!(audit_actions(store.as_ref()).await.len(), 1 + 2 + 2);
    }

    pub async fn owner_limit_counts_the_owners_keys(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let owner = Some(MemberId("member-acme".into()));
        let limits = Limits { organization: None, owner: Some(1), policy_version: None };
        let make = async |n: u8, owner: Option<MemberId>| {
            let key = ApiKey { owner, ..key(n) };
            store.insert_key(&key, limits, &entry(action::KEY_CREATE, key.id), None, None).await.outcome().map(|_| ())
        };
        assert_eq!(make(1, owner.clone()).await, Ok(()));
        assert_eq!(make(2, owner.clone()).await, Err(Refused::LimitReached));
        assert_eq!((make(3, None).await, make(4, None).await), (Ok(()), Ok(())), "the organization's own");
    }

    pub async fn reenabled_key_counts_towards_the_limit(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let expired = ApiKey { expires_at: Some(NOW), ..key(1) };
        insert(store.as_ref(), &expired).await;
        let revived = ApiKey { expires_at: None, ..next(&expired) };
        let change = entry(action::KEY_EDIT, expired.id);
        let limits = |most| Some(Limits { organization: Some(most), owner: None, policy_version: None });
        assert_eq!(
            store.update_key(&revived, limits(1), &change, None, None).await.outcome(),
            Err(Refused::LimitReached)
        );
        assert_eq!(store.key(&expired.id).await.unwrap(), Some(expired));
        assert!(store.update_key(&revived, limits(2), &change, None, None).await.outcome().is_ok());
        let disabled = ApiKey { lifecycle: Lifecycle::Disabled { at: NOW }, ..key(2) };
        insert(store.as_ref(), &disabled).await;
        let renamed =
            store.update_key(&next(&disabled), limits(3), &entry(action::KEY_EDIT, disabled.id), None, None).await;
        assert!(renamed.is_ok(), "it counts already, and is not counted against itself");
    }

    pub async fn change_of_another_version_is_rejected(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let first = key(1);
        insert(store.as_ref(), &first).await;
        let second = next(&first);
        let change = entry(action::KEY_EDIT, first.id);
        store.update_key(&second, None, &change, None, None).await.outcome().unwrap();
        let seq = store.last_seq().await.unwrap();
        for wrong in [second.clone(), ApiKey { version: 9, ..second.clone() }] {
            assert_eq!(
                store.update_key(&wrong, None, &change, None, None).await.outcome(),
                Err(Refused::VersionConflict)
            );
        }
        assert_eq!(store.key(&first.id).await.unwrap(), Some(second));
        assert_eq!(store.last_seq().await.unwrap(), seq, "a refused change takes no number");
    }

    pub async fn one_of_concurrent_changes_succeeds(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let first = key(1);
        insert(store.as_ref(), &first).await;
        let updates =
            (0..20).map(|n| {
                let (store, changed) = (store.clone(), ApiKey { name: format!("by {n}"), ..next(&first) });
                async move {
                    store.update_key(&changed, None, &entry(action::KEY_EDIT, changed.id), None, None).await.outcome()
                }
            });
        assert_eq!(concurrently(updates.collect::<Vec<_>>()).await.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(audit_actions(store.as_ref()).await.iter().filter(|name| *name == action::KEY_EDIT).count(), 1);
    }

    pub async fn change_numbers_become_visible_in_order(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        for n in 1..=10 {
            insert(store.as_ref(), &key(n)).await;
        }
        let begin = store.last_seq().await.unwrap();
        let tasks: Vec<_> = (1..=10)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut seqs = Vec::new();
                    let mut state = key(n);
                    for _ in 0..10 {
                        state = ApiKey { generation: state.generation + 1, ..next(&state) };
                        seqs.push(
                            store
                                .update_key(&state, None, &entry(action::KEY_EDIT, state.id), None, None)
                                .await
                                .outcome()
                                .unwrap(),
                        );
                    }
                    seqs
                })
            })
            .collect();
        // A concurrent reader must never see a number before a lower one becomes visible.
        let mut followed: Vec<KeyChange> = Vec::new();
        let mut applied = begin;
        while followed.len() < 100 {
            let changes = changes_after(store.as_ref(), applied, 7).await;
            assert!(changes.len() <= 7);
            for change in changes {
                assert!(change.seq > applied, "strictly rising");
                applied = change.seq;
                followed.push(change);
            }
        }
        let mut seqs = Vec::new();
        for task in tasks {
            let own = task.await.unwrap();
            assert!(own.is_sorted());
            seqs.extend(own);
        }
        seqs.sort_unstable();
        seqs.dedup();
        assert_eq!(followed.iter().map(|change| change.seq).collect::<Vec<_>>(), seqs, "all of them, each once");
        assert_eq!(store.last_seq().await.unwrap(), *seqs.last().unwrap());
        for n in 1..=10 {
            let of_key = followed.iter().filter(|change| change.key == id(n) && change.token.is_none());
            assert_eq!(of_key.map(|change| change.generation).collect::<Vec<_>>(), (2..=11).collect::<Vec<_>>());
        }
    }

    pub async fn audit_entry_is_written_with_its_change(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let row = AuditEntry {
            at: NOW.plus_seconds(3),
            actor: "key:0123456789abcdef".into(),
            address: Some("2001:db8::1".into()),
            action: action::KEY_CREATE,
            subject: "subject".into(),
            old: Some(json!({ "a": [1, null, "ü"] })),
            new: None,
            expected_version: None,
        };
        store.insert_key(&key(1), Limits::default(), &row, None, None).await.outcome().unwrap();
        store.insert_key(&key(1), Limits::default(), &row, None, None).await.outcome().unwrap_err();
        let none = Limits { organization: Some(0), owner: None, policy_version: None };
        store.insert_key(&key(2), none, &row, None, None).await.outcome().unwrap_err();
        store.update_key(&key(1), None, &row, None, None).await.outcome().unwrap_err();
        let rows = audit(store.as_ref(), "acme").await;
        assert_eq!(rows.len(), 2);
        let [_, found] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((found.at, &found.actor, &found.address), (row.at, &row.actor, &row.address));
        assert_eq!((found.action.as_str(), &found.subject), (row.action, &row.subject));
        assert_eq!((found.old.as_deref(), &found.new), (Some(r#"{"a":[1,null,"ü"]}"#), &None));
        let [first, second] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!(store.audit_after("acme", Some(first.id), 10).await.unwrap(), [Ok(second.clone())]);
        assert_eq!(store.audit_after("acme", None, 1).await.unwrap(), [Ok(first.clone())]);
        assert_eq!(audit(store.as_ref(), "other").await, []);
    }

    pub async fn fast_verifier_is_replaced_for_its_hash(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let key = full_key(1);
        insert(store.as_ref(), &key).await;
        let seq = store.last_seq().await.unwrap();
        let fast = |n: u8| FastVerifier { pepper: format!("new{n}"), digest: [n; 32] };
        store.refresh_fast_verifier(&key.id, &key.secret.phc, &fast(1)).await.unwrap();
        let previous = key.previous.as_ref().unwrap();
        store.refresh_fast_verifier(&key.id, &previous.secret.phc, &fast(2)).await.unwrap();
        store.refresh_fast_verifier(&key.id, "$argon2id$gone", &fast(3)).await.unwrap();
        store.refresh_fast_verifier(&id(99), &key.secret.phc, &fast(4)).await.unwrap();
        let read = store.key(&key.id).await.unwrap().unwrap();
        assert_eq!(read.secret.fast, Some(fast(1)));
        assert_eq!(read.previous.unwrap().secret.fast, Some(fast(2)));
        assert_eq!((read.version, store.last_seq().await.unwrap()), (key.version, seq), "nothing is granted or taken");
    }

    pub async fn pending_verifier_is_replaced(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let key = full_key(1);
        insert(store.as_ref(), &key).await;
        let seq = store.last_seq().await.unwrap();
        store.complete_verifier(&key.id, "gone", "$argon2id$never").await.unwrap();
        assert_eq!(store.key(&key.id).await.unwrap().unwrap().secret, key.secret);
        store.complete_verifier(&key.id, &key.secret.phc, "$argon2id$current").await.unwrap();
        let previous = key.previous.as_ref().unwrap();
        store.complete_verifier(&key.id, &previous.secret.phc, "$argon2id$previous").await.unwrap();
        let read = store.key(&key.id).await.unwrap().unwrap();
        assert_eq!(read.secret.phc, "$argon2id$current");
        assert_eq!(read.previous.unwrap().secret.phc, "$argon2id$previous");
        assert_eq!((read.version, store.last_seq().await.unwrap()), (key.version, seq), "not a change");
    }

    pub async fn revoked_token_is_kept_until_it_expires(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let token =
            |jti: &str, seconds| RevokedToken { jti: jti.into(), key: id(0), expires_at: NOW.plus_seconds(seconds) };
        let revoke = async |token: &RevokedToken| {
            store.revoke_token(token, &slug("acme"), &entry(action::TOKEN_REVOKE, &token.jti)).await.unwrap()
        };
        let (one, other) = (token("one", 10), token("other", 20));
        let first = revoke(&one).await;
        assert!(revoke(&other).await > first);
        assert_eq!(revoke(&one).await, first, "a second time is no change");
        let audited = audit_actions(store.as_ref()).await;
        assert_eq!(audited.iter().filter(|name| *name == action::TOKEN_REVOKE).count(), 2);
        let changes = changes_after(store.as_ref(), 0, 10).await;
        let expected = [&one, &other].map(|token| (Some(token.clone()), id(0), 1));
        assert_eq!(changes.iter().map(|c| (c.token.clone(), c.key, c.generation)).collect::<Vec<_>>(), expected);
        assert!(store.is_token_revoked("one").await.unwrap() && !store.is_token_revoked("two").await.unwrap());
        let mut all = store.revoked_tokens().await.unwrap();
        all.sort_by(|a, b| a.jti.cmp(&b.jti));
        assert_eq!(all, [one, other.clone()]);
        assert_eq!(store.forget_revoked_tokens(&["one".into(), "unknown".into()]).await.unwrap(), 1);
        assert_eq!(store.forget_revoked_tokens(&[]).await.unwrap(), 0);
        assert_eq!(store.revoked_tokens().await.unwrap(), [other]);
    }

    pub async fn signing_keys_round_trip_and_are_serialized(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let next = signing_key("second", "acme", 100);
        let made = entry(action::SIGNING_KEY_CREATE, "second");
        for wrong in [None, Some("second"), Some("nobody")] {
            assert_eq!(store.insert_signing_key(&next, wrong, &made).await.outcome(), Err(Refused::VersionConflict));
        }
        store.insert_signing_key(&next, Some("kid-acme"), &made).await.outcome().unwrap();
        let third = signing_key("third", "acme", 200);
        let late = store.insert_signing_key(&third, Some("kid-acme"), &made).await.outcome();
        assert_eq!(late, Err(Refused::VersionConflict));
        assert_eq!(store.signing_keys().await.unwrap(), [signing_key("kid-acme", "acme", 0), next.clone()]);
        assert_eq!(audit_actions(store.as_ref()).await, [action::ORGANIZATION_CREATE, action::SIGNING_KEY_CREATE]);
        assert_eq!(store.organization_of_signing_key("second").await.unwrap(), Some(slug("acme")));
        assert_eq!(store.organization_of_signing_key("third").await.unwrap(), None);

        let gone = entry(action::SIGNING_KEY_DELETE, "kid-acme");
        assert_eq!(store.delete_signing_key(&slug("other"), "kid-acme", None, &gone).await.unwrap(), None);
        let seen = store.organization_seq(&slug("acme")).await.unwrap().unwrap();
        let stale = store.delete_signing_key(&slug("acme"), "kid-acme", Some(seen + 1), &gone).await.unwrap();
        assert_eq!(stale, None, "the organization has another last change");
        let seq = store.delete_signing_key(&slug("acme"), "kid-acme", Some(seen), &gone).await.unwrap();
        assert_eq!(seq, store.organization_seq(&slug("acme")).await.unwrap());
        assert_eq!(store.delete_signing_key(&slug("acme"), "kid-acme", None, &gone).await.unwrap(), None);
        assert_eq!(store.signing_keys().await.unwrap(), [next]);
        assert_eq!(store.organization_of_signing_key("kid-acme").await.unwrap(), None);
        let audited = audit_actions(store.as_ref()).await;
        assert_eq!(audited.iter().filter(|name| *name == action::SIGNING_KEY_DELETE).count(), 1);

        // Each algorithm has keys of its own.
        let other = StoredSigningKey { algorithm: "RS256".into(), ..signing_key("other", "acme", 300) };
        let late = store.insert_signing_key(&other, Some("second"), &made).await.outcome();
        assert_eq!(late, Err(Refused::VersionConflict));
        store.insert_signing_key(&other, None, &made).await.outcome().unwrap();
        assert_eq!(store.insert_signing_key(&other, None, &made).await.outcome(), Err(Refused::VersionConflict));
    }

    pub async fn store_has_one_master_key_and_is_resealed(store: Arc<Store>) {
        store.set_master_key("master").await.unwrap();
        assert_eq!(store.master_key().await.unwrap().as_deref(), Some("master"));
        assert!(store.set_master_key("other").await.is_err(), "it has one already");
        create_organization(store.as_ref()).await;
        let sealed = Sealed { master_key: "new".into(), bytes: vec![9; 40] };
        store
            .create_organization(&new_organization("other", 9), &entry(action::ORGANIZATION_CREATE, "other"))
            .await
            .outcome()
            .unwrap();
        let rotated = entry(action::MASTER_KEY_ROTATE, "new");
        store.reseal(&[("kid-acme".into(), sealed.clone())], &[], "new", &rotated).await.unwrap();
        for organization in ["acme", "other"] {
            let last = audit(store.as_ref(), organization).await.pop().unwrap();
            assert_eq!((last.action.as_str(), last.subject.as_str()), (action::MASTER_KEY_ROTATE, "new"));
        }
        assert_eq!(store.master_key().await.unwrap().as_deref(), Some("new"));
        let keys = store.signing_keys().await.unwrap();
        assert_eq!(keys.iter().find(|key| key.kid == "kid-acme").unwrap().sealed, sealed);
    }

    pub async fn lists_are_newest_first_and_paginated(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        // 1 to 4 have the same time: the ID decides, and no page loses or repeats one.
        for n in 1..=9 {
            let created_at = if n <= 4 { NOW } else { NOW.plus_seconds(i64::from(n)) };
            insert(store.as_ref(), &ApiKey { created_at, ..key(n) }).await;
        }
        let everything = store.keys(&all()).await.unwrap();
        assert_eq!(everything.len(), 10);
        assert!(everything.is_sorted_by(|a, b| (a.created_at, a.id) > (b.created_at, b.id)));
        for limit in 1..=10 {
            let mut paged = Vec::new();
            let mut after = None;
            loop {
                let page = store.keys(&KeyFilter { limit, after, ..all() }).await.unwrap();
                assert!(page.len() <= limit as usize);
                let Some(last) = page.last() else { break };
                after = Some(KeyOrder::Created.cursor(last));
                paged.extend(page);
            }
            assert_eq!(paged, everything, "{limit}");
        }
    }

    pub async fn list_is_filtered_by_state_and_owner(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        store
            .create_organization(&new_organization("other", 50), &entry(action::ORGANIZATION_CREATE, "other"))
            .await
            .outcome()
            .unwrap();
        let expired = Some(NOW);
        let revoked = Lifecycle::Revoked { at: NOW, reason: None };
        for key in [
            ApiKey { expires_at: Some(NOW.plus_seconds(1)), ..key(1) },
            ApiKey { expires_at: expired, ..key(2) },
            ApiKey { lifecycle: Lifecycle::Disabled { at: NOW }, ..key(3) },
            ApiKey { lifecycle: Lifecycle::Disabled { at: NOW }, expires_at: expired, ..key(4) },
            ApiKey { lifecycle: revoked.clone(), ..key(5) },
            ApiKey { lifecycle: revoked, expires_at: expired, ..key(6) },
            ApiKey { owner: Some(MemberId("member-acme".into())), ..key(7) },
        ] {
            insert(store.as_ref(), &key).await;
        }
        for (status, expected) in [
            (Status::Active, vec![7, 1, 0]),
            (Status::Expired, vec![4, 2]),
            (Status::Disabled, vec![3]),
            (Status::Revoked, vec![6, 5]),
        ] {
            let filter = KeyFilter { status: Some(status), ..all() };
            let found = store.keys(&filter).await.unwrap();
            assert!(found.iter().all(|key| key.status(NOW) == status), "as the domain has it");
            assert_eq!(ids(store.as_ref(), &filter).await, expected.into_iter().map(id).collect::<Vec<_>>());
        }
        let owned = KeyFilter { owner: Some(MemberId("member-acme".into())), ..all() };
        assert_eq!(ids(store.as_ref(), &owned).await, [id(7)]);
        assert_eq!(ids(store.as_ref(), &KeyFilter { organization: slug("other"), ..all() }).await, [id(50)]);
    }

    pub async fn search_is_literal(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let names = ["100%", "100 percent", "a_b", "aXb", "back\\slash", "Prüfung", "it's \"x\"", "Ünder"];
        for (n, name) in names.iter().enumerate() {
            insert(store.as_ref(), &ApiKey { name: (*name).into(), ..key(n as u8 + 1) }).await;
        }
        for (search, expected) in [
            ("%", vec!["100%"]),
            ("_", vec!["a_b"]),
            ("A_B", vec!["a_b"]),
            ("\\", vec!["back\\slash"]),
            ("PERCENT", vec!["100 percent"]),
            ("rüf", vec!["Prüfung"]),
            ("ünder", vec!["Ünder"]),
            ("'s \"", vec!["it's \"x\""]),
            ("%%", vec![]),
            ("nothing", vec![]),
        ] {
            let found = store.keys(&KeyFilter { search: Some(search.into()), ..all() }).await.unwrap();
            assert_eq!(found.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), expected, "{search}");
        }
    }

    pub async fn usage_counts_add_up(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let subject = key(1);
        insert(store.as_ref(), &subject).await;
        let address: IpAddr = "192.0.2.9".parse().unwrap();
        let usage = |at: i64, address| KeyUsage {
            key: subject.id,
            counts: vec![(1, UsageOutcome::Exchanged, 2), (1, UsageOutcome::DeniedScope, 1)],
            last_used: Some(LastUse { at: Timestamp::from_seconds(at), address }),
            details: Details::default(),
        };
        store.add_usage(&[usage(100, Some(address))]).await.unwrap();
        store.add_usage(&[usage(50, None), usage(60, None)]).await.unwrap();
        let shown = store.key(&subject.id).await.unwrap().unwrap();
        assert_eq!(shown.last_used_at, Some(Timestamp::from_seconds(100)), "an earlier use replaces no later one");
        assert_eq!(shown.last_used_ip.as_deref(), Some("192.0.2.9"));
        assert_eq!(shown.version, subject.version);
    }
}
