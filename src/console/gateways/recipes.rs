//! The recipes: what is shown for each gateway. Their texts are those of `docs/gateways`, which are run as they stand.

/// How a recipe comes to its verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// Asks Keyturn about each request.
    Asks,
    /// Checks tokens by itself.
    Alone,
    /// Asks once and keeps the yes for a while.
    Keeps,
}

/// A gateway.
#[derive(Debug)]
pub(super) struct Gateway {
    /// As in the page's path.
    pub(super) id: &'static str,
    /// What it is called.
    pub(super) name: &'static str,
    /// What to know before taking any of it.
    pub(super) notes: &'static [&'static str],
    /// Its recipes.
    pub(super) recipes: &'static [Recipe],
}

/// A way to set a gateway up.
#[derive(Debug)]
pub(super) struct Recipe {
    /// What it does.
    pub(super) title: &'static str,
    /// How.
    pub(super) way: Way,
    /// What to know.
    pub(super) about: &'static str,
    /// The files, by their names.
    pub(super) files: &'static [(&'static str, &'static str)],
}

impl Way {
    /// When a revocation is noticed; `{life}` is that of a token.
    pub(super) fn revocation(self) -> &'static str {
        match self {
            Self::Asks => "A revocation holds from the next request on.",
            Self::Alone => "A revocation is noticed when the token ends.",
            Self::Keeps => "A revocation takes as long as a verdict may be kept.",
        }
    }
}

