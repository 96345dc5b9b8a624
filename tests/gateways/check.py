"""Sends requests of honest and dishonest clients through one gateway, and reports the results.

    check.py serving|frozen|back|killed RECIPE

Run by scripts/gateways, which says in the environment where everything is; README.md lists it. Prints a line per
check that holds; the first that does not ends it with exit code 1.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import sys
import time
import urllib.parse
from dataclasses import dataclass

phase, recipe_name = sys.argv[1:]
keyturn = urllib.parse.urlsplit(os.environ["GATEWAYS_KEYTURN"])
admin_key = os.environ["GATEWAYS_API_KEY"]
other_key = os.environ["GATEWAYS_OTHER_KEY"]
issuer = os.environ["GATEWAYS_ISSUER"]
audience = os.environ["GATEWAYS_AUDIENCE"]
verdict_seconds = int(os.environ["GATEWAYS_VERDICT_SECONDS"])
ports = dict(pair.split("=") for pair in os.environ["GATEWAYS_PORTS"].split())
record = pathlib.Path(os.environ["GATEWAYS_RECORD"], recipe_name)
state = pathlib.Path(os.environ["GATEWAYS_STATE"], recipe_name)

HERE = "127.0.0.1"  # what Keyturn trusts is another loopback address, so these two are ordinary callers
ELSEWHERE = "127.0.0.2"
ORDERS = {"action": "read", "resource": "orders/*"}
PROJECTS = {"action": "read", "resource": "projects/acme/*"}


@dataclass(frozen=True)
class Recipe:
    """Properties of a recipe, as docs/gateways documents them."""

    asks: str = "verify"  # whom it asks about a credential: "verify", "introspection" or "nobody"
    api_key_header: bool = True  # takes a secret as X-Api-Key, too
    kept: int = 0  # seconds that a verdict may be kept
    slack: int = 0  # seconds that a token may outlive its end
    undecided: tuple = (500, 502, 503, 504)  # the answer when Keyturn cannot be asked
    any_name: bool = True  # drops every X-Keyturn-* header, not only those that it sets
    sends_only: bool = True  # Keyturn gets only the credential
    waits: int = 5  # seconds that it waits for Keyturn at most
    challenge: bool = True  # a 403 says which scope is missing
    confusing_path: tuple = (400, 403, 404)
    preflights: bool = True  # its lines for CORS preflights are in force: see scripts/gateways
    request_id: bool = True  # gives each request an ID, and tells it to Keyturn and to the API
    protects_mcp: bool = False  # protects an MCP server at /mcp, and nothing else

    @property
    def verifies(self):
        return self.asks == "verify"

    @property
    def takes_keys(self):
        return self.asks != "nobody"


RECIPES = {
    "nginx": Recipe(any_name=False),
    # nginx counts in whole seconds, and the second in which something ends still counts.
    "nginx-cached": Recipe(any_name=False, kept=verdict_seconds + 1, slack=1, preflights=False),
    "nginx-mcp": Recipe(any_name=False, protects_mcp=True),
    "caddy": Recipe(sends_only=False),
    "caddy-mcp": Recipe(sends_only=False, protects_mcp=True),
    "haproxy": Recipe(asks="nobody", request_id=False),
    "haproxy-verify": Recipe(),
    "envoy": Recipe(),
    "envoy-jwt": Recipe(asks="nobody", slack=2, request_id=False),
    "apache": Recipe(
        asks="introspection", api_key_header=False, undecided=(401,), waits=20, preflights=False, request_id=False
    ),
    "apache-jwks": Recipe(asks="nobody", slack=1, preflights=False, request_id=False),
    "traefik": Recipe(waits=35, request_id=False),
}
recipe = RECIPES[recipe_name]


class Failed(Exception):
    pass


def ok(what):
    print(f"ok {recipe_name}: {what}")


def expect(condition, what, answer=None):
    if not condition:
        raise Failed(what if answer is None else f"{what}; got {answer}")


# --- talking


@dataclass
class Answer:
    status: int
    headers: list
    body: bytes

    def values(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def seen(self):
        """The request as the API behind the gateway received it, or None."""
        return json.loads(self.body) if self.status == 200 else None

    def __str__(self):
        return f"{self.status} {self.headers} {self.body[:600]!r}"


def send(host, port, method, path, headers=(), body=None, source=HERE, timeout=40):
    connection = http.client.HTTPConnection(host, port, timeout=timeout, source_address=(source, 0))
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        chunked = isinstance(body, list)
        if chunked:
            connection.putheader("Transfer-Encoding", "chunked")
        elif body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(iter(body) if chunked else body, encode_chunked=chunked)
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())
    finally:
        connection.close()


def ask(path=None, token=None, key=None, headers=(), method="GET", **more):
    """A request to the gateway, with a token or a secret."""
    path = path or ("/mcp" if recipe.protects_mcp else "/orders/1")
    own = []
    if token is not None:
        own.append(("Authorization", f"Bearer {token}"))
    if key is not None:
        own.append(("X-Api-Key", key))
    return send("127.0.0.1", int(ports[recipe_name]), method, path, [*own, *headers], **more)


def passes(what, *arguments, **more):
    answer = ask(*arguments, **more)
    expect(answer.status == 200, f"{what}: 200 was expected", answer)
    return answer


def refused(what, statuses, *arguments, **more):
    answer = ask(*arguments, **more)
    expect(answer.status in statuses, f"{what}: one of {statuses} was expected", answer)
    return answer


def manage(method, path, body):
    headers = [("X-Api-Key", admin_key), ("Content-Type", "application/json")]
    answer = send(
        keyturn.hostname,
        keyturn.port,
        method,
        f"/api/v1/organizations/default{path}",
        headers,
        json.dumps(body).encode(),
    )
    expect(answer.status in (200, 201, 204), f"{method} {path}", answer)
    return json.loads(answer.body) if answer.body else {}


def make_key(*scopes, **more):
    return manage("POST", "/keys", {"name": "Größe 7", "scopes": list(scopes), **more})


def revoke(key):
    manage("POST", f"/keys/{key['id']}/revoke", {"reason": "a check"})


def mint(key, source=HERE, **more):
    form = urllib.parse.urlencode({"grant_type": "client_credentials", **more})
    headers = [("X-Api-Key", key["secret"]), ("Content-Type", "application/x-www-form-urlencoded")]
    answer = send(keyturn.hostname, keyturn.port, "POST", "/oauth/token", headers, form.encode(), source=source)
    expect(answer.status == 200, "a token", answer)
    return json.loads(answer.body)["access_token"]


# --- reading


def part(token, index):
    text = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def encode(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def identity(answer):
    """The headers that say who the caller is, as an application server may read them: - and _ are the same."""
    found = {}
    for name, value in answer.seen["headers"]:
        plain = name.replace("_", "-")
        if plain.startswith("x-keyturn-"):
            found.setdefault(plain, []).append(value)
    return found


def expect_identity(answer, key, token=None):
    found = identity(answer)
    wanted = {
        "x-keyturn-client-id": key["id"],
        "x-keyturn-organization": "default",
        "x-keyturn-scope": " ".join(f"{scope['action']}:{scope['resource']}" for scope in key["scopes"]),
        "x-keyturn-token-id": part(token, 1)["jti"] if token else "",
        "x-keyturn-external-id": "",
    }
    if recipe.verifies:
        wanted["x-keyturn-key-name"] = urllib.parse.quote(key["name"], safe=" ")
    for name, value in wanted.items():
        # An empty header may also be absent.
        expect(found.get(name, [""]) == [value], f"{name}: {value!r} was expected", found)
    if not recipe.verifies:
        expect("x-keyturn-key-name" not in found, "x-keyturn-key-name, which only /verify returns", found)
    seen = json.dumps(answer.seen)
    expect(key["secret"] not in seen, "the secret reached the API")
    expect(token is None or token not in seen, "the token reached the API")


def seen_by_keyturn():
    return record.read_bytes() if record.exists() else b""


# --- what is checked


def good_credentials(key, token):
    answer = passes("a good token", token=token)
    expect_identity(answer, key, token)
    forwarded = [value for name, value in answer.seen["headers"] if name == "x-forwarded-for"]
    expect(forwarded == [HERE], "X-Forwarded-For of the API: the caller alone", forwarded)
    ok("a good token passes, with the identity that Keyturn knows and without the token")
    lower = passes("a lower-case scheme", headers=[("authorization", f"bearer {token}")]) if recipe.verifies else None
    if lower:
        expect_identity(lower, key, token)
    if recipe.takes_keys:
        expect_identity(passes("a secret as a bearer", token=key["secret"]), key)
        if recipe.api_key_header:
            expect_identity(passes("a secret in X-Api-Key", key=key["secret"]), key)
        ok("a good secret passes as well")
    else:
        refused("a secret", (401,), token=key["secret"])
        refused("a secret in X-Api-Key", (401,), key=key["secret"])
        ok("a secret is refused: only tokens can be checked without asking")


def long_scopes():
    def many(count, words):
        return make_key(
            ORDERS, *({"action": "read", "resource": f"projects/{'long-name-' * words}{n:02}/*"} for n in range(count))
        )

    if recipe.takes_keys:
        key = many(49, 18)
        expect_identity(passes("a key with long scopes", token=key["secret"]), key)
    key = many(40, 6)
    token = mint(key)
    expect_identity(passes(f"a token of {len(token)} bytes", token=token), key, token)
    ok(f"a key with many long scopes passes, and a token of {len(token)} bytes")


def smuggled_identity(key, token):
    names = ["Client-Id", "Organization", "Scope", "Key-Name", "Token-Id", "External-Id"]
    forms = ["X-Keyturn-{}", "x-keyturn-{}", "X_Keyturn_{}", "X-Keyturn_{}", "X_KEYTURN-{}"]
    headers = [(form.format(name), "evil") for name in names for form in forms]
    headers += [(f"X_Keyturn_{name.replace('-', '_')}", "evil") for name in names]
    headers += [(f"X-Keyturn-{name.replace('-', '_')}", "evil") for name in names]
    if recipe.any_name:
        headers += [("X-Keyturn-Member", "evil"), ("X-Keyturn-Sub", "evil"), ("X_Keyturn_Anything", "evil")]
    for credential in [{"token": token}] + ([{"token": key["secret"]}] if recipe.takes_keys else []):
        answer = passes("smuggled identity headers", headers=headers, **credential)
        expect("evil" not in json.dumps(answer.seen), "a smuggled identity reached the API", answer.seen)
        expect_identity(answer, key, token if credential["token"] == token else None)
    ok("identity headers that the client sends never reach the API")
    for name in ("X-Keyturn-Client-Id", "close, x-keyturn-client-id, x-keyturn-scope, x-forwarded-for"):
        answer = ask(token=token, headers=[("Connection", name)])
        expect(answer.status in (200, 400, 403, 404), "identity headers named in Connection", answer)
        if answer.status == 200:
            expect_identity(answer, key, token)
    ok("the client cannot have them taken out by naming them in Connection")


def bad_credentials(key, token):
    head, payload, signature = token.split(".")
    flipped = signature[:-8] + ("A" if signature[-8] != "A" else "B") + signature[-7:]
    other_payload = encode(json.dumps({**part(token, 1), "scope": "*:*"}).encode())
    unsigned = encode(json.dumps({**part(token, 0), "alg": "none"}).encode())
    confused = encode(json.dumps({**part(token, 0), "alg": "HS256"}).encode())
    pem = send(keyturn.hostname, keyturn.port, "GET", f"/.well-known/jwks/{part(token, 0)['kid']}.pem").body
    mac = encode(hmac.new(pem, f"{confused}.{payload}".encode(), hashlib.sha256).digest())
    secret = key["secret"]
    typo = secret[:-1] + ("a" if secret[-1] != "a" else "b")
    answer = refused("no credential", (401,))
    expect(any(value.startswith("Bearer") for value in answer.values("WWW-Authenticate")), "no challenge", answer)
    ok("no token: 401 with a challenge")
    for what, text in {
        "a changed signature": f"{head}.{payload}.{flipped}",
        "a changed payload": f"{head}.{other_payload}.{signature}",
        "no signature": f"{head}.{payload}.",
        "alg none": f"{unsigned}.{payload}.",
        "alg none with the signature": f"{unsigned}.{payload}.{signature}",
        "HMAC with the public key": f"{confused}.{payload}.{mac}",
        "half a token": token[: len(token) // 2],
        "no token at all": "nonsense",
        "a secret with a typo": typo,
    }.items():
        refused(what, (401,), token=text)
    if recipe.api_key_header:
        refused("a secret with a typo in X-Api-Key", (401,), key=typo)
    refused("a token in the query", (401,), f"/orders/1?access_token={token}")
    refused(
        "a token by Basic",
        (401,),
        headers=[("Authorization", "Basic " + base64.b64encode(f"x:{token}".encode()).decode())],
    )
    ok("a wrong token: 401, whatever is wrong with it")
    if recipe.verifies:
        refused("two credentials", (401,), token=token, key=secret)
        ok("two credentials at once: 401")


def scopes(key):
    narrow = make_key(PROJECTS)
    little = mint(narrow)
    answer = refused("a token without the scope", (403,), token=little)
    if recipe.verifies and recipe.challenge:
        challenge = " ".join(answer.values("WWW-Authenticate"))
        expect(
            'error="insufficient_scope"' in challenge and 'scope="read:orders/*"' in challenge, "the challenge", answer
        )
    if recipe.takes_keys:
        refused("a secret without the scope", (403,), token=narrow["secret"])
    refused("a token narrowed to another scope", (403,), token=mint(key, scope="read:projects/acme/*"))
    passes("a token narrowed to this scope", token=mint(key, scope="read:orders/*"))
    for scope in (
        {"action": "*", "resource": "orders/*"},
        {"action": "read", "resource": "*"},
        {"action": "*", "resource": "*"},
        "read",
        "*",
    ):
        passes(f"a wider scope {scope}", token=mint(make_key(scope)))
    for scope in (
        {"action": "read", "resource": "orders/7"},
        {"action": "write", "resource": "orders/*"},
        {"action": "read", "resource": "#"},
        "write",
    ):
        refused(f"a scope that is not enough {scope}", (403,), token=mint(make_key(scope)))
    ok("a missing scope: 403; a wider one is enough, a narrower one is not")
    for query in (
        "keyturn_require=read:projects/acme/1",
        "keyturn_require=",
        "keyturn_map=http",
        "&&keyturn_require=read:projects/acme/1&",
        "a=%23&keyturn_map=http",
        "x=%26keyturn_require%3Dread:projects/acme/1",
        "%6beyturn_require=read:projects/acme/1",
    ):
        refused(f"?{query}", (403,), f"/orders/1?{query}", token=little)
    for path in ("/orders/1%3Fkeyturn_map=http", "/orders/1;keyturn_map=http", "/orders/1%23"):
        refused(path, (400, 403, 404), path, token=little)
    ok("nothing in the client's query weakens what is required")
    for path in ("/", "/orders", "/other/1", "/_keyturn", "/verify", "/keyturn/verify"):
        refused(
            f"{path}, which is not listed",
            (301, 401, 403, 404),
            path,
            token=mint(make_key({"action": "*", "resource": "*"})),
        )
    ok("what is not listed is closed")


def where_paths_lead(key):
    only_orders = mint(make_key(ORDERS))
    for path in (
        "/orders/../projects/acme/1",
        "/orders/%2e%2e/projects/acme/1",
        "/orders/..%2fprojects/acme/1",
        "/orders/%2e%2e%2fprojects%2facme%2f1",
        "/orders/.%2e/projects/acme/1",
        "/orders/x/../../projects/acme/1",
        "/orders//../projects/acme/1",
        "//projects/acme/1",
    ):
        answer = ask(path, token=only_orders)
        if answer.status == 200:
            path = urllib.parse.unquote(answer.seen["path"].split("?")[0])
            parts = []
            for segment in path.split("/"):
                if segment == "..":
                    parts = parts[:-1]
                elif segment not in ("", "."):
                    parts.append(segment)
            expect(parts[:1] == ["orders"], "a path led out of what the token may", answer.seen)
        else:
            expect(
                answer.status in recipe.confusing_path,
                f"{path}: one of {recipe.confusing_path} or a pass was expected",
                answer,
            )
    ok("no path leads out of what the token may")


def mapped(key, token):
    passes("GET of the own resource", "/projects/acme/1", token=token)
    passes("GET with a query", "/projects/acme/1?keyturn_require=write:x&a=%zz", token=token)
    passes("HEAD of one's own", "/projects/acme/1/files", token=token)
    refused("POST", (403,), "/projects/acme/1", token=token, method="POST", body=b"x")
    refused("DELETE", (403,), "/projects/acme/1", token=token, method="DELETE")
    refused("another resource", (403,), "/projects/other/1", token=token)
    lies = [
        [("X-Original-Method", "GET"), ("X-Original-URI", "/projects/acme/1"), ("X-Original-URL", "/projects/acme/1")],
        [("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", "/projects/acme/1")],
        [("X-HTTP-Method-Override", "GET"), ("X-Rewrite-URL", "/projects/acme/1")],
    ]
    for headers in lies:
        refused(f"{headers} and another resource", (403,), "/projects/other/1", token=token, headers=headers)
        refused(f"{headers} and DELETE", (403,), "/projects/acme/1", token=token, method="DELETE", headers=headers)
    for headers in (
        [("X-Original-Method", "DELETE"), ("X-Original-URI", "/x")],
        [("X-Forwarded-Method", "PUT"), ("X-Forwarded-Uri", "/x")],
    ):
        passes(f"{headers} and one's own", "/projects/acme/1", token=token, headers=headers)
    for path in (
        "/projects/acme/../other/1",
        "/projects/acme/%2e%2e/other/1",
        "/projects/acme/..%2fother/1",
        "/projects/acme/%2e%2e%2fother%2f1",
        "/projects/acme//../../other/1",
    ):
        refused(path, (400, 403, 404), path, token=token)
    writer = mint(make_key({"action": "write", "resource": "projects/acme/*"}))
    passes("POST by who may write", "/projects/acme/1", token=writer, method="POST", body=b"x")
    refused("GET by who may only write", (403,), "/projects/acme/1", token=writer)
    ok("method and path decide with keyturn_map=http, and only the real ones")


def networks():
    key = make_key(ORDERS, allowed_cidrs=[f"{ELSEWHERE}/32"])
    token = mint(key, source=ELSEWHERE)
    lies = [
        [("X-Forwarded-For", ELSEWHERE)],
        [
            ("X-Forwarded-For", f"{ELSEWHERE}, {ELSEWHERE}"),
            ("X-Real-IP", ELSEWHERE),
            ("X-Envoy-External-Address", ELSEWHERE),
        ],
        [("Forwarded", f"for={ELSEWHERE}")],
        [("X-Forwarded-For", ELSEWHERE), ("Forwarded", f"for={ELSEWHERE}")],
        [("X-Forwarded-For", ELSEWHERE), ("Connection", "X-Forwarded-For")],
    ]
    if recipe.verifies:
        passes("from an allowed network", token=token, source=ELSEWHERE)
        passes("a secret from an allowed network", token=key["secret"], source=ELSEWHERE)
        passes(
            "from an allowed network, with lies",
            token=token,
            source=ELSEWHERE,
            headers=[("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")],
        )
    else:
        refused("a key with allowed networks", (403,), token=token, source=ELSEWHERE)
    for headers in [[], *lies]:
        refused(f"from another network {headers}", (403,) if not headers else (400, 403), token=token, headers=headers)
    ok(
        "allowed networks are checked against the real peer, whatever forwarding headers it sends"
        if recipe.verifies
        else "a key with allowed networks is refused: 403"
    )


def bodies(token):
    marker = f"body of {recipe_name} {os.getpid()}".encode()
    answer = passes("POST", token=token, method="POST", body=marker, headers=[("Cookie", "crumb=1")])
    expect(
        answer.seen["body"].encode() == marker and answer.seen["method"] == "POST",
        "the body reaches the API",
        answer.seen,
    )
    answer = passes("POST in chunks", token=token, method="POST", body=[marker[:5], marker[5:]])
    expect(answer.seen["body"].encode() == marker, "the body in chunks reaches the API", answer.seen)
    answer = passes("a large body", token=token, method="POST", body=marker + b"." * 300_000)
    expect(len(answer.seen["body"]) == len(marker) + 300_000, "the whole body reaches the API")
    sent = seen_by_keyturn()
    expect(marker not in sent, "the body was sent to Keyturn")
    ok("the body reaches the API and is not sent to Keyturn")
    if recipe.asks != "nobody" and recipe.sends_only:
        expect(b"crumb" not in sent, "cookies were sent to Keyturn")
        ok("Keyturn gets only the credential")


def preflights():
    """CORS preflights, and requests that only resemble them."""
    origin = [("Origin", "https://app.example")]
    asks = [*origin, ("Access-Control-Request-Method", "GET"), ("Access-Control-Request-Headers", "authorization")]
    if not recipe.preflights:
        refused("a preflight", (401, 403), method="OPTIONS", headers=asks)
        ok("a CORS preflight is denied: the recipe's lines for it are comments")
        return
    smuggled = [("X-Keyturn-Client-Id", "evil"), ("X-Keyturn-Scope", "evil"), ("X-Api-Key", "secret")]
    answer = passes("a preflight", method="OPTIONS", headers=[*asks, *smuggled, ("Authorization", "Bearer secret")])
    expect(answer.seen["method"] == "OPTIONS", "the API answers the preflight", answer.seen)
    expect(set(sum(identity(answer).values(), [])) <= {""}, "a preflight has an identity", answer.seen)
    expect("secret" not in json.dumps(answer.seen), "a credential of a preflight reached the API", answer.seen)
    refused("OPTIONS that is no preflight", (401,), method="OPTIONS", headers=origin)
    for method in ("GET", "POST", "options"):
        refused(f"{method} with the headers of a preflight", (400, 401, 403), method=method, headers=asks)
    refused("a preflight of what is not listed", (400, 401, 403, 404), "/other/1", method="OPTIONS", headers=asks)
    refused("a preflight with a confusing path", (400, 401, 403, 404), "/orders/..;/x", method="OPTIONS", headers=asks)
    ok("a CORS preflight reaches the API without a credential, and nothing else does")


def request_ids(token):
    """The request ID in Keyturn's log line about a request."""
    answer = passes("a request with an ID of the client's", token=token, headers=[("X-Request-Id", "the-clients-own")])
    found = [value for name, value in answer.seen["headers"] if name == "x-request-id"]
    expect(len(found) == 1 and len(found[0]) >= 16, "one X-Request-Id", found)
    sent = seen_by_keyturn().lower()
    expect(f"x-request-id: {found[0]}".lower().encode() in sent, "Keyturn got another X-Request-Id", found)
    expect(b"the-clients-own" not in sent, "the client chose the X-Request-Id")
    ok("Keyturn and the API get the same X-Request-Id, and not the client's")


