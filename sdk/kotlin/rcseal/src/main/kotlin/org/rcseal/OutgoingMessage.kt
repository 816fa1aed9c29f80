package org.rcseal

import org.rcseal.ffi.OutgoingMessage as Generated

/** What to send. Nothing of it appears in its text form. */
public sealed class OutgoingMessage {
    internal abstract fun generated(): Generated

    /** Says which kind it is and nothing of what it holds. */
    override fun toString(): String = this::class.java.simpleName

    /** Words. */
    public class Text(
        /** The words. */
        public val text: String,
        /** The message it answers. */
        public val replyTo: String? = null,
    ) : OutgoingMessage() {
        override fun generated(): Generated = Generated.Text(text, replyTo)
    }

    /** A file. The call returns when it is at the server. */
    public class Media(
        /** Where it is. */
        public val path: String,
        /** Words with it; may be empty. */
        public val caption: String = "",
    ) : OutgoingMessage() {
        override fun generated(): Generated = Generated.Media(path, caption)
    }

    /** An emoji on a message. */
    public class Reaction(
        /** The message. */
        public val messageId: String,
        /** The emoji. */
        public val emoji: String,
        /** Takes it off again. */
        public val isRemoved: Boolean = false,
    ) : OutgoingMessage() {
        override fun generated(): Generated = Generated.Reaction(messageId, emoji, isRemoved)
    }

    /** Other words for a message of one's own. */
    public class Edit(
        /** The message. */
        public val messageId: String,
        /** The words. */
        public val text: String,
    ) : OutgoingMessage() {
        override fun generated(): Generated = Generated.Edit(messageId, text)
    }

    /** Takes a message of one's own back. */
    public class Delete(
        /** The message. */
        public val messageId: String,
    ) : OutgoingMessage() {
        override fun generated(): Generated = Generated.Delete(messageId)
    }

    /** A suggestion of a card. */
    public class CardReply(
        /** The card's message. */
        public val messageId: String,
        /** The suggestion. */
        public val suggestionId: String,
    ) : OutgoingMessage() {
        override fun generated(): Generated = Generated.CardReply(messageId, suggestionId)
    }
}
