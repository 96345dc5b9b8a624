//! Something sealed with the master key, as it is stored.

/// `nonce || ciphertext || tag`, and the master key it is sealed with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sealed {
    /// The master key's id.
    pub master_key: String,
    /// What is stored.
    pub bytes: Vec<u8>,
}
