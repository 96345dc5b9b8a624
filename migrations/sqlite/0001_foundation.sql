-- Times are milliseconds since the epoch. SQLite; migrations/postgres holds the same schema for PostgreSQL.

CREATE TABLE organizations (
    slug       TEXT   NOT NULL PRIMARY KEY,
    policy     TEXT   NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE members (
    id            TEXT   NOT NULL PRIMARY KEY,
    organization  TEXT   NOT NULL REFERENCES organizations (slug),
    email         TEXT   NOT NULL,
    role          TEXT   NOT NULL CHECK (role IN ('viewer', 'developer', 'admin', 'owner')),
    password_phc  TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    UNIQUE (organization, email)
);

CREATE TABLE api_keys (
    id               TEXT   NOT NULL PRIMARY KEY,
    organization     TEXT   NOT NULL REFERENCES organizations (slug),
    prefix           TEXT   NOT NULL,
    name             TEXT   NOT NULL,
    name_lowercase   TEXT   NOT NULL, -- by Unicode's rules, which SQL's LOWER does not know everywhere
    description      TEXT   NOT NULL,
    owner            TEXT   REFERENCES members (id),
    scopes           TEXT   NOT NULL,
    networks         TEXT   NOT NULL,
    expires_at       BIGINT,
    state            TEXT   NOT NULL CHECK (state IN ('active', 'disabled', 'revoked')),
    state_at         BIGINT,
    revoked_reason   TEXT,
    generation       BIGINT NOT NULL,
    version          BIGINT NOT NULL,
    seq              BIGINT NOT NULL,
    secret_phc       TEXT   NOT NULL,
    secret_pepper    TEXT,
    secret_digest    BYTEA,
    previous_phc     TEXT,
    previous_pepper  TEXT,
    previous_digest  BYTEA,
    previous_until   BIGINT,
    hint             TEXT   NOT NULL,
    created_at       BIGINT NOT NULL,
    created_by       TEXT   NOT NULL,
    rotated_at       BIGINT,
    last_used_at     BIGINT,
    last_used_ip     TEXT
);

CREATE INDEX api_keys_by_age ON api_keys (organization, created_at, id);
CREATE INDEX api_keys_by_owner ON api_keys (organization, owner);

CREATE TABLE signing_keys (
    kid           TEXT   NOT NULL PRIMARY KEY,
    organization  TEXT   NOT NULL REFERENCES organizations (slug),
    algorithm     TEXT   NOT NULL CHECK (algorithm IN ('ES256', 'EdDSA', 'RS256')),
    master_key    TEXT   NOT NULL,
    sealed        BYTEA  NOT NULL,
    created_at    BIGINT NOT NULL,
    active_from   BIGINT NOT NULL
);

CREATE INDEX signing_keys_by_organization ON signing_keys (organization, active_from);

CREATE TABLE revoked_tokens (
    jti         TEXT   NOT NULL PRIMARY KEY,
    key_id      TEXT   NOT NULL,
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
    key_id      TEXT   NOT NULL,
    jti         TEXT,
    generation  BIGINT NOT NULL,
    at          BIGINT NOT NULL
);

CREATE TABLE audit (
    id            BIGINT NOT NULL PRIMARY KEY,
    organization  TEXT   NOT NULL REFERENCES organizations (slug),
    at            BIGINT NOT NULL,
    actor         TEXT   NOT NULL,
    action        TEXT   NOT NULL,
    subject       TEXT   NOT NULL,
    address       TEXT,
    old_value     TEXT,
    new_value     TEXT
);

CREATE INDEX audit_by_organization ON audit (organization, id);

-- Recognizes a wrong master key before anything is done with it.
CREATE TABLE master_key (
    only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    id       TEXT   NOT NULL
);
