//! What is done to keys: create, look up, edit, rotate, revoke, disable, enable; what is told of them: why they may or
//! may not, how they were used, what narrowing would refuse; and what is due by the clock.
//!
//! Use cases: imports `domain`, the adapters and `node`; no HTTP, no SQL. Every change ends with
//! `settle`: it is effective before it is answered.

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
pub use state::{disable, enable, end_with_member, revoke};
pub use upkeep::{DAYS_KEPT, HOURS_KEPT, count_expiring, disable_stale, forget_old, stale, tell_expiring, tell_stale};
pub use verifier::complete_verifier;