def audiences(key):
    token = mint(key, resource=issuer)
    expect(part(token, 1)["aud"] == issuer, "the audience", part(token, 1))
    if recipe.verifies:
        passes("a token for another audience", token=token)
        ok("a token for another audience passes: /verify is not told for whom it asks")
    else:
        refused("a token for another audience", (401, 403), token=token)
        ok("a token for another audience is refused")


def organizations():
    other = {"id": other_key.split("_")[1], "secret": other_key}
    for text in (mint(other), *([other_key] if recipe.takes_keys else [])):
        refused("another organization's credential", (401,), token=text)
    ok("a credential of another organization on the same server: 401")


def short_lived(seconds, meanwhile):
    """A key and a token that end soon, but, on a slow machine too, not before `meanwhile` is done with them."""
    for longer in (1, 3, 9):
        try:
            key = make_key(ORDERS, expires_in_seconds=seconds * longer)
            token = mint(key)
            meanwhile(key, token)
            return key, token
        except Failed:
            if longer == 9:
                raise
    raise AssertionError


def expired():
    key, token = short_lived(4, lambda key, token: passes("a token that is about to end", token=token))
    time.sleep(max(0.0, part(token, 1)["exp"] + recipe.slack - time.time()) + 0.05)
    refused("a token that has ended", (401,), token=token)
    if recipe.takes_keys:
        time.sleep(1.1)
        refused("a key that has ended", (401,), token=key["secret"])
    ok("an expired token: 401" + (f", at most {recipe.slack} s after its end" if recipe.slack else ""))


