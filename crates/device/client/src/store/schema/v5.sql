-- Version 5: what a server keeps and can read, and SMS.

-- The key of the server that may read messages: the pinned one, and one that waits for the user's word.
CREATE TABLE server_key (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Words to seal to that key and to submit.
CREATE TABLE retained_outbox (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- How far what the server keeps was fetched, who announced that they write so, and what came of others.
CREATE TABLE retained (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- What went and came by SMS, by the ids that name it.
CREATE TABLE sms (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
