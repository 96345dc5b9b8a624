//! What every store promises, run over every backend there is: [`backends`] is the only place that knows them.

mod auditing;
mod crowds;
mod following;
mod lost_commits;
mod people;
mod schema;
mod tenants;
mod usage;
mod webhooks;

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use keyturn::domain::api_key::{ApiKey, FastVerifier, Lifecycle, PreviousSecret, SecretVerifier, Status};
use keyturn::domain::audit_chain::AuditRow;
use keyturn::domain::key_text::{KeyId, KeyPrefix};
use keyturn::domain::member::{Member, MemberId, Role};
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

/// A store to hold to its promises, and what must live as long.
struct Backend {
    name: &'static str,
    store: Arc<Store>,
    _place: (Option<TempDir>, Option<Database>),
}

/// An empty store of every kind.
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
    an_empty_store_holds_nothing
    an_organization_is_founded_whole
    creating_an_organization_twice_is_refused_and_changes_nothing
    every_field_of_a_key_comes_back
    every_state_of_a_key_comes_back
    an_unknown_key_is_none
    a_limit_holds_under_concurrent_inserts
    an_owners_limit_counts_that_owners_keys
    a_key_that_begins_to_count_again_is_held_to_the_limit
    a_change_of_a_version_that_is_not_the_stored_one_is_refused
    of_changes_of_one_version_at_once_one_is_made
    change_numbers_rise_strictly_and_become_visible_in_order
    the_audit_row_comes_with_the_change_and_never_without
    a_fast_verifier_is_written_anew_for_the_hash_it_belongs_to
    a_pending_verifier_is_replaced_where_it_stands
    a_revoked_token_is_kept_until_it_is_dead_anyway
    signing_keys_come_back_and_are_made_one_after_the_other
    a_store_belongs_to_one_master_key_and_is_resealed_at_once
    lists_are_newest_first_and_go_on_where_they_stopped
    a_list_is_filtered_by_state_owner_and_organization
    a_search_is_for_the_text_itself
    counts_of_use_add_up
}

on_every_backend! { in following:
    a_new_key_is_followed_as_well
    a_follower_is_told_all_that_it_missed_and_no_more
    a_shortened_log_says_so
    organizations_and_signing_keys_are_followed
    a_member_is_entered_heard_of_struck_and_removed
    a_deployment_keeps_its_first_name
    keys_that_were_changed_lately_are_found
}

on_every_backend! { in tenants:
    an_organization_counts_the_changes_of_its_policy_state_and_signing_keys
    a_new_epoch_is_above_every_number_and_ends_tokens_and_sessions
}

on_every_backend! { in people:
    a_member_is_added_changed_and_removed
    repeated_events_are_two_entries_per_hour
    an_organization_keeps_an_owner
    a_removed_member_takes_their_keys_along
    a_key_is_owned_by_a_member_or_nobody
    a_session_is_found_by_what_the_browser_holds_until_it_ends
    a_session_is_begun_by_whom_the_password_was_checked_for
    a_new_password_ends_the_other_sessions
    a_policy_is_replaced_once_for_each_version
    an_answer_is_remembered_with_its_change_and_only_once
    lists_come_in_every_order_whole
    nothing_is_done_for_who_is_not_what_they_were
}

on_every_backend! { in auditing:
    each_log_is_a_chain_of_its_own_and_says_where_it_ends
    changes_at_once_leave_a_good_chain
    a_refused_change_leaves_no_row_and_the_chain_as_it_was
    rows_are_listed_newest_first_and_go_on_where_they_stopped
    rows_are_filtered_by_what_who_which_and_when
    rows_come_back_exactly_as_they_were_written
}

on_every_backend! { in webhooks:
    every_field_of_a_webhook_comes_back
    a_limit_of_webhooks_holds_under_inserts_at_once
    a_removed_webhook_takes_its_deliveries_along
    what_a_change_tells_is_queued_with_it_and_never_without
    deliveries_are_listed_newest_first_and_by_state
    a_delivery_is_claimed_by_one_of_many
    a_claim_runs_out_and_counts_for_nothing_then
    what_waits_longest_comes_first_and_what_is_disabled_waits
    a_dead_letter_is_taken_up_again_and_nothing_else_is
    what_was_not_taken_is_counted_by_webhook
    what_has_ended_is_forgotten_in_its_time
    webhooks_are_resealed_with_the_signing_keys
    due_deliveries_are_counted_up_to_a_limit
    deliveries_scheduled_by_a_clock_ahead_are_moved_back
}