def revoked():
    if recipe.asks == "nobody":

        def meanwhile(key, token):
            passes("before the revocation", token=token)
            revoke(key)
            passes("after the revocation", token=token)

        _, token = short_lived(6, meanwhile)
        time.sleep(max(0.0, part(token, 1)["exp"] + recipe.slack - time.time()) + 0.05)
        refused("after the token's end", (401,), token=token)
        ok("a revoked key's token is refused once it ends, as the recipe says, and not before")
        return
    key = make_key(ORDERS)
    token = mint(key)
    passes("before the revocation", token=token)
    passes("the key before the revocation", token=key["secret"])
    revoke(key)
    done = time.monotonic()
    if recipe.kept:
        for credential in (token, key["secret"]):
            while (answer := ask(token=credential)).status == 200 and time.monotonic() - done <= recipe.kept + 0.5:
                time.sleep(0.05)
            expect(answer.status == 401, f"{recipe.kept} s after the revocation", answer)
        took = time.monotonic() - done
        ok(f"a revoked key is refused within the {recipe.kept} s that a verdict is kept (it took {took:.1f} s)")
    else:
        refused("the request after the revocation", (401,), token=token)
        refused("the key after the revocation", (401,), token=key["secret"])
        ok("after a revocation the very next request is refused")
        for _ in range(3):
            other = make_key(ORDERS)
            token = mint(other)
            for _ in range(3):
                passes("before the revocation", token=token)
            revoke(other)
            refused("the request after the revocation", (401,), token=token)
        other = make_key(ORDERS)
        token = mint(other)
        passes("before it is disabled", token=token)
        manage("POST", f"/keys/{other['id']}/disable", {})
        refused("a disabled key's token", (401, 403), token=token)
        refused("a disabled key", (401, 403), token=other["secret"])
        ok("so it is after disabling the key")


