"""Creates the APIs and the key for the validators, and writes what each is configured with and what it must accept.

    setup.py

Run by scripts/validators with VALIDATORS_ISSUER, VALIDATORS_SECRET, VALIDATORS_FOLDER, and VALIDATORS_PORTS: enough free ports.
Writes FOLDER/NAME.json with the configuration of a validator, and FOLDER/NAME.cells.json with the tokens for it.
"""

import base64
import json
import os
import pathlib
import sys
import urllib.error
import urllib.parse
import urllib.request

ISSUER = os.environ["VALIDATORS_ISSUER"]
SECRET = os.environ["VALIDATORS_SECRET"]
FOLDER = pathlib.Path(os.environ["VALIDATORS_FOLDER"])
ports = iter(os.environ["VALIDATORS_PORTS"].split())

PLAIN = {"name": "photos", "audience": "https://photos.example", "scopes": ["photos.read", "photos.write"]}
FILTERS = {"name": "orders", "audience": "https://orders.example", "scopes": ["read:orders/*", "write:orders/*"]}
STYLES = {"plain": PLAIN, "filters": FILTERS}
# Its tokens have the scopes that both validators require, and differ from what they accept in the audience alone.
COPY = {"name": "copy", "audience": "https://copy.example", "scopes": ["photos.read", "read:orders/*", "tools.call"]}
# The status for another audience, if it is not 401.
OTHER_AUDIENCE = {"envoy": 403}
KINDS = [(algorithm, typ) for algorithm in ("RS256", "ES256", "EdDSA") for typ in ("JWT", "at+jwt")]
# RabbitMQ ignores the part of a scope before the first dot, if it is the audience: what follows is permission:host/name.
BROKERS = {
    "plain": {"name": "rabbit", "audience": "rabbitmq"},
    "filters": {"name": "warren", "audience": "warren"},
}
PERMISSIONS = ("read", "write", "configure")
STREAMS = {
    "plain": {"name": "events", "audience": "kafka", "scopes": ["events.produce"]},
    "filters": {"name": "ledger", "audience": "https://kafka.example", "scopes": ["write:ledger/*"]},
}


def call(method, path, body):
    request = urllib.request.Request(f"{ISSUER}/api/v1/organizations/default{path}", method=method)
    request.add_header("Authorization", f"Bearer {SECRET}")
    request.add_header("Content-Type", "application/json")
    return send(request, json.dumps(body).encode())


def send(request, body):
    try:
        with urllib.request.urlopen(request, body, timeout=20) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        sys.exit(f"{request.full_url} {body}: {error.code} {error.read()}")


def create_api(style, name, audience, scopes, algorithm="ES256", typ="JWT"):
    body = {"name": name, "audience": audience, "scope_style": style, "algorithm": algorithm, "token_typ": typ}
    call("POST", "/apis", {**body, "scopes": [{"scope": scope} for scope in scopes]})
    return {"api": name, "scopes": scopes}


def fetch_token(key, audience, scopes):
    form = {"grant_type": "client_credentials", "resource": audience, "scope": " ".join(scopes)}
    request = urllib.request.Request(f"{ISSUER}/oauth/token")
    pair = f"{key['id']}:{key['secret']}".encode()
    request.add_header("Authorization", f"Basic {base64.b64encode(pair).decode()}")
    return send(request, urllib.parse.urlencode(form).encode())["access_token"]


def cells(key, apis, style, right, other, refusal=401):
    """The tokens for one configuration of a validator: (what, token, the status that is expected)."""
    this = apis[style]
    others = [api for api in (*apis.values(), COPY) if api is not this]
    return [
        ("the right audience and scope", fetch_token(key, this["audience"], right), 200),
        ("another scope", fetch_token(key, this["audience"], other), 403),
        *((f"the audience {api['audience']}", fetch_token(key, api["audience"], api["scopes"]), refusal) for api in others),
    ]


def configuration(audience, scope, algorithm="ES256"):
    return {
        "port": int(next(ports)),
        "issuer": ISSUER,
        "jwks": f"{ISSUER}/.well-known/jwks.json",
        "audience": audience,
        "algorithm": algorithm,
        "scope": scope,
    }


def write(name, configurations, cells):
    (FOLDER / f"{name}.json").write_text(json.dumps(configurations))
    listed = [
        {"style": style, "port": one["port"], "cells": each}
        for (style, each), one in zip(cells.items(), configurations)
    ]
    (FOLDER / f"{name}.cells.json").write_text(json.dumps(listed))


def kind(algorithm, typ):
    name = f"{algorithm}-{typ}".replace("+", "-").lower()
    return {"name": name, "audience": f"https://{name}.example", "scopes": ["photos.read"]}


