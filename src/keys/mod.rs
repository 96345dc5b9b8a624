//! API keys: create, find, list, edit, rotate, revoke, disable, enable; explanations; upkeep.
//!
//! Use cases: imports `domain`, the adapters and `node`; no HTTP, no SQL. A change is effective
//! on all nodes before the response.

mod audit;
mod change;
mod create;
mod edit;
mod explain;
mod idempotency;
mod order;
mod read;
mod rotate;
mod state;
mod upkeep;
mod verifier;

pub use change::KeyError;
pub(crate) use change::load;
pub use create::{NewKey, create};
pub use edit::edit;
pub use explain::{ExplainedCheck, Question, explain};
pub use idempotency::{IdempotentRequest, ticket};
pub use order::{cursor, read_cursor, read_order};
pub use read::{find, list, owner};
pub use rotate::{RotateKey, rotate};
pub use state::{disable, enable, revoke, revoke_with_member};
pub use upkeep::{
    DAYS_KEPT, HOURS_KEPT, count_expiring, delete_old_data, disable_stale, notify_expiring, notify_stale, stale,
};
pub use verifier::complete_verifier;