def kept_verdicts(key):
    def questions():
        return seen_by_keyturn().count(b" /verify?")

    token = mint(make_key(ORDERS, allowed_cidrs=[f"{ELSEWHERE}/32"]), source=ELSEWHERE)
    before = questions()
    for _ in range(30):
        passes("again", token=token, source=ELSEWHERE)
    asked = questions() - before
    expect(1 <= asked <= 2, f"30 requests were {asked} questions")
    refused("a verdict from another address", (403,), token=token)
    refused("a verdict for another path", (403,), "/projects/acme/1", token=token, source=ELSEWHERE)
    ok(f"30 requests ask Keyturn {asked} time(s); a verdict holds for its caller and its question alone")
    mine = mint(key)
    passes("a path that looks like a key of the cache", "/projects/acme/|/projects/other/1|", token=mine)
    passes("mine", "/projects/acme/1", token=mine)
    refused("another method", (403,), "/projects/acme/1", token=mine, method="DELETE")
    refused("another path", (403,), "/projects/other/1", token=mine)
    refused(
        "a credential that looks like a path",
        (401,),
        "/projects/other/1",
        headers=[("Authorization", f"Bearer {mine} /projects/acme/1")],
    )
    refused("a credential in two headers", (401,), headers=[("X-Api-Key", "Bearer"), ("Authorization", mine)])
    ok("no request can be made to look like another one in the cache")


