//! Limits on everything that is stored, with their reasons. Those an operator may want to move are in [`StoreLimits`].

/// Delivery tokens that open one account's mailboxes at a time: the current one, its predecessor while contacts learn the new one, and
/// a few for invitations.
pub const DELIVERY_TOKENS_MAX: usize = 8;
/// One-time prekeys of one kind per device: a month of first contacts for a busy device, and 330 KB of KEM keys.
pub const ONE_TIME_PREKEYS_MAX: usize = 200;
/// One stored prekey with its signature: an ML-KEM-1024 key is 1,568 bytes, its signature 64, and there is room for framing.
pub const PREKEY_LEN_MAX: usize = 2 * 1024;
/// One signed key set: 127 devices of about 4 KiB fit, ordinary ones are a hundredth of it.
pub const KEY_SET_LEN_MAX: usize = 512 * 1024;
/// Key sets read in one go.
pub const KEY_SETS_READ_MAX: usize = 16;
/// Bytes of key sets read in one go, beyond the first: an answer is in memory as a whole, and whoever holds a delivery token may ask.
pub const KEY_SETS_READ_BYTES_MAX: usize = 1024 * 1024;
/// Messages of one link rendezvous: each side speaks twice.
pub const LINK_SLOTS: u8 = 4;
/// One message of a rendezvous: a key set travels in it.
pub const LINK_MESSAGE_LEN_MAX: usize = 256 * 1024;
/// How long a rendezvous lives: somebody holds two phones next to each other.
pub const LINK_LIFETIME_MILLIS: u64 = 10 * 60 * 1000;
/// One stored piece of a blob. Uploads continue at its multiples, so it bounds what a broken connection repeats.
pub const BLOB_CHUNK_LEN: usize = 1024 * 1024;
/// What a blob counts for at least. Each costs a file, a folder and rows, however short it is: without this, a quota of bytes would let
/// one account use up a file system's inodes.
pub const BLOB_CHARGE_MIN: u64 = 64 * 1024;
/// Unused invites kept at a time: bounds what an admission code generator can write.
pub const INVITES_MAX: u64 = 100_000;
/// Reset tickets and pending resets at a time: an operator who gives out more should look at who asks for them.
pub const RESETS_MAX: u64 = 10_000;

/// Limits that an operator may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLimits {
    /// Envelopes that may wait in one mailbox.
    pub mailbox_envelopes_max: u64,
    /// Bytes of envelopes that may wait in one mailbox.
    pub mailbox_bytes_max: u64,
    /// Bytes of blobs that one account may keep.
    pub account_blob_bytes_max: u64,
    /// Bytes of all key sets that one account has published: they are kept for ever, so that contacts can check every link. A recovery or a
    /// reset may go up to twice as far, so that a thief cannot keep the owner out by filling it, and after each the devices may go on for
    /// a little, up to one and a half times as far.
    pub key_set_history_bytes_max: u64,
    /// Rendezvous that may be open at a time: they are opened by devices that nobody knows yet.
    pub live_links_max: u64,
    /// Messages that the server can read, kept for one account.
    pub account_retained_messages_max: u64,
    /// Bytes of them.
    pub account_retained_bytes_max: u64,
    /// How many senders it takes to use that up, at least 1: each may have this part of the messages and of the bytes. Nobody deletes what is
    /// kept, so that a single one with a delivery token could otherwise keep all others out until its messages expire.
    pub account_retained_senders_min: u64,
    /// Below this much free disk space new envelopes, blobs and accounts are refused, while acknowledging and expiring (which free
    /// space, but need a little first) still work.
    pub free_bytes_min: u64,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            mailbox_envelopes_max: 10_000,
            mailbox_bytes_max: 128 * 1024 * 1024,
            account_blob_bytes_max: 2 * 1024 * 1024 * 1024,
            // Linking 127 devices one by one writes a quarter of it, an ordinary account a thousandth in its life.
            key_set_history_bytes_max: 128 * 1024 * 1024,
            live_links_max: 10_000,
            // A hundred a day for three years.
            account_retained_messages_max: 100_000,
            account_retained_bytes_max: 1024 * 1024 * 1024,
            // More than one correspondent of a busy account writes in the longest classes, and few enough that it needs many to shut it.
            account_retained_senders_min: 8,
            free_bytes_min: 256 * 1024 * 1024,
        }
    }
}
