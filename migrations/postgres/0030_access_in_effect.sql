-- Lists of keys by the access that they have in effect.

-- With the references of a key: what they come to is decided for each combination.
DROP INDEX api_keys_attention;
CREATE INDEX api_keys_attention ON api_keys (organization, state, expires_at, owner, created_at, rotated_at, last_used_at, prefix,
    previous_until, is_open, is_full_access, profile, named_networks);
