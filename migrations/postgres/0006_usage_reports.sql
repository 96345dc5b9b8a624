-- Uses of keys, to be read in any range at once.

-- All that was ever counted of a key.
CREATE TABLE usage_totals (
    organization     TEXT COLLATE "C"   NOT NULL REFERENCES organizations (slug),
    key_id           TEXT COLLATE "C"   NOT NULL REFERENCES api_keys (id),
    exchanged        BIGINT NOT NULL,
    verified         BIGINT NOT NULL,
    denied_invalid   BIGINT NOT NULL,
    denied_expired   BIGINT NOT NULL,
    denied_disabled  BIGINT NOT NULL,
    denied_network   BIGINT NOT NULL,
    denied_scope     BIGINT NOT NULL,
    denied_audience  BIGINT NOT NULL,
    PRIMARY KEY (organization, key_id)
);

-- The same up to the end of a day (days since the epoch), for each day on which something was counted: what happened
-- between two days is the difference of two rows, however many lie between them.
CREATE TABLE usage_days (
    organization     TEXT COLLATE "C"   NOT NULL,
    day              BIGINT NOT NULL,
    key_id           TEXT COLLATE "C"   NOT NULL REFERENCES api_keys (id),
    exchanged        BIGINT NOT NULL,
    verified         BIGINT NOT NULL,
    denied_invalid   BIGINT NOT NULL,
    denied_expired   BIGINT NOT NULL,
    denied_disabled  BIGINT NOT NULL,
    denied_network   BIGINT NOT NULL,
    denied_scope     BIGINT NOT NULL,
    denied_audience  BIGINT NOT NULL,
    PRIMARY KEY (key_id, day)
);

-- All that ranking the keys of an organization looks at, side by side.
CREATE INDEX usage_totals_ranked ON usage_totals (organization, key_id, exchanged, verified);
CREATE INDEX usage_days_ranked ON usage_days (organization, day, key_id, exchanged, verified);

-- What happened with all keys of an organization, by hour and by day.
CREATE TABLE usage_of_organization_hours (
    organization  TEXT COLLATE "C"   NOT NULL REFERENCES organizations (slug),
    hour          BIGINT NOT NULL,
    outcome       TEXT COLLATE "C"   NOT NULL,
    count         BIGINT NOT NULL,
    PRIMARY KEY (organization, hour, outcome)
);
CREATE TABLE usage_of_organization_days (
    organization  TEXT COLLATE "C"   NOT NULL REFERENCES organizations (slug),
    day           BIGINT NOT NULL,
    outcome       TEXT COLLATE "C"   NOT NULL,
    count         BIGINT NOT NULL,
    PRIMARY KEY (organization, day, outcome)
);

-- Hours that are over are removed from the oldest on.
CREATE INDEX usage_hours_by_hour ON usage_hours (hour);

-- What has been counted by hour so far.
INSERT INTO usage_totals
SELECT k.organization, k.id,
    CAST(COALESCE(SUM(CASE WHEN h.outcome = 'exchanged' THEN h.count END), 0) AS BIGINT) AS exchanged,
    CAST(COALESCE(SUM(CASE WHEN h.outcome = 'verified' THEN h.count END), 0) AS BIGINT) AS verified,
    CAST(COALESCE(SUM(CASE WHEN h.outcome = 'denied_invalid' THEN h.count END), 0) AS BIGINT) AS denied_invalid,
    CAST(COALESCE(SUM(CASE WHEN h.outcome = 'denied_expired' THEN h.count END), 0) AS BIGINT) AS denied_expired,
    CAST(COALESCE(SUM(CASE WHEN h.outcome = 'denied_disabled' THEN h.count END), 0) AS BIGINT) AS denied_disabled,
    CAST(COALESCE(SUM(CASE WHEN h.outcome = 'denied_network' THEN h.count END), 0) AS BIGINT) AS denied_network,
    CAST(COALESCE(SUM(CASE WHEN h.outcome = 'denied_scope' THEN h.count END), 0) AS BIGINT) AS denied_scope,
    CAST(COALESCE(SUM(CASE WHEN h.outcome = 'denied_audience' THEN h.count END), 0) AS BIGINT) AS denied_audience
FROM api_keys k LEFT JOIN usage_hours h ON h.key_id = k.id GROUP BY k.organization, k.id;