on_every_backend! { in usage:
    uses_are_told_by_hour_and_day_in_whatever_order_they_were_counted
    batches_that_are_written_at_once_are_all_counted
    the_busiest_keys_come_first_in_any_range_and_no_page_loses_one
    a_ranking_is_right_after_whatever_was_counted_made_or_forgotten_since_the_last
    many_keys_of_which_few_are_used_on_a_day_are_ranked_right
    the_days_of_several_keys_are_told_at_once_and_of_no_other_organization
    each_outcome_is_told_apart_wherever_it_is_read
    what_is_old_is_forgotten_and_the_rest_stays_right
    details_add_up_and_what_is_too_various_is_other
    a_use_of_the_secret_before_is_kept_until_the_next_rotation
    a_notice_is_told_once_with_its_audit_row_however_many_tell_it
    a_stale_key_is_disabled_once_with_its_notice_unless_it_was_used
    notices_are_forgotten_but_for_the_last_of_an_idle_period
    a_chore_is_begun_by_one_and_again_when_it_is_due
    stale_keys_are_the_active_ones_that_were_idle_since_before
    keys_that_end_soon_come_soonest_first
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
        owner: None,
        scopes: ScopeSet::parse("read:a").unwrap(),
        networks: Networks::all(),
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
        scopes: ScopeSet::parse("read:projects/#/builds *:keyturn/* write:a/*").unwrap(),
        networks: Networks::parse(&["10.0.0.0/8", "2001:db8::/32", "192.0.2.1"]).unwrap(),
        expires_at: Some(NOW.plus_seconds(1000)),
        generation: 7,
        secret_version: 3,
        version: 1,
        previous: Some(PreviousSecret::new(verifier(200), NOW.plus_seconds(60))),
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
        standing: None,
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

/// Outcome of a write by a store that works.
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

/// Concurrent callers of a store. More than there are connections would only wait for one, and for two seconds at most.
const CALLERS: usize = 8;

/// Runs the calls, [`CALLERS`] of them at a time, and returns what they return.
async fn concurrently<T: Send + 'static>(
    calls: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let running = stream::iter(calls).map(tokio::spawn).buffer_unordered(CALLERS);
    running.map(Result::unwrap).collect().await
}

async fn insert(store: &Store, key: &ApiKey) {
    store.insert_key(key, Limits::default(), &entry(action::KEY_CREATE, key.id), None).await.outcome().unwrap();
}

/// The log of an organization, as it was written.
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

/// Every organization, without the number of its last change.
async fn stored_organizations(store: &Store) -> Vec<Organization> {
    let organizations = store.organizations(None).await.unwrap();
    organizations.into_iter().map(|organization| Organization { changed_seq: 0, ..organization }).collect()
}

/// What a change makes of a key: the next version under another name.
fn next(key: &ApiKey) -> ApiKey {
    ApiKey { version: key.version + 1, name: format!("{}'", key.name), ..key.clone() }
}

mod checks {
    use super::following::changes_after;
    use super::*;

    pub async fn an_empty_store_holds_nothing(store: Arc<Store>) {
        store.ping().await.unwrap();
        assert_eq!(store.organizations(None).await.unwrap(), []);
        assert_eq!(store.signing_keys(None).await.unwrap(), []);
        assert_eq!(store.keys(&all()).await.unwrap(), []);
        assert_eq!(store.members(&slug("acme")).await.unwrap(), []);
        assert_eq!(store.revoked_tokens().await.unwrap(), []);
        assert_eq!(changes_after(store.as_ref(), 0, 10).await, []);
        assert_eq!(audit(store.as_ref(), "acme").await, []);
        assert_eq!(store.audit_head("acme").await.unwrap(), None);
        assert_eq!(store.audited_organizations().await.unwrap(), [""; 0]);
        assert_eq!((store.last_seq().await.unwrap(), store.master_key().await.unwrap()), (0, None));
    }