/// Every gateway, and what checks tokens without one.
pub(super) const GATEWAYS: [Gateway; 7] = [
    Gateway {
        id: "nginx",
        name: "nginx",
        notes: &[
            "Run with nginx 1.22 as it stands here. It needs ngx_http_auth_request_module, which Debian's package and the official ones have.",
            "To protect an API of your own, take the server block. Each location says what it requires with set $keyturn_ask; one that says nothing is refused. A location with a proxy_set_header or auth_request of its own must repeat all of them.",
            "Leave underscores_in_headers off.",
        ],
        recipes: &[
            Recipe {
                title: "Ask about every request",
                way: Way::Asks,
                about: "Clients get 401 and 403 with Keyturn's challenge, and 503 while Keyturn cannot be asked.",
                files: &[("nginx.conf", include_str!("../../../docs/gateways/nginx/nginx.conf"))],
            },
            Recipe {
                title: "Ask once, and keep a yes",
                way: Way::Keeps,
                about: "For as long as gateway.verdict_max_age_seconds of the server says, and a second more; 0, the default, forbids it. nginx writes credentials into the files of its cache: keep them in memory.",
                files: &[("nginx.conf", include_str!("../../../docs/gateways/nginx/nginx-cached.conf"))],
            },
        ],
    },
    Gateway {
        id: "envoy",
        name: "Envoy",
        notes: &[
            "Run with Envoy 1.40 as it stands here.",
            "The filter header_mutation must be the first: it drops X-Keyturn-* from clients and sets X-Forwarded-For to the peer.",
        ],
        recipes: &[
            Recipe {
                title: "Ask about every request",
                way: Way::Asks,
                about: "Each route says what it requires in path_override; one that says nothing is refused. failure_mode_allow must stay false.",
                files: &[("ext_authz.yaml", include_str!("../../../docs/gateways/envoy/ext_authz.yaml"))],
            },
            Recipe {
                title: "Check tokens alone",
                way: Way::Alone,
                about: "Takes access tokens, no key texts, and none of keys that are restricted to networks. The JWKS is fetched every five minutes.",
                files: &[("jwt_authn.yaml", include_str!("../../../docs/gateways/envoy/jwt_authn.yaml"))],
            },
        ],
    },
    Gateway {
        id: "caddy",
        name: "Caddy",
        notes: &[
            "Run with Caddy 2.6 as it stands here.",
            "To protect an API of your own, take the snippet (keyturn) and put import keyturn at the beginning of a route, before reverse_proxy. It must be a route. Do not leave the requirement away: every good credential would pass.",
        ],
        recipes: &[Recipe {
            title: "Ask about every request",
            way: Way::Asks,
            about: "Clients get Keyturn's own answer with 401 and 403, and 502 or 504 while Keyturn cannot be asked.",
            files: &[("Caddyfile", include_str!("../../../docs/gateways/caddy/Caddyfile"))],
        }],
    },
    Gateway {
        id: "traefik",
        name: "Traefik",
        notes: &[
            "Written after what Traefik 3.6 documents. Unlike the others it was not run: try it before you rely on it.",
            "Leave trustForwardHeader off and forwardedHeaders.trustedIPs empty, unless there is a load balancer in front, and then name that alone.",
        ],
        recipes: &[Recipe {
            title: "Ask about every request",
            way: Way::Asks,
            about: "Each router names a middleware that requires something, and then without-credential; their order matters. Clients get 500 while Keyturn cannot be asked.",
            files: &[
                ("dynamic.yml", include_str!("../../../docs/gateways/traefik/dynamic.yml")),
                ("traefik.yml", include_str!("../../../docs/gateways/traefik/traefik.yml")),
            ],
        }],
    },
    Gateway {
        id: "haproxy",
        name: "HAProxy",
        notes: &[
            "Run with HAProxy 2.6 as it stands here.",
            "Requests whose path holds .., // or an encoded dot or slash are answered with 400.",
        ],
        recipes: &[
            Recipe {
                title: "Ask about every request",
                way: Way::Asks,
                about: "With a small Lua action, over HAProxy's own HTTP client. It needs HAProxy 2.5 or newer with Lua, which Debian's has, and Keyturn's address, not its name.",
                files: &[
                    ("haproxy.cfg", include_str!("../../../docs/gateways/haproxy/haproxy-verify.cfg")),
                    ("keyturn.lua", include_str!("../../../docs/gateways/haproxy/keyturn.lua")),
                ],
            },
            Recipe {
                title: "Check tokens alone",
                way: Way::Alone,
                about: "Takes access tokens signed with ES256 or RS256, no key texts, and none of keys that are restricted to networks. Run fetch-keys before HAProxy starts and every five minutes, and reload when it says that the keys changed (exit code 0).",
                files: &[
                    ("haproxy.cfg", include_str!("../../../docs/gateways/haproxy/haproxy.cfg")),
                    ("fetch-keys", include_str!("../../../docs/gateways/haproxy/fetch-keys")),
                ],
            },
        ],
    },
    Gateway {
        id: "apache",
        name: "Apache",
        notes: &[
            "Run with Apache 2.4 and mod_oauth2 3.3 as it stands here. Apache has nothing like auth_request, so it asks at the introspection endpoint, or checks tokens alone.",
            "expiry=0 matters: without it mod_oauth2 believes a token that it has seen for five minutes, whatever was revoked.",
            "Both refuse keys that are restricted to networks. Clients get 401, also while Keyturn cannot be asked.",
        ],
        recipes: &[
            Recipe {
                title: "Ask about every request",
                way: Way::Asks,
                about: "Apache needs an API key of its own, which needs no scope. Its address does not belong into server.trusted_proxies: it speaks for itself.",
                files: &[("keyturn.conf", include_str!("../../../docs/gateways/apache/introspect.conf"))],
            },
            Recipe {
                title: "Check tokens alone",
                way: Way::Alone,
                about: "Takes access tokens signed with ES256 or RS256.",
                files: &[("keyturn.conf", include_str!("../../../docs/gateways/apache/jwks.conf"))],
            },
        ],
    },
    Gateway {
        id: "tokens",
        name: "In the API itself",
        notes: &[
            "An API that checks access tokens by itself needs no gateway. It looks at the signature with the keys of the JWKS, and at every value below; then it holds the scope against what the request does.",
            "It cannot hold a caller to a key's networks unless it knows the caller's address: then it refuses tokens that have the claim cidrs.",
        ],
        recipes: &[
            Recipe {
                title: "Node, with jose",
                way: Way::Alone,
                about: "Install it with npm install jose.",
                files: &[("caller.mjs", include_str!("snippets/jose.mjs"))],
            },
            Recipe {
                title: "Python, with PyJWT",
                way: Way::Alone,
                about: "Install it with pip install \"PyJWT[crypto]\".",
                files: &[("caller.py", include_str!("snippets/pyjwt.py"))],
            },
            Recipe {
                title: "Go, with go-oidc",
                way: Way::Alone,
                about: "Get it with go get github.com/coreos/go-oidc/v3/oidc.",
                files: &[("caller.go", include_str!("snippets/caller.go"))],
            },
            Recipe {
                title: "Java, with Spring Security",
                way: Way::Alone,
                about: "With spring-boot-starter-oauth2-resource-server; the imports are left to your editor. Spring takes ES256 and RS256, not EdDSA.",
                files: &[("Tokens.java", include_str!("snippets/Tokens.java"))],
            },
        ],
    },
];
