//! The whole system, from outside: real processes of `rcseal`, real sockets, real TLS, real files. Nothing here calls the library but the
//! search of the demo's own kind.

#![allow(clippy::unwrap_used, clippy::panic)]

mod commands;
mod crashes;
mod demo;
mod files;
mod generated;
mod hostile_text;
mod linking;
mod messages;
mod pictures;
mod support;
