-- The audit log, chained by hash: each row's hash covers the row and the hash of its organization's row before it.

-- `position` counts an organization's rows from 1. Both are NULL in rows of earlier versions until they are chained.
ALTER TABLE audit ADD COLUMN position BIGINT;
ALTER TABLE audit ADD COLUMN hash BYTEA;

-- Where an organization's log ends, so that a cut is found as well.
CREATE TABLE audit_heads (
    organization  TEXT   NOT NULL PRIMARY KEY REFERENCES organizations (slug),
    last_id       BIGINT NOT NULL,
    row_count     BIGINT NOT NULL,
    hash          BYTEA  NOT NULL
);

CREATE INDEX audit_unchained ON audit (organization, id) WHERE hash IS NULL;

-- Newest first, with any filter that is common.
CREATE INDEX audit_by_time ON audit (organization, at, id);
CREATE INDEX audit_by_action ON audit (organization, action, at, id);
CREATE INDEX audit_by_actor ON audit (organization, actor, at, id);
CREATE INDEX audit_by_actor_and_action ON audit (organization, actor, action, at, id);
CREATE INDEX audit_by_subject ON audit (organization, subject, at, id);
