-- The customer portal: the settings of each organization, and the sessions of customers.

CREATE TABLE portal_settings (
    organization  TEXT NOT NULL PRIMARY KEY REFERENCES organizations (slug),
    version       BIGINT NOT NULL,
    -- JSON
    settings      TEXT NOT NULL
);

-- A session that was ended has no row.
CREATE TABLE portal_sessions (
    id                          TEXT NOT NULL PRIMARY KEY,
    organization                TEXT NOT NULL REFERENCES organizations (slug),
    customer_id                 TEXT NOT NULL REFERENCES customers (id),
    customer_generation         BIGINT NOT NULL,
    user_name                   TEXT,
    -- SHA-256 of the code in the URL, and of the secret in the cookie once the URL was opened.
    code_digest                 BYTEA NOT NULL,
    secret_digest               BYTEA,
    capabilities                TEXT NOT NULL,
    -- JSON, as in `api_keys`
    grants                      TEXT NOT NULL,
    -- JSON: the rights of the creator
    bounds                      TEXT NOT NULL,
    return_url                  TEXT,
    created_at                  BIGINT NOT NULL,
    -- One of these created the session.
    creator_key                 TEXT,
    creator_member              TEXT,
    creator_version             BIGINT NOT NULL,
    creator_customer_generation BIGINT,
    redeemed_at                 BIGINT,
    ends_at                     BIGINT NOT NULL,
    address                     TEXT
);
CREATE UNIQUE INDEX portal_sessions_by_code ON portal_sessions (code_digest);
CREATE UNIQUE INDEX portal_sessions_by_secret ON portal_sessions (secret_digest);
CREATE INDEX portal_sessions_by_customer ON portal_sessions (customer_id, created_at, id);
CREATE INDEX portal_sessions_by_end ON portal_sessions (ends_at);
