-- Counts the rotations of a key. A token carries the version of the secret that minted it.
ALTER TABLE api_keys ADD COLUMN secret_version BIGINT NOT NULL DEFAULT 1;
