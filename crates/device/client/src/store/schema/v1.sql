-- Version 1: one ordered table of bytes for each table of the engine, which alone knows what keys and values mean
-- (rcseal_engine::store::Table). Every key is compared byte by byte (the BLOB order of SQLite).
--
-- The tables have row ids and an index on the key, and are not WITHOUT ROWID, because values of a KiB and more make a tree of whole rows
-- deep: with 2,000 rows of 1 KiB, a look-up took 7 us against 53-82 us, a durable insert 350 us against 414 us, and the
-- file 3.0 MB against 9.5 MB. Only a page of the newest 20 was quicker the other way (28 us against 38 us).

-- Facts about the file itself.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY, -- 'generation': equals the key vault's number, or was rolled back
    value INTEGER NOT NULL
) STRICT;
INSERT INTO meta (name, value) VALUES ('generation', 0);

-- One row: this device, its keys, its account. Holds secrets.
CREATE TABLE account (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Prekey secrets by kind and id.
CREATE TABLE prekey (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Signed key sets, the newest known of each account.
CREATE TABLE key_set (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Contacts by account.
CREATE TABLE contact (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Sessions by peer device and local number. Holds secrets.
CREATE TABLE session (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- The session to send on, by peer device.
CREATE TABLE active_session (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Skipped message keys by session, ratchet key and counter. Holds secrets.
CREATE TABLE skipped (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- The same rows by session and ordinal, for eviction.
CREATE TABLE skipped_ordinal (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Which session a recognition tag belongs to.
CREATE TABLE tag (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Base keys of accepted first messages, against their replay.
CREATE TABLE base_key (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Mailboxes of peer devices.
CREATE TABLE route (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Conversations by id.
CREATE TABLE conversation (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Messages by conversation and order.
CREATE TABLE message (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Where a message is, by conversation, sender and message id.
CREATE TABLE message_index (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- What became of a message at each device.
CREATE TABLE delivery (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Reactions by conversation, message and who reacted.
CREATE TABLE reaction (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Envelopes to submit, in order.
CREATE TABLE outbox (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Payloads that wait for a prekey bundle, by peer device and order.
CREATE TABLE pending (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Which message an envelope carried, by envelope id.
CREATE TABLE sent (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Receipts that wait to be sent together.
CREATE TABLE receipt_due (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Envelopes that wait for their sender's key set.
CREATE TABLE parked (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Envelopes that could not be decrypted.
CREATE TABLE quarantine (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- What the shell is to fetch, by account.
CREATE TABLE need (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Events for the app, in order.
CREATE TABLE event (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Counters that give rows their order.
CREATE TABLE counter (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Hashes of ciphertexts that were decrypted.
CREATE TABLE seen (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Edits, deletions and reactions that are here before their message, by conversation, message and author.
CREATE TABLE early_change (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- What is asked to be sent again, what was sent again and how often, and what waits for the user's decision.
CREATE TABLE resend (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- When sessions turn: rekey intervals, what is due when, and where each peer device stands.
CREATE TABLE rekey (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- What the user set for a conversation, by its id.
CREATE TABLE conversation_settings (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- For which reasons key sets were refused that the app was told of, by account.
CREATE TABLE refusal_told (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
