"""Sessions alone, for apps that have their own transport and directory: bytes in, bytes out.

    session = client.get_or_create_session(peer_id, bundle_from_your_directory)
    transport.send(session.encrypt(data))
    data = client.decrypt(peer_id, received)

Calls block for the app's store and take no network. Under asyncio make them by `asyncio.to_thread`.
"""

from __future__ import annotations

import enum
from typing import Protocol

from . import _ffi, _native
from ._ffi import CryptoStoreWrite, PairwiseBundles, PairwisePrekeyState
from .errors import _asking
from .vault import KeyVault, _VaultAdapter


class CryptoStoreFailure(enum.Enum):
    """Why an app's store did nothing."""

    CONFLICT = "Conflict"
    FULL = "Full"
    BUSY = "Busy"


class CryptoStoreError(Exception):
    """What a `CryptoStore` raises. What else it raises counts as unexpected, and its words go no further."""

    def __init__(self, failure: CryptoStoreFailure) -> None:
        """Says why."""
        super().__init__(failure.value)
        #: Why.
        self.failure = failure


class CryptoStore(Protocol):
    """Where a `PairwiseClient` keeps its rows: a table of bytes in the app's own database. What is kept is encrypted."""

    def get(self, key: bytes) -> bytes | None:
        """The value of a row; `None` where there is none. Where that is not known, raise."""

    def commit(self, expected_head: bytes | None, writes: list[CryptoStoreWrite]) -> None:
        """In one transaction: compares the value of the row `b"head"` with `expected_head`, and where they are equal does every write.

        A write without a value deletes its row. Returns only when all of it would survive a power cut. Raises `CONFLICT` and writes
        nothing where they are not equal.
        """


class PairwiseSafetyNumber:
    """What two people compare."""

    def __init__(self, inner: _ffi.PairwiseSafetyNumber) -> None:
        """Made by `PairwiseSession.safety_number`."""
        self._inner = inner

    @property
    def numeric(self) -> str:
        """Sixty digits in groups of five, the same on both sides."""
        return _asking(self._inner.numeric)

    @property
    def qr_payload(self) -> str:
        """What the QR code on this side holds, for the other side to scan."""
        return _asking(self._inner.qr_payload)

    def verify(self, scan: str) -> None:
        """Compares what was scanned, or digits that were typed. The peer is verified when this returns."""
        _asking(lambda: self._inner.verify(scan))


class PairwiseSession:
    """The session with one peer."""

    def __init__(self, inner: _ffi.PairwiseSession) -> None:
        """Made by `PairwiseClient.get_or_create_session`."""
        self._inner = inner

    def encrypt(self, plaintext: bytes) -> bytes:
        """Encrypts. The bytes may leave the device: what they were made from is stored."""
        return _asking(lambda: self._inner.encrypt(plaintext))

    def decrypt(self, message: bytes) -> bytes:
        """Decrypts. A message is decrypted once: a second time is an error."""
        return _asking(lambda: self._inner.decrypt(message))

    def safety_number(self) -> PairwiseSafetyNumber:
        """The safety number with the peer."""
        return PairwiseSafetyNumber(_asking(self._inner.safety_number))

    def is_verified(self) -> bool:
        """Whether the peer's safety number was compared."""
        return _asking(self._inner.is_verified)


class PairwiseClient:
    """One identity with its sessions, over an app's store and key vault."""

    def __init__(self, inner: _ffi.PairwiseClient) -> None:
        """Use `open`."""
        self._inner = inner

    @classmethod
    def open(cls, store: CryptoStore, key_vault: KeyVault) -> PairwiseClient:
        """Opens what is in the store, or makes a new identity in an empty one."""
        return cls(_asking(lambda: _ffi.PairwiseClient.open(_StoreAdapter(store), _VaultAdapter(key_vault))))

    def __enter__(self) -> PairwiseClient:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes."""
        self.close()

    def close(self) -> None:
        """Closes it. Every later call raises `ClosedError`."""
        _asking(self._inner.shutdown)

    def was_rolled_back(self) -> bool:
        """Whether the store was older than the vault remembered. The sessions are gone then; publish new bundles."""
        return _asking(self._inner.was_rolled_back)

    def identity(self) -> bytes:
        """Our identity: 32 bytes, public."""
        return _asking(self._inner.identity)

    def local_bundle(self) -> bytes:
        """A bundle that any number of peers may be given, for a first test or for a directory of one entry."""
        return _asking(self._inner.local_bundle)

    def replenish_prekeys(self, left: int) -> PairwiseBundles:
        """What to publish next, where the directory has `left` of our one-time bundles."""
        return _asking(lambda: self._inner.replenish_prekeys(left))

    def prekey_state(self) -> PairwisePrekeyState:
        """How many prekeys there are."""
        return _asking(self._inner.prekey_state)

    def get_or_create_session(self, peer_id: str, bundle: bytes | None = None) -> PairwiseSession:
        """The session with a peer, or a new one from a bundle of the app's directory."""
        return PairwiseSession(_asking(lambda: self._inner.get_or_create_session(peer_id, bundle)))

    def decrypt(self, peer_id: str, message: bytes) -> bytes:
        """Decrypts what a peer sent: the first message of an unknown peer fixes its identity and opens the session."""
        return _asking(lambda: self._inner.decrypt(peer_id, message))

    def forget_peer(self, peer_id: str) -> None:
        """Forgets a peer's identity and its sessions, after the user said that the new one is right."""
        _asking(lambda: self._inner.forget_peer(peer_id))


class _StoreAdapter(_ffi.CryptoStore):
    """An app's store as the generated code calls it. Nothing that an app's exception says goes further."""

    def __init__(self, store: CryptoStore) -> None:
        self._store = store

    def get(self, key: bytes) -> bytes | None:
        try:
            return self._store.get(key)
        except Exception as error:
            raise _fault(error) from None

    def commit(self, expected_head: bytes | None, writes: list[CryptoStoreWrite]) -> None:
        try:
            self._store.commit(expected_head, writes)
        except Exception as error:
            raise _fault(error) from None


def _fault(error: Exception) -> Exception:
    if isinstance(error, CryptoStoreError):
        known: Exception = getattr(_native.CryptoStoreError, error.failure.value)()
        return known
    unexpected: Exception = _native.CryptoStoreError.Unexpected("the app's store raised")
    return unexpected
