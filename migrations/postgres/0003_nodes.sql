-- Several nodes on one database.

-- The last change of organizations or signing keys, and up to which change the log was shortened.
ALTER TABLE change_seq ADD COLUMN tenants_seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE change_seq ADD COLUMN pruned_seq BIGINT NOT NULL DEFAULT 0;

-- When a token that was revoked by itself would have died anyway.
ALTER TABLE key_changes ADD COLUMN token_expires_at BIGINT;
CREATE INDEX key_changes_by_time ON key_changes (at);

-- The members: whoever serves is here. `applied` is the last change that a node has followed, as far as it was
-- told here; `seen_at` is when it was last heard of, by the database's clock; `struck` is 1 once it is given up.
CREATE TABLE nodes (
    id         TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    joined_at  BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    applied    BIGINT NOT NULL,
    struck     BIGINT NOT NULL DEFAULT 0 CHECK (struck IN (0, 1))
);

-- Tells this deployment from others that use the same Redis.
CREATE TABLE deployment (
    only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    id       TEXT COLLATE "C"   NOT NULL
);
