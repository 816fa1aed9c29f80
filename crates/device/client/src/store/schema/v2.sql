-- Version 2: what goes by a carrier. Tables of the same shape as those of version 1, for the same reasons.

-- What this device and its peers take by way of a carrier, contacts' phone numbers, and what a carrier damaged.
CREATE TABLE carrier (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Where the envelopes of the outbox stand that go by a carrier, by their number, and by message and device.
CREATE TABLE carrier_route (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- What was handed to a carrier, by its id there.
CREATE TABLE carrier_issued (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Parts of frames that came by a carrier and are not whole yet, and which frames were.
CREATE TABLE carrier_part (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;

-- Receipts of the carrier's kind that wait to be sent.
CREATE TABLE carrier_reply (
    key   BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
