"""What can be sent in a conversation."""

from __future__ import annotations

from . import _ffi, _native


class OutgoingMessage:
    """A message to send. Printed, it says which kind it is and none of its words."""

    def __init__(self, kind: str, inner: _ffi.OutgoingMessage) -> None:
        """Made by `text` and its siblings."""
        self._kind = kind
        self._inner = inner

    @classmethod
    def text(cls, text: str, reply_to: str | None = None) -> OutgoingMessage:
        """Words."""
        return cls("text", _native.OutgoingMessage.TEXT(text, reply_to))

    @classmethod
    def media(cls, path: str, caption: str = "") -> OutgoingMessage:
        """A file."""
        return cls("media", _native.OutgoingMessage.MEDIA(path, caption))

    @classmethod
    def reaction(cls, message_id: str, emoji: str, is_removed: bool = False) -> OutgoingMessage:
        """A reaction, or its end."""
        return cls("reaction", _native.OutgoingMessage.REACTION(message_id, emoji, is_removed))

    @classmethod
    def edit(cls, message_id: str, text: str) -> OutgoingMessage:
        """New words for a message of one's own."""
        return cls("edit", _native.OutgoingMessage.EDIT(message_id, text))

    @classmethod
    def delete(cls, message_id: str) -> OutgoingMessage:
        """The end of a message of one's own, on both sides."""
        return cls("delete", _native.OutgoingMessage.DELETE(message_id))

    @classmethod
    def card_reply(cls, message_id: str, suggestion_id: str) -> OutgoingMessage:
        """One of the suggestions of a card."""
        return cls("card_reply", _native.OutgoingMessage.CARD_REPLY(message_id, suggestion_id))

    def __repr__(self) -> str:
        """The kind."""
        return f"OutgoingMessage({self._kind})"
