-- The customer portal: the settings of each organization, and the sessions of customers.

CREATE TABLE portal_settings (
    organization  TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES organizations (slug),
    version       BIGINT           NOT NULL,
    -- JSON
    settings      TEXT COLLATE "C" NOT NULL
);

-- A session that was ended has no row.
CREATE TABLE portal_sessions (
    id                          TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    organization                TEXT COLLATE "C" NOT NULL REFERENCES organizations (slug),
    customer_id                 TEXT COLLATE "C" NOT NULL REFERENCES customers (id),
    customer_generation         BIGINT           NOT NULL,
    user_name                   TEXT COLLATE "C",
    -- SHA-256 of the code in the URL, and of the secret in the cookie once the URL was opened.
    code_digest                 BYTEA            NOT NULL,
    secret_digest               BYTEA,
    capabilities                TEXT COLLATE "C" NOT NULL,
    -- JSON, as in `api_keys`
    grants                      TEXT COLLATE "C" NOT NULL,
    -- JSON: the rights of the creator
    bounds                      TEXT COLLATE "C" NOT NULL,
    return_url                  TEXT COLLATE "C",
    created_at                  BIGINT           NOT NULL,
    -- One of these created the session.
    creator_key                 TEXT COLLATE "C",
    creator_member              TEXT COLLATE "C",
    creator_version             BIGINT           NOT NULL,
    creator_customer_generation BIGINT,
    redeemed_at                 BIGINT,
    ends_at                     BIGINT           NOT NULL,
    address                     TEXT COLLATE "C"
);
CREATE UNIQUE INDEX portal_sessions_by_code ON portal_sessions (code_digest);
CREATE UNIQUE INDEX portal_sessions_by_secret ON portal_sessions (secret_digest);
CREATE INDEX portal_sessions_by_customer ON portal_sessions (customer_id, created_at, id);
CREATE INDEX portal_sessions_by_end ON portal_sessions (ends_at);
