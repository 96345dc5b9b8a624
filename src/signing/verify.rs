//! Verifies tokens: format, header, signature and times, without leeway.

use jsonwebtoken::{Header, Validation};

use crate::domain::choices::{Choice, TokenType};
use crate::domain::claims::Claims;
use crate::domain::outcome::Denial;
use crate::domain::timestamp::Timestamp;
use crate::signing::SigningKey;

/// Maximum length of a token. Fifty scopes and a hundred networks of maximum length take 27 KiB, the audiences of a request at
/// most 16 KiB, and the custom claims of a policy and an API at most 48 KiB.
pub const VERIFY_MAX_BYTES: usize = 96 * 1024;

/// The `kid` in a token's header. It is not verified yet.
pub struct KeyHint(pub String);

/// Parses a token's header strictly and returns its `kid`.
pub fn peek(token: &str) -> Result<KeyHint, Denial> {
    if token.len() > VERIFY_MAX_BYTES || token.bytes().filter(|byte| *byte == b'.').count() != 2 {
        return Err(Denial::MalformedToken);
    }
    let Header { typ: found, alg: _, cty, jku, jwk, kid, x5u, x5c, x5t, x5t_s256, crit, enc, zip, url, nonce, extras } =
        jsonwebtoken::decode_header(token).map_err(|_| Denial::MalformedToken)?;
    let foreign = jku.is_some()
        || jwk.is_some()
        || x5u.is_some()
        || x5c.is_some()
        || x5t.is_some()
        || x5t_s256.is_some()
        || crit.is_some()
        || cty.is_some()
        || enc.is_some()
        || zip.is_some()
        || url.is_some()
        || nonce.is_some()
        || !extras.inner().is_empty();
    if foreign || found.as_deref().and_then(TokenType::parse).is_none() {
        return Err(Denial::ForeignTokenHeader);
    }
    kid.map(KeyHint).ok_or(Denial::ForeignTokenHeader)
}

/// Verifies a token with the key that [`peek`] returned: signature algorithm, signature and issuer. The caller checks
/// the times with [`check_times`].
pub fn verify(token: &str, key: &SigningKey, issuer: &str) -> Result<Claims, Denial> {
    let mut validation = Validation::new(key.algorithm().jwt());
    validation.leeway = 0;
    // Times are compared with the caller's single clock reading.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let data =
        jsonwebtoken::decode::<Claims>(token, key.decoding(), &validation).map_err(|_| Denial::InvalidSignature)?;
    if data.claims.iss != issuer {
        return Err(Denial::OtherIssuer);
    }
    Ok(data.claims)
}

/// Maximum lifetime of a token in seconds, under any policy.
const LONGEST_LIFE: i64 = 3600;

/// Maximum `iat` in the future in seconds: the maximum difference between the clocks of two nodes.
const CLOCK_SKEW: i64 = 60;

