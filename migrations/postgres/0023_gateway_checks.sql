-- Organizations whose verification requests are observed for a while, because somebody checks a gateway.
CREATE TABLE gateway_watches (
    organization   TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES organizations (slug),
    watched_until  BIGINT NOT NULL
);

-- What was observed meanwhile, folded by peer, result and how the client's address was determined.
CREATE TABLE gateway_requests (
    organization   TEXT COLLATE "C" NOT NULL REFERENCES organizations (slug),
    peer           TEXT COLLATE "C" NOT NULL,
    is_trusted     BIGINT NOT NULL,
    code           TEXT COLLATE "C" NOT NULL, -- of the error; empty if the request was allowed
    address_error  TEXT COLLATE "C" NOT NULL, -- empty if the client's address is known
    client         TEXT COLLATE "C",          -- of the latest request
    request_count  BIGINT NOT NULL,
    first_at       BIGINT NOT NULL,
    last_at        BIGINT NOT NULL,
    PRIMARY KEY (organization, peer, is_trusted, code, address_error)
);
