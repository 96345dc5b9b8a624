//! Values that a browser keeps for a member: encrypted, and bound to their purpose and their owner.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::crypto::sealing;
use crate::domain::sealed::Sealed;
use crate::node::{Node, Unavailable};

/// Encrypts a value for a cookie. [`open_kept`] requires the same purpose and owner.
pub fn seal_kept(node: &Node, purpose: &str, owner: &str, plain: &[u8]) -> Result<String, Unavailable> {
    let sealed = sealing::seal(&node.master_keys, &name(purpose, owner), plain).map_err(|_| Unavailable::Sealing)?;
    Ok(format!("{}.{}", URL_SAFE_NO_PAD.encode(&sealed.master_key), URL_SAFE_NO_PAD.encode(&sealed.bytes)))
}

/// Decrypts a value; `None` if it was changed, or belongs to another purpose or owner.
pub fn open_kept(node: &Node, purpose: &str, owner: &str, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (master_key, bytes) = text.split_once('.')?;
    let master_key = String::from_utf8(URL_SAFE_NO_PAD.decode(master_key).ok()?).ok()?;
    let sealed = Sealed { master_key, bytes: URL_SAFE_NO_PAD.decode(bytes).ok()? };
    sealing::open(&node.master_keys, &name(purpose, owner), &sealed).ok()
}

fn name(purpose: &str, owner: &str) -> String {
    format!("{purpose} kept in the browser of {owner}")
}
