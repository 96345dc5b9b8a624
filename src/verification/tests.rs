//! A verifier without a node: its source is a table in memory, as it is for a process without a database.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::*;
use crate::domain::api_key::tests::key;
use crate::domain::api_key::{ApiKey, Rotation};
use crate::domain::apis::{Api, ServedApi};
use crate::domain::choices::{Algorithm, TokenType};
use crate::domain::claims::{Audience, Claims};
use crate::domain::customer::tests::customer;
use crate::domain::customer::{Customer, CustomerId};
use crate::domain::decision::{ClientAddress, SecretMatch};
use crate::domain::key_text::{KeyId, KeyPrefix, KeyText, Secret};
use crate::domain::organization::Organization;
use crate::domain::outcome::Denial;
use crate::domain::profile::SharedAccess;
use crate::domain::scope::{Action, Resource};
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::revocation::{Lease, RevocationList};
use crate::signing::{KeyMaterial, KeyRing, SigningKey};
use crate::store::StoreError;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const ISSUER: &str = "https://keys.example.com";
const AUDIENCE: &str = "https://api.example.com";

/// Records by ID, and the number of times that anything was read.
#[derive(Default)]
struct Table {
    keys: Mutex<HashMap<KeyId, ApiKey>>,
    customer: Mutex<Option<Customer>>,
    tenant: Mutex<Option<Arc<Tenant>>>,
    is_unreachable: AtomicBool,
    reads: AtomicU64,
}

impl Table {
    fn read<T>(&self, value: T) -> Result<T, Unavailable> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.check_reachable().map(|()| value)
    }
}

impl Records for Table {
    fn check_reachable(&self) -> Result<(), Unavailable> {
        if self.is_unreachable.load(Ordering::Relaxed) { Err(StoreError::Silent.into()) } else { Ok(()) }
    }

    async fn key(&self, id: &KeyId) -> Result<Option<ApiKey>, Unavailable> {
        self.read(self.keys.lock().get(id).cloned())
    }

    async fn customer(&self, id: &CustomerId) -> Result<Customer, Unavailable> {
        let found = self.customer.lock().clone().filter(|customer| customer.id == *id);
        self.read(found.expect("a key refers to it"))
    }

    async fn tenant(&self, slug: &Slug) -> Result<Option<Arc<Tenant>>, Unavailable> {
        self.read(self.tenant.lock().clone().filter(|tenant| tenant.organization.slug == *slug))
    }

    async fn organization_of_signing_key(&self, kid: &str) -> Result<Option<Slug>, Unavailable> {
        let tenant = self.tenant.lock().clone().filter(|tenant| tenant.ring.find(kid).is_some());
        self.read(tenant.map(|tenant| tenant.organization.slug.clone()))
    }

    async fn is_token_revoked(&self, _: &str) -> Result<bool, Unavailable> {
        self.read(false)
    }
}

impl Secrets for Table {
    async fn check_secret(
        &self,
        _: &Arc<ApiKey>,
        secret: &Secret,
        _: ClientAddress,
        _: Timestamp,
    ) -> Result<SecretMatch, Unavailable> {
        Ok(if secret.expose() == presented().secret.expose() { SecretMatch::Current } else { SecretMatch::None })
    }

    fn check_unknown(&self, _: &KeyId, _: &Secret) {}

    async fn keep_use(&self, _: &ApiKey, _: ClientAddress, _: Timestamp) {}
}

fn text(random: u8) -> KeyText {
    KeyText::parse(&KeyText::new(KeyPrefix::default(), KeyId::from_random([7; 16]), [random; 32]).reveal()).unwrap()
}

fn presented() -> PresentedKey {
    PresentedKey { id: text(9).id(), secret: text(9).into_secret() }
}

fn signing_key() -> SigningKey {
    let KeyMaterial { kid, algorithm, pkcs8 } = KeyMaterial::generate(Algorithm::Es256).unwrap();
    SigningKey::read(kid, algorithm, &pkcs8, NOW, NOW).unwrap()
}

fn tenant() -> Tenant {
    Tenant {
        organization: Organization::new(Slug::default_organization(), NOW),
        issuer: ISSUER.into(),
        ring: KeyRing::new(vec![signing_key()]).unwrap(),
        ttl_seconds: 600,
        apis: vec![ServedApi {
            api: Api::default_of(Slug::default_organization(), Algorithm::Es256, NOW),
            audience: AUDIENCE.into(),
            aliases: Vec::new(),
            ttl_seconds: 600,
            typ: TokenType::AtJwt,
            claims: Default::default(),
        }],
        shared: SharedAccess::empty(),
    }
}

