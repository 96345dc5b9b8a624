-- APIs (resource servers), and the scopes that a key is granted for each of them.

CREATE TABLE apis (
    organization       TEXT COLLATE "C"  NOT NULL REFERENCES organizations (slug),
    id                 TEXT COLLATE "C"  NOT NULL,
    name               TEXT COLLATE "C"  NOT NULL,
    description        TEXT COLLATE "C"  NOT NULL,
    -- NULL only for the default API: the audience in the configuration.
    audience           TEXT COLLATE "C",
    style              TEXT COLLATE "C"  NOT NULL CHECK (style IN ('filters', 'plain')),
    -- JSON: [{"scope", "description"}]
    scopes             TEXT COLLATE "C"  NOT NULL,
    -- JSON list of scopes; NULL if all can be granted to further keys.
    grantable_scopes   TEXT COLLATE "C",
    token_ttl_seconds  BIGINT,
    typ                TEXT COLLATE "C"  CHECK (typ IN ('at+jwt', 'JWT')),
    algorithm          TEXT COLLATE "C"    NOT NULL CHECK (algorithm IN ('ES256', 'EdDSA', 'RS256')),
    -- A change of the algorithm, and when it begins or began.
    next_algorithm       TEXT COLLATE "C"  CHECK (next_algorithm IN ('ES256', 'EdDSA', 'RS256')),
    next_algorithm_from  BIGINT,
    version            BIGINT            NOT NULL,
    created_at         BIGINT            NOT NULL,
    PRIMARY KEY (organization, id),
    UNIQUE (organization, name)
);

INSERT INTO apis (organization, id, name, description, style, scopes, algorithm, version, created_at)
SELECT slug, '0000000000000000', 'default', '', 'filters', '[]',
    COALESCE((SELECT algorithm FROM signing_keys WHERE organization = slug ORDER BY created_at DESC, active_from DESC LIMIT 1), 'ES256'),
    1, created_at FROM organizations;

-- The scopes of each key become a grant for the default API.
DROP INDEX api_keys_attention;
ALTER TABLE api_keys DROP COLUMN is_open;
ALTER TABLE api_keys DROP COLUMN is_full_access;
-- JSON: [{"api", "style", "scopes"}], the default API first.
ALTER TABLE api_keys ADD COLUMN grants TEXT COLLATE "C" NOT NULL DEFAULT '[]';
UPDATE api_keys SET grants =
    json_build_array(json_build_object('api', '0000000000000000', 'style', 'filters', 'scopes', scopes))::text;
ALTER TABLE api_keys DROP COLUMN scopes;

-- Whether every IPv4 or every IPv6 address is allowed, and whether a scope grants everything or management of keys. Scopes have no
-- double quote, so JSON delimits them by one or by a space.
ALTER TABLE api_keys ADD COLUMN is_open BIGINT NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN is_full_access BIGINT NOT NULL DEFAULT 0;
UPDATE api_keys SET is_open = CASE WHEN networks = '' OR networks || ' ' LIKE '%/0 %' THEN 1 ELSE 0 END,
    is_full_access = CASE WHEN replace(grants, '"', ' ') LIKE '% *:* %' OR replace(grants, '"', ' ') LIKE '% * %'
        OR grants LIKE '%:keyturn/%' THEN 1 ELSE 0 END;

CREATE INDEX api_keys_attention ON api_keys (organization, state, expires_at, owner, created_at, rotated_at, last_used_at, prefix,
    previous_until, is_open, is_full_access);

-- Keys are also found by their plain scopes and by their APIs.
ALTER TABLE key_grants DROP CONSTRAINT key_grants_kind_check;
ALTER TABLE key_grants ADD CONSTRAINT key_grants_kind_check CHECK (kind IN ('scope', 'plain', 'network', 'api'));
INSERT INTO key_grants (organization, kind, value, key_id)
SELECT organization, 'api', '0000000000000000', id FROM api_keys;
