"""A conversation, and what its two people compare."""

from __future__ import annotations

from collections.abc import Callable

from . import _ffi
from ._ffi import ConversationSecurity, DeliveryMode, FallbackPolicy, MediaPart, Message, MessageReceipt
from .errors import _asking, _calling
from .observe import _Progress
from .outgoing import OutgoingMessage


class SafetyNumber:
    """What two people compare to know that nobody is between them."""

    def __init__(self, inner: _ffi.SafetyNumber) -> None:
        """Made by `Conversation.safety_number`."""
        self._inner = inner

    @property
    def numeric(self) -> str:
        """Sixty digits, the same on both sides."""
        return _asking(self._inner.numeric)

    @property
    def qr_payload(self) -> str:
        """What the other side scans."""
        return _asking(self._inner.qr_payload)

    async def verify(self, scan: str) -> None:
        """Compares with what was scanned, and remembers. `ContactError` if it is another."""
        await _calling(self._inner.verify(scan))

    async def verify_digits(self, digits: str) -> None:
        """Compares with digits that were typed."""
        await _calling(self._inner.verify_digits(digits))


class Conversation:
    """A conversation with a contact."""

    def __init__(self, inner: _ffi.Conversation) -> None:
        """Made by `RcsealClient.conversation`."""
        self._inner = inner

    @property
    def id(self) -> str:
        """Its id."""
        return _asking(self._inner.id)

    @property
    def contact_id(self) -> str:
        """With whom."""
        return _asking(self._inner.contact_id)

    async def messages(self, limit: int, before_order: int | None = None) -> list[Message]:
        """History, newest first; `before_order` is the order of the last one of the page before."""
        return await _calling(self._inner.messages(before_order, limit))

    async def send(self, message: OutgoingMessage) -> MessageReceipt:
        """Sends anything. The message is durable when this returns, and leaves when a server can be reached."""
        return await _calling(self._inner.send(message._inner))

    async def send_text(self, text: str, reply_to: str | None = None) -> MessageReceipt:
        """Sends words."""
        return await self.send(OutgoingMessage.text(text, reply_to))

    async def send_media(self, path: str, caption: str = "", progress: Callable[[int, int], object] | None = None) -> MessageReceipt:
        """Sends a file. `progress` is called with bytes done and in all, on a thread of the library."""
        message = OutgoingMessage.media(path, caption)
        if progress is None:
            return await self.send(message)
        return await _calling(self._inner.send_with_progress(message._inner, _Progress(progress)))

    async def react(self, message_id: str, emoji: str, is_removed: bool = False) -> MessageReceipt:
        """Sets a reaction, or takes it back."""
        return await self.send(OutgoingMessage.reaction(message_id, emoji, is_removed))

    async def edit(self, message_id: str, text: str) -> MessageReceipt:
        """Changes the words of a message of one's own."""
        return await self.send(OutgoingMessage.edit(message_id, text))

    async def delete(self, message_id: str) -> MessageReceipt:
        """Deletes a message of one's own, on both sides."""
        return await self.send(OutgoingMessage.delete(message_id))

    async def reply_to_card(self, message_id: str, suggestion_id: str) -> MessageReceipt:
        """Answers a card with one of its suggestions."""
        return await self.send(OutgoingMessage.card_reply(message_id, suggestion_id))

    async def fetch_encrypted_blob(
        self, message: Message, part: MediaPart, path: str, progress: Callable[[int, int], object] | None = None
    ) -> None:
        """Fetches the file of a message, checks and decrypts it, and writes it to a new file."""
        listener = progress and _Progress(progress)
        await _calling(self._inner.fetch_encrypted_blob(message.sender_id, message.id, part, path, listener))

    async def safety_number(self) -> SafetyNumber:
        """What two people compare."""
        return SafetyNumber(await _calling(self._inner.safety_number()))

    async def acknowledge_downgrade(self, mode: DeliveryMode) -> None:
        """The user has seen that messages go another way now."""
        await _calling(self._inner.acknowledge_downgrade(mode))

    async def fallback_policy(self) -> FallbackPolicy | None:
        """The policy of this conversation, where it has one of its own."""
        return await _calling(self._inner.fallback_policy())

    async def give_consent(self, mode: DeliveryMode, expires_at_ms: int) -> None:
        """Allows a way that is not end to end, until a time."""
        await _calling(self._inner.give_consent(mode, expires_at_ms))

    async def mark_read(self, up_to_order: int) -> None:
        """The user has read up to this message."""
        await _calling(self._inner.mark_read(up_to_order))

    async def message(self, sender_id: str, message_id: str) -> Message | None:
        """One message."""
        return await _calling(self._inner.message(sender_id, message_id))

    async def restore_end_to_end(self) -> None:
        """Takes consents back."""
        await _calling(self._inner.restore_end_to_end())

    async def security(self) -> ConversationSecurity:
        """Who can read the next message, and why."""
        return await _calling(self._inner.security())

    async def set_fallback_policy(self, policy: FallbackPolicy | None) -> None:
        """Sets it."""
        await _calling(self._inner.set_fallback_policy(policy))

    async def set_typing(self, is_typing: bool) -> None:
        """Tells the other side that the user types."""
        await _calling(self._inner.set_typing(is_typing))
