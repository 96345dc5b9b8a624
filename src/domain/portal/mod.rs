//! The customer portal: pages on which a customer manages its own keys, with the settings of the organization and the
//! sessions that the operator creates.

mod color;
mod session;
mod settings;

pub use color::Color;
pub use session::{
    CODE_SECONDS, Capabilities, Capability, MAX_USER, PortalSession, SESSION_SECONDS, grantable_by_default,
    without_management,
};
pub use settings::{MAX_ORIGINS, MAX_PORTAL_TEXT, MAX_PORTAL_URL, Origin, PortalSettings, RawPortalSettings, WebUrl};
