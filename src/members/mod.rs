//! Members: roles, sign-in, sessions.
//!
//! Use cases: imports `domain`, the adapters, `node`, and `keys` to revoke the keys of a removed member; no HTTP, no
//! SQL.

mod audit;
mod device;
mod error;
mod manage;
mod password;
mod recovery;
mod remove;
mod session;
mod sign_in;

pub use device::{Device, recognize};
pub use error::MemberError;
pub use manage::{MemberEdit, NewMember, add, change, change_password, find, keys_beyond_role, list};
pub use recovery::{RecoveryError, find_login, reset_password};
pub use remove::remove;
pub use session::{SessionSecret, SignedIn, end, of_member, resume};
pub use sign_in::{SignIn, SignInError, begin_session, check_password};
