"""The key vault: what wraps the key of the store. An app brings one for its platform; `SoftwareKeyVault` keeps its key in a file."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from . import _ffi, _native
from ._ffi import KeyProtection
from .errors import VaultError, VaultFailure


class KeyVault(Protocol):
    """Wraps the key of the store. The library calls it on threads of its own, one call at a time; it may block, up to the vault timeout."""

    def create_wrapping_key(self, alias: str) -> None:
        """Makes a key. `ALREADY_EXISTS` if there is one."""

    def has_wrapping_key(self, alias: str) -> bool:
        """Whether there is a key."""

    def wrap(self, alias: str, data_key: bytes) -> bytes:
        """Encrypts a key of at most 64 bytes."""

    def unwrap(self, alias: str, wrapped: bytes) -> bytes:
        """Decrypts it again."""

    def delete(self, alias: str) -> None:
        """Deletes the key, if there is one."""

    def protection(self) -> KeyProtection:
        """What keeps the keys."""

    def generation(self, alias: str) -> int:
        """A counter that is outside the store, which recognises an older copy of it."""

    def bump_generation(self, alias: str) -> int:
        """Adds one, durably, and answers the new value."""


class _VaultAdapter(_ffi.KeyVault):
    """An app's vault as the generated code calls it. Nothing that an app's exception says goes further."""

    def __init__(self, vault: KeyVault) -> None:
        for name in _METHODS:
            setattr(self, name, self._translating(getattr(vault, name)))

    @staticmethod
    def _translating(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: object) -> Any:
            try:
                return method(*arguments)
            except VaultError as error:
                failure = error.failure
            except Exception:
                failure = VaultFailure.UNEXPECTED
            if failure is VaultFailure.UNEXPECTED:
                raise _native.VaultError.Unexpected("the app's key vault raised")
            raise getattr(_native.VaultError, failure.value)()

        return call


_METHODS = ("create_wrapping_key", "has_wrapping_key", "wrap", "unwrap", "delete", "protection", "generation", "bump_generation")
_NONCE = 12
_SALT = 16


class SoftwareKeyVault:
    """A vault in files, under a passphrase: for servers, desktops and tests. Who has the folder and the passphrase has the keys.

    An older copy of the folder together with the store is not recognised as older; `security_state()` says that the vault is software.
    """

    def __init__(self, folder: str | os.PathLike[str], passphrase: str, *, scrypt_n: int = 1 << 15) -> None:
        """`folder` is made for its owner alone. `scrypt_n` is the cost of a guess of the passphrase; it is the same at each opening."""
        self._folder = Path(folder)
        self._passphrase = passphrase.encode()
        self._n = scrypt_n
        self._lock = threading.Lock()

    def create_wrapping_key(self, alias: str) -> None:
        """Makes a key."""
        with self._lock:
            if self.has_wrapping_key(alias):
                raise VaultError(VaultFailure.ALREADY_EXISTS)
            salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
            sealed = AESGCM(self._derived(salt)).encrypt(nonce, AESGCM.generate_key(256), alias.encode())
            self._write(alias, "generation", b"0")
            self._write(alias, "key", salt + nonce + sealed)

    def has_wrapping_key(self, alias: str) -> bool:
        """Whether there is a key."""
        return self._path(alias, "key").exists()

    def wrap(self, alias: str, data_key: bytes) -> bytes:
        """Encrypts with AES-256-GCM."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher(alias).encrypt(nonce, data_key, alias.encode())

    def unwrap(self, alias: str, wrapped: bytes) -> bytes:
        """Decrypts."""
        try:
            return self._cipher(alias).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], alias.encode())
        except (InvalidTag, ValueError):
            raise VaultError(VaultFailure.KEY_INVALIDATED) from None

    def delete(self, alias: str) -> None:
        """Deletes the key."""
        self._path(alias, "key").unlink(missing_ok=True)
        self._path(alias, "generation").unlink(missing_ok=True)

    def protection(self) -> KeyProtection:
        """Always `SOFTWARE`."""
        return KeyProtection.SOFTWARE

    def generation(self, alias: str) -> int:
        """The counter."""
        try:
            return int(self._path(alias, "generation").read_bytes())
        except FileNotFoundError:
            raise VaultError(VaultFailure.NOT_FOUND) from None

    def bump_generation(self, alias: str) -> int:
        """Adds one."""
        with self._lock:
            following = self.generation(alias) + 1
            self._write(alias, "generation", str(following).encode())
            return following

    def _derived(self, salt: bytes) -> bytes:
        return Scrypt(salt=salt, length=32, n=self._n, r=8, p=1).derive(self._passphrase)

    def _cipher(self, alias: str) -> AESGCM:
        try:
            stored = self._path(alias, "key").read_bytes()
        except FileNotFoundError:
            raise VaultError(VaultFailure.NOT_FOUND) from None
        salt, nonce, sealed = stored[:_SALT], stored[_SALT : _SALT + _NONCE], stored[_SALT + _NONCE :]
        try:
            return AESGCM(AESGCM(self._derived(salt)).decrypt(nonce, sealed, alias.encode()))
        except (InvalidTag, ValueError):
            # A wrong passphrase and a damaged file look the same.
            raise VaultError(VaultFailure.KEY_INVALIDATED) from None

    def _path(self, alias: str, what: str) -> Path:
        return self._folder / f"{what}-{alias.encode().hex()}"

    def _write(self, alias: str, what: str, content: bytes) -> None:
        """Beside the old file first, then in its place: a process that is killed leaves one of the two."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(alias, what)
        beside = path.with_suffix(".new")
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
