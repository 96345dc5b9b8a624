-- Lists of keys by what they grant, by their text, and by what needs attention.

-- Each scope and network of each key, to find keys by them.
CREATE TABLE key_grants (
    organization  TEXT   NOT NULL REFERENCES organizations (slug),
    kind          TEXT   NOT NULL CHECK (kind IN ('scope', 'network')),
    value         TEXT   NOT NULL,
    key_id        TEXT   NOT NULL REFERENCES api_keys (id),
    PRIMARY KEY (organization, kind, value, key_id)
);
CREATE INDEX key_grants_by_key ON key_grants (key_id);

INSERT INTO key_grants (organization, kind, value, key_id)
WITH RECURSIVE parts (organization, key_id, kind, value, rest) AS (
    SELECT organization, id, 'scope', '', scopes || ' ' FROM api_keys
    UNION ALL SELECT organization, id, 'network', '', networks || ' ' FROM api_keys
    UNION ALL
    SELECT organization, key_id, kind, substr(rest, 1, instr(rest, ' ') - 1), substr(rest, instr(rest, ' ') + 1)
    FROM parts WHERE rest <> ''
)
SELECT DISTINCT organization, kind, value, key_id FROM parts WHERE value <> '';

-- The name and the description in lower case, by Unicode's rules.
ALTER TABLE api_keys ADD COLUMN search_text TEXT NOT NULL DEFAULT '';
UPDATE api_keys SET search_text = name_lowercase || char(10) || LOWER(description);

-- Whether the key can be used from any address, and whether it grants everything or management of keys.
ALTER TABLE api_keys ADD COLUMN is_open BIGINT GENERATED ALWAYS AS (
    CASE WHEN networks = '' OR networks || ' ' LIKE '%/0 %' THEN 1 ELSE 0 END) VIRTUAL;
ALTER TABLE api_keys ADD COLUMN is_full_access BIGINT GENERATED ALWAYS AS (
    CASE WHEN ' ' || scopes || ' ' LIKE '% *:* %' OR ' ' || scopes || ' ' LIKE '% * %' OR scopes LIKE '%:keyturn/%'
    THEN 1 ELSE 0 END) VIRTUAL;

-- The counts of the overview are read from this index alone.
CREATE INDEX api_keys_attention ON api_keys (organization, state, expires_at, owner, created_at, rotated_at, used_place, prefix,
    previous_until, is_open, is_full_access);
