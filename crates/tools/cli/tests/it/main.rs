//! The whole system, from outside: real processes of `rcseal`, real sockets, real TLS, real files. The library is called
//! for what no command does: to search the way the demo does, and in `live` for clients that stay connected.

#![allow(clippy::unwrap_used, clippy::panic)]

mod backup;
mod business;
mod carrier;
mod commands;
mod contacts;
mod crashes;
mod demo;
mod files;
mod generated;
mod hostile_text;
mod identity;
mod linking;
mod live;
mod messages;
mod pictures;
mod policy;
mod rekeying;
mod resending;
mod support;
