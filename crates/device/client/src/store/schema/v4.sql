-- Version 4: what the shell keeps, by name. The values are its own.

CREATE TABLE shell (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
