"""Checks of scripts/deployments that need more than one token.

Usage: deployments.py full-disk  URL CREDENTIALS FOLDER
       deployments.py reopened   URL CREDENTIALS FOLDER
       deployments.py clock      URL CREDENTIALS OFFSET_FILE
       deployments.py integrity  DATABASE
       deployments.py path       ORIGIN CREDENTIALS

CREDENTIALS is CLIENT_ID:SECRET of a key with all rights.
"""

import base64
import json
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

KEYS = "/api/v1/organizations/default/keys"


def expect(holds, what):
    if not holds:
        sys.exit(f"deployments.py: {what}")


class Server:
    def __init__(self, url, credentials):
        self.url = url
        self.key = credentials.split(":", 1)[1]

    def call(self, method, path, body=None, key=None):
        """Returns the status and the JSON document of a response."""
        headers = {"Authorization": f"Bearer {key or self.key}"}
        data = None
        if isinstance(body, str):
            data = body.encode()
        elif body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=15) as response:
                status, text = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        return status, json.loads(text or b"null")

    def create(self, description=""):
        return self.call("POST", KEYS, {"name": "key", "scopes": ["read:*"], "description": description})

    def revoke(self, key):
        return self.call("POST", f"{KEYS}/{key['id']}/revoke", {})[0]

    def exchange(self, secret):
        return self.call("POST", "/oauth/token", "grant_type=client_credentials", secret)

    def verify(self, credential):
        return self.call("GET", "/verify", key=credential)[0]

    def must_create(self):
        status, key = self.create()
        expect(status == 201, f"a key was not created: {status} {key}")
        return key


def wait_until(what, seconds, holds):
    deadline = time.monotonic() + seconds
    while not holds():
        expect(time.monotonic() < deadline, f"not within {seconds} s: {what}")
        time.sleep(0.2)


def full_disk(url, credentials, folder):
    """Fills the disk of a SQLite store, and frees it again. Writes the acknowledged changes beside the folder."""
    server, folder = Server(url, credentials), Path(folder)
    keys = [server.must_create() for _ in range(4)]
    kept, revoked = keys[0], keys[1]
    expect(server.revoke(revoked) == 200, "a revocation with room on the disk")
    status, token = server.exchange(kept["secret"])
    expect(status == 200, "a token with room on the disk")

    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
    # The journal may have pages to spare: new keys use them up.
    for _ in range(500):
        status, answer = server.create("d" * 900)
        if status != 201:
            break
        keys.append(answer)
    expect(status == 503 and answer["code"] == "UNAVAILABLE", f"a change on a full disk: {status} {answer}")

    for _ in range(3):
        expect(server.revoke(kept) == 503, "a revocation that cannot be stored was acknowledged")
        expect(server.create()[0] == 503, "a key that cannot be stored was acknowledged")
    for key in keys:
        expected = 401 if key is revoked else 200
        expect(server.exchange(key["secret"])[0] == expected, f"an exchange on a full disk: {expected} was expected")
        expect(server.verify(key["secret"]) == expected, f"a verification on a full disk: {expected} was expected")
    expect(server.verify(token["access_token"]) == 200, "a token of before does not verify on a full disk")
    expect(server.call("GET", f"{KEYS}?limit=1")[0] == 200, "keys cannot be listed on a full disk")
    time.sleep(3)  # counts of use fail to be written meanwhile

    filler.unlink()
    wait_until("changes with room again", 10, lambda: server.revoke(kept) == 200)
    expect(server.exchange(kept["secret"])[0] == 401, "a key that was revoked once there was room")
    keys.append(server.must_create())
    used = lambda: server.call("GET", f"{KEYS}/{keys[2]['id']}")[1]["last_used_at"]
    wait_until("uses on the full disk are written once there is room", 10, used)
    ended = [kept["id"], revoked["id"]]
    state = {"live": [key["secret"] for key in keys if key["id"] not in ended], "ended": [kept["secret"], revoked["secret"]]}
    Path(f"{folder}.acknowledged").write_text(json.dumps(state))
    print(len(keys))


def reopened(url, credentials, folder):
    """After kill -9 and a start: every acknowledged change is there."""
    server, state = Server(url, credentials), json.loads(Path(f"{folder}.acknowledged").read_text())
    for secret in state["live"]:
        expect(server.exchange(secret)[0] == 200, "an acknowledged key is lost")
    for secret in state["ended"]:
        expect(server.exchange(secret)[0] == 401, "an acknowledged revocation is lost")


def clock(url, credentials, offset):
    """Corrects a clock that is a day ahead while the server runs."""
    server, offset = Server(url, credentials), Path(offset)
    live, revoked = server.must_create(), server.must_create()
    ahead, ended = server.exchange(live["secret"])[1]["access_token"], server.exchange(revoked["secret"])[1]["access_token"]
    payload = ahead.split(".")[1]
    issued = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["iat"]
    expect(issued > time.time() + 86_000, "the clock is not a day ahead, so nothing is tested")
    expect(server.verify(ahead) == 200, "a token by the clock that is ahead")
    expect(server.revoke(revoked) == 200 and server.verify(ended) == 401, "a revocation by the clock that is ahead")

    offset.write_text("+0\n")
    corrected = time.monotonic()
    wait_until("a token after the clock was corrected", 60, lambda: server.exchange(live["secret"])[0] == 200)
    took = time.monotonic() - corrected
    expect(server.verify(ahead) == 401, "a token issued tomorrow is accepted today")
    for _ in range(5):
        expect(server.verify(ended) == 401 and server.exchange(revoked["secret"])[0] == 401, "a revoked key came back")
    token = server.exchange(live["secret"])[1]["access_token"]
    expect(server.verify(token) == 200, "a token by the clock that is right")
    key = server.must_create()
    expect(server.exchange(key["secret"])[0] == 200, "a key created by the clock that is right")
    expect(server.call("GET", "/readyz")[0] == 200, "not ready after the clock was corrected")
    print(f"{took:.0f}")


def integrity(database):
    """A log written to the descriptor of the database would damage it."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchall()
    expect(found == [("ok",)], f"the database is damaged: {found}")


def path(origin, credentials):
    """A client that knows nothing but the issuer, which has a path."""

    def get(url, **more):
        return json.load(urllib.request.urlopen(urllib.request.Request(url, **more), timeout=5))

    # RFC 8414, section 3.1.
    metadata = get(f"{origin}/.well-known/oauth-authorization-server/auth")
    expect(metadata["issuer"] == f"{origin}/auth", f"the issuer is {metadata['issuer']}")
    expect(get(f"{origin}/auth/.well-known/openid-configuration") == metadata, "two documents of metadata differ")
    expect(get(metadata["jwks_uri"])["keys"], "no keys at jwks_uri")
    basic = {"Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}
    token = get(metadata["token_endpoint"], data=b"grant_type=client_credentials", headers=basic)["access_token"]
    claims = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    expect(claims["iss"] == metadata["issuer"], f"iss is {claims['iss']}")
    me = get(f"{origin}/auth/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    expect(me["organization"] == "default", f"the management API: {me}")
    for endpoint, answer in (("introspection_endpoint", {"active": True}), ("revocation_endpoint", {})):
        found = get(metadata[endpoint], data=f"token={token}".encode(), headers=basic)
        expect(answer.items() <= found.items(), f"{endpoint}: {found}")


commands = {"full-disk": full_disk, "reopened": reopened, "clock": clock, "integrity": integrity, "path": path}
commands[sys.argv[1]](*sys.argv[2:])
