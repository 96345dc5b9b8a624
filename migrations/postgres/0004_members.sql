-- People who sign in, their sessions, and answers that can be asked for again.

ALTER TABLE organizations ADD COLUMN policy_version BIGINT NOT NULL DEFAULT 1;

ALTER TABLE members ADD COLUMN version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE members ADD COLUMN last_sign_in_at BIGINT;
-- A removed member stays for the sake of the keys that were theirs; its login is free for somebody else.
ALTER TABLE members ADD COLUMN removed_at BIGINT;
ALTER TABLE members ADD COLUMN removed_email TEXT COLLATE "C";

-- What the browser holds is not here, only its SHA-256.
CREATE TABLE sessions (
    digest        BYTEA  NOT NULL PRIMARY KEY,
    id            TEXT COLLATE "C"   NOT NULL UNIQUE,
    member        TEXT COLLATE "C"   NOT NULL REFERENCES members (id),
    created_at    BIGINT NOT NULL,
    last_seen_at  BIGINT NOT NULL,
    ends_at       BIGINT NOT NULL,
    address       TEXT COLLATE "C"   ,
    user_agent    TEXT COLLATE "C"   NOT NULL
);

CREATE INDEX sessions_by_member ON sessions (member);
CREATE INDEX sessions_by_end ON sessions (ends_at);

-- The secrets that requests with an Idempotency-Key were answered with, sealed. Digests of the header and the request.
CREATE TABLE answers (
    caller      TEXT COLLATE "C"   NOT NULL,
    digest      BYTEA  NOT NULL,
    request     BYTEA  NOT NULL,
    key_id      TEXT COLLATE "C"   NOT NULL,
    master_key  TEXT COLLATE "C"   NOT NULL,
    sealed      BYTEA  NOT NULL,
    at          BIGINT NOT NULL,
    PRIMARY KEY (caller, digest)
);

CREATE INDEX answers_by_age ON answers (at);

-- Lists in every order, with what they are filtered by: a page is found in one index alone.
ALTER TABLE api_keys ADD COLUMN expires_place BIGINT GENERATED ALWAYS AS (COALESCE(expires_at, 9223372036854775807)) STORED;
ALTER TABLE api_keys ADD COLUMN used_place BIGINT GENERATED ALWAYS AS (COALESCE(last_used_at, 0)) STORED;
DROP INDEX api_keys_by_age;
CREATE INDEX api_keys_by_age ON api_keys (organization, created_at, id, state, expires_at, owner, name_lowercase);
CREATE INDEX api_keys_by_name ON api_keys (organization, name_lowercase, id, state, expires_at, owner);
CREATE INDEX api_keys_by_expiry ON api_keys (organization, expires_place, id, state, expires_at, owner, name_lowercase);
CREATE INDEX api_keys_by_use ON api_keys (organization, used_place, id, state, expires_at, owner, name_lowercase);
