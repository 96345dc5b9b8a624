//! Data encrypted with the master key.

/// `nonce || ciphertext || tag`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// ID of the master key.
    pub master_key: String,
    pub bytes: Vec<u8>,
}
