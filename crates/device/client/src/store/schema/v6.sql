-- Version 6: numbers as a broker says them, and cases of businesses.

-- This account's phone numbers at a broker, by number: how far each has come, what was signed and countersigned.
CREATE TABLE number_own (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- The pinned broker, and the delivery token that it was given.
CREATE TABLE number_broker (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- What the broker has shown of other people's numbers, by number: the mapping, its key set, the leave to write.
CREATE TABLE number_shown (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- What contacts and this device have told each other of mappings, by account.
CREATE TABLE number_gossip (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- What the broker was found to have done, in order, and what proves it.
CREATE TABLE broker_evidence (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Cases that this account opened, by id, and which open ones were begun for a number.
CREATE TABLE case_opened (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- The cases of a conversation, on both sides.
CREATE TABLE case_of (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
