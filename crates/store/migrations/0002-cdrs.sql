-- Call detail records.

-- Kept in the order in which they are listed, so that a page is one walk along the table and
-- new records go to its end. The columns are what lists are filtered by; they are not indexed:
-- an index of each would cost more per call than reading along the table costs per list.
CREATE TABLE cdr (
    end_us    INTEGER NOT NULL,
    call      TEXT NOT NULL,
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
) STRICT, WITHOUT ROWID;

-- One record per call, however often it is shipped.
CREATE UNIQUE INDEX cdr_by_call ON cdr (call);
