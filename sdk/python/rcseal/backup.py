"""What can be done with backups without a client, and what opens one."""

from __future__ import annotations

from . import _ffi, _native
from ._ffi import BackupInfo
from .errors import _asking, _calling


class BackupSecret:
    """What opens a backup. Printed, it says which kind it is and nothing of what it holds."""

    def __init__(self, kind: str, inner: _ffi.BackupSecret) -> None:
        """Made by `passphrase` and `written`."""
        self._kind = kind
        self._inner = inner

    @classmethod
    def passphrase(cls, passphrase: str) -> BackupSecret:
        """A passphrase of the user's own, at least twelve characters. Such a backup holds no account key."""
        return cls("passphrase", _native.BackupSecret.PASSPHRASE(passphrase))

    @classmethod
    def written(cls, secret: str) -> BackupSecret:
        """One that `generate_backup_secret` drew, to be written down. On the primary device the backup then holds the account key."""
        return cls("written", _native.BackupSecret.GENERATED(secret))

    def __repr__(self) -> str:
        """The kind."""
        return f"BackupSecret({self._kind})"


def generate_backup_secret() -> str:
    """A secret for a backup, to be written down: 24 symbols in groups of four."""
    return _asking(_ffi.generate_backup_secret)


async def inspect_backup(path: str) -> BackupInfo:
    """What a backup says of itself, without a secret. Nothing of it is authentic."""
    return await _calling(_ffi.inspect_backup(path))
