//! Filters, orders and cursors of lists of API keys.

use ipnet::IpNet;

use crate::domain::api_key::{ApiKey, Status};
use crate::domain::apis::ApiId;
use crate::domain::customer::CustomerId;
use crate::domain::key_text::KeyId;
use crate::domain::key_view::{BrokenRules, KeyView};
use crate::domain::member::MemberId;
use crate::domain::scope::Scope;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;

/// Sort order of a list of keys. Equal values are sorted by key ID.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyOrder {
    Created,
    /// Ignores case.
    Name,
    /// By expiry; keys without one are last.
    Expiry,
    /// By last use; keys that were never used are first.
    LastUse,
}

impl KeyOrder {
    /// Returns a key's position in this order.
    pub fn cursor(self, key: &ApiKey) -> KeyCursor {
        match self {
            Self::Created => KeyCursor::At(key.created_at.as_millis(), key.id),
            Self::Name => KeyCursor::Named(key.name.to_lowercase(), key.id),
            Self::Expiry => KeyCursor::At(key.expires_at.map_or(i64::MAX, Timestamp::as_millis), key.id),
            Self::LastUse => KeyCursor::At(key.last_used_at.map_or(0, Timestamp::as_millis), key.id),
        }
    }
}

/// A position in a list: the value that it is sorted by, and the key ID.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyCursor {
    /// Milliseconds.
    At(i64, KeyId),
    /// A name in lower case.
    Named(String, KeyId),
}

/// Filter, order and position of a list of keys.
#[derive(Clone, Debug)]
pub struct KeyFilter {
    pub organization: Slug,
    /// State at `now`.
    pub status: Option<Status>,
    pub now: Timestamp,
    /// Part of the name or the description, ignoring case; or a key ID; or the last four characters of a secret.
    pub search: Option<String>,
    pub owner: Option<MemberId>,
    /// Only keys of this customer.
    pub customer: Option<CustomerId>,
    /// Only keys with this profile.
    pub profile: Option<Slug>,
    /// Only keys that refer to this network.
    pub named_network: Option<Slug>,
    /// Only keys that are granted this API, with their profile.
    pub api: Option<ApiId>,
    /// Only keys with a scope in effect of the same style that contains this one, for any API.
    pub scope: Option<Scope>,
    /// Only keys with an allowed network in effect that contains this one. Keys without a restriction do not match.
    pub network: Option<IpNet>,
    /// Only keys with all of these pairs of a name and a value in their metadata.
    pub metadata: Vec<(String, String)>,
    /// Only keys that expire before this time.
    pub expires_before: Option<Timestamp>,
    /// Only keys without a use, rotation or creation at or after this time.
    pub unused_since: Option<Timestamp>,
    pub view: Option<KeyView>,
    /// Only keys that break one of these rules.
    pub broken: Option<BrokenRules>,
    pub order: KeyOrder,
    /// Whether the order is reversed.
    pub is_descending: bool,
    /// Only keys after this position.
    pub after: Option<KeyCursor>,
    /// Number of keys to skip.
    pub offset: u64,
    /// Maximum number of keys.
    pub limit: u32,
}

impl KeyFilter {
    /// Returns a filter for all keys of an organization, newest first, at most 50.
    pub const fn new(organization: Slug, now: Timestamp) -> Self {
        Self {
            organization,
            status: None,
            now,
            search: None,
            owner: None,
            customer: None,
            profile: None,
            named_network: None,
            api: None,
            scope: None,
            network: None,
            metadata: Vec::new(),
            expires_before: None,
            unused_since: None,
            view: None,
            broken: None,
            order: KeyOrder::Created,
            is_descending: true,
            after: None,
            offset: 0,
            limit: 50,
        }
    }
}
