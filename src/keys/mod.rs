//! API keys: create, find, list, edit, rotate, end and extend grace periods, revoke, disable, enable; explanations; upkeep.
//!
//! Use cases: imports `domain`, the adapters and `node`; no HTTP, no SQL. A change is effective
//! on all nodes before the response.

mod audit;
mod bulk;
mod change;
mod create;
mod edit;
mod explain;
mod explain_access;
mod grace;
mod grants;
mod idempotency;
mod order;
mod read;
mod rotate;
mod state;
mod upkeep;
mod verifier;

pub use bulk::{BulkChange, MAX_BULK, change_many};
pub use change::KeyError;
pub(crate) use change::load;
pub use create::{NewKey, check_new_grants, create};
pub use edit::edit;
pub use explain::{ExplainedCheck, Explanation, PresentedToken, Question, RequestedScope, Verdict, explain};
pub use grace::{end_grace, extend_grace};
pub(crate) use grants::missing_scopes;
pub use grants::{RequestedGrant, RequestedGrants, resolve_grants, violations_of_profile};
pub use idempotency::{IdempotentRequest, ticket};
pub use order::{cursor, read_cursor, read_order};
pub use read::{NO_SUCH_CUSTOMER, attention, broken_rules, count, customer, find, find_many, list, owner};
pub use rotate::{RotateKey, rotate};
pub use state::{KeyOfRemovedMember, disable, enable, move_to_profile, release_from_member, revoke, revoke_because};
pub use upkeep::{
    DAYS_KEPT, HOURS_KEPT, count_expiring, delete_old_data, disable_stale, notify_expiring, notify_stale, stale,
};
pub use verifier::complete_verifier;
