-- Lists of keys by what they grant, by their text, and by what needs attention.

-- Each scope and network of each key, to find keys by them.
CREATE TABLE key_grants (
    organization  TEXT COLLATE "C"   NOT NULL REFERENCES organizations (slug),
    kind          TEXT COLLATE "C"   NOT NULL CHECK (kind IN ('scope', 'network')),
    value         TEXT COLLATE "C"   NOT NULL,
    key_id        TEXT COLLATE "C"   NOT NULL REFERENCES api_keys (id),
    PRIMARY KEY (organization, kind, value, key_id)
);
CREATE INDEX key_grants_by_key ON key_grants (key_id);

INSERT INTO key_grants (organization, kind, value, key_id)
SELECT DISTINCT organization, 'scope', value, id FROM api_keys, unnest(string_to_array(scopes, ' ')) AS value WHERE value <> ''
UNION ALL
SELECT DISTINCT organization, 'network', value, id FROM api_keys, unnest(string_to_array(networks, ' ')) AS value WHERE value <> '';

-- The name and the description in lower case, by Unicode's rules.
ALTER TABLE api_keys ADD COLUMN search_text TEXT COLLATE "C" NOT NULL DEFAULT '';
UPDATE api_keys SET search_text = name_lowercase || chr(10) || LOWER(description);

-- Whether the key can be used from any address, and whether it grants everything or management of keys.
ALTER TABLE api_keys ADD COLUMN is_open BIGINT GENERATED ALWAYS AS (
    CASE WHEN networks = '' OR networks || ' ' LIKE '%/0 %' THEN 1 ELSE 0 END) STORED;
ALTER TABLE api_keys ADD COLUMN is_full_access BIGINT GENERATED ALWAYS AS (
    CASE WHEN ' ' || scopes || ' ' LIKE '% *:* %' OR ' ' || scopes || ' ' LIKE '% * %' OR scopes LIKE '%:keyturn/%'
    THEN 1 ELSE 0 END) STORED;

-- The counts of the overview are read from this index alone.
CREATE INDEX api_keys_attention ON api_keys (organization, state, expires_at, owner, created_at, rotated_at, used_place, prefix,
    previous_until, is_open, is_full_access);
