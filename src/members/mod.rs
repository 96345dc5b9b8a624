//! Members: roles, sign-in, sessions.
//!
//! Use cases: imports `domain`, the adapters, `node`, and `keys` to transfer or revoke the keys of a removed member; no HTTP, no
//! SQL.

mod audit;
mod device;
mod error;
mod held;
mod kept;
mod manage;
mod password;
mod recovery;
mod remove;
mod session;
mod sign_in;
mod steps;

pub use device::{Device, recognize};
pub use error::MemberError;
pub use held::{HeldSession, HeldSessions};
pub use kept::{open_kept, seal_kept};
pub use manage::{
    MemberEdit, NewMember, PastMember, add, change, change_password, find, find_past, keys_beyond_role, list,
};
pub use recovery::{RecoveryError, find_login, reset_password};
pub use remove::{MemberKeys, remove};
pub use session::{SessionSecret, SignedIn, end, end_all, is_csrf_token, mask_csrf_token, of_member, resume};
pub use sign_in::{SignIn, SignInError, begin_session, check_password};
pub use steps::{dismiss_steps, has_dismissed_steps};
