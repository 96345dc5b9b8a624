-- What an entry changed, for filters: whether it widened or restricted access, and the names of the changed fields between
-- spaces. Both are derived from the old and new values, which the hash covers; verification compares them. NULL until the next
-- start for entries of earlier versions.
ALTER TABLE audit ADD COLUMN direction TEXT COLLATE "C";
ALTER TABLE audit ADD COLUMN changed_fields TEXT COLLATE "C";
CREATE INDEX audit_by_direction ON audit (organization, direction, at) WHERE direction IS NOT NULL;
CREATE INDEX audit_without_fields ON audit (id) WHERE changed_fields IS NULL;