    pub async fn an_organization_is_founded_whole(store: Arc<Store>) {
        let founding = create_organization(store.as_ref()).await;
        assert_eq!(stored_organizations(store.as_ref()).await, [founding.organization]);
        assert_eq!(store.signing_keys(None).await.unwrap(), [founding.signing_key.unwrap()]);
        assert_eq!(store.key(&founding.key.as_ref().unwrap().id).await.unwrap(), founding.key);
        let member = founding.owner.0;
        assert_eq!(store.members(&slug("acme")).await.unwrap(), std::slice::from_ref(&member));
        let login = store.login(&slug("acme"), &member.email).await.unwrap();
        assert_eq!(login, Some((member.clone(), "$argon2id$password".into())));
        assert_eq!(store.login(&slug("acme"), "other@acme.example").await.unwrap(), None);
        assert_eq!(store.login(&slug("other"), &member.email).await.unwrap(), None);
        assert_eq!(audit_actions(store.as_ref()).await, [action::ORGANIZATION_CREATE]);
    }

    pub async fn creating_an_organization_twice_is_refused_and_changes_nothing(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let (seq, organizations) = (store.last_seq().await.unwrap(), store.organizations(None).await.unwrap());
        let mut again = new_organization("acme", 9);
        again.signing_key.as_mut().unwrap().kid = "other".into();
        again.owner.0.id = MemberId("other".into());
        again.owner.0.email = "other@acme.example".into();
        let refused = store.create_organization(&again, &entry(action::ORGANIZATION_CREATE, "acme")).await.outcome();
        assert_eq!(refused, Err(Refused::AlreadyExists));
        assert_eq!(store.organizations(None).await.unwrap(), organizations);
        assert_eq!(store.signing_keys(None).await.unwrap().len(), 1);
        assert_eq!(store.members(&slug("acme")).await.unwrap().len(), 1);
        assert_eq!(store.key(&id(9)).await.unwrap(), None);
        assert_eq!(store.last_seq().await.unwrap(), seq);
        assert_eq!(audit_actions(store.as_ref()).await.len(), 1);
        store
            .create_organization(&new_organization("other", 9), &entry(action::ORGANIZATION_CREATE, "other"))
            .await
            .outcome()
            .unwrap();
        assert_eq!(store.organizations(None).await.unwrap().len(), 2);
    }

    pub async fn every_field_of_a_key_comes_back(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        for full in [full_key(1), ApiKey { version: 41, ..full_key(2) }] {
            insert(store.as_ref(), &full).await;
            assert_eq!(store.key(&full.id).await.unwrap(), Some(full));
        }
        let imported = ApiKey { secret: SecretVerifier { phc: "$argon2id$x".into(), fast: None }, ..key(3) };
        insert(store.as_ref(), &imported).await;
        assert_eq!(store.key(&imported.id).await.unwrap(), Some(imported.clone()));
        // And all that can change, changed back and forth.
        let changed =
            ApiKey { id: imported.id, version: 2, owner: None, created_at: imported.created_at, ..full_key(3) };
        let change = entry(action::KEY_EDIT, imported.id);
        store.update_key(&changed, None, &change, None).await.outcome().unwrap();
        assert_eq!(store.key(&imported.id).await.unwrap(), Some(changed));
        let back = ApiKey { version: 3, ..imported };
        store.update_key(&back, None, &change, None).await.outcome().unwrap();
        assert_eq!(store.key(&back.id).await.unwrap(), Some(back));
    }