/// Checks the times of a verified token. This limits the use of a leaked signing key.
pub fn check_times(claims: &Claims, now: Timestamp) -> Result<(), Denial> {
    let now = now.as_seconds();
    if claims.exp <= now || claims.exp <= claims.iat {
        return Err(Denial::TokenExpired);
    }
    if claims.exp.saturating_sub(claims.iat) > LONGEST_LIFE || claims.iat > now.saturating_add(CLOCK_SKEW) {
        return Err(Denial::InvalidTokenTimes);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::choices::Algorithm;
    use crate::domain::claims::Audience;
    use crate::signing::{KeyMaterial, KeyRing};
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);
    const ISSUER: &str = "https://id.example";

    fn verify(token: &str, key: &SigningKey, issuer: &str, now: Timestamp) -> Result<Claims, Denial> {
        let claims = super::verify(token, key, issuer)?;
        check_times(&claims, now).map(|()| claims)
    }

    fn key(algorithm: Algorithm, active_from: i64) -> SigningKey {
        let material = KeyMaterial::generate(algorithm).unwrap();
        let from = Timestamp::from_seconds(active_from);
        SigningKey::read(material.kid, algorithm, &material.pkcs8, from, from).unwrap()
    }

    fn claims() -> Claims {
        Claims {
            iss: ISSUER.into(),
            sub: "a".into(),
            client_id: "a".into(),
            aud: Audience::One("b".into()),
            iat: NOW.as_seconds(),
            exp: NOW.as_seconds() + 600,
            jti: "j".into(),
            scope: "read:*".into(),
            org: "default".into(),
            generation: 1,
            secret_version: 1,
            customer: None,
            customer_generation: None,
            cidrs: None,
        }
    }

    fn minted(key: &SigningKey) -> String {
        key.sign(&key.header(TokenType::AtJwt).unwrap(), &claims()).unwrap()
    }

    #[test]
    fn every_algorithm_signs_and_verifies() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256] {
            let key = key(algorithm, 0);
            let token = minted(&key);
            assert_eq!(peek(&token).unwrap().0, key.kid());
            assert_eq!(verify(&token, &key, ISSUER, NOW), Ok(claims()), "{algorithm}");
            assert!(key.pem().starts_with("-----BEGIN PUBLIC KEY-----\nM"));
            assert!(key.pem().ends_with("\n-----END PUBLIC KEY-----\n"));
            assert!(key.pem().bytes().all(|byte| byte != b'\r') && key.pem().lines().all(|line| line.len() <= 64));
        }
    }

    #[test]
    fn expiry_is_exclusive_and_issuer_must_match() {
        let key = key(Algorithm::Es256, 0);
        let token = minted(&key);
        assert_eq!(verify(&token, &key, ISSUER, NOW.plus_seconds(600)), Err(Denial::TokenExpired));
        assert!(verify(&token, &key, ISSUER, NOW.plus_seconds(599)).is_ok());
        assert_eq!(verify(&token, &key, "https://id.example/o/acme", NOW), Err(Denial::OtherIssuer));
    }

    #[test]
    fn unusual_times_are_rejected() {
        let key = key(Algorithm::Es256, 0);
        let header = key.header(TokenType::AtJwt).unwrap();
        let with = |iat: i64, exp: i64| {
            let claims = Claims { iat: NOW.as_seconds() + iat, exp: NOW.as_seconds() + exp, ..claims() };
            verify(&key.sign(&header, &claims).unwrap(), &key, ISSUER, NOW).map(drop)
        };
        assert_eq!(with(0, 3600), Ok(()));
        assert_eq!(with(60, 660), Ok(()), "a clock that is a little ahead");
        assert_eq!(with(61, 661), Err(Denial::InvalidTokenTimes));
        assert_eq!(with(0, 3601), Err(Denial::InvalidTokenTimes));
        assert_eq!(with(-3599, 2), Err(Denial::InvalidTokenTimes));
        assert_eq!(with(0, 315_360_000), Err(Denial::InvalidTokenTimes), "ten years");
        assert_eq!(with(i64::MIN / 2, 600), Err(Denial::InvalidTokenTimes));
        assert_eq!(with(10, 10), Err(Denial::TokenExpired));
    }

    #[test]
    fn another_key_does_not_verify() {
        let token = minted(&key(Algorithm::Es256, 0));
        assert_eq!(verify(&token, &key(Algorithm::Es256, 0), ISSUER, NOW), Err(Denial::InvalidSignature));
    }

    #[test]
    fn other_claims_are_rejected() {
        let key = key(Algorithm::Es256, 0);
        let header = key.header(TokenType::AtJwt).unwrap();
        let good = serde_json::to_string(&claims()).unwrap();
        let exp = format!("\"exp\":{}", NOW.as_seconds() + 600);
        let accepted =
            |payload: &str| verify(&key.sign_payload(&header, payload.as_bytes()).unwrap(), &key, ISSUER, NOW).is_ok();
        assert!(accepted(&good) && good.contains(&exp));
        assert!(accepted(&good.replace("{\"iss\"", "{\"plan\":\"pro\",\"iss\"")), "a custom claim");
        for (what, payload) in [
            ("a string exp", good.replace(&exp, "\"exp\":\"9999999999\"")),
            ("a float exp", good.replace(&exp, "\"exp\":9999999999.5")),
            ("a float exp of a whole number", good.replace(&exp, "\"exp\":9999999999.0")),
            ("an exp in exponents", good.replace(&exp, "\"exp\":1e300")),
            ("a negative exp", good.replace(&exp, "\"exp\":-1")),
            ("a null exp", good.replace(&exp, "\"exp\":null")),
            ("no exp", good.replace(&format!("{exp},"), "")),
            ("two exps", good.replace(&exp, &format!("{exp},\"exp\":9999999999"))),
            ("two subjects", good.replace("\"sub\":\"a\"", "\"sub\":\"a\",\"sub\":\"b\"")),
            ("two scopes", good.replace("\"scope\":", "\"scope\":\"*:*\",\"scope\":")),
            ("a scope list", good.replace("\"read:*\"", "[\"read:*\"]")),
            ("a list", format!("[{good}]")),
            ("two values", format!("{good}{good}")),
            ("nothing", String::new()),
        ] {
            assert!(!accepted(&payload), "{what}");
        }
    }

    #[test]
    fn ring_publishes_next_and_previous_keys() {
        let ring = KeyRing::new(vec![key(Algorithm::Es256, 2_000), key(Algorithm::Es256, 0)]).unwrap();
        let at = Timestamp::from_seconds;
        let old = ring.current(at(1_999), Algorithm::Es256).unwrap().kid().to_owned();
        let new = ring.current(at(2_000), Algorithm::Es256).unwrap().kid().to_owned();
        assert_ne!(old, new);
        assert_eq!(ring.jwks(at(1_000), 600).keys.len(), 2, "the next key is published before its use");
        assert_eq!(ring.jwks(at(2_899), 600).keys.len(), 2);
        assert_eq!(ring.jwks(at(2_900), 600).keys.len(), 1);
        assert!(ring.is_over(&old, at(2_900), 600) && !ring.is_over(&new, at(9_999), 600));
    }

    #[test]
    fn each_algorithm_has_its_own_keys() {
        let (first, second, other) = (key(Algorithm::Es256, 0), key(Algorithm::Es256, 20), key(Algorithm::EdDsa, 10));
        let kids = [&first, &second, &other].map(|key| key.kid().to_owned());
        let ring = KeyRing::new(vec![other, second, first]).unwrap();
        let at = Timestamp::from_seconds;
        let signing = |now, algorithm| ring.current(at(now), algorithm).map(SigningKey::kid);
        assert_eq!(signing(15, Algorithm::Es256), Some(kids[0].as_str()), "the EdDSA key does not replace it");
        assert_eq!(signing(20, Algorithm::Es256), Some(kids[1].as_str()));
        assert_eq!(signing(5, Algorithm::EdDsa), Some(kids[2].as_str()), "not active yet, but the only one");
        assert_eq!(signing(15, Algorithm::Rs256), None, "a key of another algorithm is never used instead");
        assert_eq!((ring.superseded_at(&kids[0]), ring.superseded_at(&kids[2])), (Some(at(20)), None));
        assert_eq!(ring.jwks(at(15), 600).keys.len(), 3);
        assert_eq!(ring.jwks(at(10_000), 600).keys.len(), 2);
    }

    #[test]
    fn unknown_headers_are_rejected() {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let token = |header: &str| format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header));
        for header in [
            r#"{"alg":"ES256","typ":"at+jwt","kid":"k","crit":["exp"]}"#,
            r#"{"alg":"ES256","typ":"at+jwt","kid":"k","jku":"https://evil.example"}"#,
            r#"{"alg":"ES256","typ":"at+jwt","kid":"k","x5u":"https://evil.example"}"#,
            r#"{"alg":"ES256","typ":"at+jwt","kid":"k","b64":false}"#,
            r#"{"alg":"ES256","typ":"dpop+jwt","kid":"k"}"#,
            r#"{"alg":"ES256","typ":"at+jwt"}"#,
            r#"{"alg":"none","typ":"at+jwt","kid":"k"}"#,
        ] {
            assert!(peek(&token(header)).is_err(), "{header}");
        }
        assert!(peek(&token(r#"{"alg":"ES256","typ":"at+jwt","kid":"k"}"#)).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn changed_token_is_rejected(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            static KEY: std::sync::OnceLock<SigningKey> = std::sync::OnceLock::new();
            let key = KEY.get_or_init(|| key(Algorithm::Es256, 0));
            let mut bytes = minted(key).into_bytes();
            let place = place.index(bytes.len());
            prop_assume!(bytes[place] != byte);
            bytes[place] = byte;
            if let Ok(changed) = String::from_utf8(bytes) {
                let accepted = peek(&changed).is_ok_and(|hint| hint.0 == key.kid())
                    && verify(&changed, key, ISSUER, NOW).is_ok();
                prop_assert!(!accepted, "{}", changed);
            }
        }
    }
}
