-- Who is told of changes, and what is on its way to them.

CREATE TABLE webhooks (
    id              TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    organization    TEXT COLLATE "C"   NOT NULL REFERENCES organizations (slug),
    url             TEXT COLLATE "C"   NOT NULL,
    description     TEXT COLLATE "C"   NOT NULL,
    events          TEXT COLLATE "C"   NOT NULL, -- patterns with spaces between them; empty is all
    state           TEXT COLLATE "C"   NOT NULL CHECK (state IN ('enabled', 'disabled')),
    state_reason    TEXT COLLATE "C",
    master_key      TEXT COLLATE "C"   NOT NULL,
    sealed          BYTEA  NOT NULL,
    previous_until  BIGINT,
    created_at      BIGINT NOT NULL,
    created_by      TEXT COLLATE "C"   NOT NULL,
    version         BIGINT NOT NULL
);

CREATE INDEX webhooks_by_organization ON webhooks (organization, created_at, id);

-- Written with the change that it tells of. `due_at` is when a pending one is attempted; while `claimed_by` works at
-- it, when others may take it over.
CREATE TABLE webhook_deliveries (
    id               TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    webhook          TEXT COLLATE "C"   NOT NULL REFERENCES webhooks (id),
    event            TEXT COLLATE "C"   NOT NULL,
    payload          TEXT COLLATE "C"   NOT NULL,
    state            TEXT COLLATE "C"   NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts         BIGINT NOT NULL,
    due_at           BIGINT NOT NULL,
    claimed_by       TEXT COLLATE "C",
    created_at       BIGINT NOT NULL,
    last_attempt_at  BIGINT,
    last_status      BIGINT,
    last_error       TEXT COLLATE "C",
    ended_at         BIGINT
);

CREATE INDEX webhook_deliveries_by_due ON webhook_deliveries (webhook, state, due_at);
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (webhook, created_at, id);
CREATE INDEX webhook_deliveries_by_end ON webhook_deliveries (state, ended_at);
