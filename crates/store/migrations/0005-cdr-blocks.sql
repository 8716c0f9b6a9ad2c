-- What blocks of CDRs hold: lists that look for a value pass over those that cannot have it. A block
-- reaches from the end of the one before it to its own; newer records than the last are in none yet.
CREATE TABLE cdr_block (
    last_us   INTEGER NOT NULL,
    last_call TEXT NOT NULL,
    -- A Bloom filter of the values of all columns; NULL where records have come late.
    summary   BLOB,
    PRIMARY KEY (last_us, last_call)
) STRICT;
CREATE INDEX cdr_block_unknown ON cdr_block (last_us, last_call) WHERE summary IS NULL;
