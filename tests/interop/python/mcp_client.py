"""The official MCP SDK for Python: its client-credentials provider, in front of a small protected resource."""

import asyncio
import logging
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from json import dumps
from urllib.parse import urlsplit

import httpx2
import jwt
from mcp.client.auth import OAuthTokenError
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider

ISSUER = os.environ["INTEROP_ISSUER"]
RESOURCE = os.environ["INTEROP_RESOURCE"]
CLIENT_ID = os.environ["INTEROP_CLIENT_ID"]
KEY_TEXT = os.environ["INTEROP_KEY_TEXT"]


def check(holds, what):
    if not holds:
        sys.exit(f"FAILED mcp-python: {what}")
    print(f"ok mcp-python: {what}")


class Resource(BaseHTTPRequestHandler):
    """Describes itself (RFC 9728), and answers a request with the token that came with it."""

    scopes = None

    def do_GET(self):
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.path.startswith("/.well-known/oauth-protected-resource"):
            body = {"resource": RESOURCE, "authorization_servers": [ISSUER]}
            if self.scopes is not None:
                body["scopes_supported"] = self.scopes
            self.answer(200, body)
        elif token:
            self.answer(200, {"token": token})
        else:
            self.answer(401, {})

    def answer(self, status, body):
        content = dumps(body).encode()
        self.send_response(status)
        if status == 401:
            place = f"{RESOURCE}/.well-known/oauth-protected-resource"
            self.send_header("WWW-Authenticate", f'Bearer resource_metadata="{place}"')
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class Storage:
    async def get_tokens(self):
        return None

    async def set_tokens(self, tokens):
        pass

    async def get_client_info(self):
        return None

    async def set_client_info(self, client_info):
        pass


async def claims_of(client_id, secret, scopes, method="client_secret_basic"):
    Resource.scopes = scopes
    provider = ClientCredentialsOAuthProvider(
        RESOURCE, Storage(), client_id, secret, token_endpoint_auth_method=method, issuer=ISSUER
    )
    async with httpx2.AsyncClient(auth=provider, timeout=20) as client:
        answer = await client.get(RESOURCE)
    return jwt.decode(answer.json()["token"], options={"verify_signature": False})


async def error_of(*arguments):
    try:
        await claims_of(*arguments)
    except OAuthTokenError as error:
        return str(error)
    return ""


async def main():
    for method in ("client_secret_basic", "client_secret_post"):
        claims = await claims_of(CLIENT_ID, KEY_TEXT, ["read:projects/acme/#", "write"], method)
        check(claims["aud"] == RESOURCE, f"{method}: a token for the resource, discovered from it")
        check(claims["scope"] == "read:projects/acme/# write", f"{method}: with the scopes that the resource names")
    claims = await claims_of(CLIENT_ID, KEY_TEXT, None)
    check(claims["scope"] == "read write admin", "without any, the scopes of the issuer's metadata are requested")
    reader = os.environ["INTEROP_READER_ID"], os.environ["INTEROP_READER_KEY_TEXT"]
    check((await claims_of(*reader, ["read"]))["scope"] == "read", "a token for the scope read, spelled so")
    unknown = await error_of(CLIENT_ID[::-1], KEY_TEXT, ["read"])
    check('"invalid_client"' in unknown, "an unknown client_id is reported as invalid_client")
    wrong = await error_of(CLIENT_ID, os.environ["INTEROP_WRONG_KEY_TEXT"], ["read"])
    check('"invalid_client"' in wrong, "a wrong secret is reported as invalid_client")
    openid = await error_of(CLIENT_ID, KEY_TEXT, ["openid"])
    check('"invalid_scope"' in openid, "the scope openid is reported as invalid_scope")


logging.getLogger("mcp").setLevel(logging.CRITICAL)  # it logs the errors that are expected here
server = HTTPServer(("127.0.0.1", urlsplit(RESOURCE).port), Resource)
threading.Thread(target=server.serve_forever, daemon=True).start()
asyncio.run(main())
