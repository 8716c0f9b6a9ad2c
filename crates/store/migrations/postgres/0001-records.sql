-- What an operator configures, and the log of its changes; as in SQLite, column by column.
-- Identifiers and names are compared byte by byte (COLLATE "C"), so that lists have the same order
-- everywhere. Bodies are TEXT: JSONB refuses U+0000, which a peer may well send.

-- Counts every change of a record or the settings. One row; whoever changes anything holds it.
CREATE TABLE platform (
    id       BIGINT PRIMARY KEY CHECK (id = 1),
    revision BIGINT NOT NULL
);
INSERT INTO platform (id, revision) VALUES (1, 0);

CREATE TABLE record (
    id       TEXT COLLATE "C" PRIMARY KEY,
    kind     TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    body     TEXT NOT NULL
);
CREATE INDEX record_by_kind ON record (kind, id);

-- Values that one record has and no other may have, such as digest user names.
CREATE TABLE record_value (
    space  TEXT COLLATE "C" NOT NULL,
    value  TEXT COLLATE "C" NOT NULL,
    record TEXT COLLATE "C" NOT NULL REFERENCES record (id) ON DELETE CASCADE,
    PRIMARY KEY (space, value)
);
CREATE INDEX record_value_by_record ON record_value (record);

-- Which record names which.
CREATE TABLE record_reference (
    record TEXT COLLATE "C" NOT NULL REFERENCES record (id) ON DELETE CASCADE,
    target TEXT COLLATE "C" NOT NULL REFERENCES record (id),
    PRIMARY KEY (record, target)
);
CREATE INDEX record_reference_by_target ON record_reference (target);

-- The settings, if they were ever changed. At most one row.
CREATE TABLE settings (
    id       BIGINT PRIMARY KEY CHECK (id = 1),
    revision BIGINT NOT NULL,
    body     TEXT NOT NULL
);

CREATE TABLE token (
    id           TEXT COLLATE "C" PRIMARY KEY,
    hash         TEXT COLLATE "C" NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    role         TEXT NOT NULL,
    created_us   BIGINT NOT NULL,
    last_used_us BIGINT,
    expires_us   BIGINT
);

CREATE TABLE audit (
    revision BIGINT PRIMARY KEY,
    at_us    BIGINT NOT NULL,
    actor    TEXT NOT NULL,
    kind     TEXT NOT NULL,
    record   TEXT NOT NULL,
    before   TEXT,
    after    TEXT
);
