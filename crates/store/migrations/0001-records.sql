-- What an operator configures, and the log of its changes.

-- Counts every change of a record or the settings. One row.
CREATE TABLE platform (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL
) STRICT;
INSERT INTO platform (id, revision) VALUES (1, 0);

-- All kinds alike: the store needs no more of a record than the tables below say, and what
-- a record holds changes more often than how it is kept. A row reads well by json_extract().
CREATE TABLE record (
    id       TEXT PRIMARY KEY,
    kind     TEXT NOT NULL,
    revision INTEGER NOT NULL,
    body     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX record_by_kind ON record (kind, id);

-- Values that one record has and no other may have, such as digest user names.
CREATE TABLE record_value (
    space  TEXT NOT NULL,
    value  TEXT NOT NULL,
    record TEXT NOT NULL REFERENCES record (id) ON DELETE CASCADE,
    PRIMARY KEY (space, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_value_by_record ON record_value (record);

-- Which record names which.
CREATE TABLE record_reference (
    record TEXT NOT NULL REFERENCES record (id) ON DELETE CASCADE,
    target TEXT NOT NULL REFERENCES record (id),
    PRIMARY KEY (record, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_reference_by_target ON record_reference (target);

-- The settings, if they were ever changed. At most one row.
CREATE TABLE settings (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL,
    body     TEXT NOT NULL
) STRICT;

CREATE TABLE token (
    id           TEXT PRIMARY KEY,
    hash         TEXT NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    role         TEXT NOT NULL,
    created_us   INTEGER NOT NULL,
    last_used_us INTEGER,
    expires_us   INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    revision INTEGER PRIMARY KEY,
    at_us    INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    kind     TEXT NOT NULL,
    record   TEXT NOT NULL,
    before   TEXT,
    after    TEXT
) STRICT;
