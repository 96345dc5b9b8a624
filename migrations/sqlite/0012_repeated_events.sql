-- Security events that strangers can repeat at will, counted by subject, network and hour. The first of an hour is
-- written to the audit log at once, the count when the hour is over.
CREATE TABLE repeated_events (
    organization TEXT   NOT NULL REFERENCES organizations (slug),
    action       TEXT   NOT NULL,
    subject      TEXT   NOT NULL,
    network      TEXT   NOT NULL,
    hour         BIGINT NOT NULL,
    event_count  BIGINT NOT NULL,
    first_at     BIGINT NOT NULL,
    last_at      BIGINT NOT NULL,
    PRIMARY KEY (organization, action, subject, hour, network)
);
CREATE INDEX repeated_events_by_hour ON repeated_events (hour);
