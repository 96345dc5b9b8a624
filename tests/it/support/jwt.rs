//! Access tokens as a resource server verifies them: only with the published keys.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::Value;

/// Returns the header and the claims of a token that is signed with a published key.
#[track_caller]
pub fn verify(token: &str, jwks: &Value) -> (Value, Value) {
    try_verify(token, jwks).unwrap_or_else(|why| panic!("the token does not verify: {why}"))
}

pub fn try_verify(token: &str, jwks: &Value) -> Result<(Value, Value), String> {
    let header: Value = part(token, 0);
    let set: JwkSet = serde_json::from_value(jwks.clone()).map_err(|error| error.to_string())?;
    let kid = header["kid"].as_str().ok_or("no kid")?;
    let jwk = set.find(kid).ok_or("its key is not published")?;
    let algorithm = header["alg"].as_str().and_then(|name| name.parse().ok()).ok_or("no algorithm")?;
    let mut validation = Validation::new(algorithm);
    validation.validate_aud = false;
    let key = DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
    let data = jsonwebtoken::decode::<Value>(token, &key, &validation).map_err(|error| error.to_string())?;
    Ok((header, data.claims))
}

/// Returns a part of a token without verification.
pub fn part(token: &str, place: usize) -> Value {
    let text = token.split('.').nth(place).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}
