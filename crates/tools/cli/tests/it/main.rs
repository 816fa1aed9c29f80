//! The whole system, from outside: real processes of `rcseal`, real sockets, real TLS, real files. Nothing here calls the library but the
//! search of the demo's own kind.

#![allow(clippy::unwrap_used, clippy::panic)]

mod commands;
mod contacts;
mod crashes;
mod demo;
mod files;
mod generated;
mod hostile_text;
mod identity;
mod linking;
mod messages;
mod pictures;
mod rekeying;
mod support;
