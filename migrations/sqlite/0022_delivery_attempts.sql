-- Attempts of a delivery, with an excerpt of the response from which secrets are removed. They are deleted with their delivery.
CREATE TABLE webhook_attempts (
    delivery          TEXT   NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    number            BIGINT NOT NULL,
    webhook           TEXT   NOT NULL,
    at                BIGINT NOT NULL,
    duration_ms       BIGINT NOT NULL,
    status            BIGINT,
    error             TEXT,
    response_headers  TEXT,   -- `name: value` in lines; empty without headers, NULL if no response is stored
    response_body     TEXT,   -- NULL if it is not text
    response_bytes    BIGINT, -- bytes that were read
    is_cut            BIGINT NOT NULL,
    PRIMARY KEY (delivery, number)
);
-- The latest responses of each webhook are kept.
CREATE INDEX webhook_attempts_by_response ON webhook_attempts (webhook, at) WHERE response_headers IS NOT NULL;
