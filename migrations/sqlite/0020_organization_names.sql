-- The display name of an organization, and when a member dismissed Getting started.
ALTER TABLE organizations ADD COLUMN name TEXT NOT NULL DEFAULT '';
UPDATE organizations SET name = slug;
ALTER TABLE members ADD COLUMN dismissed_at BIGINT;
