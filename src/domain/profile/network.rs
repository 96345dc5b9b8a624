//! Named networks.

use ipnet::IpNet;

use crate::domain::networks::{MAX_NETWORKS, Networks};
use crate::domain::profile::validate_description;
use crate::domain::slug::Slug;
use crate::domain::timestamp::Timestamp;
use crate::domain::violation::{Violation, ViolationKind};

/// Maximum number of named networks of an organization.
pub const MAX_NAMED_NETWORKS: usize = 200;
/// Maximum number of networks that are left once the excluded ones are taken out. Tokens carry them, and have a maximum size.
const MAX_PARTS: usize = MAX_NETWORKS;

/// A set of addresses with a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamedNetwork {
    pub organization: Slug,
    /// Unique in the organization. Cannot change, because keys and profiles refer to it.
    pub name: Slug,
    pub description: String,
    /// At least one entry.
    pub cidrs: Networks,
    /// Not part of the network, even if `cidrs` contains them. Empty for none.
    pub excluded: Vec<IpNet>,
    /// Increases with every change; the `ETag`.
    pub version: u64,
    pub created_at: Timestamp,
}

impl NamedNetwork {
    /// Returns the addresses of the network.
    pub fn addresses(&self) -> Networks {
        self.cidrs.without(&self.excluded)
    }

    /// Returns every invalid setting.
    pub fn validate(&self) -> Vec<Violation> {
        let mut violations = validate_description(&self.description);
        if self.cidrs.iter().len() == 0 {
            violations.push(Violation::new("cidrs", "at least one network is required; * is every address"));
            return violations;
        }
        let addresses = self.addresses();
        if addresses.is_none() {
            violations.push(Violation::new("excluded_cidrs", "no address would be left in the network"));
        } else if addresses.iter().len() > MAX_PARTS {
            let text = format!(
                "without these, the network has {} parts; at most {MAX_PARTS} are allowed. Exclude fewer or larger networks",
                addresses.iter().len()
            );
            violations.push(Violation::new("excluded_cidrs", ViolationKind::Other(text)));
        }
        violations
    }
}
