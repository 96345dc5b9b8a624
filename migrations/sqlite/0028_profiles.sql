-- Access profiles and named networks, which keys refer to by their names.

CREATE TABLE profiles (
    organization       TEXT    NOT NULL REFERENCES organizations (slug),
    name               TEXT    NOT NULL,
    description        TEXT    NOT NULL,
    -- As in `api_keys`.
    grants             TEXT    NOT NULL,
    networks           TEXT    NOT NULL,
    named_networks     TEXT    NOT NULL,
    token_ttl_seconds  BIGINT,
    version            BIGINT  NOT NULL,
    created_at         BIGINT  NOT NULL,
    PRIMARY KEY (organization, name)
);

CREATE TABLE named_networks (
    organization       TEXT    NOT NULL REFERENCES organizations (slug),
    name               TEXT    NOT NULL,
    description        TEXT    NOT NULL,
    -- Networks in CIDR notation, separated by spaces.
    cidrs              TEXT    NOT NULL,
    excluded           TEXT    NOT NULL,
    version            BIGINT  NOT NULL,
    created_at         BIGINT  NOT NULL,
    PRIMARY KEY (organization, name)
);

ALTER TABLE api_keys ADD COLUMN profile TEXT;
-- Names of networks, separated by spaces.
ALTER TABLE api_keys ADD COLUMN named_networks TEXT NOT NULL DEFAULT '';
CREATE INDEX api_keys_by_profile ON api_keys (organization, profile, state) WHERE profile IS NOT NULL;

-- Keys are also found by their named networks.
CREATE TABLE key_grants_next (
    organization  TEXT   NOT NULL REFERENCES organizations (slug),
    kind          TEXT   NOT NULL CHECK (kind IN ('scope', 'plain', 'network', 'api', 'named')),
    value         TEXT   NOT NULL,
    key_id        TEXT   NOT NULL REFERENCES api_keys (id),
    PRIMARY KEY (organization, kind, value, key_id)
);
INSERT INTO key_grants_next SELECT organization, kind, value, key_id FROM key_grants;
DROP TABLE key_grants;
ALTER TABLE key_grants_next RENAME TO key_grants;
CREATE INDEX key_grants_by_key ON key_grants (key_id);
