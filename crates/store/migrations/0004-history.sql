-- What servers have done, minute by minute; older ones than a week go.
CREATE TABLE sample (
    at_us  INTEGER NOT NULL,
    server TEXT NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (at_us, server)
) STRICT, WITHOUT ROWID;
CREATE INDEX sample_by_server ON sample (server, at_us);
