"""Checks the programs of docs/examples; run by scripts/examples.

check.py api NAME          sends requests with good and bad tokens to the API at $API
check.py client NAME FILE  checks what a client printed
check.py serve             an API for the client that has none of its own: returns the client ID of a token, unchecked
"""

import base64
import json
import os
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

EXPECTED = {"order": "42", "client": os.environ["CLIENT_ID"]}


def check(holds, what):
    if not holds:
        sys.exit(f"FAILED {sys.argv[2]}: {what}")
    print(f"ok {sys.argv[2]}: {what}")


def get(path, token=None):
    """The status, the challenge and the body of a response."""
    request = urllib.request.Request(os.environ["API"] + path)
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, None, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("WWW-Authenticate"), error.read()


def check_api():
    reader = os.environ["READER"]
    status, _, body = get("/orders/42", reader)
    check(status == 200 and json.loads(body) == EXPECTED, "a token with the scope is accepted")

    status, challenge, _ = get("/orders/42", os.environ["WRITER"])
    check(status == 403 and challenge, "a token with another scope is denied with 403")

    head, payload, signature = reader.split(".")
    forged = json.loads(base64.urlsafe_b64decode(payload + "=="))
    forged["scope"] = "*:*"
    forged = base64.urlsafe_b64encode(json.dumps(forged).encode()).decode().rstrip("=")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').decode().rstrip("=")
    for what, token in [
        ("no token", None),
        ("an API key's secret", os.environ["CLIENT_SECRET"]),
        ("a token for another audience", os.environ["OTHER"]),
        ("a token of a key that is restricted to networks", os.environ["RESTRICTED"]),
        ("a token with changed claims", f"{head}.{forged}.{signature}"),
        ("a token without a signature", f"{unsigned}.{payload}."),
        ("a token of another type", os.environ["OTHER_TYPE"]),
    ]:
        status, challenge, _ = get("/orders/42", token)
        check(status == 401 and challenge, f"{what} is denied with 401")
    check(get("/orders/%2e%2e", reader)[0] != 200, "a dot segment is not an order")


def check_client():
    with open(sys.argv[3], encoding="utf-8") as output:
        # A framework may print a banner before.
        printed = output.read().strip().splitlines()
    check(printed and json.loads(printed[-1]) == EXPECTED, "the client got a token and called the API")


class Api(BaseHTTPRequestHandler):
    def do_GET(self):
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        body = b"{}"
        if token.count(".") == 2:
            claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
            body = json.dumps({"order": self.path.rsplit("/", 1)[1], "client": claims["sub"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


match sys.argv[1]:
    case "api":
        check_api()
    case "client":
        check_client()
    case "serve":
        HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Api).serve_forever()
