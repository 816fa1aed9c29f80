-- Version 3: delivery policy, what is known of peers' capabilities, and threads with phone numbers. Keys and values are the engine's.

-- Threads with phone numbers that have no account, by number.
CREATE TABLE plain_thread (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- What was written in them, by number and order. Readable by carriers.
CREATE TABLE plain_message (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Which message of a thread a carrier's message id names, by number and id.
CREATE TABLE plain_index (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Readable messages that a carrier is to be handed, in order.
CREATE TABLE plain_outbox (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- What is known of peers' devices and numbers, and from where.
CREATE TABLE capability (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Accounts and numbers that are known to be capable of end-to-end encryption. Rows never expire.
CREATE TABLE latch (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- What the user set for delivery: policies, route preferences, consents, acknowledgements, attestations.
CREATE TABLE policy (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Delivery decisions, in order.
CREATE TABLE decision (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Which decision a message went by, by message id.
CREATE TABLE decision_index (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Fallbacks, downgrades and refusals, in order. Rows are added, and never changed or deleted.
CREATE TABLE journal (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
