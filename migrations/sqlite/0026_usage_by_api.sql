-- Requests by API. Details that were counted before have no API.
CREATE TABLE usage_details_by_api (
    key_id         TEXT   NOT NULL REFERENCES api_keys (id),
    day            BIGINT NOT NULL,
    kind           TEXT   NOT NULL CHECK (kind IN ('address', 'api', 'scope')),
    -- ID of the API; empty if it is not known, or the request was of several.
    api            TEXT   NOT NULL,
    value          TEXT   NOT NULL,
    exchanges      BIGINT NOT NULL,
    verifications  BIGINT NOT NULL,
    PRIMARY KEY (key_id, day, kind, api, value)
);
INSERT INTO usage_details_by_api (key_id, day, kind, api, value, exchanges, verifications)
SELECT key_id, day, kind, '', value, exchanges, verifications FROM usage_details;
DROP TABLE usage_details;
ALTER TABLE usage_details_by_api RENAME TO usage_details;
CREATE INDEX usage_details_by_day ON usage_details (day);

-- Successful requests of an API on a day since the epoch.
CREATE TABLE usage_of_api_days (
    organization   TEXT   NOT NULL REFERENCES organizations (slug),
    api            TEXT   NOT NULL,
    day            BIGINT NOT NULL,
    exchanges      BIGINT NOT NULL,
    verifications  BIGINT NOT NULL,
    PRIMARY KEY (organization, api, day)
);