def make_mcp_key(*scopes):
    return manage("POST", "/keys", {"name": "agent", "scopes": [], "apis": [{"api": "mcp", "scopes": scopes}]})


def mcp():
    resource = f"{audience}/mcp"
    path = "/.well-known/oauth-protected-resource/mcp"
    place = f'resource_metadata="{audience}{path}"'
    document = passes("the metadata", path)
    found = json.loads(document.body)
    expect((found["resource"], found["authorization_servers"]) == (resource, [issuer]), "the metadata", document)
    expect(document.values("Access-Control-Allow-Origin") == ["*"], "the metadata for pages of every origin", document)
    ok("the metadata is where clients look for it, without a credential")
    key = make_mcp_key("tools.call", "tools.list")
    token = mint(key, resource=resource, scope="tools.call")
    for what, status, answer in (
        ("no token", 401, ask()),
        ("a token for another audience", 401, ask(token=mint(make_key(ORDERS)))),
        ("another API's secret", 401, ask(key=make_key(ORDERS)["secret"])),
        ("a token without the scope", 403, ask(token=mint(key, resource=resource, scope="tools.list"))),
    ):
        challenge = " ".join(answer.values("WWW-Authenticate"))
        expect(answer.status == status, f"{what}: {status} was expected", answer)
        expect(place in challenge and 'scope="tools.call"' in challenge, f"{what}: the challenge", answer)
    ok("without a good token: 401 or 403, with a challenge that names the metadata and the scope")
    smuggled = [("X-Keyturn-Client-Id", "evil"), ("X_Keyturn_Scope", "evil"), ("X-Forwarded-For", ELSEWHERE)]
    for credential in ({"token": token}, {"key": key["secret"]}):
        answer = passes("a good credential", method="POST", body=b"{}", headers=smuggled, **credential)
        expect(identity(answer)["x-keyturn-client-id"] == [key["id"]], "the identity", answer.seen)
        text = json.dumps(answer.seen)
        expect("evil" not in text and key["secret"] not in text and token not in text, "what reached the server", answer.seen)
    ok("a good token or secret passes, with the identity that Keyturn knows and without the credential")
    for other in ("/", "/mcp/x", "/orders/1", f"{path}/x", "/.well-known/jwks.json", "/verify"):
        refused(other, (404,), other, token=token)
    ok("nothing else is there")
    revoke(key)
    refused("the request after the revocation", (401,), token=token)
    ok("after a revocation the very next request is refused")


