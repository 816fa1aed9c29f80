import Foundation
import RcsealFFI

// The records and enumerations that cross the border as they are. Their fields are documented where they are declared.

/// Where a client lives and whom it trusts.
public typealias ClientConfig = RcsealFFI.ClientConfig
/// Where a store lies that was set aside, and whether what was left of its key is gone.
public typealias StoreSetAside = RcsealFFI.StoreSetAside
/// What a new account is to be.
public typealias NewAccount = RcsealFFI.NewAccount
/// What became of a new account.
public typealias CreatedAccount = RcsealFFI.CreatedAccount
/// This device and its account.
public typealias Account = RcsealFFI.Account
/// How far this device's account has come.
public typealias AccountStage = RcsealFFI.AccountStage
/// What a device runs on.
public typealias Platform = RcsealFFI.Platform
/// One device of an account.
public typealias Device = RcsealFFI.Device
/// How safe this device is, and what the user should know.
public typealias SecurityState = RcsealFFI.SecurityState
/// What an export wrote.
public typealias ExportSummary = RcsealFFI.ExportSummary
/// How a client stands with its server, with the reason.
public typealias ConnectionState = RcsealFFI.ConnectionState
/// How a client stands with its server.
public typealias ConnectionStatus = RcsealFFI.ConnectionStatus
/// What one ``RcsealClient/syncOnce()`` did.
public typealias SyncReport = RcsealFFI.SyncReport
/// A contact.
public typealias Contact = RcsealFFI.Contact
/// Whether somebody compared safety numbers.
public typealias Verification = RcsealFFI.Verification
/// One line of the list of conversations.
public typealias ConversationSummary = RcsealFFI.ConversationSummary
/// What the lock on a conversation shows.
public typealias Padlock = RcsealFFI.Padlock
/// A message.
public typealias Message = RcsealFFI.Message
/// How far a message has come.
public typealias MessageState = RcsealFFI.MessageState
/// What a message is.
public typealias MessageKind = RcsealFFI.MessageKind
/// A file of a message.
public typealias MediaInfo = RcsealFFI.MediaInfo
/// A card.
public typealias Card = RcsealFFI.Card
/// One thing to choose of a card.
public typealias Suggestion = RcsealFFI.Suggestion
/// A reaction.
public typealias Reaction = RcsealFFI.Reaction
/// What is sent.
public typealias OutgoingMessage = RcsealFFI.OutgoingMessage
/// What became of a message that was sent.
public typealias MessageReceipt = RcsealFFI.MessageReceipt
/// How a message goes.
public typealias DeliveryMode = RcsealFFI.DeliveryMode
/// Somebody who can read a message.
public typealias Reader = RcsealFFI.Reader
/// What becomes of a message that cannot go end to end.
public typealias FallbackPolicy = RcsealFFI.FallbackPolicy
/// How safe a conversation is.
public typealias ConversationSecurity = RcsealFFI.ConversationSecurity
/// A message that waits for the user's word.
public typealias HeldMessage = RcsealFFI.HeldMessage
/// Something that happened on this device.
public typealias ClientEvent = RcsealFFI.ClientEvent
/// What kind of thing it was.
public typealias EventKind = RcsealFFI.EventKind
/// Which part of a message with a file.
public typealias MediaPart = RcsealFFI.MediaPart

/// A message that came or changed.
public struct MessageUpdate: Sendable {
    /// Whether it is new here.
    public let isNew: Bool
    /// The message as it is now.
    public let message: Message
}

extension Message {
    /// When it was written, by the sender's clock.
    public var sentAt: Date { Date(milliseconds: sentAtMs) }
    /// When it came, by our clock.
    public var receivedAt: Date { Date(milliseconds: receivedAtMs) }
}

extension Date {
    /// Times cross the border as milliseconds since 1970.
    init(milliseconds: UInt64) { self.init(timeIntervalSince1970: Double(milliseconds) / 1000) }
}
