package org.rcseal

/** Where a client lives and whom it trusts. */
public typealias ClientConfig = org.rcseal.ffi.ClientConfig

/** What a new account is to be. */
public typealias NewAccount = org.rcseal.ffi.NewAccount

/** What became of a new account. It has the recovery code in it: never write it to a log. */
public typealias CreatedAccount = org.rcseal.ffi.CreatedAccount

/** This device and its account. */
public typealias Account = org.rcseal.ffi.Account

/** How far this device's account has come. */
public typealias AccountStage = org.rcseal.ffi.AccountStage

/** How safe this device is, and what the user should know. */
public typealias SecurityState = org.rcseal.ffi.SecurityState

/** What an export wrote. */
public typealias ExportSummary = org.rcseal.ffi.ExportSummary

/** A store that was set aside. */
public typealias StoreSetAside = org.rcseal.ffi.StoreSetAside

/** How a client stands with its server, and why. */
public typealias ConnectionState = org.rcseal.ffi.ConnectionState

/** How a client stands with its server. */
public typealias ConnectionStatus = org.rcseal.ffi.ConnectionStatus

/** What one `syncOnce` did. */
public typealias SyncReport = org.rcseal.ffi.SyncReport

/** A contact. */
public typealias Contact = org.rcseal.ffi.Contact

/** Whether somebody compared safety numbers. */
public typealias Verification = org.rcseal.ffi.Verification

/** One device of an account. */
public typealias Device = org.rcseal.ffi.Device

/** What a device runs on. */
public typealias Platform = org.rcseal.ffi.Platform

/** What the lock on a conversation shows. */
public typealias Padlock = org.rcseal.ffi.Padlock

/** How a message goes. What counts is who can read it on its way. */
public typealias DeliveryMode = org.rcseal.ffi.DeliveryMode

/** Somebody who can read a message. */
public typealias Reader = org.rcseal.ffi.Reader

/** What becomes of a message that cannot go end to end. */
public typealias FallbackPolicy = org.rcseal.ffi.FallbackPolicy

/** A message that waits for the user's word. */
public typealias HeldMessage = org.rcseal.ffi.HeldMessage

/** A message. Its words are in its fields: never write it to a log as a whole. */
public typealias Message = org.rcseal.ffi.Message

/** How far a message has come. */
public typealias MessageState = org.rcseal.ffi.MessageState

/** What a message is. */
public typealias MessageKind = org.rcseal.ffi.MessageKind

/** A file of a message. */
public typealias MediaInfo = org.rcseal.ffi.MediaInfo

/** A card. */
public typealias Card = org.rcseal.ffi.Card

/** One thing to choose on a card. */
public typealias Suggestion = org.rcseal.ffi.Suggestion

/** A reaction. */
public typealias Reaction = org.rcseal.ffi.Reaction

/** A conversation in a list. */
public typealias ConversationSummary = org.rcseal.ffi.ConversationSummary

/** How safe a conversation is. */
public typealias ConversationSecurity = org.rcseal.ffi.ConversationSecurity

/** What became of a message that was sent. */
public typealias MessageReceipt = org.rcseal.ffi.MessageReceipt

/** Which file of a message. */
public typealias MediaPart = org.rcseal.ffi.MediaPart

/** Something happened that the app may want to show. */
public typealias ClientEvent = org.rcseal.ffi.ClientEvent

/** What happened. Its pages say which fields of a [ClientEvent] it fills. */
public typealias EventKind = org.rcseal.ffi.EventKind

/** A key that a server must have, beside a certificate of the authorities. */
public typealias Pin = org.rcseal.ffi.Pin

/** Through what every server is reached: a proxy that understands CONNECT. */
public typealias ProxyConfig = org.rcseal.ffi.ProxyConfig

/** What counts of the remote configuration now. */
public typealias RemoteConfig = org.rcseal.ffi.RemoteConfig

/** One value of the remote configuration. */
public typealias RemoteValue = org.rcseal.ffi.RemoteValue