INSERT INTO usage_days
SELECT d.organization, d.day, d.key_id,
    CAST(SUM(exchanged) OVER so_far AS BIGINT),
    CAST(SUM(verified) OVER so_far AS BIGINT),
    CAST(SUM(denied_invalid) OVER so_far AS BIGINT),
    CAST(SUM(denied_expired) OVER so_far AS BIGINT),
    CAST(SUM(denied_disabled) OVER so_far AS BIGINT),
    CAST(SUM(denied_network) OVER so_far AS BIGINT),
    CAST(SUM(denied_scope) OVER so_far AS BIGINT),
    CAST(SUM(denied_audience) OVER so_far AS BIGINT)
FROM (
    SELECT k.organization AS organization, h.hour / 24 AS day, h.key_id AS key_id,
    CAST(COALESCE(SUM(CASE WHEN h.outcome = 'exchanged' THEN h.count END), 0) AS BIGINT) AS exchanged,
    CAST(COALESCE(SUM(CASE WHEN h.outcome = 'verified' THEN h.count END), 0) AS BIGINT) AS verified,
    CAST(COALESCE(SUM(CASE WHEN h.outcome = 'denied_invalid' THEN h.count END), 0) AS BIGINT) AS denied_invalid,
    CAST(COALESCE(SUM(CASE WHEN h.outcome = 'denied_expired' THEN h.count END), 0) AS BIGINT) AS denied_expired,
    CAST(COALESCE(SUM(CASE WHEN h.outcome = 'denied_disabled' THEN h.count END), 0) AS BIGINT) AS denied_disabled,
    CAST(COALESCE(SUM(CASE WHEN h.outcome = 'denied_network' THEN h.count END), 0) AS BIGINT) AS denied_network,
    CAST(COALESCE(SUM(CASE WHEN h.outcome = 'denied_scope' THEN h.count END), 0) AS BIGINT) AS denied_scope,
    CAST(COALESCE(SUM(CASE WHEN h.outcome = 'denied_audience' THEN h.count END), 0) AS BIGINT) AS denied_audience
    FROM usage_hours h JOIN api_keys k ON k.id = h.key_id GROUP BY k.organization, h.hour / 24, h.key_id
) d
WINDOW so_far AS (PARTITION BY d.key_id ORDER BY d.day);

INSERT INTO usage_of_organization_hours
SELECT k.organization, h.hour, h.outcome, CAST(SUM(h.count) AS BIGINT)
FROM usage_hours h JOIN api_keys k ON k.id = h.key_id GROUP BY k.organization, h.hour, h.outcome;

INSERT INTO usage_of_organization_days
SELECT k.organization, h.hour / 24, h.outcome, CAST(SUM(h.count) AS BIGINT)
FROM usage_hours h JOIN api_keys k ON k.id = h.key_id GROUP BY k.organization, h.hour / 24, h.outcome;

-- Where uses came from (kind `address`) and what they asked for (kind `scope`), by day; '' is any other.
CREATE TABLE usage_details (
    key_id         TEXT COLLATE "C"   NOT NULL REFERENCES api_keys (id),
    day            BIGINT NOT NULL,
    kind           TEXT COLLATE "C"   NOT NULL CHECK (kind IN ('address', 'scope')),
    value          TEXT COLLATE "C"   NOT NULL,
    exchanges      BIGINT NOT NULL,
    verifications  BIGINT NOT NULL,
    PRIMARY KEY (key_id, day, kind, value)
);
CREATE INDEX usage_details_by_day ON usage_details (day);

-- The last use of the secret before the current one.
ALTER TABLE api_keys ADD COLUMN previous_used_at BIGINT;
ALTER TABLE api_keys ADD COLUMN previous_used_ip TEXT COLLATE "C";

-- What was told of a key, so that it is told once.
CREATE TABLE notices (
    key_id  TEXT COLLATE "C"   NOT NULL REFERENCES api_keys (id),
    kind    TEXT COLLATE "C"   NOT NULL,
    period  BIGINT NOT NULL,
    detail  TEXT COLLATE "C"   NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (key_id, kind, period, detail)
);

-- What one node does for all of them, and when it was last begun.
CREATE TABLE chores (
    name    TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    ran_at  BIGINT NOT NULL
);
INSERT INTO chores (name, ran_at) VALUES ('upkeep', 0);

CREATE INDEX api_keys_by_end ON api_keys (expires_at);
