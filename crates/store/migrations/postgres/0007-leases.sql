-- Who is at a duty that one of several controls does, until when by this server's clock, and what it
-- leaves for the next one.
CREATE TABLE IF NOT EXISTS lease (
    duty TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    fence BIGINT NOT NULL,
    until TIMESTAMPTZ NOT NULL,
    note TEXT
);
