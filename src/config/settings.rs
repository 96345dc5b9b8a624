//! Every setting: name, type, default, allowed values and documentation. Nothing else declares a setting;
//! `config/default.toml` is generated from this file (`defaults.rs`).

use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;

use crate::domain::choices::{Algorithm, ForwardingHeader, LogFormat, LoggedRequests, StoredResponses, TokenType};

use super::addresses::{allowed_networks, allowed_origins, public_url, trusted_proxies};
use super::declaration::{Rule, Section, Setting, checked, choice, flag, parsed, parsed_or_empty, range, settings};
use super::error::ConfigError;
use super::layers::{Layers, Row};
use super::master_key::{MasterKeySource, master_key, master_key_file};
use super::revocation::{RevocationUrl, prefix, revocation_url};
use super::secret::{UrlFile, url_file};
use super::store::{StoreUrl, store_url};
use super::values::{audience, level, retry_seconds};

settings! {
    /// Listeners, proxies, time limits and connection limits.
    [server] Server {
        /// IP address and port to listen on.
        listen: SocketAddr = "127.0.0.1:8080"
            => parsed("an IP address and port, such as 127.0.0.1:8080 or [::1]:8080");

        /// IP address and port of a second listener for /metrics, /healthz and /readyz. If set, server.listen no
        /// longer serves /metrics, and its /readyz gives no details.
        operations_listen: Option<SocketAddr> = ""
            => parsed_or_empty("an IP address and port, such as 127.0.0.1:8081, or an empty string")
                .default_is("not set, all three are served on server.listen");

        /// URL at which clients reach this server, and the issuer of the organization "default". It can have a path
        /// (docs/how-to/operate.md, "Behind a path"). Required if server.listen is 0.0.0.0 or [::].
        public_url: Option<String> = ""
            => checked(public_url, "an http or https URL without trailing slash, query, fragment or credentials")
                .default_is("\"http://\" and server.listen");

        /// Networks (CIDR) and addresses of the proxies in front of this server. Only their requests can name the
        /// client in X-Forwarded-For or Forwarded, which are read from right to left past trusted hops. A network of
        /// prefix length 0 is an error, because every client could choose its own address.
        trusted_proxies: Vec<IpNet> = [] => checked(trusted_proxies, NETWORKS);

        /// Header in which the trusted proxies name the client: X-Forwarded-For, Forwarded (RFC 7239), or auto for
        /// either of them; if both name a client, they must agree. A header that is not selected is ignored.
        forwarding_header: ForwardingHeader = "auto" => choice();

        /// Threads that serve requests.
        workers: usize = 0 => range(0, 512, "threads (0: number of cores)");

        /// Seconds that requests in progress may take after SIGTERM.
        shutdown_seconds: u64 = 30 => range(0, 3600, "seconds");

        /// Seconds that the server keeps serving after SIGTERM while /readyz already returns 503. Set it to the time
        /// that your proxy or load balancer needs to notice, so that a rolling restart fails no request.
        drain_seconds: u64 = 0 => range(0, 300, "seconds");

        /// Seconds that a client may take to send the head of a request.
        request_timeout_seconds: u64 = 10 => range(1, 300, "seconds");

        /// Seconds that a response may wait for a client that does not read it. A client that reads less than 1 KiB/s
        /// is disconnected as well.
        write_timeout_seconds: u32 = 20 => range(1, 300, "seconds");

        /// Seconds that an idle connection stays open. Must be longer than the idle timeout of the proxies in front:
        /// nginx and AWS ALB keep connections for 60 seconds.
        keep_alive_seconds: u32 = 75 => range(1, 3600, "seconds");

        /// Open connections in total. The number is reduced at startup if the limit of open files (RLIMIT_NOFILE) is
        /// too low. At the limit, the network with the most connections loses its idlest connection.
        max_connections: usize = 10000 => range(16, 1_000_000, "connections");

        /// Open connections from one IPv4 address or IPv6 /64. At the limit, a new connection replaces the idlest one.
        /// Connections from server.trusted_proxies are not counted.
        max_connections_per_address: usize = 256 => range(1, 1_000_000, "connections");

        /// Open connections from one IPv4 /24 or IPv6 /48, limited in the same way.
        max_connections_per_network: usize = 1024 => range(1, 1_000_000, "connections");
    }

    /// The database.
    [store] Store {
        /// Database of keys, members and the audit log: "sqlite://" and a path ("sqlite:///var/lib/keyturn.db" is
        /// absolute), or a PostgreSQL URL, which several nodes can share.
        url: StoreUrl = "sqlite://data/keyturn.db"
            => checked(store_url, "sqlite://PATH or postgres://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE").secret();

        /// Path of a file that contains store.url. Use it instead of store.url. The file is read again if the database
        /// rejects the user or password.
        url_file: Option<UrlFile> = "" => checked(url_file, TEXT_FILE);

        /// Connections of one node to PostgreSQL, not counting five for following changes and for webhooks. SQLite has
        /// its own. Requests need them only for keys that are not in memory.
        connections: u32 = 10 => range(2, 1000, "connections");
    }

    /// How nodes notify each other of changes.
    [revocation] Revocation {
        /// How nodes notify each other of changes. "embedded" uses the database: several nodes need no Redis, but a
        /// change then takes about a quarter of a second. Otherwise a Redis URL; schemes with "rediss" use TLS.
        url: RevocationUrl = "embedded"
            => checked(
                revocation_url,
                "embedded, redis://HOST[:PORT], rediss://, redis+sentinel://, rediss+sentinel://, redis+cluster:// or \
                 rediss+cluster://",
            )
            .secret();

        /// Path of a file that contains revocation.url. Use it instead of revocation.url. The file is read again if
        /// Redis rejects the user or password.
        url_file: Option<UrlFile> = "" => checked(url_file, TEXT_FILE);

        /// Prefix of every name in Redis. Deployments that share a Redis need different prefixes.
        prefix: String = "keyturn" => checked(prefix, "1 to 40 characters of A-Z, a-z, 0-9, '-', '_' and '.'");
    }

    /// The master key.
    [secrets] Secrets {
        /// Master key: encrypts signing keys, and the secrets, URLs and headers of webhooks. Generate one with
        /// `openssl rand -base64 32`. The first of several keys is current; the others decrypt what they encrypted.
        /// Takes precedence over the default of secrets.master_key_file; setting both is an error.
        master_key: MasterKeySource = ""
            => checked(master_key, "one or more keys of 32 bytes, each as base64, separated by commas or spaces").secret();

        /// Path of a file with the same content: keys on one or more lines; lines that start with # are ignored. If
        /// the file is missing at the first start, it is created with a new key and mode 0600. A file that others can
        /// write is an error.
        master_key_file: PathBuf = "data/master.key"
            => checked(master_key_file, "a path, or an empty string if secrets.master_key is set");
    }

    /// Access tokens.
    [token] Token {
        /// Lifetime of an access token.
        ttl_seconds: u32 = 600 => range(60, 3600, "seconds");

        /// Signature algorithm of tokens for the default API of new organizations; each API can have another.
        /// RS256 is for validators that support only RSA.
        algorithm: Algorithm = "ES256" => choice();

        /// The typ header of a token: at+jwt (RFC 9068), or JWT for validators that reject at+jwt.
        typ: TokenType = "at+jwt" => choice();

        /// Audience of a token whose request names none.
        audience: Option<String> = ""
            => checked(audience, "a URI or another name, 1 to 256 printable ASCII characters without spaces")
                .default_is("server.public_url");
    }

    /// Rotation of signing keys.
    [signing] Signing {
        /// Days after which a signing key is replaced.
        rotate_every_days: u32 = 90 => range(0, 3650, "days (0: only on command)");

        /// Seconds for which the next signing key is published before its first use, because some validators do not
        /// fetch the keys again when they see an unknown one.
        publish_ahead_seconds: u32 = 900 => range(0, 86400, "seconds");
    }

    /// Sessions of signed-in members.
    [session] Session {
        /// Minutes without use after which a session expires.
        idle_minutes: u32 = 60 => range(1, 10_080, "minutes");

        /// Hours after which a session expires even if it is used.
        hours: u32 = 12 => range(1, 720, "hours");
    }

    /// Rate limits.
    [limits] Limits {
        /// Failed authentications per minute from one IPv4 address or IPv6 /64 before it gets 429. Each node counts
        /// for itself.
        failures_per_minute: u32 = 1000 => range(0, 1_000_000, "failures (0: no limit)");

        /// Changes per minute with one credential (an API key with all its tokens, or a member with all their
        /// sessions): management API, console, and sign-ins of one member. Further changes get 429. Changes that only
        /// remove access (revoke, disable, delete, sign out) have ten times this limit; /oauth/revoke has half of it
        /// for each key. Each node counts for itself.
        changes_per_minute: u32 = 120 => range(0, 1_000_000, "changes (0: no limit)");
    }

    /// Caches.
    [cache] Cache {
        /// Memory for key records. A record takes about 1 KiB, more with many scopes or networks.
        /// Customers take up to a quarter of this in addition.
        keys_mib: u64 = 128 => range(1, 1_048_576, "MiB");

        /// Memory for access tokens whose signature was verified. A token takes about 2 KiB; a token above 16 KiB is
        /// not cached. The state of its key is checked each time.
        tokens_mib: u64 = 128 => range(0, 1_048_576, "MiB (0: no cache)");
    }

    /// Browser pages that can request tokens.
    [cors] Cors {
        /// Origins whose pages can request and revoke tokens in a browser: /oauth/token and /oauth/revoke then return
        /// CORS headers to them. Such a page has a secret that its user can read, so list only tools for people who
        /// have one, such as Swagger UI. Metadata and JWKS allow every origin, other endpoints none.
        allowed_origins: Vec<String> = []
            => checked(
                allowed_origins,
                "a list of at most 100 origins without path and wildcard, such as https://app.example.com or \
                 http://localhost:5173",
            );
    }

    /// Responses of `/verify`.
    [gateway] Gateway {
        /// Seconds for which a gateway may cache a response of /verify. A revocation takes effect there up to
        /// that much later.
        verdict_max_age_seconds: u32 = 0 => range(0, 300, "seconds (0: no caching)");
    }

    /// Cost of Argon2.
    [argon2] Argon2 {
        /// Memory of one hash.
        memory_kib: u32 = 19456 => range(8192, 1_048_576, "KiB");

        /// Passes over that memory in one hash.
        iterations: u32 = 2 => range(1, 10, "passes");

        /// Lanes of one hash.
        parallelism: u32 = 1 => range(1, 16, "lanes");

        /// Hashes computed at the same time. Each takes argon2.memory_kib.
        threads: usize = 1 => range(1, 64, "threads");

        /// Hashes that can wait in each queue (management, key checks, sign-in, background). Networks and
        /// organizations take turns; a full queue drops the newest hash of its busiest share, with 503.
        queue: usize = 4096 => range(1, 100_000, "waiting hashes");
    }

    /// Destinations and retries of webhooks.
    [webhooks] Webhooks {
        /// Whether webhooks can use http and addresses that are not public (private, loopback, link-local and so on).
        /// If true, everyone who can create webhooks can make this server send requests to your internal networks.
        private_addresses: bool = false => flag();

        /// Networks (CIDR) and addresses that webhooks can reach in addition to public addresses, over https only:
        /// receivers in your own network. A network of prefix length 0 is an error.
        allowed_networks: Vec<IpNet> = [] => checked(allowed_networks, NETWORKS);

        /// Responses of receivers that are shown with a delivery, to those who manage webhooks: the first 4 KiB, without
        /// secrets. "public" stores those from public addresses, "all" also those from your own networks, which
        /// everyone who can create webhooks can then read, "none" stores none.
        stored_responses: StoredResponses = "public" => choice();

        /// Seconds between a failed attempt and the next one, each extended by up to a fifth. After the last attempt,
        /// the delivery is a dead letter.
        retry_seconds: Vec<u32> = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
            => checked(retry_seconds, "a list of at most 20 numbers of seconds, each 1 to 604800")
                .default_is("5 s, 5 and 30 min, 2, 5, 10, 14, 20 and 24 h");
    }

    /// Logs.
    [log] Log {
        /// Tracing filter. Lines of libraries that are not useful to an operator are suppressed unless the filter names
        /// the library, for example "info,actix_server=info,sqlx_core::pool=info".
        level: String = "info"
            => checked(level, "error, warn, info, debug, trace or filter directives, in printable ASCII");

        /// Format of log lines.
        format: LogFormat = "human" => choice();

        /// Requests that are logged, with the target keyturn::access: failed (status 400 and above), all, or none
        /// (server errors only).
        requests: LoggedRequests = "failed" => choice();
    }
}

const NETWORKS: &str = "a list of IP addresses and networks, such as 10.0.0.0/8";
const TEXT_FILE: &str = "the path of a readable text file";
