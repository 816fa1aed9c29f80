//! `rcseal-broker`: which account a phone number belongs to, and the way between carriers and mailboxes.
//!
//! It verifies that somebody has a number, countersigns the mapping that the account has signed, and passes ciphertext from a carrier to a
//! mailbox and back. It holds no message key, links no crate of `device/`, and puts mail into mailboxes only through the relay's own API.