def main():
    call("PUT", "/policy", {"actions": ["read", "write", "admin", *(f"warren.{name}" for name in PERMISSIONS)]})
    for style, scopes in {
        "plain": [f"rabbitmq.{name}:*/*" for name in PERMISSIONS] + ["rabbitmq.read:%2F/jobs-*"],
        "filters": [f"warren.{name}:jobs/*" for name in PERMISSIONS],
    }.items():
        BROKERS[style]["scopes"] = scopes
    grants = [
        create_api(style, **api) for apis in (STYLES, BROKERS, STREAMS) for style, api in apis.items()
    ]
    grants.append(create_api("plain", **COPY))
    grants += [create_api("plain", **kind(*each), algorithm=each[0], typ=each[1]) for each in KINDS]
    key = call("POST", "/keys", {"name": "matrix", "apis": grants})
    (FOLDER / "key.json").write_text(json.dumps(key))

    kinds = {each: kind(*each) for each in KINDS}
    tokens = {each: fetch_token(key, api["audience"], api["scopes"]) for each, api in kinds.items()}
    previews = {
        each: call("POST", f"/keys/{key['id']}/token-preview", {"resource": [api["audience"]], "scope": "photos.read"})
        for each, api in kinds.items()
    }
    previewed = {"spring": "spring_security", "express": "express_oauth2_jwt_bearer", "envoy": "envoy_jwt_authn"}
    for name in ("pyjwt", "express", "go-oidc", "envoy", "spring"):
        configurations = [configuration(api["audience"], api["scopes"][0]) for api in STYLES.values()]
        refusal = OTHER_AUDIENCE.get(name, 401)
        expected = {
            style: cells(key, STYLES, style, api["scopes"][:1], api["scopes"][1:], refusal)
            for style, api in STYLES.items()
        }
        if name in previewed:
            for each, api in kinds.items():
                view = next(view for view in previews[each]["views"] if view["validator"] == previewed[name])
                status = 200 if view["accepts"] else 401
                configurations.append(configuration(api["audience"], "photos.read", each[0]))
                expected[" ".join(each)] = [("as the preview says", tokens[each], status)]
        if name == "express":
            # A note in the preview: with strict, the typ must be at+jwt.
            for each in [("ES256", "JWT"), ("ES256", "at+jwt")]:
                configurations.append({**configuration(kinds[each]["audience"], "photos.read"), "strict": True})
                status = 200 if each[1] == "at+jwt" else 401
                expected[f"{' '.join(each)} strict"] = [("as the note in the preview says", tokens[each], status)]
        write(name, configurations, expected)

    rabbits = {
        style: cells(key, BROKERS, style, api["scopes"][:3], api["scopes"][:1]) for style, api in BROKERS.items()
    }
    default_host = BROKERS["plain"]["scopes"][3:]
    rabbits["plain"].append(("queues of /", fetch_token(key, BROKERS["plain"]["audience"], default_host), "jobs only"))
    write("rabbitmq", [configuration(api["audience"], api["scopes"][0]) for api in BROKERS.values()], rabbits)
    streams = [configuration(api["audience"], api["scopes"][0]) for api in STREAMS.values()]
    write("kafka", streams, dict.fromkeys(STREAMS, ()))
    write_mcp()


def write_mcp():
    """An API for each MCP server, whose audience is its URL, and the keys of a server and of its clients."""
    servers = {name: int(next(ports)) for name in ("python", "typescript")}
    resources = {name: f"http://127.0.0.1:{port}/mcp" for name, port in servers.items()}
    scopes = ["tools.call", "tools.list"]
    for name, resource in resources.items():
        create_api("plain", f"mcp-{name}", resource, scopes, typ="at+jwt")
    every = [{"api": f"mcp-{name}", "scopes": scopes} for name in servers] + [{"api": "copy", "scopes": COPY["scopes"]}]
    keys = {
        "agent": call("POST", "/keys", {"name": "agent", "apis": every}),
        "stranger": call("POST", "/keys", {"name": "stranger", "apis": every[-1:]}),
        "server": call("POST", "/keys", {"name": "MCP server", "scopes": []}),
    }
    copy = fetch_token(keys["agent"], COPY["audience"], ["tools.call"])

    def server(name):
        right, narrow = (fetch_token(keys["agent"], resources[name], [scope]) for scope in scopes)
        tokens = {"right": right, "narrow": narrow, "copy": copy}
        return {"port": servers[name], "resource": resources[name], "tokens": tokens}

    described = {"keys": keys, "servers": {name: server(name) for name in servers}}
    (FOLDER / "mcp.json").write_text(json.dumps(described))


main()