fn token(tenant: &Tenant, key: &ApiKey) -> Credential {
    let claims = Claims {
        iss: ISSUER.to_owned(),
        sub: key.id.to_string(),
        client_id: key.id.to_string(),
        aud: Audience::One(AUDIENCE.to_owned()),
        iat: NOW.as_seconds(),
        exp: NOW.as_seconds() + 600,
        jti: "token-1".to_owned(),
        scope: key.grants.of_default_api().as_str().to_owned(),
        org: key.organization.to_string(),
        generation: key.generation,
        secret_version: key.secret_version,
        customer: key.customer.map(|id| id.to_string()),
        customer_generation: key.customer.map(|_| customer().generation),
        cidrs: None,
    };
    let (signing_key, header) = tenant.ring.current_with_header(NOW, Algorithm::Es256, TokenType::AtJwt).unwrap();
    Credential::Token(signing_key.sign(header, &claims).unwrap().into())
}

/// A table with a key and its organization, and memory with the organization.
fn setup(lease: Lease) -> (Table, Memory, ApiKey) {
    let (table, key) = (Table::default(), key("read:projects/*", &["192.0.2.0/24"]));
    let list = Arc::new(RevocationList::new(1 << 20));
    let memory = Memory::new(list, Arc::new(lease), 1 << 20);
    *table.tenant.lock() = Some(memory.tenants.insert(tenant(), memory.tenants.begin_reading()));
    table.keys.lock().insert(key.id, key.clone());
    (table, memory, key)
}

fn inside() -> ClientAddress {
    ClientAddress::Known("192.0.2.7".parse().unwrap())
}

fn required(scope: &str) -> Vec<Required> {
    let (action, resource) = scope.split_once(':').unwrap();
    vec![Required::Access(Action::parse(action).unwrap(), Resource::parse(resource).unwrap())]
}

/// Returns the denial of a check, or `None` if it is accepted.
async fn check(
    verifier: Verifier<'_, Table>,
    credential: &Credential,
    address: ClientAddress,
    (audience, scope): (&str, &str),
) -> Option<Denial> {
    let (audiences, scopes) = ([audience.to_owned()], required(scope));
    let wanted = RequiredAccess { organization: None, audiences: &audiences, api: None, scopes: &scopes };
    match verifier.check(credential, address, &wanted, NOW).await {
        Ok(_) => None,
        Err(Refusal::Denied(denial, _)) => Some(denial),
        Err(Refusal::Unavailable(cause)) => panic!("{cause}"),
    }
}

#[tokio::test]
async fn secret_and_token_have_what_is_required() {
    let (table, memory, key) = setup(Lease::unending());
    let verifier = Verifier::new(&memory, &table);
    let held = (AUDIENCE, "read:projects/acme");
    for credential in [Credential::Key(presented()), token(&memory.tenants.all()[0], &key)] {
        assert_eq!(check(verifier, &credential, inside(), held).await, None);
        let outside = ClientAddress::Known("198.51.100.7".parse().unwrap());
        let denial = check(verifier, &credential, outside, held).await;
        assert!(matches!(denial, Some(Denial::NetworkNotAllowed(_))), "{denial:?}");
        let denial = check(verifier, &credential, inside(), ("https://other.example", "read:projects/acme")).await;
        assert_eq!(denial, Some(Denial::OtherAudience));
        let denial = check(verifier, &credential, inside(), (AUDIENCE, "write:projects/acme")).await;
        assert!(matches!(denial, Some(Denial::RequiredScopeNotHeld(_))), "{denial:?}");
    }
    let wrong = PresentedKey { id: presented().id, secret: text(8).into_secret() };
    assert_eq!(check(verifier, &Credential::Key(wrong), inside(), held).await, Some(Denial::WrongSecret));
    let counts = memory.usage.take();
    let accepted: u64 = counts.iter().flat_map(|usage| &usage.counts).map(|(_, _, number)| *number).sum();
    assert_eq!((counts.len(), accepted), (1, 9), "each check is counted at its key");
}

