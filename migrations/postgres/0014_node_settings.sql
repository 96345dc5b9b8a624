-- The settings that nodes of one deployment must share, as JSON; empty for a node of an earlier version.
ALTER TABLE nodes ADD COLUMN settings TEXT COLLATE "C" NOT NULL DEFAULT '';
