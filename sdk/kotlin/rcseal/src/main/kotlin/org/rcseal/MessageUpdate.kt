package org.rcseal

/** What happened to a message. */
public typealias MessageChange = org.rcseal.ffi.MessageChange

/** A message that came or changed. It is as it is now: several changes may be told by one look. */
public class MessageUpdate internal constructor(
    /** What happened to it. */
    public val change: MessageChange,
    /** The message. */
    public val message: Message,
)
