//! Customers: the users or tenants of an operator, whom keys are given to.

use std::fmt;

use crate::domain::key_text::KeyId;
use crate::domain::metadata::Metadata;
use crate::domain::slug::Slug;
use crate::domain::text::is_unseen;
use crate::domain::timestamp::Timestamp;

/// The ID of a customer: 16 base62 digits. Never used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CustomerId(KeyId);

impl CustomerId {
    /// Parses exactly 16 base62 digits.
    pub fn parse(text: &str) -> Option<Self> {
        KeyId::parse(text).map(Self)
    }

    /// Creates an ID from 128 random bits.
    pub fn from_random(random: [u8; 16]) -> Self {
        Self(KeyId::from_random(random))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The digits, in the type of other IDs.
    pub const fn digits(self) -> KeyId {
        self.0
    }
}

impl fmt::Display for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustomerId({self})")
    }
}

/// The operator's ID of a customer: 1 to 255 visible characters. Compared exactly.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ExternalId(Box<str>);

impl ExternalId {
    /// Maximum length in characters.
    pub const MAX: usize = 255;

    /// Parses an external ID.
    ///
    /// ```
    /// use keyturn::domain::customer::ExternalId;
    /// for valid in ["user_1", "acme/eu:42", "kunde-\u{e4}", &"x".repeat(255)] {
    ///     assert!(ExternalId::parse(valid).is_some());
    /// }
    /// for invalid in ["", "two words", "tab\t", "a\u{200b}b", &"x".repeat(256)] {
    ///     assert!(ExternalId::parse(invalid).is_none());
    /// }
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let is_visible = |c: char| !c.is_control() && !c.is_whitespace() && !is_unseen(c);
        ((1..=Self::MAX).contains(&text.chars().count()) && text.chars().all(is_visible)).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A customer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Customer {
    pub id: CustomerId,
    pub organization: Slug,
    /// Unique among the customers of the organization that are not removed.
    pub external_id: ExternalId,
    /// Can be empty.
    pub name: String,
    pub metadata: Metadata,
    /// Maximum number of keys that are neither revoked nor expired; the policy's `max_keys_per_user` if absent.
    pub max_keys: Option<u32>,
    /// If set, every key and token of the customer is denied.
    pub suspended_at: Option<Timestamp>,
    /// If set, the customer has no keys that work, and never gets another one.
    pub removed_at: Option<Timestamp>,
    /// Increases if tokens that were issued for the customer's keys must become invalid.
    pub generation: u64,
    /// Increases with every change; the `ETag`.
    pub version: u64,
    pub created_at: Timestamp,
    /// An actor as in the audit log: `key:{id}`, `member:{id}` or `keyturn`.
    pub created_by: String,
}

/// Fields that an edit sets; `None` keeps a field.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CustomerEdit {
    pub external_id: Option<ExternalId>,
    pub name: Option<String>,
    pub metadata: Option<Metadata>,
    /// `Some(None)` is the policy's limit.
    pub max_keys: Option<Option<u32>>,
}

/// The customer already has the requested state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unchanged;

/// Highest limit of keys.
pub const MAX_KEYS: u32 = 1_000_000;

impl Customer {
    /// Whether all keys and tokens of the customer are denied.
    pub const fn is_denied(&self) -> bool {
        self.suspended_at.is_some() || self.removed_at.is_some()
    }

    /// Denies all keys and tokens of the customer.
    pub fn suspend(mut self, at: Timestamp) -> Result<Self, Unchanged> {
        if self.suspended_at.is_some() {
            return Err(Unchanged);
        }
        self.suspended_at = Some(at);
        Ok(self.next(true))
    }

    /// Ends the suspension. Tokens issued before stay invalid.
    pub fn reinstate(mut self) -> Result<Self, Unchanged> {
        self.suspended_at.take().ok_or(Unchanged)?;
        Ok(self.next(false))
    }

    /// Removes the customer for good. Its metadata is deleted.
    pub fn remove(mut self, at: Timestamp) -> Self {
        self.removed_at = Some(at);
        self.metadata = Metadata::default();
        self.next(true)
    }

    /// Changes external ID, name, metadata and limit.
    pub fn edit(self, edit: CustomerEdit) -> Result<Self, Unchanged> {
        let mut next = self.clone();
        next.external_id = edit.external_id.unwrap_or(next.external_id);
        next.name = edit.name.unwrap_or(next.name);
        next.metadata = edit.metadata.unwrap_or(next.metadata);
        next.max_keys = edit.max_keys.unwrap_or(next.max_keys);
        if next == self { Err(Unchanged) } else { Ok(next.next(false)) }
    }

    fn next(mut self, invalidates_tokens: bool) -> Self {
        self.version += 1;
        self.generation += u64::from(invalidates_tokens);
        self
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn customer() -> Customer {
        Customer {
            id: CustomerId::from_random([5; 16]),
            organization: Slug::default_organization(),
            external_id: ExternalId::parse("user_1").unwrap(),
            name: "Acme".into(),
            metadata: Metadata::default(),
            max_keys: None,
            suspended_at: None,
            removed_at: None,
            generation: 1,
            version: 1,
            created_at: Timestamp::from_seconds(0),
            created_by: "keyturn".into(),
        }
    }

    #[test]
    fn suspension_invalidates_tokens_and_reinstatement_does_not_revive_them() {
        let at = Timestamp::from_seconds(9);
        let suspended = customer().suspend(at).unwrap();
        assert_eq!((suspended.is_denied(), suspended.generation, suspended.version), (true, 2, 2));
        assert_eq!(suspended.clone().suspend(at), Err(Unchanged));
        let reinstated = suspended.reinstate().unwrap();
        assert_eq!((reinstated.is_denied(), reinstated.generation, reinstated.version), (false, 2, 3));
        assert_eq!(reinstated.reinstate(), Err(Unchanged));
    }

    #[test]
    fn edit_keeps_tokens_valid() {
        let edit = CustomerEdit { max_keys: Some(Some(3)), ..CustomerEdit::default() };
        let edited = customer().edit(edit.clone()).unwrap();
        assert_eq!((edited.max_keys, edited.generation, edited.version), (Some(3), 1, 2));
        assert_eq!(edited.edit(edit), Err(Unchanged));
    }

    #[test]
    fn removed_customer_is_denied_without_metadata() {
        let metadata = Metadata::new([("plan".into(), "pro".into())]).unwrap();
        let removed = Customer { metadata, ..customer() }.remove(Timestamp::from_seconds(9));
        assert_eq!((removed.is_denied(), removed.metadata), (true, Metadata::default()));
    }
}
