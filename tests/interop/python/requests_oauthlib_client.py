"""requests-oauthlib: HTTP Basic and credentials in the body, and a wrong secret each way."""

import os
import sys

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # plain HTTP, on loopback only

from oauthlib.oauth2 import BackendApplicationClient, InvalidClientError, InvalidScopeError  # noqa: E402
from requests.auth import HTTPBasicAuth  # noqa: E402
from requests_oauthlib import OAuth2Session  # noqa: E402

TOKEN_URL = os.environ["INTEROP_ISSUER"] + "/oauth/token"
CLIENT_ID = os.environ["INTEROP_CLIENT_ID"]


def check(holds, what):
    if not holds:
        sys.exit(f"FAILED requests-oauthlib: {what}")
    print(f"ok requests-oauthlib: {what}")


def basic(secret, client_id=CLIENT_ID):
    return {"auth": HTTPBasicAuth(client_id, secret)}


def body(secret, client_id=CLIENT_ID):
    return {"client_secret": secret, "include_client_id": True}


def fetch(credentials, scope=None, client_id=CLIENT_ID):
    session = OAuth2Session(client=BackendApplicationClient(client_id=client_id, scope=scope))
    return session.fetch_token(TOKEN_URL, timeout=20, **credentials)


def raises(kind, credentials, **more):
    try:
        fetch(credentials, **more)
    except kind:
        return True
    return False


for name, way in (("client_secret_basic", basic), ("client_secret_post", body)):
    token = fetch(way(os.environ["INTEROP_KEY_TEXT"]))
    check(token["token_type"] == "Bearer" and token["expires_in"] == 600, f"{name}: a token with the secret")
    # The library raises when the scope of the answer is not the one it asked for.
    scope = ["read:projects/acme/#", "write:projects/acme/*"]
    token = fetch(way(os.environ["INTEROP_BARE_SECRET"]), scope)
    check(set(token["scope"]) == set(scope), f"{name}: a token with the bare secret and a narrower scope")
    refused = raises(InvalidClientError, way(os.environ["INTEROP_WRONG_KEY_TEXT"]))
    check(refused, f"{name}: a wrong secret is reported as invalid_client")
    unknown = CLIENT_ID[::-1]
    refused = raises(InvalidClientError, way(os.environ["INTEROP_KEY_TEXT"], unknown), client_id=unknown)
    check(refused, f"{name}: an unknown client_id is reported as invalid_client")
    reader = os.environ["INTEROP_READER_ID"]
    token = fetch(way(os.environ["INTEROP_READER_KEY_TEXT"], reader), ["read"], reader)
    check(token["scope"] == ["read"], f"{name}: a token for the scope read, spelled so")
    refused = raises(InvalidScopeError, way(os.environ["INTEROP_KEY_TEXT"]), scope=["openid"])
    check(refused, f"{name}: the scope openid is reported as invalid_scope")
