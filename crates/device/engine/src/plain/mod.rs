//! Threads with phone numbers that have no account: plain words, readable by every carrier on the way.
//!
//! They are kept apart from conversations by type and by table. A thread is named by a number and never by an account; nothing that comes
//! in here changes a contact, a conversation, a latch or a decision, not even when the number is a contact's. A number is what a carrier
//! asserts or a message claims, and each message says which.
//!
//! **Out.** Words leave after a decision that allows a readable mode ([`crate::policy`]) and under its permit
//! ([`Engine::poll_plain_outbox`](crate::Engine::poll_plain_outbox)). The decision is made again when the words are to leave: consent that
//! ended meanwhile keeps them here. A hand-over that nobody answered is not repeated, since it may have arrived: it is `unconfirmed`.
//! The words of a downgraded conversation take the same way and stay messages of their conversation.
//!
//! **SMS** is a second way for words, for those that the user agreed to send so ([`Engine::set_sms_way`](crate::Engine::set_sms_way)). By default
//! nothing goes there but a link ([`Engine::sms_invitation`](crate::Engine::sms_invitation)).
//!
//! **In.** Words of a number land in its thread, begun for it where there is none, within limits for strangers. Receipts move the one
//! message that they name, if it was sent to the number that the receipt comes from.

mod inbound;
mod message;
mod outbox;
mod sms;
mod thread;

pub use inbound::{STRANGER_MESSAGES_MAX, STRANGER_THREADS_MAX, THREAD_MESSAGES_MAX};
pub use message::{PlainMessageView, PlainSender, PlainState};
pub(crate) use outbox::PlainOrigin;
pub use outbox::PlainOutgoing;
pub(crate) use sms::sms_len;
pub use sms::{SMS_LEN_MAX, SmsNotice, SmsOutgoing, SmsReport};
pub use thread::{PlainError, ThreadView};
