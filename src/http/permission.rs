//! The permissions of the management API and the console.

use crate::domain::member::Role;
use crate::domain::scope::{Action, Resource, ScopeSet};

/// An action and a resource of the management API.
pub type RequiredPermission = (&'static str, &'static str);

/// The permission that a route requires.
pub trait Permission: 'static {
    /// Action and resource. `None` accepts any valid credential.
    const NEEDS: Option<RequiredPermission>;
    /// The permission with which callers of organization `default` can use the route in other organizations.
    const ABROAD: Option<RequiredPermission> = None;
    /// Whether the route does not exist for API keys.
    const IS_FOR_MEMBERS: bool = false;
}

macro_rules! permissions {
    ($($name:ident: $action:literal $resource:literal)*) => {$(
        #[doc = concat!("`", $action, ":", $resource, "`.")]
        pub struct $name;

        impl Permission for $name {
            const NEEDS: Option<RequiredPermission> = Some(($action, $resource));
        }
    )*};
}

permissions! {
    ReadKeys: "read" "keyturn/keys"
    WriteKeys: "write" "keyturn/keys"
    ReadSigningKeys: "read" "keyturn/signing-keys"
    AdminSigningKeys: "admin" "keyturn/signing-keys"
    ReadAudit: "read" "keyturn/audit"
    ReadWebhooks: "read" "keyturn/webhooks"
    AdminWebhooks: "admin" "keyturn/webhooks"
    ReadUsage: "read" "keyturn/usage"
    ReadMembers: "read" "keyturn/members"
    AdminMembers: "admin" "keyturn/members"
    ReadPolicy: "read" "keyturn/policy"
    AdminPolicy: "admin" "keyturn/policy"
    ReadApis: "read" "keyturn/apis"
    AdminApis: "admin" "keyturn/apis"
    ReadCustomers: "read" "keyturn/customers"
    WriteCustomers: "write" "keyturn/customers"
    ReadProfiles: "read" "keyturn/profiles"
    AdminProfiles: "admin" "keyturn/profiles"
    AdminOrganizations: "admin" "keyturn/organizations"
}

/// Any valid credential.
pub struct AnyCredential;

impl Permission for AnyCredential {
    const NEEDS: Option<RequiredPermission> = None;
}

/// A session of a member.
pub struct MemberSession;

impl Permission for MemberSession {
    const NEEDS: Option<RequiredPermission> = None;
    const IS_FOR_MEMBERS: bool = true;
}

/// Any valid credential of the organization, or `admin:keyturn/organizations` in organization `default`.
pub struct ReadOrganization;

impl Permission for ReadOrganization {
    const NEEDS: Option<RequiredPermission> = None;
    const ABROAD: Option<RequiredPermission> = AdminOrganizations::NEEDS;
}

/// `admin:keyturn/organizations`: in organization `default` for any organization, in others for their own.
pub struct ManageOrganization;

impl Permission for ManageOrganization {
    const NEEDS: Option<RequiredPermission> = AdminOrganizations::NEEDS;
    const ABROAD: Option<RequiredPermission> = AdminOrganizations::NEEDS;
}

/// `admin:keyturn/signing-keys`, or `admin:keyturn/organizations` in organization `default`.
pub struct Bootstrap;

impl Permission for Bootstrap {
    const NEEDS: Option<RequiredPermission> = AdminSigningKeys::NEEDS;
    const ABROAD: Option<RequiredPermission> = AdminOrganizations::NEEDS;
}

/// Whether scopes include a permission.
pub fn allows(scopes: &ScopeSet, (action, resource): RequiredPermission) -> bool {
    match (Action::parse(action), Resource::parse(resource)) {
        (Ok(action), Ok(resource)) => scopes.allows(&action, &resource),
        _ => false,
    }
}

/// Checks that a role includes a permission. If not, returns the lowest role that does.
pub fn check_role(role: Role, need: RequiredPermission) -> Result<(), Role> {
    if allows(&role.permissions(), need) {
        return Ok(());
    }
    let least = Role::ALL.into_iter().find(|role| allows(&role.permissions(), need));
    Err(least.unwrap_or(Role::Owner))
}
