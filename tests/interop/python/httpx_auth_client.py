"""httpx-auth: HTTP Basic, the token in a request of HTTPX, and its error."""

import os
import sys

import httpx
import jwt
from httpx_auth import InvalidGrantRequest, OAuth2ClientCredentials

ISSUER = os.environ["INTEROP_ISSUER"]
CLIENT_ID = os.environ["INTEROP_CLIENT_ID"]
KEY_TEXT = os.environ["INTEROP_KEY_TEXT"]


def check(holds, what):
    if not holds:
        sys.exit(f"FAILED httpx-auth: {what}")
    print(f"ok httpx-auth: {what}")


def verified(client_id, secret, **more):
    """Status of a verification with a token of the library, and the claims of the token."""
    auth = OAuth2ClientCredentials(f"{ISSUER}/oauth/token", client_id, secret, **more)
    answer = httpx.get(f"{ISSUER}/verify", auth=auth, timeout=20)
    token = answer.request.headers["Authorization"].removeprefix("Bearer ")
    return answer.status_code, jwt.decode(token, options={"verify_signature": False})


def error_of(*credentials, **more):
    try:
        verified(*credentials, **more)
    except InvalidGrantRequest as error:
        return str(error).partition(":")[0]
    return None


status, claims = verified(CLIENT_ID, KEY_TEXT)
check(status == 200 and claims["client_id"] == CLIENT_ID, "a token with the full secret")
status, claims = verified(CLIENT_ID, os.environ["INTEROP_BARE_SECRET"], scope=["read:projects/acme/#", "write"])
check(status == 200 and claims["scope"] == "read:projects/acme/# write", "a token with the bare secret and a narrower scope")
resource = os.environ["INTEROP_RESOURCE"]
_, claims = verified(CLIENT_ID, KEY_TEXT, scope="read", resource=resource)
check(claims["aud"] == resource, "a token for a resource")
status, claims = verified(os.environ["INTEROP_READER_ID"], os.environ["INTEROP_READER_KEY_TEXT"], scope="read")
check(status == 200 and claims["scope"] == "read", "a token for the scope read, spelled so")

wrong = error_of(CLIENT_ID, os.environ["INTEROP_WRONG_KEY_TEXT"])
check(wrong == "invalid_client", "a wrong secret is reported as invalid_client")
unknown = error_of(CLIENT_ID[::-1], KEY_TEXT)
check(unknown == "invalid_client", "an unknown client_id is reported as invalid_client")
openid = error_of(CLIENT_ID, KEY_TEXT, scope="openid")
check(openid == "invalid_scope", "the scope openid is reported as invalid_scope")
