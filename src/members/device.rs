//! Browsers that have signed in before: they are exempt from limits that strangers can use up.

use crate::crypto::device::DeviceId;
use crate::node::{Node, Unavailable};

/// A browser that has signed in to a login.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Device(DeviceId);

impl Device {
    /// A browser that signs in for the first time.
    pub fn new() -> Result<Self, Unavailable> {
        Ok(Self(DeviceId::new()?))
    }

    /// The text that the browser keeps. It is proof for this login alone, and opens nothing.
    pub fn sign(&self, node: &Node, account: &str) -> String {
        self.0.sign(&node.master_keys, account)
    }
}

/// Returns the browser in a text that this deployment has signed for a login.
pub fn recognize(node: &Node, account: &str, text: &str) -> Option<Device> {
    DeviceId::parse(&node.master_keys, account, text).map(Device)
}