# --- the phases


def serving():
    # For the phases to come: credentials that this gateway has not seen before.
    lasting = make_mcp_key("tools.call") if recipe.protects_mcp else make_key(ORDERS)
    target = {"resource": f"{audience}/mcp"} if recipe.protects_mcp else {}
    tokens = [mint(lasting, **target) for _ in range(5)]
    state.write_text(json.dumps({"new": tokens[1:], "seen": tokens[0], "key": lasting["secret"]}))
    if recipe.protects_mcp:
        mcp()
        return
    key = make_key(ORDERS, PROJECTS)
    token = mint(key)
    if recipe.asks == "nobody":
        # Its first look at the JWKS may still be under way.
        deadline = time.monotonic() + 5
        while ask(token=token).status != 200 and time.monotonic() < deadline:
            time.sleep(0.1)
    good_credentials(key, token)
    long_scopes()
    smuggled_identity(key, token)
    bad_credentials(key, token)
    scopes(key)
    where_paths_lead(key)
    if recipe.verifies:
        mapped(key, token)
    networks()
    bodies(token)
    preflights()
    if recipe.request_id:
        # A token that was not seen before, so that a gateway which keeps verdicts asks.
        request_ids(mint(key))
    audiences(key)
    organizations()
    if recipe.kept:
        kept_verdicts(key)
    expired()
    revoked()


