#!/bin/sh
# Gets a token with curl and calls an API with it.
set -eu

token=$(
  curl -fsS "$ISSUER/oauth/token" -u "$CLIENT_ID:$CLIENT_SECRET" \
    -d grant_type=client_credentials -d 'scope=read:orders/*' |
    sed 's/.*"access_token":"\([^"]*\)".*/\1/'
)
curl -fsS "$API_URL" -H "Authorization: Bearer $token"
