//! What is known of peers: who has end-to-end encryption, and what carriers said of numbers.
//!
//! Two kinds of knowledge, kept apart because they come from different mouths. The **latch** says who is known to have end-to-end
//! encryption: from a signed key set, from the peer's device inside a session, or from the user; it never expires. **Hints** are what a
//! carrier answered when it was asked about a number: cached, with expiry, and good for choosing between two end-to-end ways. No hint
//! makes a decision more readable, since whoever carries a question can make up its answer.

mod latch;
mod number;

pub use latch::{Latch, LatchSource, Latched};
pub use number::NumberKey;
