"""The catalogue of what users read about delivery, encryption, verification and recovery."""

from __future__ import annotations

from . import _ffi
from ._ffi import Message, WordsEntry
from .errors import _asking


def words_languages() -> list[str]:
    """The tags of the languages that there are words in."""
    return _asking(_ffi.words_languages)


def words(key: str, language: str) -> WordsEntry:
    """The words of a key, in the language of a tag as phones name them (`de-AT`), or in English.

    The code of an error is taken for a key, too; an error that is no user's matter has no words: `words.unknown_key`.
    """
    return _asking(lambda: _ffi.words(key, language))


def all_words(language: str) -> list[WordsEntry]:
    """Every entry, in the order of the catalogue: for an app that puts them into resources of its own."""
    return _asking(lambda: _ffi.all_words(language))


def words_for_message(message: Message, language: str) -> WordsEntry:
    """The words for how far a message has come, with its reason where it failed."""
    return _asking(lambda: _ffi.words_for_message(message.state.name, message.state_reason, language))
