"""An MCP client that finds Keyturn by the server's metadata, gets a token and calls a tool."""

import asyncio
import os

import httpx2
from mcp import Client
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client

ISSUER, RESOURCE = os.environ["ISSUER"], os.environ["RESOURCE"]
CREDENTIALS = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]


class Memory:
    """Tokens last ten minutes, so memory is the place for them."""

    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


async def main():
    provider = ClientCredentialsOAuthProvider(RESOURCE, Memory(), *CREDENTIALS, issuer=ISSUER)
    async with httpx2.AsyncClient(auth=provider, timeout=20) as http:
        async with Client(streamable_http_client(RESOURCE, http_client=http)) as client:
            result = await client.call_tool("add", {"a": 19, "b": 23})
            print(result.content[0].text)


asyncio.run(main())
