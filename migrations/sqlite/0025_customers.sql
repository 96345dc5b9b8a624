-- Customers: the users or tenants of an operator, whom keys are given to.

-- A removed customer keeps a row, because keys refer to it.
CREATE TABLE customers (
    id            TEXT    NOT NULL PRIMARY KEY,
    organization  TEXT    NOT NULL REFERENCES organizations (slug),
    external_id   TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    -- Lower case: external ID and name.
    search_text   TEXT    NOT NULL,
    -- JSON: {"name": "value"}
    metadata      TEXT    NOT NULL,
    max_keys      BIGINT,
    suspended_at  BIGINT,
    removed_at    BIGINT,
    generation    BIGINT  NOT NULL,
    version       BIGINT  NOT NULL,
    created_at    BIGINT  NOT NULL,
    created_by    TEXT    NOT NULL
);
CREATE UNIQUE INDEX customers_by_external_id ON customers (organization, external_id) WHERE removed_at IS NULL;
CREATE INDEX customers_by_creation ON customers (organization, created_at, id);

ALTER TABLE api_keys ADD COLUMN customer_id TEXT REFERENCES customers (id)
    CHECK (customer_id IS NULL OR owner IS NULL);
CREATE INDEX api_keys_by_customer ON api_keys (customer_id) WHERE customer_id IS NOT NULL;

-- A change of a customer. Its row has the same digits in `key_id`, which nodes of an earlier version read and no key has.
ALTER TABLE key_changes ADD COLUMN customer_id TEXT;
