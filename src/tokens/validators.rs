//! The view that common validators have of a token, and whether they accept it without code of their own.
//!
//! `scripts/validators` compares the statements with the real Spring Security 6, express-oauth2-jwt-bearer 1 and Envoy, for each
//! algorithm and `typ`. Those about Spring Security 5 and 7 (reference, "OAuth 2.0 Resource Server JWT" and the migration guide
//! for 7) and the JWT authorizer of HTTP APIs in Amazon API Gateway (developer guide) are from their documentation.

use crate::domain::choices::{Algorithm, TokenType};

/// The members of a token that validators look at.
#[derive(Clone, Debug)]
pub(super) struct TokenShape<'a> {
    pub(super) issuer: &'a str,
    pub(super) audiences: Vec<String>,
    pub(super) algorithm: Algorithm,
    pub(super) typ: TokenType,
    pub(super) scopes: Vec<String>,
    /// Whether its scopes can have filters.
    pub(super) has_filters: bool,
}

/// A setting or a result, with its values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NamedValues {
    pub name: &'static str,
    pub values: Vec<String>,
}

/// What a validator sees of a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValidatorView {
    /// Its name in the API.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// How it has to be configured.
    pub settings: Vec<NamedValues>,
    /// What it makes of the token.
    pub sees: Vec<NamedValues>,
    /// Why it does not accept the token. Empty if it does.
    pub refusals: Vec<String>,
    /// What else to know.
    pub notes: Vec<String>,
}

/// Returns what each validator sees.
pub(super) fn views(token: &TokenShape<'_>) -> Vec<ValidatorView> {
    vec![spring(token), express(token), envoy(token), api_gateway(token)]
}

/// Spring Security's resource server with its own decoder.
fn spring(token: &TokenShape<'_>) -> ValidatorView {
    let mut refusals = Vec::new();
    if token.typ != TokenType::Jwt {
        refusals.push(format!(
            "NimbusJwtDecoder accepts the typ JWT only, not {}; set token_typ of the API to JWT, or define a decoder that \
             accepts it",
            token.typ.as_str()
        ));
    }
    if token.algorithm == Algorithm::EdDsa {
        refusals.push("Spring Security supports RS, PS and ES algorithms, but not EdDSA".into());
    }
    let mut notes =
        vec!["the audience is checked only if spring.security.oauth2.resourceserver.jwt.audiences is set".into()];
    if token.algorithm == Algorithm::Es256 {
        notes.push(
            "a decoder that is configured with jwk-set-uri alone accepts RS256 only; add jws-algorithms=ES256".into(),
        );
    }
    let authorities = token.scopes.iter().map(|scope| format!("SCOPE_{scope}")).collect();
    ValidatorView {
        id: "spring_security",
        name: "Spring Security",
        settings: vec![one("issuer-uri", token.issuer), many("audiences", &token.audiences)],
        sees: vec![NamedValues { name: "authorities", values: authorities }],
        refusals,
        notes: with_filters(notes, token, "hasAuthority"),
    }
}

/// express-oauth2-jwt-bearer, which reads the metadata of the issuer.
fn express(token: &TokenShape<'_>) -> ValidatorView {
    let mut notes = Vec::new();
    if token.typ == TokenType::Jwt {
        notes.push("with strict: true, it accepts the typ at+jwt only, and refuses this token".into());
    }
    ValidatorView {
        id: "express_oauth2_jwt_bearer",
        name: "express-oauth2-jwt-bearer",
        settings: vec![one("issuerBaseURL", token.issuer), many("audience", &token.audiences)],
        sees: vec![many("requiredScopes", &token.scopes)],
        refusals: Vec::new(),
        notes: with_filters(notes, token, "requiredScopes"),
    }
}

/// Envoy's filter `jwt_authn`, which accepts every algorithm that Keyturn signs with.
fn envoy(token: &TokenShape<'_>) -> ValidatorView {
    let notes = vec![
        "without audiences, Envoy accepts tokens of this issuer for every API; configure them".into(),
        "it answers 403, not 401, to a token for another audience".into(),
        "it does not check scopes; use the RBAC filter with payload_in_metadata, and \
         normalize_payload_in_metadata.space_delimited_claims: [scope]"
            .into(),
    ];
    ValidatorView {
        id: "envoy_jwt_authn",
        name: "Envoy jwt_authn",
        settings: vec![
            one("issuer", token.issuer),
            many("audiences", &token.audiences),
            one("remote_jwks.http_uri.uri", &format!("{}/.well-known/jwks.json", token.issuer.trim_end_matches('/'))),
        ],
        sees: vec![many("scope", &token.scopes)],
        refusals: Vec::new(),
        notes: with_filters(notes, token, "the RBAC filter"),
    }
}

