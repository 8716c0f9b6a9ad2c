-- Who is at a duty, until when in microseconds since the Unix epoch, and what it leaves for the next one.
CREATE TABLE IF NOT EXISTS lease (
    duty TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    fence INTEGER NOT NULL,
    until_us INTEGER NOT NULL,
    note TEXT
) STRICT;
