//! Browsers that have signed in before. They are exempt from limits that strangers can exhaust.

use crate::crypto::device::DeviceId;
use crate::node::{Node, Unavailable};

/// A browser that has signed in with a login.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Device(DeviceId);

impl Device {
    /// Creates the identity of a browser at its first sign-in.
    pub fn new() -> Result<Self, Unavailable> {
        Ok(Self(DeviceId::new()?))
    }

    /// Returns the text for the browser's cookie. It is valid for this login only and does not authenticate.
    pub fn sign(&self, node: &Node, account: &str) -> String {
        self.0.sign(&node.master_keys, account)
    }
}

/// Verifies the text of a browser that this deployment signed for a login.
pub fn recognize(node: &Node, account: &str, text: &str) -> Option<Device> {
    DeviceId::parse(&node.master_keys, account, text).map(Device)
}
