-- Organizations whose verification requests are observed for a while, because somebody checks a gateway.
CREATE TABLE gateway_watches (
    organization   TEXT   NOT NULL PRIMARY KEY REFERENCES organizations (slug),
    watched_until  BIGINT NOT NULL
);

-- What was observed meanwhile, folded by peer, result and how the client's address was determined.
CREATE TABLE gateway_requests (
    organization   TEXT   NOT NULL REFERENCES organizations (slug),
    peer           TEXT   NOT NULL,
    is_trusted     BIGINT NOT NULL,
    code           TEXT   NOT NULL, -- of the error; empty if the request was allowed
    address_error  TEXT   NOT NULL, -- empty if the client's address is known
    client         TEXT,            -- of the latest request
    request_count  BIGINT NOT NULL,
    first_at       BIGINT NOT NULL,
    last_at        BIGINT NOT NULL,
    PRIMARY KEY (organization, peer, is_trusted, code, address_error)
);
