-- What a decision reads of an organization is under the lease, like a key's record.

-- The number of the last change of the organization's policy, state or signing keys.
ALTER TABLE organizations ADD COLUMN changed_seq BIGINT NOT NULL DEFAULT 0;
-- While it is set, every key and token of the organization is denied.
ALTER TABLE organizations ADD COLUMN suspended_at BIGINT;
CREATE INDEX organizations_by_change ON organizations (changed_seq);

-- The first number of the present epoch, which a restore starts: no generation, version or change number that was given
-- out before the restore is given out again. 0: the store was never restored.
ALTER TABLE change_seq ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;
