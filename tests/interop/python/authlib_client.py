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


def session(method, secret, client_id=CLIENT_ID, **more):
    return OAuth2Session(
        client_id,
        secret,
        token_endpoint_auth_method=method,
        revocation_endpoint_auth_method=method,
        **more,
    )


def error_of(method, client_id, secret, **more):
    try:
        session(method, secret, client_id=client_id, **more).fetch_token(
            metadata["token_endpoint"], grant_type="client_credentials"
        )
    except OAuthError as error:
        return error.error
    return None


metadata = requests.get(f"{ISSUER}/.well-known/oauth-authorization-server", timeout=20).json()
check(metadata["issuer"] == ISSUER, "the metadata names the issuer byte for byte")

for method in ("client_secret_basic", "client_secret_post"):
    check(method in metadata["token_endpoint_auth_methods_supported"], f"{method} is in the metadata")
    client = session(method, os.environ["INTEROP_KEY_TEXT"])
    token = client.fetch_token(metadata["token_endpoint"], grant_type="client_credentials")
    check(
        token["token_type"] == "Bearer" and token["expires_in"] == 600 and not token.is_expired(),
        f"{method}: a token with the secret",
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
    refusal = error_of(method, CLIENT_ID[::-1], os.environ["INTEROP_KEY_TEXT"])
    check(refusal == "invalid_client", f"{method}: an unknown client_id is reported as invalid_client")
    reader = os.environ["INTEROP_READER_ID"], os.environ["INTEROP_READER_KEY_TEXT"]
    narrow = session(method, reader[1], client_id=reader[0], scope="read").fetch_token(
        metadata["token_endpoint"], grant_type="client_credentials"
    )
    check(narrow["scope"] == "read", f"{method}: a token for the scope read, spelled so")
    refusal = error_of(method, CLIENT_ID, os.environ["INTEROP_KEY_TEXT"], scope="openid")
    check(refusal == "invalid_scope", f"{method}: the scope openid is reported as invalid_scope")

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