def without_keyturn(how):
    credentials = json.loads(state.read_text())
    if recipe.asks == "nobody":
        passes("a good token", token=credentials["new"][0])
        refused("a wrong token", (401,), token=credentials["new"][0][:-6] + "AAAAAA")
        refused("no token", (401,))
        ok(f"Keyturn {how}: goes on by itself, good tokens pass and others do not")
        return
    began = time.monotonic()
    fresh = credentials["new"].pop()
    state.write_text(json.dumps(credentials))
    refused("a good token that was not seen before", recipe.undecided, token=fresh)
    took = time.monotonic() - began
    if recipe.waits > 5 and how == "frozen":
        ok(f"Keyturn {how}: 5xx, never a pass")
        return
    expect(took < recipe.waits, f"the answer took {took:.1f} s")
    for text in (credentials["key"], "nonsense"):
        refused("another credential", recipe.undecided, token=text)
    refused("the token that was seen before", recipe.undecided, token=credentials["seen"])
    ok(
        f"Keyturn {how}: {'or '.join(map(str, recipe.undecided)) if len(recipe.undecided) == 1 else '5xx'}, never a pass"
    )


def back():
    credentials = json.loads(state.read_text())
    deadline = time.monotonic() + 10
    while (answer := ask(token=credentials["new"][0])).status != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    expect(answer.status == 200, "a good token once Keyturn goes on", answer)
    passes("the token that is seen again later", token=credentials["seen"])
    ok("Keyturn goes on: so does the gateway")
    if recipe.kept:
        time.sleep(recipe.kept + 0.1)


try:
    match phase:
        case "serving":
            serving()
        case "frozen":
            without_keyturn("frozen")
        case "back":
            back()
        case "killed":
            without_keyturn("killed")
        case _:
            sys.exit(f"no such phase: {phase}")
except Failed as failure:
    print(f"FAILED {recipe_name}: {failure}", flush=True)
    sys.exit(1)
except OSError as error:
    print(f"FAILED {recipe_name}: {error!r}", flush=True)
    raise
