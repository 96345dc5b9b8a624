"""PyJWT with its JWKS client, set up as a resource server would: everything pinned."""

import os
import sys

import jwt

ISSUER = os.environ["INTEROP_ISSUER"]
ALGORITHM = os.environ["INTEROP_ALGORITHM"]
TOKEN = os.environ["INTEROP_TOKEN"]
REQUIRED = ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope"]

keys = jwt.PyJWKClient(ISSUER + "/.well-known/jwks.json", timeout=20)


def check(holds, what):
    if not holds:
        sys.exit(f"FAILED pyjwt: {what}")
    print(f"ok pyjwt: {ALGORITHM}: {what}")


def decode(token=TOKEN, **different):
    settings = {"algorithms": [ALGORITHM], "issuer": ISSUER, "audience": ISSUER} | different
    key = keys.get_signing_key_from_jwt(token).key
    return jwt.decode(token, key, options={"require": REQUIRED}, **settings)


def refused_with(error, **different):
    try:
        decode(**different)
    except error:
        return True
    return False


header = jwt.get_unverified_header(TOKEN)
check(header["typ"] == "at+jwt" and header["alg"] == ALGORITHM and header["kid"], "the header has typ at+jwt, alg and kid")
claims = decode()
check(
    claims["aud"] == ISSUER and claims["sub"] == claims["client_id"] == os.environ["INTEROP_CLIENT_ID"],
    "the token is accepted, for this audience and client",
)
check(claims["exp"] - claims["iat"] == 600 and "nbf" not in claims, "it lives 600 s from the moment it was issued")
check(claims["scope"] == "read:projects/acme/alpha" and claims["org"] == "default", "it carries scope and organization")
check(refused_with(jwt.InvalidAudienceError, audience="https://elsewhere.example"), "another audience is refused")
check(refused_with(jwt.InvalidIssuerError, issuer=ISSUER + "/"), "another issuer is refused")
other = "ES256" if ALGORITHM != "ES256" else "RS256"
check(refused_with(jwt.InvalidTokenError, algorithms=[other]), "another algorithm is refused")
head, payload, signature = TOKEN.split(".")
forged = f"{head}.{payload}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
check(refused_with(jwt.InvalidSignatureError, token=forged), "another signature is refused")
