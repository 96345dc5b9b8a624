"""Writes the configuration of an Envoy that checks tokens: on each port, for one audience and one scope.

    configure.py CONFIG.json ENVOY.json
"""

import json
import sys
from urllib.parse import urlsplit

FILTERS = "type.googleapis.com/envoy.extensions.filters"


def address(host, port):
    return {"socket_address": {"address": host, "port_value": port}}


def jwt_authn(issuer, jwks, audience):
    provider = {
        "issuer": issuer,
        "audiences": [audience],
        "payload_in_metadata": "payload",
        "normalize_payload_in_metadata": {"space_delimited_claims": ["scope"]},
        "remote_jwks": {"http_uri": {"uri": jwks, "cluster": "keyturn", "timeout": "2s"}},
    }
    rule = {"match": {"prefix": "/"}, "requires": {"provider_name": "keyturn"}}
    return {
        "@type": f"{FILTERS}.http.jwt_authn.v3.JwtAuthentication",
        "providers": {"keyturn": provider},
        "rules": [rule],
    }


def rbac(scope):
    metadata = {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{"key": "payload"}, {"key": "scope"}],
        "value": {"list_match": {"one_of": {"string_match": {"exact": scope}}}},
    }
    policy = {"permissions": [{"any": True}], "principals": [{"sourced_metadata": {"metadata_matcher": metadata}}]}
    return {"@type": f"{FILTERS}.http.rbac.v3.RBAC", "rules": {"action": "ALLOW", "policies": {"scope": policy}}}


def listener(port, issuer, jwks, audience, algorithm, scope):
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200}}
    manager = {
        "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "api",
        "http_filters": [
            {"name": "envoy.filters.http.jwt_authn", "typed_config": jwt_authn(issuer, jwks, audience)},
            {"name": "envoy.filters.http.rbac", "typed_config": rbac(scope)},
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{FILTERS}.http.router.v3.Router"},
            },
        ],
        "route_config": {"virtual_hosts": [{"name": "api", "domains": ["*"], "routes": [route]}]},
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {"name": str(port), "address": address("127.0.0.1", port), "filter_chains": [{"filters": filters}]}


with open(sys.argv[1]) as file:
    configs = json.load(file)
keyturn = urlsplit(configs[0]["issuer"])
endpoint = {"endpoint": {"address": address(keyturn.hostname, keyturn.port)}}
cluster = {
    "name": "keyturn",
    "connect_timeout": "1s",
    "load_assignment": {"cluster_name": "keyturn", "endpoints": [{"lb_endpoints": [endpoint]}]},
}
with open(sys.argv[2], "w") as file:
    json.dump({"static_resources": {"listeners": [listener(**one) for one in configs], "clusters": [cluster]}}, file)
