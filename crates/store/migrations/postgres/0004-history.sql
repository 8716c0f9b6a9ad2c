-- What servers have done, minute by minute; older ones than a week go.
CREATE TABLE sample (
    at_us  BIGINT NOT NULL,
    server TEXT COLLATE "C" NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (at_us, server)
);
CREATE INDEX sample_by_server ON sample (server, at_us);
