-- Lists of keys by the access that they have in effect.

-- With the references of a key: what they come to is decided for each combination.
DROP INDEX api_keys_attention;
CREATE INDEX api_keys_attention ON api_keys (organization, state, expires_at, owner, created_at, rotated_at, last_used_at, prefix,
    previous_until, is_open, is_full_access, id, name_lowercase, hint, search_text, profile, named_networks);

-- The combinations of references and own settings are read from these indexes alone.
CREATE INDEX api_keys_shared_grants ON api_keys (organization, profile, grants, state, id) WHERE profile IS NOT NULL;
CREATE INDEX api_keys_shared_networks ON api_keys (organization, profile, networks, named_networks, id)
    WHERE profile IS NOT NULL OR named_networks <> '';
