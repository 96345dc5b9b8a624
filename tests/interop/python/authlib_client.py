"""Authlib: both ways to authenticate a client, a wrong secret, introspection and revocation."""

import os
import sys

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

ISSUER = os.environ["INTEROP_ISSUER"]
CLIENT_ID = os.environ["INTEROP_CLIENT_ID"]
SCOPE = "read:projects/acme/# write:projects/acme/*"


def check(holds, what):
    if not holds:
        sys.exit(f"FAILED authlib: {what}")
    print(f"ok authlib: {what}")


def session(method, secret, **more):
    return OAuth2Session(
        CLIENT_ID,
        secret,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        **more,
    )


metadata = requests.get(f"{ISSUER}/.well-known/oauth-authorization-server", timeout=20).json()
check(metadata["issuer"] == ISSUER, "the metadata names the issuer byte for byte")

for method in ("client_secret_basic", "client_secret_post"):
    check(method in metadata["token_endpoint_auth_methods_supported"], f"{method} is in the metadata")
    client = session(method, os.environ["INTEROP_KEY_TEXT"])
    token = client.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
    check(
        token["token_type"] == "Bearer" and token["expires_in"] == 600 and not token.is_expired(),
        f"{method}: a token with the key text",
    )
    client = session(method, os.environ["INTEROP_BARE_SECRET"], scope=SCOPE)
    token = client.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
    check(token["scope"] == SCOPE, f"{method}: a token with the bare secret and a narrower scope")

    try:
        session(method, os.environ["INTEROP_WRONG_KEY_TEXT"]).fetch_token(
            metadata["token_endpoint"], grant_type="client_credentials"
        )
        refusal = None
    except OAuthError as error:
        refusal = error.error
    check(refusal == "invalid_client", f"{method}: a wrong secret is reported as invalid_client")

    if "introspection_endpoint" not in metadata or "revocation_endpoint" not in metadata:
        print("not run: authlib introspection and revocation (the metadata names no such endpoint)")
        continue
    answer = client.introspect_token(metadata["introspection_endpoint"], token=token["access_token"]).json()
    check(
        answer["active"] is True and answer["client_id"] == CLIENT_ID and answer["scope"] == SCOPE,
        f"{method}: the token introspects as active",
    )
    answer = client.revoke_token(metadata["revocation_endpoint"], token=token["access_token"])
    check(answer.status_code == 200, f"{method}: the token is revoked")
    answer = client.introspect_token(metadata["introspection_endpoint"], token=token["access_token"]).json()
    check(answer == {"active": False}, f"{method}: the revoked token introspects as inactive, and as nothing more")
