"""An MCP server that asks Keyturn about each token (introspection), so that a revocation takes effect at once."""

import os

import httpx2
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer

ISSUER = os.environ["ISSUER"]
# The audience of the API in Keyturn: the URL of this server as its clients know it.
RESOURCE = os.environ["RESOURCE"]
# A key without a scope, with which this server introspects.
CREDENTIALS = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]


class Introspection(TokenVerifier):
    def __init__(self):
        metadata = httpx2.get(f"{ISSUER}/.well-known/openid-configuration").raise_for_status().json()
        self.endpoint = metadata["introspection_endpoint"]
        self.client = httpx2.AsyncClient(auth=CREDENTIALS, timeout=5)

    async def verify_token(self, token):
        response = await self.client.post(self.endpoint, data={"token": token})
        found = response.raise_for_status().json()
        audiences = [found["aud"]] if isinstance(found.get("aud"), str) else found.get("aud", [])
        # A key that is restricted to networks: compare the client's address with the list, or deny.
        if not found["active"] or RESOURCE not in audiences or "cidrs" in found:
            return None
        return AccessToken(
            token=token,
            client_id=found["client_id"],
            subject=found["sub"],
            scopes=found["scope"].split(),
            expires_at=found["exp"],
            resource=RESOURCE,
            claims={"iss": found["iss"]},
        )


server = MCPServer(
    "calculator",
    token_verifier=Introspection(),
    auth=AuthSettings(
        issuer_url=ISSUER,
        resource_server_url=RESOURCE,
        required_scopes=["tools.call"],
        validate_token_resource=True,
    ),
)


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


server.run("streamable-http", host="127.0.0.1", port=int(os.environ["PORT"]), stateless_http=True)