    pub async fn every_state_of_a_key_comes_back(store: Arc<Store>) {
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

    pub async fn an_unknown_key_is_none(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        assert_eq!(store.key(&id(77)).await.unwrap(), None);
        let change = store.update_key(&next(&key(77)), None, &entry(action::KEY_EDIT, id(77)), None).await.outcome();
        assert_eq!(change, Err(Refused::VersionConflict));
        let twice =
            store.insert_key(&key(0), Limits::default(), &entry(action::KEY_CREATE, id(0)), None).await.outcome();
        assert_eq!(twice, Err(Refused::AlreadyExists));
    }

    pub async fn a_limit_holds_under_concurrent_inserts(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        // The organization's first key counts; revoked and expired ones do not.
        insert(store.as_ref(), &ApiKey { lifecycle: Lifecycle::Revoked { at: NOW, reason: None }, ..key(201) }).await;
        insert(store.as_ref(), &ApiKey { expires_at: Some(NOW), ..key(202) }).await;
        let limits = Limits { organization: Some(3), owner: None, policy_version: None };
        let inserts = (1..=100).map(|n| {
            let store = store.clone();
            async move { store.insert_key(&key(n), limits, &entry(action::KEY_CREATE, id(n)), None).await.outcome() }
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

    pub async fn an_owners_limit_counts_that_owners_keys(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let owner = Some(MemberId("member-acme".into()));
        let limits = Limits { organization: None, owner: Some(1), policy_version: None };
        let make = async |n: u8, owner: Option<MemberId>| {
            let key = ApiKey { owner, ..key(n) };
            store.insert_key(&key, limits, &entry(action::KEY_CREATE, key.id), None).await.outcome().map(|_| ())
        };
        assert_eq!(make(1, owner.clone()).await, Ok(()));
        assert_eq!(make(2, owner.clone()).await, Err(Refused::LimitReached));
        assert_eq!((make(3, None).await, make(4, None).await), (Ok(()), Ok(())), "the organization's own");
    }

    pub async fn a_key_that_begins_to_count_again_is_held_to_the_limit(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let expired = ApiKey { expires_at: Some(NOW), ..key(1) };
        insert(store.as_ref(), &expired).await;
        let revived = ApiKey { expires_at: None, ..next(&expired) };
        let change = entry(action::KEY_EDIT, expired.id);
        let limits = |most| Some(Limits { organization: Some(most), owner: None, policy_version: None });
        assert_eq!(store.update_key(&revived, limits(1), &change, None).await.outcome(), Err(Refused::LimitReached));
        assert_eq!(store.key(&expired.id).await.unwrap(), Some(expired));
        assert!(store.update_key(&revived, limits(2), &change, None).await.outcome().is_ok());
        let disabled = ApiKey { lifecycle: Lifecycle::Disabled { at: NOW }, ..key(2) };
        insert(store.as_ref(), &disabled).await;
        let renamed = store.update_key(&next(&disabled), limits(3), &entry(action::KEY_EDIT, disabled.id), None).await;
        assert!(renamed.is_ok(), "it counts already, and is not counted against itself");
    }

    pub async fn a_change_of_a_version_that_is_not_the_stored_one_is_refused(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let first = key(1);
        insert(store.as_ref(), &first).await;
        let second = next(&first);
        let change = entry(action::KEY_EDIT, first.id);
        store.update_key(&second, None, &change, None).await.outcome().unwrap();
        let seq = store.last_seq().await.unwrap();
        for wrong in [second.clone(), ApiKey { version: 9, ..second.clone() }] {
            assert_eq!(store.update_key(&wrong, None, &change, None).await.outcome(), Err(Refused::VersionConflict));
        }
        assert_eq!(store.key(&first.id).await.unwrap(), Some(second));
        assert_eq!(store.last_seq().await.unwrap(), seq, "a refused change takes no number");
    }

    pub async fn of_changes_of_one_version_at_once_one_is_made(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let first = key(1);
        insert(store.as_ref(), &first).await;
        let updates = (0..20).map(|n| {
            let (store, changed) = (store.clone(), ApiKey { name: format!("by {n}"), ..next(&first) });
            async move { store.update_key(&changed, None, &entry(action::KEY_EDIT, changed.id), None).await.outcome() }
        });
        assert_eq!(concurrently(updates.collect::<Vec<_>>()).await.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(audit_actions(store.as_ref()).await.iter().filter(|name| *name == action::KEY_EDIT).count(), 1);
    }

    pub async fn change_numbers_rise_strictly_and_become_visible_in_order(store: Arc<Store>) {
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
                                .update_key(&state, None, &entry(action::KEY_EDIT, state.id), None)
                                .await
                                .outcome()
                                .unwrap(),
                        );
                    }
                    seqs
                })
            })
            .collect();
        // A follower that reads meanwhile must never see a number after one that it has not seen.
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

