//! A signing key: generating, reading, signing, and its public key in various formats.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{DecodingKey, Header};
use pem::{EncodeConfig, LineEnding, Pem};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::domain::choices::{Algorithm, TokenType};
use crate::domain::timestamp::Timestamp;

/// A key that signs an organization's tokens.
pub struct SigningKey {
    kid: String,
    algorithm: Algorithm,
    created_at: Timestamp,
    active_from: Timestamp,
    pair: Pair,
    jwk: Jwk,
    pem: String,
    decoding: DecodingKey,
}

enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(Box<RsaKeyPair>),
}

/// A new private key, to be encrypted and stored.
pub struct KeyMaterial {
    /// RFC 7638 thumbprint of the public key.
    pub kid: String,
    pub algorithm: Algorithm,
    /// PKCS#8.
    pub pkcs8: Zeroizing<Vec<u8>>,
}

/// A key cannot be generated, read or used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SigningError {
    /// The library rejected the key.
    #[error("a signing key cannot be used: {0}")]
    Key(&'static str),
    /// The library failed to sign.
    #[error("failed to sign a token")]
    Signature,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({} {})", self.algorithm, self.kid)
    }
}

impl KeyMaterial {
    /// Generates a key. RSA takes up to a second.
    pub fn generate(algorithm: Algorithm) -> Result<Self, SigningError> {
        let failed = |_| SigningError::Key("could not be generated");
        let pkcs8 = match algorithm {
            Algorithm::Es256 => {
                let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                    .map_err(failed)?;
                Zeroizing::new(document.as_ref().to_vec())
            }
            Algorithm::EdDsa => {
                let document = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map_err(failed)?;
                Zeroizing::new(document.as_ref().to_vec())
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
                let der = AsDer::<Pkcs8V1Der>::as_der(&pair).map_err(failed)?;
                Zeroizing::new(der.as_ref().to_vec())
            }
        };
        let kid = Public::of(&Pair::read(algorithm, &pkcs8)?, algorithm)?.thumbprint()?;
        Ok(Self { kid, algorithm, pkcs8 })
    }
}

impl SigningKey {
    /// Reads a stored key.
    pub fn read(
        kid: String,
        algorithm: Algorithm,
        pkcs8: &[u8],
        created_at: Timestamp,
        active_from: Timestamp,
    ) -> Result<Self, SigningError> {
        let pair = Pair::read(algorithm, pkcs8)?;
        let Public { mut jwk, pem, decoding } = Public::of(&pair, algorithm)?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { kid, algorithm, created_at, active_from, pair, jwk, pem, decoding })
    }

    /// Returns the key ID in token headers and in the JWKS.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Time of creation and publication.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// First time at which it signs tokens.
    pub fn active_from(&self) -> Timestamp {
        self.active_from
    }

    /// Public key as a JWK (RFC 7517) with `kid`, `alg` and `use`.
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// Public key as PEM (SubjectPublicKeyInfo).
    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }

    /// Returns the encoded header of this key's tokens of a type, which is the same for all of them.
    pub fn header(&self, typ: TokenType) -> Result<String, SigningError> {
        let mut header = Header::new(self.algorithm.jwt());
        header.typ = Some(typ.as_str().to_owned());
        header.kid = Some(self.kid.clone());
        let json = serde_json::to_vec(&header).map_err(|_| SigningError::Signature)?;
        Ok(URL_SAFE_NO_PAD.encode(json))
    }

    /// Signs claims, [`Claims`] or [`ExtendedClaims`](crate::domain::claims::ExtendedClaims), with a header from
    /// [`SigningKey::header`]. Returns a compact JWS (RFC 7515 §7.1).
    pub fn sign(&self, header: &str, claims: &impl Serialize) -> Result<String, SigningError> {
        // Room for the claims of a usual key.
        let mut payload = Vec::with_capacity(640);
        serde_json::to_writer(&mut payload, claims).map_err(|_| SigningError::Signature)?;
        self.sign_payload(header, &payload)
    }

    /// Signs an encoded payload.
    pub(super) fn sign_payload(&self, header: &str, payload: &[u8]) -> Result<String, SigningError> {
        let mut token = String::with_capacity(header.len() + payload.len() * 4 / 3 + 360);
        token.push_str(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signed = token.len();
        token.push('.');
        let message = token.as_bytes().get(..signed).unwrap_or_default();
        match &self.pair {
            Pair::Es256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| SigningError::Signature)?;
                URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
            }
            Pair::EdDsa(pair) => {
                let signature = pair.try_sign(message).map_err(|_| SigningError::Signature)?;
                URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
            }
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .map_err(|_| SigningError::Signature)?;
                URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
            }
        }
        Ok(token)
    }
}

impl Pair {
    fn read(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, SigningError> {
        let invalid = |_| SigningError::Key("its stored form is not valid");
        Ok(match algorithm {
            Algorithm::Es256 => {
                Self::Es256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(invalid)?)
            }
            Algorithm::EdDsa => Self::EdDsa(Ed25519KeyPair::from_pkcs8(pkcs8).map_err(invalid)?),
            Algorithm::Rs256 => Self::Rs256(Box::new(RsaKeyPair::from_pkcs8(pkcs8).map_err(invalid)?)),
        })
    }
}

struct Public {
    jwk: Jwk,
    pem: String,
    decoding: DecodingKey,
}

impl Public {
    fn of(pair: &Pair, algorithm: Algorithm) -> Result<Self, SigningError> {
        let failed = |_| SigningError::Key("its public key cannot be encoded");
        let (decoding, der): (DecodingKey, PublicKeyX509Der<'static>) = match pair {
            Pair::Es256(pair) => {
                (DecodingKey::from_ec_der(pair.public_key().as_ref()), pair.public_key().as_der().map_err(failed)?)
            }
            Pair::EdDsa(pair) => {
                (DecodingKey::from_ed_der(pair.public_key().as_ref()), pair.public_key().as_der().map_err(failed)?)
            }
            Pair::Rs256(pair) => {
                (DecodingKey::from_rsa_der(pair.public_key().as_ref()), pair.public_key().as_der().map_err(failed)?)
            }
        };
        let jwk = Jwk::from_decoding_key(&decoding, Some(algorithm.jwt()))
            .map_err(|_| SigningError::Key("its public key cannot be encoded"))?;
        Ok(Self { jwk, pem: public_key_pem(der.as_ref()), decoding })
    }

    fn thumbprint(&self) -> Result<String, SigningError> {
        self.jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| SigningError::Key("its thumbprint cannot be computed"))
    }
}

fn public_key_pem(der: &[u8]) -> String {
    let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new("PUBLIC KEY", der), lines)
}
