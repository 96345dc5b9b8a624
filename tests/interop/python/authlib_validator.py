"""Authlib's own check of RFC 9068 access tokens, as a resource server would set it up."""

import os
import sys
import warnings

import requests
from authlib.deprecate import AuthlibDeprecationWarning
from authlib.oauth2.rfc6750 import InsufficientScopeError, InvalidTokenError
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator

ISSUER = os.environ["INTEROP_ISSUER"]
ALGORITHM = os.environ["INTEROP_ALGORITHM"]
TOKEN = os.environ["INTEROP_TOKEN"]
SCOPE = "read:projects/acme/alpha"

# About a call of its own, which this program cannot change.
warnings.simplefilter("ignore", AuthlibDeprecationWarning)


class Validator(JWTBearerTokenValidator):
    def get_jwks(self):
        return requests.get(f"{ISSUER}/.well-known/jwks.json", timeout=20).json()


def check(holds, what):
    if not holds:
        sys.exit(f"FAILED authlib-rfc9068: {what}")
    print(f"ok authlib-rfc9068: {ALGORITHM}: {what}")


def refusal(resource_server, scope):
    """The class of the error with which the token is refused, or None."""
    validator = Validator(issuer=ISSUER, resource_server=resource_server)
    try:
        validator.validate_token(validator.authenticate_token(TOKEN), [scope], None)
    except (InvalidTokenError, InsufficientScopeError) as error:
        return type(error)
    return None


check(refusal(ISSUER, SCOPE) is None, "the token is accepted for its scope")
check(refusal(ISSUER, "write:projects/acme/alpha") is InsufficientScopeError, "another scope is refused")
check(refusal("https://elsewhere.example", SCOPE) is InvalidTokenError, "another audience is refused")
