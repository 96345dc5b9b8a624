-- What happened with a key, by hour (hours since the epoch) and outcome.
CREATE TABLE usage_hours (
    key_id   TEXT COLLATE "C"   NOT NULL REFERENCES api_keys (id),
    hour     BIGINT NOT NULL,
    outcome  TEXT COLLATE "C"   NOT NULL,
    count    BIGINT NOT NULL,
    PRIMARY KEY (key_id, hour, outcome)
);
