-- When an organization was deleted, and when all of its data was gone. The row stays, so that its slug and its issuer are never
-- used again.
ALTER TABLE organizations ADD COLUMN deleted_at BIGINT;
ALTER TABLE organizations ADD COLUMN purged_at BIGINT;
