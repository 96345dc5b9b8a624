-- Recent denials, one row for each combination of key, address, endpoint, reason and request, with the number of times it
-- was denied and the latest request IDs. `src/store/denials.rs` bounds the number of rows.
CREATE TABLE denials (
    organization     TEXT   NOT NULL REFERENCES organizations (slug),
    id               TEXT   NOT NULL,
    client_id        TEXT,
    is_authenticated BIGINT NOT NULL,
    network          TEXT   NOT NULL,
    address          TEXT,
    endpoint         TEXT   NOT NULL,
    status           BIGINT NOT NULL,
    code             TEXT   NOT NULL,
    reason           TEXT   NOT NULL,
    missing_scope    TEXT,
    requested_scope  TEXT,
    audience         TEXT,
    request_ids      TEXT   NOT NULL,
    denial_count     BIGINT NOT NULL,
    first_at         BIGINT NOT NULL,
    last_at          BIGINT NOT NULL,
    PRIMARY KEY (organization, id)
);
CREATE INDEX denials_by_time ON denials (organization, last_at, id);
CREATE INDEX denials_by_key ON denials (organization, client_id, last_at);
