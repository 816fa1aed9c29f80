//! The client engine without I/O: accounts, sessions, conversations, media.