/// The JWT authorizer of HTTP APIs in Amazon API Gateway.
fn api_gateway(token: &TokenShape<'_>) -> ValidatorView {
    let mut refusals = Vec::new();
    if token.algorithm != Algorithm::Rs256 {
        refusals.push(format!(
            "JWT authorizers accept RSA signatures only, and this token is signed with {}; use signing keys with RS256",
            token.algorithm.as_str()
        ));
    }
    let notes = vec![
        "it reads the metadata of the issuer, which must be reachable from the Internet over HTTPS".into(),
        "a route with authorizationScopes accepts a token that has at least one of them".into(),
    ];
    ValidatorView {
        id: "aws_api_gateway",
        name: "AWS API Gateway JWT authorizer",
        settings: vec![one("Issuer", token.issuer), many("Audience", &token.audiences)],
        sees: vec![many("authorizationScopes", &token.scopes)],
        refusals,
        notes: with_filters(notes, token, "authorizationScopes"),
    }
}

fn one(name: &'static str, value: &str) -> NamedValues {
    NamedValues { name, values: vec![value.to_owned()] }
}

fn many(name: &'static str, values: &[String]) -> NamedValues {
    NamedValues { name, values: values.to_vec() }
}

/// Adds that texts are compared, if a scope can contain others.
fn with_filters(mut notes: Vec<String>, token: &TokenShape<'_>, comparer: &str) -> Vec<String> {
    if let Some(scope) = token.scopes.first().filter(|_| token.has_filters) {
        notes.push(format!(
            "{comparer} compares texts, so {scope} is found only as it is written, not what it contains"
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(algorithm: Algorithm, typ: TokenType, has_filters: bool) -> TokenShape<'static> {
        TokenShape {
            issuer: "https://keys.example",
            audiences: vec!["https://orders.example".into()],
            algorithm,
            typ,
            scopes: vec!["orders.read".into(), "orders.write".into()],
            has_filters,
        }
    }

    fn accepted(token: &TokenShape<'_>) -> Vec<(&'static str, bool)> {
        views(token).into_iter().map(|view| (view.id, view.refusals.is_empty())).collect()
    }

    #[test]
    fn type_and_algorithm_decide_who_accepts() {
        let ids = ["spring_security", "express_oauth2_jwt_bearer", "envoy_jwt_authn", "aws_api_gateway"];
        let expect = |algorithm, typ, accepts: [bool; 4]| {
            let expected: Vec<_> = ids.into_iter().zip(accepts).collect();
            assert_eq!(accepted(&token(algorithm, typ, false)), expected, "{algorithm} {}", typ.as_str());
        };
        expect(Algorithm::Rs256, TokenType::Jwt, [true, true, true, true]);
        expect(Algorithm::Rs256, TokenType::AtJwt, [false, true, true, true]);
        expect(Algorithm::Es256, TokenType::Jwt, [true, true, true, false]);
        expect(Algorithm::Es256, TokenType::AtJwt, [false, true, true, false]);
        expect(Algorithm::EdDsa, TokenType::Jwt, [false, true, true, false]);
    }

    #[test]
    fn express_is_warned_of_a_type_that_it_refuses_if_strict() {
        let is_warned = |typ| {
            let views = views(&token(Algorithm::Es256, typ, false));
            views[1].notes.iter().any(|note| note.starts_with("with strict: true"))
        };
        assert_eq!((is_warned(TokenType::Jwt), is_warned(TokenType::AtJwt)), (true, false));
    }

    #[test]
    fn values_are_those_of_the_token() {
        let views = views(&token(Algorithm::Rs256, TokenType::Jwt, true));
        let spring = &views[0];
        assert_eq!(
            spring.sees,
            [NamedValues {
                name: "authorities",
                values: vec!["SCOPE_orders.read".into(), "SCOPE_orders.write".into()],
            }]
        );
        assert_eq!(spring.settings[1].values, ["https://orders.example"]);
        assert_eq!(views[2].settings[2].values, ["https://keys.example/.well-known/jwks.json"]);
        assert!(views.iter().all(|view| view.notes.iter().any(|note| note.contains("as it is written"))));
        let plain = super::views(&token(Algorithm::Rs256, TokenType::Jwt, false));
        assert!(!plain.iter().any(|view| view.notes.iter().any(|note| note.contains("as it is written"))));
    }
}
