package org.rcseal

import org.rcseal.internal.calling

/** What is said about one state in one language. */
public typealias WordsEntry = org.rcseal.ffi.WordsEntry

/** How loudly an app should say something. */
public typealias WordsSeverity = org.rcseal.ffi.WordsSeverity

/** The catalogue of what users read about delivery, encryption, verification and recovery. */
public object Words {
    /** The tags of the languages that there are words in. */
    public fun languages(): List<String> = calling { org.rcseal.ffi.wordsLanguages() }

    /**
     * The words of a key, in the language of a tag as phones name them (`de-AT`), or in English. The code of an error is taken for a key, too;
     * an error that is no user's matter has no words: `words.unknown_key`.
     */
    public fun of(key: String, language: String): WordsEntry = calling { org.rcseal.ffi.words(key, language) }

    /** Every entry, in the order of the catalogue: for an app that puts them into resources of its own. */
    public fun all(language: String): List<WordsEntry> = calling { org.rcseal.ffi.allWords(language) }

    /** The words for how far a message has come, with its reason where it failed. */
    public fun of(message: Message, language: String): WordsEntry =
        calling { org.rcseal.ffi.wordsForMessage(message.state.name, message.stateReason, language) }
}
