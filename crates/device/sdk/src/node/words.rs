//! The catalogue of words for Node.

#![allow(unreachable_pub, dead_code, reason = "Node calls the functions by their names; nothing in Rust does")]

use napi_derive::napi;

use super::{answer, failed};
use crate::words as catalogue;

/// The tags of the languages.
#[napi]
pub fn words_languages() -> napi::Result<Vec<String>> {
    catalogue::words_languages().map_err(failed)
}

/// The words of a key.
#[napi]
pub fn words(key: String, language: String) -> napi::Result<String> {
    answer(catalogue::words(key, language))
}

/// Every entry.
#[napi]
pub fn all_words(language: String) -> napi::Result<String> {
    answer(catalogue::all_words(language))
}

/// The words for the state of a message.
#[napi]
pub fn words_for_message(state: String, reason: Option<String>, language: String) -> napi::Result<String> {
    answer(catalogue::words_for_message(state, reason, language))
}
