"""What a call raises. The class says whose matter it is; `code` is stable; nothing here holds content, ids, numbers, names or keys."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import TypeVar

from . import _ffi, _native

T = TypeVar("T")


class RcsealError(Exception):
    """Why a call did not do what it was asked for."""

    #: Whose matter it is, for example `vault`. One for each subclass.
    kind = "internal"

    def __init__(self, code: str, retryable: bool, reason: str) -> None:
        """Made by the library, from its own error."""
        super().__init__(f"{code}: {reason}")
        #: What happened, as a stable code such as `vault.timeout`: what to log and to count.
        self.code = code
        #: Whether the same call may succeed later without anybody changing anything.
        self.retryable = retryable


class StoreError(RcsealError):
    """The store on this device."""

    kind = "store"


class VaultCallError(RcsealError):
    """The key vault."""

    kind = "vault"


class NetworkError(RcsealError):
    """The network, or a server that refused."""

    kind = "network"


class AccountError(RcsealError):
    """This account and its devices."""

    kind = "account"


class ContactError(RcsealError):
    """A contact, or a comparison of safety numbers."""

    kind = "contact"


class SendError(RcsealError):
    """A message that was not sent."""

    kind = "send"


class MediaError(RcsealError):
    """A file that was not sent, fetched or written."""

    kind = "media"


class PolicyError(RcsealError):
    """What may be sent how: a refusal of the delivery policy, a consent, a downgrade."""

    kind = "policy"


class BackupError(RcsealError):
    """A backup."""

    kind = "backup"


class PushError(RcsealError):
    """Push registrations and wake-ups."""

    kind = "push"


class ClosedError(RcsealError):
    """The client was closed."""

    kind = "closed"


class InvalidArgumentError(RcsealError):
    """An argument cannot be read."""

    kind = "invalid_argument"


class InternalError(RcsealError):
    """Something that should not happen: please report it with its code."""


_KINDS: dict[str, type[RcsealError]] = {
    "Store": StoreError,
    "Vault": VaultCallError,
    "Network": NetworkError,
    "Account": AccountError,
    "Contact": ContactError,
    "Send": SendError,
    "Media": MediaError,
    "Policy": PolicyError,
    "Backup": BackupError,
    "Push": PushError,
    "Closed": ClosedError,
    "InvalidArgument": InvalidArgumentError,
    "Internal": InternalError,
}


class VaultFailure(enum.Enum):
    """Why a key vault does not answer."""

    USER_NOT_AUTHENTICATED = "UserNotAuthenticated"
    KEY_INVALIDATED = "KeyInvalidated"
    NOT_FOUND = "NotFound"
    ALREADY_EXISTS = "AlreadyExists"
    HARDWARE_UNAVAILABLE = "HardwareUnavailable"
    UNEXPECTED = "Unexpected"


class VaultError(Exception):
    """What a `KeyVault` raises. Anything else that it raises counts as `UNEXPECTED`, and its words go no further."""

    def __init__(self, failure: VaultFailure) -> None:
        """Says why."""
        super().__init__(failure.value)
        #: Why.
        self.failure = failure


def _shown(failure: BaseException) -> RcsealError:
    if isinstance(failure, _native.RcsealError):
        return _KINDS[type(failure).__name__](failure.code, failure.retryable, failure.reason)
    if isinstance(failure, _ffi.InternalError):
        # What a panic said may hold anything.
        return InternalError("sdk.panic", False, "the call ended with a panic")
    # The generated code refuses arguments of a wrong type or range before the call.
    return InvalidArgumentError("argument_malformed", False, "an argument has the wrong type or is out of range")


_RAISED = (_native.RcsealError, _ffi.InternalError, TypeError, ValueError, AttributeError)


async def _calling(call: Awaitable[T]) -> T:
    """Awaits a generated call and raises what this package raises. A cancelled caller leaves the call running to its end behind it."""
    try:
        return await call
    except _RAISED as failure:
        error = _shown(failure)
    raise error


def _asking(call: Callable[[], T]) -> T:
    """The same for calls that answer at once."""
    try:
        return call()
    except _RAISED as failure:
        error = _shown(failure)
    raise error
