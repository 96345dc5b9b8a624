-- Recent denials, one row for each combination of key, address, endpoint, reason and request, with the number of times it
-- was denied and the latest request IDs. `src/store/denials.rs` bounds the number of rows.
CREATE TABLE denials (
    organization     TEXT COLLATE "C" NOT NULL REFERENCES organizations (slug),
    id               TEXT COLLATE "C" NOT NULL,
    client_id        TEXT COLLATE "C",
    is_authenticated BIGINT NOT NULL,
    network          TEXT COLLATE "C" NOT NULL,
    address          TEXT COLLATE "C",
    endpoint         TEXT COLLATE "C" NOT NULL,
    status           BIGINT NOT NULL,
    code             TEXT COLLATE "C" NOT NULL,
    reason           TEXT COLLATE "C" NOT NULL,
    missing_scope    TEXT COLLATE "C",
    requested_scope  TEXT COLLATE "C",
    audience         TEXT COLLATE "C",
    request_ids      TEXT COLLATE "C" NOT NULL,
    denial_count     BIGINT NOT NULL,
    first_at         BIGINT NOT NULL,
    last_at          BIGINT NOT NULL,
    PRIMARY KEY (organization, id)
);
CREATE INDEX denials_by_time ON denials (organization, last_at, id);
CREATE INDEX denials_by_key ON denials (organization, client_id, last_at);
