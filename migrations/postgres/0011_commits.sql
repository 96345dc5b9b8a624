-- One row for every transaction that changes something, written by the transaction itself. If the answer to a COMMIT is
-- lost, the row shows whether the transaction was committed. Rows are deleted after an hour.
CREATE TABLE commits (
    id  TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    at  BIGINT NOT NULL -- milliseconds, by the database's clock
);

CREATE INDEX commits_by_time ON commits (at);
