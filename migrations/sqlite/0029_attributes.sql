-- Metadata of keys, and custom claims of APIs.

-- JSON: {"name": "value"}
ALTER TABLE api_keys ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';

-- The pairs of `metadata`, to find keys by them: `name=value`, or `name#` and the SHA-256 of a long value.
CREATE TABLE key_metadata (
    organization  TEXT  NOT NULL REFERENCES organizations (slug),
    pair          TEXT  NOT NULL,
    key_id        TEXT  NOT NULL REFERENCES api_keys (id),
    PRIMARY KEY (organization, pair, key_id)
);
CREATE INDEX key_metadata_by_key ON key_metadata (key_id);

-- JSON: {"claim": "source"}
ALTER TABLE apis ADD COLUMN token_claims TEXT NOT NULL DEFAULT '{}';
