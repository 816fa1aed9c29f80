//! `rcseal-broker` beside a real relay, over TLS, with accounts that have real keys.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs, unreachable_pub)]

mod claims;
mod command;
mod crashes;
mod enrolment;
mod hands;
mod logs;
mod lookups;
mod openapi;
mod support;
