//! The recipes for each gateway. Their files come from `docs/gateways` and are tested as they are.

/// How a gateway verifies a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Method {
    /// Calls Keyturn for each request.
    Remote,
    /// Validates tokens locally.
    Local,
    /// Calls Keyturn and caches allowed results.
    Cached,
}

#[derive(Debug)]
pub(super) struct Gateway {
    /// The last segment of the page's path.
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    /// Notes that apply to all recipes.
    pub(super) notes: &'static [&'static str],
    pub(super) recipes: &'static [Recipe],
}

/// A configuration of a gateway.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) title: &'static str,
    pub(super) method: Method,
    pub(super) about: &'static str,
    /// The files: name and content.
    pub(super) files: &'static [(&'static str, &'static str)],
}

impl Recipe {
    /// Whether any file contains an example value.
    pub(super) fn has(&self, example: &str) -> bool {
        self.files.iter().any(|(_, text)| text.contains(example))
    }
}

impl Method {
    /// Describes when a revocation takes effect.
    pub(super) fn revocation(self) -> &'static str {
        match self {
            Self::Remote => "Revocations take effect immediately.",
            Self::Local => "Revocations take effect when the token expires.",
            Self::Cached => "Revocations take effect when the cached result expires.",
        }
    }
}

/// Every gateway, and validation without one.
pub(super) const GATEWAYS: [Gateway; 7] = [
    Gateway {
        id: "nginx",
        name: "nginx",
        notes: &[
            "Tested with nginx 1.22. Requires ngx_http_auth_request_module, included in the Debian and official packages.",
            "Copy the server block. Set $keyturn_ask in each location to the required scope; locations without it are denied. A location with its own proxy_set_header or auth_request must repeat all of them.",
            "Keep underscores_in_headers off.",
        ],
        recipes: &[
            Recipe {
                title: "Verify every request",
                method: Method::Remote,
                about: "Clients get 401 or 403 with Keyturn’s WWW-Authenticate header, or 503 if Keyturn is unreachable.",
                files: &[("nginx.conf", include_str!("../../../docs/gateways/nginx/nginx.conf"))],
            },
            Recipe {
                title: "Verify and cache",
                method: Method::Cached,
                about: "Caches allowed results for gateway.verdict_max_age_seconds plus one second; 0 (default) turns caching off. nginx writes credentials to its cache files: keep them in memory.",
                files: &[("nginx.conf", include_str!("../../../docs/gateways/nginx/nginx-cached.conf"))],
            },
        ],
    },
    Gateway {
        id: "envoy",
        name: "Envoy",
        notes: &[
            "Tested with Envoy 1.40.",
            "Keep header_mutation first: it removes X-Keyturn-* headers sent by clients and sets X-Forwarded-For.",
        ],
        recipes: &[
            Recipe {
                title: "Verify every request",
                method: Method::Remote,
                about: "Set the required scope per route in path_override; routes without it are denied. Keep failure_mode_allow: false.",
                files: &[("ext_authz.yaml", include_str!("../../../docs/gateways/envoy/ext_authz.yaml"))],
            },
            Recipe {
                title: "Validate tokens locally",
                method: Method::Local,
                about: "Accepts access tokens, not API keys. Rejects tokens restricted to networks. The JWKS is refreshed every five minutes.",
                files: &[("jwt_authn.yaml", include_str!("../../../docs/gateways/envoy/jwt_authn.yaml"))],
            },
        ],
    },
    Gateway {
        id: "caddy",
        name: "Caddy",
        notes: &[
            "Tested with Caddy 2.6.",
            "Copy the (keyturn) snippet and put “import keyturn” first in a route, before reverse_proxy. It must be a route block. Always pass a requirement: without one, every valid credential is allowed.",
        ],
        recipes: &[Recipe {
            title: "Verify every request",
            method: Method::Remote,
            about: "Clients get Keyturn’s response with 401 and 403, and 502 or 504 if Keyturn is unreachable.",
            files: &[("Caddyfile", include_str!("../../../docs/gateways/caddy/Caddyfile"))],
        }],
    },
    Gateway {
        id: "traefik",
        name: "Traefik",
        notes: &[
            "Based on the Traefik 3.6 documentation. It was not run against Traefik: test it before you rely on it.",
            "Keep trustForwardHeader off and forwardedHeaders.trustedIPs empty. If a load balancer is in front, list only its address.",
        ],
        recipes: &[Recipe {
            title: "Verify every request",
            method: Method::Remote,
            about: "Each router lists a middleware with the required scope, then without-credential. The order matters. Clients get 500 if Keyturn is unreachable.",
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
            "Tested with HAProxy 2.6.",
            "Requests with “..”, “//” or an encoded dot or slash in the path get 400.",
        ],
        recipes: &[
            Recipe {
                title: "Verify every request",
                method: Method::Remote,
                about: "Uses a small Lua action. Requires HAProxy 2.5 or later with Lua (included in the Debian package). Use Keyturn’s IP address, not its host name.",
                files: &[
                    ("haproxy.cfg", include_str!("../../../docs/gateways/haproxy/haproxy-verify.cfg")),
                    ("keyturn.lua", include_str!("../../../docs/gateways/haproxy/keyturn.lua")),
                ],
            },
            Recipe {
                title: "Validate tokens locally",
                method: Method::Local,
                about: "Accepts access tokens signed with ES256 or RS256, not API keys. Rejects tokens restricted to networks. Run fetch-keys before HAProxy starts and every five minutes. Reload HAProxy when it exits with 0 (keys changed).",
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
            "Tested with Apache 2.4 and mod_oauth2 3.3. Apache has no auth_request equivalent. It calls the introspection endpoint or validates tokens locally.",
            "Keep expiry=0. Otherwise mod_oauth2 caches results for five minutes, even after a revocation.",
            "Both reject keys restricted to networks. Clients get 401, also if Keyturn is unreachable.",
        ],
        recipes: &[
            Recipe {
                title: "Verify every request",
                method: Method::Remote,
                about: "Create an API key for Apache (no scopes needed). Don’t add its address to server.trusted_proxies.",
                files: &[("keyturn.conf", include_str!("../../../docs/gateways/apache/introspect.conf"))],
            },
            Recipe {
                title: "Validate tokens locally",
                method: Method::Local,
                about: "Accepts access tokens signed with ES256 or RS256.",
                files: &[("keyturn.conf", include_str!("../../../docs/gateways/apache/jwks.conf"))],
            },
        ],
    },
    Gateway {
        id: "tokens",
        name: "In your API",
        notes: &[
            "Your API can validate tokens itself. Check the signature against the JWKS and every value below, then compare the scope with the request.",
            "Your API can’t enforce a key’s allowed networks unless it knows the client’s address. If it doesn’t, reject tokens with the cidrs claim.",
        ],
        recipes: &[
            Recipe {
                title: "Node (jose)",
                method: Method::Local,
                about: "Install with npm install jose.",
                files: &[("caller.mjs", include_str!("snippets/jose.mjs"))],
            },
            Recipe {
                title: "Python (PyJWT)",
                method: Method::Local,
                about: "Install with pip install \"PyJWT[crypto]\".",
                files: &[("caller.py", include_str!("snippets/pyjwt.py"))],
            },
            Recipe {
                title: "Go (go-oidc)",
                method: Method::Local,
                about: "Install with go get github.com/coreos/go-oidc/v3/oidc.",
                files: &[("caller.go", include_str!("snippets/caller.go"))],
            },
            Recipe {
                title: "Java (Spring Security)",
                method: Method::Local,
                about: "Requires spring-boot-starter-oauth2-resource-server; imports omitted. Spring supports ES256 and RS256, not EdDSA.",
                files: &[("Tokens.java", include_str!("snippets/Tokens.java"))],
            },
        ],
    },
];
