import RcsealFFI

/// How loudly an app should say something.
public typealias WordsSeverity = RcsealFFI.WordsSeverity
/// What is said about one state in one language.
public typealias WordsEntry = RcsealFFI.WordsEntry

/// What users read about states of delivery, encryption, fallback, verification and recovery: one catalogue for every platform.
public enum Words {
    /// The tags of the languages that there are words in.
    public static func languages() throws(RcsealError) -> [String] { try translated { try wordsLanguages() } }

    /// The words of a key, in the language of a tag (`de-AT`), or in English.
    public static func of(_ key: String, language: String) throws(RcsealError) -> WordsEntry {
        try translated { try words(key: key, language: language) }
    }

    /// The words for the state of a message.
    public static func of(_ message: Message, language: String) throws(RcsealError) -> WordsEntry {
        try translated {
            try wordsForMessage(state: "\(message.state)", reason: message.stateReason, language: language)
        }
    }

    /// Every entry, in the order of the catalogue.
    public static func all(language: String) throws(RcsealError) -> [WordsEntry] {
        try translated { try allWords(language: language) }
    }
}
