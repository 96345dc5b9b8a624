-- Headers that are sent to a webhook beside the signature: their names, separated by spaces, and all of them sealed.
ALTER TABLE webhooks ADD COLUMN header_names TEXT NOT NULL DEFAULT '';
ALTER TABLE webhooks ADD COLUMN headers_master_key TEXT NOT NULL DEFAULT '';
ALTER TABLE webhooks ADD COLUMN headers_sealed BYTEA;
