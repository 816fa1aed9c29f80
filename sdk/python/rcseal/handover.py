"""Messages that an app carries itself, with an RCS stack of its own."""

from __future__ import annotations

from typing import Protocol

from . import _ffi, _native
from ._ffi import EncryptedPayload, PayloadPart, StackOutcome
from .errors import _asking, _calling
from .outgoing import OutgoingMessage


class RcsStack(Protocol):
    """An app's RCS stack, as `RcsealClient.attach_host_stack` is given it.

    It is called on threads of the library, up to 16 at once, and may block until its network has answered, for 40 seconds at most. What it
    raises counts as a refusal, and its text goes no further.
    """

    def send_encrypted_payload(self, part: PayloadPart) -> StackOutcome:
        """Sends one message of the carrier and answers what the network said."""


class SecureSession:
    """The end-to-end session with a contact, for messages that the app carries."""

    def __init__(self, inner: _ffi.SecureSession) -> None:
        """Made by `RcsealClient.get_or_create_session`."""
        self._inner = inner

    @property
    def contact_id(self) -> str:
        """With whom."""
        return _asking(self._inner.contact_id)

    async def encrypt(self, message: OutgoingMessage) -> EncryptedPayload:
        """Sends a message and answers what the stack is to carry. It is in the conversation, as every message that was sent.

        A `SendError` with a code `hand_over_...` says that it does not go by the carrier, and nothing was sent. Files go by
        `Conversation.send_media`.
        """
        return await _calling(self._inner.encrypt(message._inner))

    async def report(self, message_id: str, outcome: StackOutcome) -> None:
        """What the stack made of a message: the worst of its parts. Refused, it goes by the relay at once."""
        await _calling(self._inner.report(message_id, outcome))


class _StackAdapter(_ffi.RcsStack):
    """An app's stack as the generated code calls it."""

    def __init__(self, stack: RcsStack) -> None:
        self._stack = stack

    def send_encrypted_payload(self, part: PayloadPart) -> StackOutcome:
        try:
            return self._stack.send_encrypted_payload(part)
        except Exception:
            raise _native.StackError.Failed("the app's stack raised") from None
