import jwt  # PyJWT, with its extra "crypto"

# The keys are fetched when the first token comes, and again when one names a key that is not known yet.
keys = jwt.PyJWKClient("https://keys.example.com/.well-known/jwks.json")


def caller_of(token):
    """Return the caller. Raises jwt.PyJWTError if the token is not valid."""
    claims = jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token).key,
        algorithms=["ES256"],
        issuer="https://keys.example.com",
        audience="https://api.example.com",
        options={"require": ["iss", "aud", "exp", "client_id", "scope"]},
    )
    if jwt.get_unverified_header(token).get("typ") != "at+jwt":
        raise jwt.InvalidTokenError("not an access token")
    if "cidrs" in claims:
        raise jwt.InvalidTokenError("the key is restricted to networks, which are not checked here")
    return {"client_id": claims["client_id"], "organization": claims["org"], "scopes": claims["scope"].split(" ")}
