//! What is done to keys: create, look up, edit, rotate, revoke, disable, enable.
//!
//! Use cases: imports `domain`, the adapters and `node`; no HTTP, no SQL. Every change ends with
//! `settle`: it is effective before it is answered.

mod audit;
mod change;
mod create;
mod edit;
mod explain;
mod read;
mod rotate;
mod state;

pub use change::{By, KeyError};
pub use create::{NewKey, create};
pub use edit::edit;
pub use explain::{ExplainedCheck, Explanation, Question, explain};
pub use read::{KeyPage, find, list, owner};
pub use rotate::{RotateKey, rotate};
pub use state::{disable, enable, revoke};
