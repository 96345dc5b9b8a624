"""Gets tokens with Authlib and calls an API with them. Authlib requests a new token when the old one has expired."""

import os

from authlib.integrations.requests_client import OAuth2Session

api = OAuth2Session(
    os.environ["CLIENT_ID"],
    os.environ["CLIENT_SECRET"],
    scope="read:orders/*",
    token_endpoint=os.environ["ISSUER"] + "/oauth/token",
    grant_type="client_credentials",
)
api.fetch_token()
response = api.get(os.environ["API_URL"], timeout=10)
response.raise_for_status()
print(response.text)
