-- Requests by API. Details that were counted before have no API.
-- ID of the API; empty if it is not known, or the request was of several.
ALTER TABLE usage_details ADD COLUMN api TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE usage_details ALTER COLUMN api DROP DEFAULT;
ALTER TABLE usage_details DROP CONSTRAINT usage_details_kind_check;
ALTER TABLE usage_details ADD CONSTRAINT usage_details_kind_check CHECK (kind IN ('address', 'api', 'scope'));
ALTER TABLE usage_details DROP CONSTRAINT usage_details_pkey;
ALTER TABLE usage_details ADD PRIMARY KEY (key_id, day, kind, api, value);

-- Successful requests of an API on a day since the epoch.
CREATE TABLE usage_of_api_days (
    organization   TEXT COLLATE "C"  NOT NULL REFERENCES organizations (slug),
    api            TEXT COLLATE "C"  NOT NULL,
    day            BIGINT            NOT NULL,
    exchanges      BIGINT            NOT NULL,
    verifications  BIGINT            NOT NULL,
    PRIMARY KEY (organization, api, day)
);
