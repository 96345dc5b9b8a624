-- URLs of webhooks are sealed, because their path or query may hold a token. The URL of a webhook of an earlier version
-- stays in `unsealed_url` until the next start seals it, and is then empty.
ALTER TABLE webhooks RENAME COLUMN url TO unsealed_url;
ALTER TABLE webhooks ADD COLUMN origin TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE webhooks ADD COLUMN url_digest TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE webhooks ADD COLUMN url_master_key TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE webhooks ADD COLUMN url_sealed BYTEA NOT NULL DEFAULT '';

-- Earlier versions stored what libraries said.
UPDATE webhook_deliveries SET last_error = 'could not connect' WHERE last_error LIKE 'no answer: %';
UPDATE webhook_deliveries SET last_error = 'the host name has no address that webhooks may connect to'
    WHERE last_error LIKE 'its name %';

-- When `due_at` was set, by the same clock. If that lies in the future, the clock was ahead and `due_at` is moved back.
ALTER TABLE webhook_deliveries ADD COLUMN scheduled_at BIGINT NOT NULL DEFAULT 0;
UPDATE webhook_deliveries SET scheduled_at = COALESCE(last_attempt_at, created_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_by_schedule ON webhook_deliveries (scheduled_at) WHERE state = 'pending';
