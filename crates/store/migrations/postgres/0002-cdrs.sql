-- Call detail records. The key is the order in which they are listed, so that a page is one walk
-- along it. The other columns are what lists are filtered by; they are not indexed: an index of
-- each would cost more per call than reading along the table costs per list.
CREATE TABLE cdr (
    end_us    BIGINT NOT NULL,
    call      TEXT COLLATE "C" NOT NULL,
    account   TEXT,
    from_user TEXT,
    to_user   TEXT,
    customer  TEXT,
    carrier   TEXT,
    caller    TEXT NOT NULL,
    called    TEXT NOT NULL,
    outcome   TEXT NOT NULL,
    body      TEXT NOT NULL,
    PRIMARY KEY (end_us, call)
);

-- One record per call, however often it is shipped.
CREATE UNIQUE INDEX cdr_by_call ON cdr (call);
