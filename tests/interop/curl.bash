#!/usr/bin/env bash
# curl: every way to present a key, and what the answers must look like to those who write their own client.
# Run by scripts/interop; see README.md for the environment.
set -euo pipefail

endpoint=$INTEROP_ISSUER/oauth/token
id=$INTEROP_CLIENT_ID
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
  printf 'FAILED curl: %s\n' "$*" >&2
  cat "$scratch/headers" "$scratch/body" >&2 || true
  exit 1
}

ok() {
  printf 'ok curl: %s\n' "$*"
}

# ask ARGUMENT... asks for a token; leaves $status, and the headers and the body in files.
ask() {
  status=$(curl -q -sS --max-time 20 -D "$scratch/headers" -o "$scratch/body" -w '%{http_code}' "$endpoint" "$@")
}

header() {
  tr -d '\r' <"$scratch/headers" | sed -nE "s/^$1: *//Ip"
}

# member NAME prints that member of the body as JSON, or nothing.
member() {
  python3 - "$scratch/body" "$1" <<'PYTHON'
import json, sys
body = json.load(open(sys.argv[1]))
if sys.argv[2] in body:
    print(json.dumps(body[sys.argv[2]]))
PYTHON
}

expect_token() {
  local what=$1
  shift
  ask "$@"
  [[ $status == 200 ]] || fail "$what: status $status"
  [[ $(header content-type) == application/json* ]] || fail "$what: not application/json"
  [[ $(header cache-control) == *no-store* ]] || fail "$what: no Cache-Control: no-store"
  [[ $(member token_type) == '"Bearer"' ]] || fail "$what: token_type"
  [[ $(member expires_in) == 600 ]] || fail "$what: expires_in is not the integer 600"
  [[ -n $(member scope) ]] || fail "$what: no scope"
  [[ $(member access_token) =~ ^\"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\"$ ]] || fail "$what: access_token is not a JWT"
  ok "$what"
}

# expect_error WHAT STATUS ERROR CHALLENGE(yes|no) ARGUMENT...
expect_error() {
  local what=$1 wanted=$2 error=$3 challenge=$4
  shift 4
  ask "$@"
  [[ $status == "$wanted" ]] || fail "$what: status $status, $wanted was expected"
  [[ $(header content-type) == application/json* ]] || fail "$what: not application/json"
  [[ $(member error) == "\"$error\"" ]] || fail "$what: error is $(member error), $error was expected"
  if [[ $challenge == yes ]]; then
    [[ $(header www-authenticate) == Basic* ]] || fail "$what: no Basic challenge"
  else
    [[ -z $(header www-authenticate) ]] || fail "$what: a challenge hides the error from clients"
  fi
  ok "$what"
}

grant=(-d grant_type=client_credentials)
basic=(-u "$id:$INTEROP_KEY_TEXT")

expect_token 'Basic, secret' "${basic[@]}" "${grant[@]}"
expect_token 'Basic, bare secret' -u "$id:$INTEROP_BARE_SECRET" "${grant[@]}"
expect_token 'body, client_id and secret' "${grant[@]}" -d "client_id=$id" -d "client_secret=$INTEROP_KEY_TEXT"
expect_token 'body, client_id and bare secret' "${grant[@]}" -d "client_id=$id" -d "client_secret=$INTEROP_BARE_SECRET"
expect_token 'body, secret alone' "${grant[@]}" -d "client_secret=$INTEROP_KEY_TEXT"
expect_token 'Bearer secret' -H "Authorization: Bearer $INTEROP_KEY_TEXT" "${grant[@]}"
expect_token 'X-Api-Key' -H "X-Api-Key: $INTEROP_KEY_TEXT" "${grant[@]}"

encoded=$(printf '%s' "$id:$INTEROP_KEY_TEXT" | base64 -w0)
expect_token 'lower-case basic' -H "Authorization: basic $encoded" "${grant[@]}"
expect_token 'a charset parameter' "${basic[@]}" "${grant[@]}" -H 'Content-Type: application/x-www-form-urlencoded; charset=UTF-8'
expect_token 'an empty scope and an unknown parameter' "${basic[@]}" "${grant[@]}" -d scope= -d tenant=x
expect_token 'Basic with the same client_id in the body' "${basic[@]}" "${grant[@]}" -d "client_id=$id"

expect_token 'a narrower scope' "${basic[@]}" "${grant[@]}" -d 'scope=read:projects/acme/%23 write:projects/acme/*'
[[ $(member scope) == '"read:projects/acme/# write:projects/acme/*"' ]] || fail "a narrower scope: the answer says $(member scope)"
expect_error 'a malformed scope: invalid_scope' 400 invalid_scope no "${basic[@]}" "${grant[@]}" -d 'scope=read:keyturn/nowhere/../keys'
expect_token 'a scope without a filter, spelled so' -u "$INTEROP_READER_ID:$INTEROP_READER_KEY_TEXT" "${grant[@]}" -d scope=read
[[ $(member scope) == '"read"' ]] || fail "a scope without a filter: the answer says $(member scope)"
expect_token 'a resource with a trailing slash' "${basic[@]}" "${grant[@]}" --data-urlencode "resource=$INTEROP_ISSUER/"
expect_token 'line breaks around credentials' "${grant[@]}" --data-urlencode "client_id=$id"$'\n' --data-urlencode "client_secret= $INTEROP_KEY_TEXT"$'\r\n'
expect_token 'an Authorization header without a credential' -H 'Authorization: Bearer null' "${grant[@]}" -d "client_secret=$INTEROP_KEY_TEXT"
expect_error 'an OpenID Connect scope: invalid_scope' 400 invalid_scope no "${basic[@]}" "${grant[@]}" -d scope=openid
expect_error 'scopes joined by a comma: invalid_scope' 400 invalid_scope no "${basic[@]}" "${grant[@]}" -d scope=read,write
expect_error 'another audience: invalid_target' 400 invalid_target no "${basic[@]}" "${grant[@]}" --data-urlencode 'resource=https://elsewhere.example'

# Failures are limited by address: each of these comes from an address of its own.
wrong=$INTEROP_WRONG_KEY_TEXT
expect_error 'Basic, wrong secret: invalid_client with a challenge' 401 invalid_client yes --interface 127.0.0.11 -u "$id:$wrong" "${grant[@]}"
[[ $(member code) == '"API_KEY_INVALID"' ]] || fail "wrong secret: code is $(member code)"
expect_error 'body, wrong secret: invalid_client, no challenge' 401 invalid_client no --interface 127.0.0.12 "${grant[@]}" -d "client_id=$id" -d "client_secret=$wrong"
expect_error 'body, wrong secret alone: invalid_client, no challenge' 401 invalid_client no --interface 127.0.0.13 "${grant[@]}" -d "client_secret=$wrong"
expect_error 'Bearer, wrong secret: invalid_client with a challenge' 401 invalid_client yes --interface 127.0.0.14 -H "Authorization: Bearer $wrong" "${grant[@]}"
ask --interface 127.0.0.15 -H "X-Api-Key: $wrong" "${grant[@]}"
[[ $status == 401 && $(member error) == '"invalid_client"' ]] || fail "X-Api-Key, wrong secret: status $status"
ok 'X-Api-Key, wrong secret: invalid_client'
expect_error 'an unknown client_id: invalid_client' 401 invalid_client no --interface 127.0.0.20 "${grant[@]}" -d client_id=0000000000000000 -d "client_secret=$INTEROP_KEY_TEXT"
expect_error 'no credentials: invalid_client with a challenge' 401 invalid_client yes --interface 127.0.0.16 "${grant[@]}"
expect_error 'two ways at once: invalid_request' 400 invalid_request no --interface 127.0.0.17 "${basic[@]}" "${grant[@]}" -d "client_secret=$INTEROP_KEY_TEXT"
expect_error 'a repeated parameter: invalid_request' 400 invalid_request no --interface 127.0.0.18 "${basic[@]}" "${grant[@]}" "${grant[@]}"
expect_error 'another grant: unsupported_grant_type' 400 unsupported_grant_type no --interface 127.0.0.19 "${basic[@]}" -d grant_type=password
