-- What the previous secret is recognized by: prefix and last four characters.
ALTER TABLE api_keys ADD COLUMN previous_hint TEXT COLLATE "C";

-- Requests of each secret of a key during a rotation, by hour.
CREATE TABLE usage_of_secrets (
    key_id          TEXT COLLATE "C"   NOT NULL REFERENCES api_keys (id),
    hour            BIGINT NOT NULL,
    secret_version  BIGINT NOT NULL,
    count           BIGINT NOT NULL,
    PRIMARY KEY (key_id, hour, secret_version)
);
CREATE INDEX usage_of_secrets_by_hour ON usage_of_secrets (hour);
