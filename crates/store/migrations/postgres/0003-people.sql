-- Tokens for one account, and for parts of the API.
ALTER TABLE token ADD COLUMN account TEXT;
ALTER TABLE token ADD COLUMN scopes TEXT NOT NULL DEFAULT '';

-- What is kept for a while only: sessions of browsers, one-time codes that were used.
CREATE TABLE ticket (
    space   TEXT COLLATE "C" NOT NULL,
    key     TEXT COLLATE "C" NOT NULL,
    ends_us BIGINT NOT NULL,
    body    TEXT NOT NULL,
    PRIMARY KEY (space, key)
);
CREATE INDEX ticket_by_end ON ticket (ends_us);
