"""requests-oauth2client: both ways to authenticate a client, introspection, and the errors as their types."""

import os
import sys

from requests_oauth2client import ClientSecretBasic, ClientSecretPost, OAuth2Client
from requests_oauth2client.exceptions import InvalidClient, InvalidScope, InvalidTarget

ISSUER = os.environ["INTEROP_ISSUER"]
CLIENT_ID = os.environ["INTEROP_CLIENT_ID"]
KEY_TEXT = os.environ["INTEROP_KEY_TEXT"]


def check(holds, what):
    if not holds:
        sys.exit(f"FAILED requests-oauth2client: {what}")
    print(f"ok requests-oauth2client: {what}")


def raises(kind, client, **parameters):
    try:
        client.client_credentials(**parameters)
    except kind:
        return True
    return False


for name, way in (("client_secret_basic", ClientSecretBasic), ("client_secret_post", ClientSecretPost)):

    def client(client_id, secret):
        return OAuth2Client(
            token_endpoint=f"{ISSUER}/oauth/token",
            introspection_endpoint=f"{ISSUER}/oauth/introspect",
            auth=way(client_id, secret),
            testing=True,  # plain HTTP, on loopback only
        )

    owner = client(CLIENT_ID, KEY_TEXT)
    token = owner.client_credentials()
    check(token.token_type == "Bearer" and 590 <= token.expires_in <= 600, f"{name}: a token with the secret")
    told = owner.introspect_token(token.access_token)
    check(told["active"] is True and told["client_id"] == CLIENT_ID, f"{name}: the token introspects as active")
    token = client(CLIENT_ID, os.environ["INTEROP_BARE_SECRET"]).client_credentials(
        scope=["read:projects/acme/#", "write"], resource=f"{ISSUER}/"
    )
    check(token.scope == "read:projects/acme/# write", f"{name}: a token for a resource with a trailing slash")
    token = client(os.environ["INTEROP_READER_ID"], os.environ["INTEROP_READER_KEY_TEXT"]).client_credentials("read")
    check(token.scope == "read", f"{name}: a token for the scope read, spelled so")

    wrong = client(CLIENT_ID, os.environ["INTEROP_WRONG_KEY_TEXT"])
    check(raises(InvalidClient, wrong), f"{name}: a wrong secret is reported as invalid_client")
    unknown = client(CLIENT_ID[::-1], KEY_TEXT)
    check(raises(InvalidClient, unknown), f"{name}: an unknown client_id is reported as invalid_client")
    check(raises(InvalidScope, owner, scope="openid"), f"{name}: the scope openid is reported as invalid_scope")
    elsewhere = raises(InvalidTarget, owner, resource="https://elsewhere.example")
    check(elsewhere, f"{name}: another resource is reported as invalid_target")
