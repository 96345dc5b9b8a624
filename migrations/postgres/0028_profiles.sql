-- Access profiles and named networks, which keys refer to by their names.

CREATE TABLE profiles (
    organization       TEXT COLLATE "C"  NOT NULL REFERENCES organizations (slug),
    name               TEXT COLLATE "C"  NOT NULL,
    description        TEXT COLLATE "C"  NOT NULL,
    -- As in `api_keys`.
    grants             TEXT COLLATE "C"  NOT NULL,
    networks           TEXT COLLATE "C"  NOT NULL,
    named_networks     TEXT COLLATE "C"  NOT NULL,
    token_ttl_seconds  BIGINT,
    version            BIGINT            NOT NULL,
    created_at         BIGINT            NOT NULL,
    PRIMARY KEY (organization, name)
);

CREATE TABLE named_networks (
    organization       TEXT COLLATE "C"  NOT NULL REFERENCES organizations (slug),
    name               TEXT COLLATE "C"  NOT NULL,
    description        TEXT COLLATE "C"  NOT NULL,
    -- Networks in CIDR notation, separated by spaces.
    cidrs              TEXT COLLATE "C"  NOT NULL,
    excluded           TEXT COLLATE "C"  NOT NULL,
    version            BIGINT            NOT NULL,
    created_at         BIGINT            NOT NULL,
    PRIMARY KEY (organization, name)
);

ALTER TABLE api_keys ADD COLUMN profile TEXT COLLATE "C";
-- Names of networks, separated by spaces.
ALTER TABLE api_keys ADD COLUMN named_networks TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX api_keys_by_profile ON api_keys (organization, profile, state) WHERE profile IS NOT NULL;

-- Keys are also found by their named networks.
ALTER TABLE key_grants DROP CONSTRAINT key_grants_kind_check;
ALTER TABLE key_grants ADD CONSTRAINT key_grants_kind_check CHECK (kind IN ('scope', 'plain', 'network', 'api', 'named'));
