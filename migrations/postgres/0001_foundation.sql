-- Times are milliseconds since the epoch. PostgreSQL; migrations/sqlite holds the same schema for SQLite.
-- Text is compared by code points, as in SQLite, whatever the language of the server.

CREATE TABLE organizations (
    slug       TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    policy     TEXT COLLATE "C"   NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE members (
    id            TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    organization  TEXT COLLATE "C"   NOT NULL REFERENCES organizations (slug),
    email         TEXT COLLATE "C"   NOT NULL,
    role          TEXT COLLATE "C"   NOT NULL CHECK (role IN ('viewer', 'developer', 'admin', 'owner')),
    password_phc  TEXT COLLATE "C"   NOT NULL,
    created_at    BIGINT NOT NULL,
    UNIQUE (organization, email)
);

CREATE TABLE api_keys (
    id               TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    organization     TEXT COLLATE "C"   NOT NULL REFERENCES organizations (slug),
    prefix           TEXT COLLATE "C"   NOT NULL,
    name             TEXT COLLATE "C"   NOT NULL,
    name_lowercase   TEXT COLLATE "C"   NOT NULL, -- by Unicode's rules, which SQL's LOWER does not know everywhere
    description      TEXT COLLATE "C"   NOT NULL,
    owner            TEXT COLLATE "C"   REFERENCES members (id),
    scopes           TEXT COLLATE "C"   NOT NULL,
    networks         TEXT COLLATE "C"   NOT NULL,
    expires_at       BIGINT,
    state            TEXT COLLATE "C"   NOT NULL CHECK (state IN ('active', 'disabled', 'revoked')),
    state_at         BIGINT,
    revoked_reason   TEXT COLLATE "C",
    generation       BIGINT NOT NULL,
    version          BIGINT NOT NULL,
    seq              BIGINT NOT NULL,
    secret_phc       TEXT COLLATE "C"   NOT NULL,
    secret_pepper    TEXT COLLATE "C",
    secret_digest    BYTEA,
    previous_phc     TEXT COLLATE "C",
    previous_pepper  TEXT COLLATE "C",
    previous_digest  BYTEA,
    previous_until   BIGINT,
    hint             TEXT COLLATE "C"   NOT NULL,
    created_at       BIGINT NOT NULL,
    created_by       TEXT COLLATE "C"   NOT NULL,
    rotated_at       BIGINT,
    last_used_at     BIGINT,
    last_used_ip     TEXT COLLATE "C"
);

CREATE INDEX api_keys_by_age ON api_keys (organization, created_at, id);
CREATE INDEX api_keys_by_owner ON api_keys (organization, owner);

CREATE TABLE signing_keys (
    kid           TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    organization  TEXT COLLATE "C"   NOT NULL REFERENCES organizations (slug),
    algorithm     TEXT COLLATE "C"   NOT NULL CHECK (algorithm IN ('ES256', 'EdDSA', 'RS256')),
    master_key    TEXT COLLATE "C"   NOT NULL,
    sealed        BYTEA  NOT NULL,
    created_at    BIGINT NOT NULL,
    active_from   BIGINT NOT NULL
);

CREATE INDEX signing_keys_by_organization ON signing_keys (organization, active_from);

CREATE TABLE revoked_tokens (
    jti         TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    key_id      TEXT COLLATE "C"   NOT NULL,
    expires_at  BIGINT NOT NULL,
    seq         BIGINT NOT NULL
);

CREATE INDEX revoked_tokens_by_expiry ON revoked_tokens (expires_at);

-- One row, locked by every change, so that numbers become visible in order.
CREATE TABLE change_seq (
    only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    seq      BIGINT NOT NULL
);
INSERT INTO change_seq (only_row, seq) VALUES (1, 0);

CREATE TABLE key_changes (
    seq         BIGINT NOT NULL PRIMARY KEY,
    key_id      TEXT COLLATE "C"   NOT NULL,
    jti         TEXT COLLATE "C",
    generation  BIGINT NOT NULL,
    at          BIGINT NOT NULL
);

CREATE TABLE audit (
    id            BIGINT NOT NULL PRIMARY KEY,
    organization  TEXT COLLATE "C"   NOT NULL REFERENCES organizations (slug),
    at            BIGINT NOT NULL,
    actor         TEXT COLLATE "C"   NOT NULL,
    action        TEXT COLLATE "C"   NOT NULL,
    subject       TEXT COLLATE "C"   NOT NULL,
    address       TEXT COLLATE "C",
    old_value     TEXT COLLATE "C",
    new_value     TEXT COLLATE "C"
);

CREATE INDEX audit_by_organization ON audit (organization, id);

-- Recognizes a wrong master key before anything is done with it.
CREATE TABLE master_key (
    only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    id       TEXT COLLATE "C"   NOT NULL
);