#[tokio::test]
async fn memory_is_used_only_under_a_lease() {
    let (table, memory, _) = setup(Lease::unending());
    let (verifier, credential) = (Verifier::new(&memory, &table), Credential::Key(presented()));
    let held = (AUDIENCE, "read:projects/acme");
    for _ in 0..3 {
        assert_eq!(check(verifier, &credential, inside(), held).await, None);
    }
    assert_eq!(table.reads.load(Ordering::Relaxed), 1, "the record is read once");
    table.is_unreachable.store(true, Ordering::Relaxed);
    assert_eq!(check(verifier, &credential, inside(), held).await, None, "memory is enough");

    let (table, memory, _) = setup(Lease::none());
    let verifier = Verifier::new(&memory, &table);
    assert_eq!(check(verifier, &credential, inside(), held).await, None);
    let once = table.reads.load(Ordering::Relaxed);
    assert_eq!(check(verifier, &credential, inside(), held).await, None);
    assert_eq!(table.reads.load(Ordering::Relaxed), 2 * once, "without a lease everything is read each time");
    table.is_unreachable.store(true, Ordering::Relaxed);
    let checked = verifier.authenticate(&credential, inside(), NOW).await;
    assert!(matches!(checked, Err(Refusal::Unavailable(Unavailable::Store(StoreError::Silent)))), "{checked:?}");
}

#[tokio::test]
async fn verified_token_ends_with_its_reasons() {
    let rotation = |grace_until| Rotation {
        secret: key("read:a", &[]).secret,
        hint: "kt_...wxyz".into(),
        prefix: KeyPrefix::default(),
        name: None,
        expires_at: None,
        grace_until,
    };
    let held = (AUDIENCE, "read:projects/acme");
    let (table, memory, key) = setup(Lease::unending());
    let verifier = Verifier::new(&memory, &table);
    let credential = token(&memory.tenants.all()[0], &key);
    assert_eq!(check(verifier, &credential, inside(), held).await, None);

    // The key is rotated without a grace period, and the record is dropped as a change of another node drops it.
    table.keys.lock().insert(key.id, key.clone().rotate(rotation(None), NOW).unwrap());
    memory.list.apply_key_change(&key.id);
    assert_eq!(check(verifier, &credential, inside(), held).await, Some(Denial::TokenSuperseded));

    // The token itself is revoked.
    let (table, memory, key) = setup(Lease::unending());
    let verifier = Verifier::new(&memory, &table);
    let credential = token(&memory.tenants.all()[0], &key);
    assert_eq!(check(verifier, &credential, inside(), held).await, None);
    memory.list.apply_token_revocation("token-1", NOW.plus_seconds(600));
    assert_eq!(check(verifier, &credential, inside(), held).await, Some(Denial::TokenRevoked));

    // Its signing key leaves the ring.
    let (table, memory, key) = setup(Lease::unending());
    let verifier = Verifier::new(&memory, &table);
    let credential = token(&memory.tenants.all()[0], &key);
    assert_eq!(check(verifier, &credential, inside(), held).await, None);
    *table.tenant.lock() = Some(Arc::new(tenant()));
    memory.tenants.forget(&key.organization);
    assert_eq!(check(verifier, &credential, inside(), held).await, Some(Denial::UnknownSigningKey));

    // The key is deleted.
    let (table, memory, key) = setup(Lease::unending());
    let verifier = Verifier::new(&memory, &table);
    let credential = token(&memory.tenants.all()[0], &key);
    table.keys.lock().clear();
    assert_eq!(check(verifier, &credential, inside(), held).await, Some(Denial::KeyDeleted));
}

#[tokio::test]
async fn suspension_of_the_customer_reaches_cached_keys() {
    let held = (AUDIENCE, "read:projects/acme");
    for lease in [Lease::unending(), Lease::none()] {
        let (table, memory, key) = setup(lease);
        let (verifier, owned) = (Verifier::new(&memory, &table), ApiKey { customer: Some(customer().id), ..key });
        table.keys.lock().insert(owned.id, owned.clone());
        *table.customer.lock() = Some(customer());
        let token = token(&memory.tenants.all()[0], &owned);
        for credential in [&Credential::Key(presented()), &token] {
            assert_eq!(check(verifier, credential, inside(), held).await, None);
        }

        // The customer is suspended and reinstated, and dropped from memory as a change of another node drops it. The record
        // of the key stays in memory.
        let suspended = customer().suspend(NOW).unwrap();
        *table.customer.lock() = Some(suspended.clone());
        memory.list.apply_customer_change(&suspended.id);
        for credential in [&Credential::Key(presented()), &token] {
            assert_eq!(check(verifier, credential, inside(), held).await, Some(Denial::CustomerSuspended));
        }
        *table.customer.lock() = Some(suspended.clone().reinstate().unwrap());
        memory.list.apply_customer_change(&suspended.id);
        assert_eq!(check(verifier, &Credential::Key(presented()), inside(), held).await, None);
        assert_eq!(check(verifier, &token, inside(), held).await, Some(Denial::TokenSuperseded));
    }
}