    pub async fn the_audit_row_comes_with_the_change_and_never_without(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let row = AuditEntry {
            at: NOW.plus_seconds(3),
            actor: "key:0123456789abcdef".into(),
            address: Some("2001:db8::1".into()),
            action: action::KEY_CREATE,
            subject: "subject".into(),
            old: Some(json!({ "a": [1, null, "ü"] })),
            new: None,
            standing: None,
        };
        store.insert_key(&key(1), Limits::default(), &row, None).await.outcome().unwrap();
        store.insert_key(&key(1), Limits::default(), &row, None).await.outcome().unwrap_err();
        let none = Limits { organization: Some(0), owner: None, policy_version: None };
        store.insert_key(&key(2), none, &row, None).await.outcome().unwrap_err();
        store.update_key(&key(1), None, &row, None).await.outcome().unwrap_err();
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

    pub async fn a_fast_verifier_is_written_anew_for_the_hash_it_belongs_to(store: Arc<Store>) {
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

    pub async fn a_pending_verifier_is_replaced_where_it_stands(store: Arc<Store>) {
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

    pub async fn a_revoked_token_is_kept_until_it_is_dead_anyway(store: Arc<Store>) {
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

    pub async fn signing_keys_come_back_and_are_made_one_after_the_other(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        let next = StoredSigningKey { algorithm: "RS256".into(), ..signing_key("second", "acme", 100) };
        let made = entry(action::SIGNING_KEY_CREATE, "second");
        for wrong in [None, Some("second"), Some("nobody")] {
            assert_eq!(store.insert_signing_key(&next, wrong, &made).await.outcome(), Err(Refused::VersionConflict));
        }
        store.insert_signing_key(&next, Some("kid-acme"), &made).await.outcome().unwrap();
        let third = signing_key("third", "acme", 200);
        let late = store.insert_signing_key(&third, Some("kid-acme"), &made).await.outcome();
        assert_eq!(late, Err(Refused::VersionConflict));
        assert_eq!(store.signing_keys(None).await.unwrap(), [signing_key("kid-acme", "acme", 0), next.clone()]);
        assert_eq!(audit_actions(store.as_ref()).await, [action::ORGANIZATION_CREATE, action::SIGNING_KEY_CREATE]);
        assert_eq!(store.organization_of_signing_key("second").await.unwrap(), Some(slug("acme")));
        assert_eq!(store.organization_of_signing_key("third").await.unwrap(), None);

        let gone = entry(action::SIGNING_KEY_DELETE, "kid-acme");
        assert_eq!(store.delete_signing_key(&slug("other"), "kid-acme", &gone).await.unwrap(), None);
        let seq = store.delete_signing_key(&slug("acme"), "kid-acme", &gone).await.unwrap();
        assert_eq!(seq, store.organization_seq(&slug("acme")).await.unwrap());
        assert_eq!(store.delete_signing_key(&slug("acme"), "kid-acme", &gone).await.unwrap(), None);
        assert_eq!(store.signing_keys(None).await.unwrap(), [next]);
        assert_eq!(store.organization_of_signing_key("kid-acme").await.unwrap(), None);
        let audited = audit_actions(store.as_ref()).await;
        assert_eq!(audited.iter().filter(|name| *name == action::SIGNING_KEY_DELETE).count(), 1);
    }

    pub async fn a_store_belongs_to_one_master_key_and_is_resealed_at_once(store: Arc<Store>) {
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
        let keys = store.signing_keys(None).await.unwrap();
        assert_eq!(keys.iter().find(|key| key.kid == "kid-acme").unwrap().sealed, sealed);
    }

    pub async fn lists_are_newest_first_and_go_on_where_they_stopped(store: Arc<Store>) {
        create_organization(store.as_ref()).await;
        // Of one moment are 1 to 4: the id decides, and no page loses or repeats one.
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
                after = Some(KeyOrder::Created.place(last));
                paged.extend(page);
            }
            assert_eq!(paged, everything, "{limit}");
        }
    }

    pub async fn a_list_is_filtered_by_state_owner_and_organization(store: Arc<Store>) {
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

    pub async fn a_search_is_for_the_text_itself(store: Arc<Store>) {
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

    pub async fn counts_of_use_add_up(store: Arc<Store>) {
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
